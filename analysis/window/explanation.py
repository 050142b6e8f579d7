"""Explanation: what can be said of an alarm in latency, for those who must act on it.

Since when (a least-squares split of the stream, after the alarm and never as an alarm), who is hit, how
it lies over the cells, and when an objective will be broken if it goes on like this.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analysis.slope import line
from analysis.window.baseline import Baseline
from analysis.window.blocks import Block
from analysis.window.decisions import Breach, Evidence, Hit, Shape
from analysis.window.spans import LAST_S
from analysis.window.streams import Cell

Floats = NDArray[np.float64]

#: A change is at least so many blocks old.
SHORTEST: Final = 3
#: The trend is that of the last blocks, so many at most (6 h of 5 minutes); fewer than four have none.
TREND_BLOCKS: Final = 72
#: Operations that wait for a queue rather than for the case itself.
QUEUED: Final = ("run_script", "send_email", "send_batch")
SAVES: Final = ("save_standard", "save_custom")
#: A part of the slow-down counts if it is at least this share of the whole.
PART: Final = 0.4
#: What rises by less than this an hour is not said to lead anywhere.
RISE_LEAST_PER_H: Final = math.log(1.01)


@dataclass(frozen=True, slots=True)
class Objective:
    """What was agreed for a cell: its p95 stays below ``p95_s``."""

    operation: str
    custom_fields: int
    p95_s: float


@dataclass(frozen=True, slots=True)
class Split:
    """Where a series changed: the first place after it, its interval, and whether along a line."""

    at: int
    low: int
    high: int
    rising: bool


def explain(
    baseline: Baseline,
    blocks: Sequence[Block],
    stream: str,
    *,
    tolerance: float,
    objectives: Sequence[Objective] = (),
    tenants: Mapping[int, Sequence[str]] | None = None,
) -> Evidence:
    """The evidence for an alarm of ``stream`` from the last ``blocks``, at least one.

    ``tenants`` are those of each cohort, by its number of custom fields.
    """
    series = np.array([baseline.residual(one) for one in blocks])[:, baseline.streams.names.index(stream)]
    split = find_split(series)
    after = blocks[split.at :]
    shifts = cell_shifts(baseline, after)
    uniform, growth = _uniform_and_growth(shifts)
    versus = _versus(after)
    hits = tuple(
        Hit(*cell, ratio=math.exp(shift), share=baseline.shares.get(cell, 0.0), versus=versus.get(cell))
        for cell, shift in sorted(shifts.items(), key=lambda item: -item[1])
        if shift > math.log1p(tolerance)
    )
    return Evidence(
        since_s=blocks[split.at].start_s,
        since_low_s=blocks[split.low].start_s,
        since_high_s=blocks[split.high].start_s,
        rising=split.rising,
        shape=_shape(shifts, uniform, growth),
        uniform=math.expm1(uniform),
        growth=math.expm1(growth),
        hits=hits,
        tenants=tuple(dict.fromkeys(name for one in hits for name in (tenants or {}).get(one.custom_fields, ()))),
        saves=_share_of_saves(baseline, hits),
        breaches=tuple(
            breach
            for objective in objectives or _doubled(baseline)
            if (breach := _breach(baseline, after[-TREND_BLOCKS:], objective)) is not None
        ),
    )


def find_split(series: Floats) -> Split:
    """Where the series [blocks] left 0: at once or along a line, whichever leaves the smaller squares.

    Before the change it is 0 on average, as every residual is. The interval holds the places whose
    squares are not larger than chance explains (a likelihood ratio at 95 %).
    """
    y = np.where(np.isfinite(series), series, 0.0)
    n = len(y)
    places = np.arange(max(n - SHORTEST + 1, 1))
    squares = np.concatenate([[0.0], np.cumsum(y**2)])
    step, line = np.empty(len(places)), np.empty(len(places))
    for place in places.tolist():
        tail = y[place:]
        x = np.arange(1.0, len(tail) + 1)
        step[place] = squares[place] + float(((tail - max(tail.mean(), 0.0)) ** 2).sum())
        rise = max(float(tail @ x / (x @ x)), 0.0)
        line[place] = squares[place] + float(((tail - rise * x) ** 2).sum())
    rising = bool(line.min() < step.min())
    cost = line if rising else step
    at = int(cost.argmin())
    near = np.flatnonzero(n * np.log(np.maximum(cost, 1e-12) / max(float(cost[at]), 1e-12)) < 3.84)
    return Split(at, int(near.min()), int(near.max()), rising)


def cell_shifts(baseline: Baseline, blocks: Sequence[Block]) -> dict[Cell, float]:
    """How much slower each cell became on the log scale, against what is normal at that time of day."""
    shifts = np.array([baseline.cell_shifts(one) for one in blocks])
    seen = np.isfinite(shifts).any(axis=0)
    shift = np.nanmedian(np.where(seen, shifts, 0.0), axis=0)
    return {
        cell: float(value)
        for cell, value, known in zip(baseline.streams.cells, shift.tolist(), seen, strict=True)
        if known
    }


def _versus(blocks: Sequence[Block]) -> dict[Cell, float]:
    """How many times as long each cell takes as in the old environment: the median of the blocks with both."""
    ratios: dict[Cell, list[float]] = {}
    for block in blocks:
        old = {(one.operation, one.custom_fields): one.mean_log_s for one in block.versus}
        for one in block.cells:
            if (cell := (one.operation, one.custom_fields)) in old:
                ratios.setdefault(cell, []).append(one.mean_log_s - old[cell])
    return {cell: math.exp(float(np.median(found))) for cell, found in ratios.items()}


def _uniform_and_growth(shifts: dict[Cell, float]) -> tuple[float, float]:
    """The shift of the cells with the fewest fields, and the steepest growth of an operation from there."""
    fewest = min((fields for _, fields in shifts), default=0)
    most = max((fields for _, fields in shifts), default=0)
    uniform = [value for (_, fields), value in shifts.items() if fields == fewest]
    slopes = [0.0]
    for operation in sorted({name for name, _ in shifts}):
        own = [(fields, value) for (name, fields), value in shifts.items() if name == operation]
        fields, values = np.array(own, np.float64).T
        if len(own) > 2:
            slopes.append(float(line(fields, most) @ values))
    return (float(np.mean(uniform)) if uniform else 0.0), max(slopes)


def _shape(shifts: dict[Cell, float], uniform: float, growth: float) -> Shape:
    queued = [value for (operation, _), value in shifts.items() if operation in QUEUED]
    others = [value for (operation, _), value in shifts.items() if operation not in QUEUED]
    if queued and others and np.mean(queued) > 0 and np.mean(others) < PART / 2 * np.mean(queued):
        return Shape.QUEUE
    if growth >= PART * (max(uniform, 0.0) + growth) and growth > 0:
        return Shape.GROWS
    values = np.array(list(shifts.values()))
    if len(values) and values.mean() > 0 and values.std() < PART * values.mean():
        return Shape.UNIFORM
    return Shape.MIXED


def _share_of_saves(baseline: Baseline, hits: Sequence[Hit]) -> float:
    everything = sum(share for (operation, _), share in baseline.shares.items() if operation in SAVES)
    return sum(one.share for one in hits if one.operation in SAVES) / everything if everything else 0.0


def _doubled(baseline: Baseline) -> list[Objective]:
    """Where nothing was agreed: twice the baseline's p95 of the saves and reads with the most fields."""
    most = max((fields for _, fields in baseline.cell_p95), default=0)
    return [
        Objective(operation, fields, 2 * math.exp(p95))
        for (operation, fields), p95 in baseline.cell_p95.items()
        if fields == most and operation in ("read_case", "save_standard", "save_custom")
    ]


