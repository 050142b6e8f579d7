"""The charts of the report: matplotlib Figures, and their SVG for one self-contained page.

No pyplot and no global state. Colours are stand-ins that ``svg`` turns into the variables of
``report.css``, so that the same bytes serve the light and the dark theme.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Sequence
from io import StringIO
from itertools import pairwise
from typing import Final
from xml.etree import ElementTree

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.ticker import FuncFormatter, MaxNLocator

from analysis.findings import Assessment, CellFinding, TimelinePoint, Word
from reports import units, words
from reports.claims import claim
from reports.matrix import headline_quantile

#: Operations whose growth with custom fields is drawn.
GROWING_OPERATIONS: Final = ("save_standard", "save_custom", "run_script")

#: Stand-in colour -> variable of the style sheet. Each differs from black and white.
_INK, _MUTED, _LINE, _BEFORE, _AFTER = "#010203", "#040506", "#070809", "#0a0b0c", "#0d0e0f"
_VARIABLES: Final = {_INK: "ink", _MUTED: "muted", _LINE: "line", _BEFORE: "before", _AFTER: "after"}

_SVG: Final = "http://www.w3.org/2000/svg"
_XLINK: Final = "http://www.w3.org/1999/xlink"
_SIZE: Final = 10.0
_LABEL_LENGTH: Final = 28


def growth_figures(assessment: Assessment) -> tuple[Figure, ...]:
    """A panel per save operation: the headline quantile over the number of custom fields.

    All panels share the scale of the vertical axis. Operations with fewer than two known
    cohorts have no panel.
    """
    quantile = headline_quantile(assessment)
    curves = {name: _curve(assessment, name, quantile) for name in GROWING_OPERATIONS}
    drawn = {name: cells for name, cells in curves.items() if len(_known(cells)) >= 2}
    if not drawn:
        return ()
    every = [cell for cells in drawn.values() for cell in _known(cells)]
    top = max(max(cell.before_s, cell.after_s) for cell in every) * 1.12
    cohorts = sorted({cell.custom_fields for cells in drawn.values() for cell in cells})
    return tuple(_growth_panel(name, cells, top=top, cohorts=cohorts) for name, cells in drawn.items())


def timeline_figure(assessment: Assessment) -> Figure | None:
    """The headline cell and all failures over the elapsed time; None without at least two slices."""
    before, after = telling_timeline(assessment)
    if len(before) < 2 or len(after) < 2:
        return None
    figure = Figure(figsize=(7.8, 3.9))
    times, failed = figure.subplots(2, 1, sharex=True, height_ratios=(2.4, 1))
    for points, colour, style, label in ((before, _BEFORE, "--", "before"), (after, _AFTER, "-", "after")):
        shown = [point for point in points if math.isfinite(point.p95_s)]
        times.plot([point.t_s for point in shown], [point.p95_s for point in shown], color=colour, linestyle=style)
        if shown:
            _end_label(times, shown[-1].t_s, shown[-1].p95_s, label, colour)
    _apart(times)
    operation, number = (after or before)[0].operation, (after or before)[0].custom_fields
    times.set_ylim(0, None)
    times.yaxis.set_major_formatter(FuncFormatter(lambda value, _: units.seconds(value)))
    _title(times, f"95 of 100 finish within: {words.place(_short(operation), number)}")
    _failure_bars(failed, assessment)
    for axes in (times, failed):
        _dress(axes)
    failed.set_xlim(left=0)
    failed.set_xlabel("seconds since the start of the measured part", color=_INK, fontsize=_SIZE)
    figure.subplots_adjust(left=0.1, right=0.9, top=0.93, bottom=0.13, hspace=0.38)
    return figure


def telling_timeline(assessment: Assessment) -> tuple[list[TimelinePoint], list[TimelinePoint]]:
    """The points of the cell that stands for the report, before and after, in the order of time.

    Where that cell has none, those of the cell with the most points.
    """
    cell = claim(assessment).telling
    places: dict[tuple[str, int], int] = {}
    for point in assessment.timeline:
        place = (point.operation, point.custom_fields)
        places[place] = places.get(place, 0) + 1
    if not places:
        return [], []
    wanted = (cell.operation, cell.custom_fields) if cell else None
    if wanted not in places:
        wanted = min(places, key=lambda place: (-places[place], words.operation_rank(place[0]), place[1]))
    points = sorted(
        (point for point in assessment.timeline if (point.operation, point.custom_fields) == wanted),
        key=lambda point: point.t_s,
    )
    return [point for point in points if point.side == "before"], [
        point for point in points if point.side == "after"
    ]


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


def _curve(assessment: Assessment, operation: str, quantile: float) -> list[CellFinding]:
    cells = (
        cell
        for cell in assessment.cells
        if cell.operation == operation and cell.quantile == quantile and cell.word is not Word.NOT_APPLICABLE
    )
    return sorted(cells, key=lambda cell: cell.custom_fields)


def _known(cells: Sequence[CellFinding]) -> list[CellFinding]:
    return [cell for cell in cells if math.isfinite(cell.before_s) and math.isfinite(cell.after_s)]


def _growth_panel(operation: str, cells: Sequence[CellFinding], *, top: float, cohorts: Sequence[int]) -> Figure:
    figure = Figure(figsize=(3.9, 2.75))
    axes = figure.subplots()
    known = _known(cells)
    at = [cell.custom_fields for cell in known]
    banded = [cell for cell in known if math.isfinite(cell.low) and math.isfinite(cell.high)]
    axes.fill_between(
        [cell.custom_fields for cell in banded],
        [cell.before_s * cell.low for cell in banded],
        [min(cell.before_s * cell.high, top) for cell in banded],
        color=_AFTER,
        alpha=0.18,
        linewidth=0,
    )
    before, after = [cell.before_s for cell in known], [cell.after_s for cell in known]
    axes.plot(at, before, color=_BEFORE, linestyle="--", marker="o", markersize=4.5)
    axes.plot(at, after, color=_AFTER, linestyle="-", marker="s", markersize=4.5)
    _end_label(axes, at[-1], before[-1], f"before {units.seconds(before[-1])}", _BEFORE)
    _end_label(axes, at[-1], after[-1], f"after {units.seconds(after[-1])}", _AFTER)
    missing = [cell.custom_fields for cell in cells if cell not in known]
    if missing:
        told = f"{words.listed([units.count(number) for number in missing])} fields: too little data"
        axes.text(0.98, 0.03, told, transform=axes.transAxes, ha="right", color=_MUTED, fontsize=_SIZE - 1)
    axes.set_ylim(0, top)
    axes.set_xlim(-0.03 * max(cohorts), 1.04 * max(cohorts) or 1)
    axes.set_xticks(_ticks(cohorts))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: units.seconds(value)))
    axes.set_xlabel("custom fields on the case", color=_INK, fontsize=_SIZE)
    _title(axes, words.operation(operation))
    _dress(axes)
    _apart(axes)
    figure.subplots_adjust(left=0.155, right=0.72, top=0.9, bottom=0.18)
    return figure


def _ticks(cohorts: Sequence[int]) -> list[int]:
    """The cohorts, without those whose numbers would print over their neighbour's."""
    kept: list[int] = []
    for number in sorted(cohorts, reverse=True):
        if not kept or kept[-1] - number >= 0.1 * max(cohorts):
            kept.append(number)
    if min(cohorts) not in kept:
        kept[-1] = min(cohorts)
    return sorted(kept)


