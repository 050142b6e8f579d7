"""How every chart of the report is drawn: colours, titles, end labels, and the SVG that a page can hold.

No pyplot and no global state. Colours are stand-ins that ``svg`` turns into the variables of
``report.css``, so that the same bytes serve the light and the dark theme.
"""

from __future__ import annotations

import re
import warnings
from io import StringIO
from typing import Final
from xml.etree import ElementTree

from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

from reports import units

#: Stand-in colour -> variable of the style sheet. Each differs from black and white.
INK, MUTED, LINE, BEFORE, AFTER, BAND = "#010203", "#040506", "#070809", "#0a0b0c", "#0d0e0f", "#111213"
CLEAR, HOLD, ESCALATE = "#141516", "#171819", "#1a1b1c"
_VARIABLES: Final = {
    INK: "ink", MUTED: "muted", LINE: "line", BEFORE: "before", AFTER: "after", BAND: "band",
    CLEAR: "clear-bg", HOLD: "hold-bg", ESCALATE: "escalate-bg",
}  # fmt: skip

_SVG: Final = "http://www.w3.org/2000/svg"
_XLINK: Final = "http://www.w3.org/1999/xlink"
SIZE: Final = 10.0
_LABEL_LENGTH: Final = 28
#: Runs as long as this have their time told in minutes.
_IN_MINUTES_FROM_S: Final = 300.0

IN_SECONDS: Final = FuncFormatter(lambda value, _: units.seconds(value))
IN_CHANGE: Final = FuncFormatter(lambda value, _: units.change(value))


def svg(figure: Figure, *, prefix: str, label: str) -> str:
    """The figure as an ``<svg>`` element to embed: ids begin with ``prefix``, ``label`` is its text for readers.

    Equal figures give equal text: no date, a fixed salt for ids.
    """
    buffer = StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": prefix}), warnings.catch_warnings():
        # Text stays text in the SVG: a glyph that matplotlib's own font lacks is the browser's to draw.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", metadata=metadata)
    root = ElementTree.fromstring(buffer.getvalue())  # noqa: S314 (matplotlib's own output)
    return _embeddable(root, prefix, label)


def long_chart(figure: Figure, *, prefix: str, label: str) -> Markup:
    """The same for a page, as wide as there is room."""
    chart = svg(figure, prefix=prefix, label=label).replace('class="chart"', 'class="chart long"', 1)
    return Markup(chart)  # noqa: S704 (escaped by svg)


def _embeddable(root: ElementTree.Element, prefix: str, label: str) -> str:
    for parent in root.iter():
        for child in list(parent):
            # The style element would reach the whole page; the metadata tell nothing.
            if child.tag in (f"{{{_SVG}}}metadata", f"{{{_SVG}}}style"):
                parent.remove(child)
    for element in root.iter():
        for name, value in list(element.attrib.items()):
            element.set(name, _attribute(name, value, prefix))
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.set("role", "img")
    root.set("aria-label", label)
    root.set("class", "chart")
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _XLINK)
    return ElementTree.tostring(root, encoding="unicode")


def _attribute(name: str, value: str, prefix: str) -> str:
    if name == "id":
        return f"{prefix}-{value}"
    if name == f"{{{_XLINK}}}href" and value.startswith("#"):
        return f"#{prefix}-{value[1:]}"
    value = value.replace("url(#", f"url(#{prefix}-")
    if name == "style":
        # The page's own font; only size, weight and anchor stay.
        # As longhands, of which the family goes: matplotlib 3.9 wrote one shorthand.
        value = re.sub(r"font: (?:(bold|\d+) )?([\d.]+px) [^;]*", r"font-weight: \1; font-size: \2", value)
        value = re.sub(r"font-weight: ;|font-family: [^;]*;?", "", value)
    for colour, variable in _VARIABLES.items():
        value = value.replace(colour, f"var(--{variable})")
    return value


def end_label(axes: Axes, x: float, y: float, text: str, colour: str) -> None:
    """Name a curve beside its last point."""
    axes.annotate(
        text,
        (x, y),
        xytext=(6, 0),
        textcoords="offset points",
        color=colour,
        fontsize=SIZE,
        fontweight="bold",
        va="center",
        annotation_clip=False,
        parse_math=False,
    )


def keep_apart(axes: Axes) -> None:
    """Move two end labels apart where they would print over each other."""
    labels = [text for text in axes.texts if isinstance(text, Annotation)]
    if len(labels) != 2:
        return
    low, high = axes.get_ylim()
    lower, upper = sorted(labels, key=lambda text: text.xy[1])
    points = axes.get_position().height * axes.figure.get_figheight() * 72  # type: ignore[union-attr]
    gap = (upper.xy[1] - lower.xy[1]) / (high - low) * points
    if gap < SIZE * 1.4:
        push = (SIZE * 1.4 - gap) / 2
        lower.xyann, upper.xyann = (6, -push), (6, push)


def title(axes: Axes, text: str) -> None:
    """A panel's title, on the left."""
    axes.set_title(short(text, 70), loc="left", color=INK, fontsize=SIZE + 1, fontweight="bold", parse_math=False)


def short(text: str, most: int = _LABEL_LENGTH) -> str:
    """The text, cut to so many characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def dress(axes: Axes) -> None:
    """Lines of the grid, ticks and frame in the colours of the theme; no ground."""
    axes.patch.set_visible(False)
    axes.get_figure().patch.set_visible(False)  # type: ignore[union-attr]
    axes.grid(visible=True, axis="y", color=LINE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=MUTED, labelcolor=INK, labelsize=SIZE - 0.5)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(MUTED)


def tell_elapsed(axes: Axes, end_s: float) -> None:
    """The elapsed time along a panel: whole seconds, or minutes where it is long."""
    long = end_s >= _IN_MINUTES_FROM_S
    axes.xaxis.set_major_locator(MultipleLocator(_minutes_apart(end_s)) if long else MaxNLocator(6, integer=True))
    if long:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 60:g}"))
    unit = "minutes" if long else "seconds"
    axes.set_xlabel(f"{unit} since the start of the measured part", color=INK, fontsize=SIZE)


def _minutes_apart(end_s: float) -> float:
    """Seconds from tick to tick: so many whole minutes that some eight ticks have room."""
    return next((60.0 * step for step in (1, 2, 5, 10, 15, 30, 60, 120) if end_s / 60 / step <= 9), 14_400.0)
