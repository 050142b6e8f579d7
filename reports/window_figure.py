"""The chart of a watch: verdicts, the change against the baseline, and failures, over the days of the window."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

from analysis.findings import Verdict
from reports import units
from reports.drawing import (
    AFTER,
    BAND,
    BEFORE,
    CLEAR,
    ESCALATE,
    HOLD,
    IN_CHANGE,
    INK,
    MUTED,
    SIZE,
    dress,
    end_label,
    keep_apart,
    title,
)
from reports.watched import AGAINST_OLD, GAP_BLOCKS, Moment, Watched

#: stream -> (its name at the end of the line, colour, style): all requests, the incident's signature, and where an
#: old environment was asked at the same moments, how far all requests are from its.
DRAWN: Final = {
    "p50 of all": ("all requests", BEFORE, "--"),
    "growth of save_custom": ("growth", AFTER, "-"),
    AGAINST_OLD: ("new less old", INK, ":"),
}
#: More points than this have no room; blocks are joined until no more are left.
POINTS_MOST: Final = 150
_ROWS: Final = {Verdict.CLEAR: 0, Verdict.HOLD: 1, Verdict.ESCALATE: 2}
_COLOURS: Final = {Verdict.CLEAR: CLEAR, Verdict.HOLD: HOLD, Verdict.ESCALATE: ESCALATE}
_TICKS_S: Final = (60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 432_000)
_DAY_S: Final = 86_400.0


def window_figure(watched: Watched) -> Figure | None:
    """The chart, None without a block: when it said what, how far the streams moved, what failed.

    Each verdict has a row of its own, so that it can be told apart in grey.
    """
    if not watched.moments:
        return None
    begin_s, end_s = watched.first_s or 0.0, watched.moments[-1].at_s
    figure = Figure(figsize=(7.8, 5.2))
    ribbon, course, failed = figure.subplots(3, 1, sharex=True, height_ratios=(1, 2.6, 0.9))
    _ribbon(ribbon, watched)
    _course(course, watched)
    _failures(failed, watched)
    for axes in (ribbon, course, failed):
        for gap in watched.gaps:
            axes.axvspan(gap.from_s, gap.to_s, color=BAND, linewidth=0, zorder=3)
        dress(axes)
        axes.set_xlim(begin_s, end_s)
    _marks(ribbon, watched)
    _tell_time(failed, begin_s, end_s)
    figure.subplots_adjust(left=0.115, right=0.88, top=0.92, bottom=0.1, hspace=0.42)
    return figure


def _ribbon(axes: Axes, watched: Watched) -> None:
    for verdict, row in _ROWS.items():
        spans = [(one.from_s, one.to_s - one.from_s) for one in watched.periods if one.verdict is verdict]
        axes.broken_barh(spans, (row - 0.36, 0.72), facecolors=_COLOURS[verdict], linewidth=0)
    axes.set_yticks(list(_ROWS.values()), [verdict.value for verdict in _ROWS])
    axes.set_ylim(-0.5, 2.5)


def _marks(axes: Axes, watched: Watched) -> None:
    """A numbered line for each remark, the numbers of the list under the chart."""
    low, high = axes.get_xlim()
    for number, remark in enumerate(watched.remarks, start=1):
        if not low <= remark.at_s <= high:
            continue
        axes.axvline(remark.at_s, color=INK, linewidth=1, linestyle=":")
        axes.annotate(
            str(number), (remark.at_s, 2.5), xytext=(0, 2), textcoords="offset points",
            ha="center", va="bottom", color=INK, fontsize=SIZE - 1, annotation_clip=False,
        )  # fmt: skip


def _course(axes: Axes, watched: Watched) -> None:
    limit, values = watched.tolerance, [0.0, watched.tolerance]
    axes.axhspan(-limit, limit, color=BAND, alpha=0.55, linewidth=0)
    axes.axhline(0, color=MUTED, linewidth=1)
    for stream, (name, colour, style) in DRAWN.items():
        points = joined(watched, lambda one, stream=stream: one.shifts.get(stream, math.nan))  # type: ignore[misc]
        known = [(at_s, value) for at_s, value in points if math.isfinite(value)]
        if not known:
            continue
        times, course = zip(*points, strict=True)
        axes.plot(times, course, color=colour, linestyle=style, linewidth=1.4)
        end_label(axes, *known[-1], name, colour)
        values += [value for _, value in known]
    axes.set_ylim(min(-limit, *values) * 1.15, max(values) * 1.15)
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: IN_CHANGE(1 + value)))
    keep_apart(axes)
    title(axes, "Change against the baseline at the same hour")


def _failures(axes: Axes, watched: Watched) -> None:
    points = joined(watched, lambda one: one.failures / one.requests if one.requests else math.nan)
    times, values = [at_s for at_s, _ in points], [value for _, value in points]
    axes.fill_between(times, values, color=AFTER, step="pre", linewidth=0)
    highest = max((value for value in values if math.isfinite(value)), default=0.0)
    axes.set_ylim(0, highest * 1.15 or 0.01)
    axes.yaxis.set_major_locator(MaxNLocator(2, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: units.share(value)))
    title(axes, "Failed requests, share of all" if highest else "Failed requests: none")


def joined(watched: Watched, value_of: Callable[[Moment], float]) -> list[tuple[float, float]]:
    """A value over time: the mean of so many blocks that no more than ``POINTS_MOST`` points are left.

    Between two blocks that do not follow each other there is a point without a value, so that no line bridges
    a gap.
    """
    width = math.ceil(len(watched.moments) / POINTS_MOST)
    found: list[tuple[float, float]] = []
    part: list[Moment] = []
    for earlier, one in zip((None, *watched.moments), watched.moments, strict=False):
        apart = earlier is not None and one.at_s - earlier.at_s > GAP_BLOCKS * watched.block_s
        if part and (apart or len(part) == width):
            found.append(_point(part, value_of))
            part = []
        if apart:
            found.append((one.at_s - watched.block_s, math.nan))
        part.append(one)
    return [*found, _point(part, value_of)] if part else found


def _point(part: Sequence[Moment], value_of: Callable[[Moment], float]) -> tuple[float, float]:
    values = [value for one in part if math.isfinite(value := value_of(one))]
    return part[-1].at_s, sum(values) / len(values) if values else math.nan


def _tell_time(axes: Axes, begin_s: float, end_s: float) -> None:
    """Days and hours along the panel, in UTC."""
    step_s = next((one for one in _TICKS_S if (end_s - begin_s) / one <= 8), _TICKS_S[-1])
    axes.xaxis.set_major_locator(MultipleLocator(step_s))
    form = "%d %b" if step_s >= _DAY_S else "%H:%M"
    axes.xaxis.set_major_formatter(FuncFormatter(lambda at_s, _: _stamp(at_s, form)))
    axes.set_xlabel(f"UTC, from {_stamp(begin_s, '%d %b %H:%M')} to {_stamp(end_s, '%d %b %H:%M')}",
                    color=INK, fontsize=SIZE)  # fmt: skip


def _stamp(at_s: float, form: str) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime(form)