def _breach(baseline: Baseline, blocks: Sequence[Block], objective: Objective) -> Breach | None:
    """When the objective is broken; None if it does not rise.

    The trend is that of the shift against the time of day, so that the rise of every morning is none; the
    p95 is taken to move with the mean of the logs, which has half the noise.
    """
    cell = objective.operation, objective.custom_fields
    if cell not in baseline.cell_p95 or cell not in baseline.streams.cells or len(blocks) < SHORTEST + 1:
        return None
    place = baseline.streams.cells.index(cell)
    y = np.array([baseline.cell_shifts(one)[place] for one in blocks])
    hours = np.array([one.end_s for one in blocks]) / 3600
    known = np.isfinite(y)
    if known.sum() < SHORTEST + 1:
        return None
    y, x = y[known], hours[known] - hours[-1]
    centred = x - x.mean()
    rise = float(centred @ y / (centred @ centred))
    residual = y - y.mean() - rise * centred
    memory = float(np.clip(residual[1:] @ residual[:-1] / max(residual @ residual, 1e-12), 0.0, 0.9))
    spread = float(residual @ residual) / max(len(y) - 2, 1) * (1 + memory) / (1 - memory)
    error = 2 * math.sqrt(spread / float(centred @ centred))
    now = float(y.mean() - rise * x.mean()) + baseline.cell_p95[cell]
    missing = math.log(objective.p95_s) - now
    end_s = blocks[-1].end_s
    if missing <= 0:
        return Breach(*cell, objective.p95_s, math.exp(now), end_s, end_s, end_s)
    if rise - error <= 0 and rise < RISE_LEAST_PER_H:
        return None
    slack = 2 * math.sqrt(spread / len(y))
    earliest = reached_s(end_s, max(missing - slack, 0.0), rise + error)
    likely, latest = reached_s(end_s, missing, rise), reached_s(end_s, missing + slack, rise - error)
    return None if math.isinf(likely) else Breach(*cell, objective.p95_s, math.exp(now), earliest, likely, latest)


def reached_s(end_s: float, missing: float, rise_per_h: float) -> float:
    """When what is missing at ``end_s`` is made up, Unix time; infinite if never, or beyond all calendars."""
    if rise_per_h <= 0:
        return math.inf
    found = end_s + 3600 * missing / rise_per_h
    return found if found <= LAST_S else math.inf
