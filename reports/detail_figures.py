"""The charts of the appendix, for engineers: shifts, tails, heat maps and the forest of all cells."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final, TypeVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from analysis.details import Distribution, HeatMap, Shift
from analysis.findings import Assessment, CellFinding
from reports import units, words
from reports.claims import claim
from reports.drawing import (
    AFTER,
    BAND,
    BEFORE,
    IN_CHANGE,
    IN_SECONDS,
    INK,
    MUTED,
    SIZE,
    dress,
    end_label,
    keep_apart,
    short,
    tell_elapsed,
    title,
)
from reports.figures import GROWING_OPERATIONS
from reports.matrix import lay_out

Place = tuple[str, int]
_Detail = TypeVar("_Detail", Distribution, Shift, HeatMap)

#: How dense a field of a heat map is, as opacity: from a single request to the fullest field of both sides.
_DENSITIES: Final = (0.12, 0.3, 0.5, 0.72, 1.0)
#: Below these a heat map is noise.
_HEAT_SLICES_LEAST, _HEAT_REQUESTS_LEAST = 4, 100
#: Beyond these ratios a range of the forest is cut off.
_FOREST_LOW, _FOREST_HIGH = 0.5, 4.0


def shift_figures(assessment: Assessment) -> tuple[Figure, ...]:
    """A panel for each cell worth a look: how far every tenth of its requests moved, with its range."""
    found = _by_place(assessment.details.shifts)
    drawn = {place: found[place] for place in _worth_a_look(assessment, found)}
    if not drawn:
        return ()
    limit = lay_out(assessment).limit
    ratios = [one.ratio for shifts in drawn.values() for one in shifts]
    low, high = min(0.85, *ratios) * 0.96, max(limit * 1.05, *ratios) * 1.06
    return tuple(_shift_panel(place, shifts, limit, (low, high)) for place, shifts in drawn.items())


def tail_figures(assessment: Assessment) -> tuple[Figure, ...]:
    """A panel for each cell worth a look: its slowest requests on both sides, as far as they are known."""
    found = _by_place(assessment.details.distributions)
    both = {place: sides for place, sides in found.items() if len(sides) == 2}
    drawn = {place: both[place] for place in _worth_a_look(assessment, both)}
    if not drawn:
        return ()
    top = max(one.times_s[-1] for sides in drawn.values() for one in sides) * 1.1
    return tuple(_tail_panel(place, sides, top) for place, sides in drawn.items())


def heat_figures(assessment: Assessment) -> tuple[Figure, ...]:
    """A figure for each save worth a look: before beside after, on one scale of time, duration and density."""
    found = _by_place(assessment.details.heat)
    both = {place: maps for place, maps in found.items() if len(maps) == 2 and all(map(_fills_a_map, maps))}
    return tuple(_heat_figure(place, both[place]) for place in _worth_a_look(assessment, both))


def forest_figure(assessment: Assessment) -> Figure | None:
    """Every cell of the matrix with its range, in the order of the matrix; None where none has a range."""
    cells = [cell for cell in lay_out(assessment).findings if _ranged(cell)]
    if not cells:
        return None
    limit = lay_out(assessment).limit
    figure = Figure(figsize=(7.8, 0.9 + 0.2 * len(cells)))
    axes = figure.subplots()
    axes.axvspan(2 - limit, limit, color=BAND, alpha=0.55, linewidth=0)
    axes.axvline(1, color=MUTED, linewidth=1)
    rows = list(enumerate(cells))
    slower = claim(assessment).slower
    _draw_ranges(axes, [row for row in rows if row[1] not in slower], INK, "o")
    _draw_ranges(axes, [row for row in rows if row[1] in slower], AFTER, "s")
    names = [words.place(short(one.operation, 18), one.custom_fields) for one in cells]
    axes.set_yticks(range(len(cells)), names, parse_math=False)
    axes.set_ylim(len(cells) - 0.4, -0.6)
    axes.xaxis.set_major_formatter(IN_CHANGE)
    axes.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10]))
    dress(axes)
    axes.tick_params(axis="y", length=0, labelsize=SIZE - 1)
    axes.grid(visible=False, axis="y")
    height_in = figure.get_figheight()
    figure.subplots_adjust(left=0.27, right=0.97, top=1 - 0.1 / height_in, bottom=0.35 / height_in)
    return figure


def _draw_ranges(axes: Axes, rows: Sequence[tuple[int, CellFinding]], colour: str, marker: str) -> None:
    """The ranges of these rows of a forest, with a mark at each ratio; one by one takes long."""

    def within(values: Iterable[float]) -> list[float]:
        return [min(max(value, _FOREST_LOW), _FOREST_HIGH) for value in values]

    at = [place for place, _ in rows]
    axes.hlines(
        at, within(cell.low for _, cell in rows), within(cell.high for _, cell in rows), colour, linewidth=1.6
    )
    axes.plot(within(cell.ratio for _, cell in rows), at, marker, color=colour, markersize=4.5)


def _by_place(found: Iterable[_Detail]) -> dict[Place, list[_Detail]]:
    places: dict[Place, list[_Detail]] = {}
    for one in found:
        places.setdefault((one.operation, one.custom_fields), []).append(one)
    return places


def _worth_a_look(assessment: Assessment, known: Iterable[Place]) -> list[Place]:
    """Of each kind of save the cell that the report is about, or the one with the most custom fields."""
    places, telling = set(known), claim(assessment).telling
    told = (telling.operation, telling.custom_fields) if telling else None
    chosen = []
    for operation in GROWING_OPERATIONS:
        own = [place for place in places if place[0] == operation]
        if own:
            chosen.append(told if told in own else max(own))
    return [place for place in chosen if place is not None]


def _shift_panel(place: Place, shifts: Sequence[Shift], limit: float, ends: tuple[float, float]) -> Figure:
    figure = Figure(figsize=(3.9, 2.75))
    axes = figure.subplots()
    at = [one.quantile * 100 for one in shifts]
    axes.axhspan(2 - limit, limit, color=BAND, alpha=0.55, linewidth=0)
    axes.axhline(1, color=MUTED, linewidth=1)
    lows, highs = ([min(max(_known(end), ends[0]), ends[1]) for end in side] for side in _ends(shifts))
    axes.fill_between(at, lows, highs, color=AFTER, alpha=0.22, linewidth=0)
    axes.plot(at, [one.ratio for one in shifts], color=AFTER, marker="s", markersize=4)
    axes.set_ylim(*ends)
    axes.set_xlim(5, 95)
    axes.set_xticks([10, 30, 50, 70, 90])
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(IN_CHANGE)
    axes.set_xlabel("of 100 requests, the fastest first", color=INK, fontsize=SIZE)
    title(axes, words.place(short(place[0]), place[1]))
    dress(axes)
    figure.subplots_adjust(left=0.2, right=0.97, top=0.9, bottom=0.18)
    return figure


def _ends(shifts: Sequence[Shift]) -> tuple[list[float], list[float]]:
    return [one.low for one in shifts], [one.high for one in shifts]


def _known(end: float) -> float:
    return 1.0 if math.isnan(end) else end


def _tail_panel(place: Place, sides: Sequence[Distribution], top: float) -> Figure:
    figure = Figure(figsize=(3.9, 2.75))
    axes = figure.subplots()
    for one in sides:
        after = one.side == "after"
        at = [_rarity(q) for q in one.quantiles]
        axes.plot(at, one.times_s, color=AFTER if after else BEFORE, linestyle="-" if after else "--")
        end_label(axes, at[-1], one.times_s[-1], one.side, AFTER if after else BEFORE)
    furthest = max(one.quantiles[-1] for one in sides)
    marks = [q for q in (0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999) if q <= furthest]
    axes.set_xticks([_rarity(q) for q in marks], [f"{q * 100:g}" for q in marks])
    axes.set_xlim(0, _rarity(furthest))
    axes.set_ylim(0, top)
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(IN_SECONDS)
    axes.set_xlabel("% of requests finish within", color=INK, fontsize=SIZE)
    title(axes, words.place(short(place[0]), place[1]))
    dress(axes)
    keep_apart(axes)
    figure.subplots_adjust(left=0.155, right=0.82, top=0.9, bottom=0.18)
    return figure


def _rarity(q: float) -> float:
    """One request in ten, in a hundred, in a thousand: even steps."""
    return -math.log10(1 - q)


def _heat_figure(place: Place, maps: Sequence[HeatMap]) -> Figure:
    figure = Figure(figsize=(7.8, 2.6))
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    most = max(max(row) for one in maps for row in one.counts)
    for axes, one in zip(panels, maps, strict=True):
        colour = AFTER if one.side == "after" else BEFORE
        for level, opacity in enumerate(_DENSITIES):
            corners = _fields(one, level, most)
            if corners:
                axes.add_patch(PathPatch(_boxes(corners), facecolor=colour, alpha=opacity, linewidth=0))
        title(axes, f"{one.side}: {words.place(short(place[0]), place[1])}")
        dress(axes)
        tell_elapsed(axes, max(one.times_s[-1] + one.slice_s for one in maps))
    axes = panels[0]
    axes.set_yscale("log")
    axes.set_ylim(min(one.edges_s[0] for one in maps), max(one.edges_s[-1] for one in maps))
    axes.set_xlim(0, max(one.times_s[-1] + one.slice_s for one in maps))
    axes.yaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
    axes.yaxis.set_minor_locator(FixedLocator([]))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: units.seconds(value)))
    figure.subplots_adjust(left=0.09, right=0.98, top=0.9, bottom=0.2, wspace=0.1)
    return figure


def _fills_a_map(one: HeatMap) -> bool:
    """Whether there is a course to see: single requests in two slices are better read in the tables."""
    return len(one.times_s) >= _HEAT_SLICES_LEAST and sum(map(sum, one.counts)) >= _HEAT_REQUESTS_LEAST


def _density(count: int, most: int) -> int:
    """Which of ``_DENSITIES``: even steps of the square root, so that a rare request is still seen."""
    return min(int(math.sqrt(count / most) * len(_DENSITIES)), len(_DENSITIES) - 1)


def _fields(one: HeatMap, level: int, most: int) -> list[tuple[float, float, float, float]]:
    return [
        (t_s, one.edges_s[band], t_s + one.slice_s, one.edges_s[band + 1])
        for t_s, counts in zip(one.times_s, one.counts, strict=True)
        for band, count in enumerate(counts)
        if count and _density(count, most) == level
    ]


def _boxes(corners: Sequence[tuple[float, float, float, float]]) -> Path:
    """Many rectangles as one path: a heat map of hundreds of elements would weigh more than the rest."""
    codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY]
    vertices = [
        vertex for left, low, right, high in corners
        for vertex in ((left, low), (left, high), (right, high), (right, low), (left, low))
    ]  # fmt: skip
    return Path(np.array(vertices), codes * len(corners))


def _ranged(cell: CellFinding) -> bool:
    return all(math.isfinite(number) for number in (cell.ratio, cell.low, cell.high))
