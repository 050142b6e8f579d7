"""The charts of the main part: growth with custom fields, and the course over the elapsed time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from analysis.details import CoursePoint
from analysis.findings import Assessment, CellFinding, TimelinePoint, Word
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
from reports.matrix import headline_quantile, lay_out

#: Operations whose growth with custom fields is drawn.
GROWING_OPERATIONS: Final = ("save_standard", "save_custom", "run_script")


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
    """The headline cell and all failures over the elapsed time; None without at least two slices.

    From top to bottom: after against before with its range (where it is known), p95 of both, failures.
    """
    before, after = telling_timeline(assessment)
    if len(before) < 2 or len(after) < 2:
        return None
    operation, number = after[0].operation, after[0].custom_fields
    course = course_of(assessment, operation, number)
    figure = Figure(figsize=(7.8, 5.9 if course else 3.9))
    ratios = (1.7, 2.4, 1) if course else (2.4, 1)
    panels = figure.subplots(len(ratios), 1, sharex=True, height_ratios=ratios)
    times, failed = panels[-2:]
    if course:
        _course_panel(panels[0], course, assessment, short(operation))
    for points, colour, style, label in ((before, BEFORE, "--", "before"), (after, AFTER, "-", "after")):
        shown = [point for point in points if math.isfinite(point.p95_s)]
        times.plot([point.t_s for point in shown], [point.p95_s for point in shown], color=colour, linestyle=style)
        if shown:
            end_label(times, shown[-1].t_s, shown[-1].p95_s, label, colour)
    keep_apart(times)
    times.set_ylim(0, None)
    times.yaxis.set_major_formatter(IN_SECONDS)
    title(times, f"95 of 100 finish within: {words.place(short(operation), number)}")
    _failure_bars(failed, assessment)
    for axes in panels:
        dress(axes)
    end_s = max(point.t_s for point in (*before, *after))
    failed.set_xlim(left=0)
    tell_elapsed(failed, end_s)
    bottom = 0.09 if course else 0.13
    figure.subplots_adjust(left=0.1, right=0.9, top=0.95 if course else 0.93, bottom=bottom, hspace=0.38)
    return figure


def course_of(assessment: Assessment, operation: str, custom_fields: int) -> list[CoursePoint]:
    """After against before of one cell over the elapsed time; empty with fewer than two slices."""
    found = [
        point
        for point in assessment.details.course
        if (point.operation, point.custom_fields) == (operation, custom_fields)
    ]
    return found if len(found) > 1 else []


def _course_panel(axes: Axes, course: Sequence[CoursePoint], assessment: Assessment, operation: str) -> None:
    limit = lay_out(assessment).limit
    starts = [point.t_s for point in course]
    low = max(0.5, min(0.9, *(point.ratio for point in course)) * 0.94)
    high = max(limit * 1.06, *(point.ratio for point in course)) * 1.06
    axes.axhspan(2 - limit, limit, color=BAND, alpha=0.55, linewidth=0)
    axes.axhline(1, color=MUTED, linewidth=1)
    axes.fill_between(
        starts,
        [max(point.low, low) for point in course],
        [min(point.high, high) for point in course],
        color=AFTER,
        alpha=0.22,
        linewidth=0,
    )
    axes.plot(starts, [point.ratio for point in course], color=AFTER, marker="s", markersize=4)
    axes.set_ylim(low, high)
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(IN_CHANGE)
    end_label(axes, starts[-1], course[-1].ratio, units.change(course[-1].ratio), AFTER)
    title(axes, f"After against before (mean): {words.place(operation, course[0].custom_fields)}")


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
        color=AFTER,
        alpha=0.18,
        linewidth=0,
    )
    before, after = [cell.before_s for cell in known], [cell.after_s for cell in known]
    axes.plot(at, before, color=BEFORE, linestyle="--", marker="o", markersize=4.5)
    axes.plot(at, after, color=AFTER, linestyle="-", marker="s", markersize=4.5)
    end_label(axes, at[-1], before[-1], f"before {units.seconds(before[-1])}", BEFORE)
    end_label(axes, at[-1], after[-1], f"after {units.seconds(after[-1])}", AFTER)
    missing = [cell.custom_fields for cell in cells if cell not in known]
    if missing:
        told = f"{words.listed([units.count(number) for number in missing])} fields: too little data"
        axes.text(0.98, 0.03, told, transform=axes.transAxes, ha="right", color=MUTED, fontsize=SIZE - 1)
    axes.set_ylim(0, top)
    axes.set_xlim(-0.03 * max(cohorts), 1.04 * max(cohorts) or 1)
    axes.set_xticks(_ticks(cohorts))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(IN_SECONDS)
    axes.set_xlabel("custom fields on the case", color=INK, fontsize=SIZE)
    title(axes, words.operation(operation))
    dress(axes)
    keep_apart(axes)
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
    for side, colour, shift in (("before", BEFORE, 0), ("after", AFTER, 1)):
        found = [
            (t_s, failed / sent) for (name, t_s), (failed, sent) in sorted(totals.items()) if name == side and sent
        ]
        left = [t_s + shift * width for t_s, _ in found]
        axes.bar(left, [part for _, part in found], width, align="edge", color=colour)
    highest = max((failed / sent for failed, sent in totals.values() if sent), default=0.0)
    axes.set_ylim(0, highest * 1.15 or 0.01)
    axes.yaxis.set_major_locator(MaxNLocator(2, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: units.share(value)))
    title(axes, "Failed requests, share of all" if highest else "Failed requests: none")