def _failure_bars(axes: Axes, assessment: Assessment) -> None:
    totals: dict[tuple[str, float], tuple[int, int]] = {}
    for point in assessment.timeline:
        failed, sent = totals.get((point.side, point.t_s), (0, 0))
        totals[point.side, point.t_s] = (failed + point.failures, sent + point.requests)
    starts = sorted({t_s for _, t_s in totals})
    width = min((later - earlier for earlier, later in pairwise(starts)), default=10.0) * 0.4
    for side, colour, shift in (("before", _BEFORE, 0), ("after", _AFTER, 1)):
        found = [
            (t_s, failed / sent) for (name, t_s), (failed, sent) in sorted(totals.items()) if name == side and sent
        ]
        left = [t_s + shift * width for t_s, _ in found]
        axes.bar(left, [part for _, part in found], width, align="edge", color=colour)
    highest = max((failed / sent for failed, sent in totals.values() if sent), default=0.0)
    axes.set_ylim(0, highest * 1.15 or 0.01)
    axes.yaxis.set_major_locator(MaxNLocator(2, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: units.share(value)))
    _title(axes, "Failed requests, share of all" if highest else "Failed requests: none")


def _end_label(axes: Axes, x: float, y: float, text: str, colour: str) -> None:
    axes.annotate(
        text,
        (x, y),
        xytext=(6, 0),
        textcoords="offset points",
        color=colour,
        fontsize=_SIZE,
        fontweight="bold",
        va="center",
        annotation_clip=False,
        parse_math=False,
    )


def _apart(axes: Axes) -> None:
    """Move two end labels apart where they would print over each other."""
    labels = [text for text in axes.texts if isinstance(text, Annotation)]
    if len(labels) != 2:
        return
    low, high = axes.get_ylim()
    lower, upper = sorted(labels, key=lambda text: text.xy[1])
    points = axes.get_position().height * axes.figure.get_figheight() * 72  # type: ignore[union-attr]
    gap = (upper.xy[1] - lower.xy[1]) / (high - low) * points
    if gap < _SIZE * 1.4:
        push = (_SIZE * 1.4 - gap) / 2
        lower.xyann, upper.xyann = (6, -push), (6, push)


def _title(axes: Axes, text: str) -> None:
    axes.set_title(
        _short(text, 70), loc="left", color=_INK, fontsize=_SIZE + 1, fontweight="bold", parse_math=False
    )


def _short(text: str, most: int = _LABEL_LENGTH) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _dress(axes: Axes) -> None:
    axes.patch.set_visible(False)
    axes.get_figure().patch.set_visible(False)  # type: ignore[union-attr]
    axes.grid(visible=True, axis="y", color=_LINE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_MUTED, labelcolor=_INK, labelsize=_SIZE - 0.5)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(_MUTED)
