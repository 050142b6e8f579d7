"""The course: after against before slice by slice of the elapsed time, and where the durations lay.

A change that costs something from the first minute to the last looks different from one that settles, and
from one that builds up. Nothing of a verdict rests on it: a slice holds too few samples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

from analysis.details import CoursePoint, HeatMap
from analysis.histograms import BINS, LOG_WIDTH, SHORTEST_S, log_seconds
from analysis.levels import Cell, ratio_of
from analysis.runs import Run
from analysis.slices import SLICE_S

#: More slices have no room in a chart, and fewer samples in each.
COURSE_SLICES: Final = 12
#: Samples of a run in a slice below which its mean is left out.
MEAN_AT_LEAST: Final = 3
#: A band of a heat map joins so many bins of the histograms: its ends differ by a tenth.
BINS_A_BAND: Final = 19
Floats = NDArray[np.float64]


def draw_course(before: Sequence[Run], after: Sequence[Run], *, paired: bool) -> tuple[CoursePoint, ...]:
    """Every cell's ratio over the elapsed time, by cell and time. ``paired``: run k of both sides is pair k.

    Unpaired runs are held against each other as two groups (Welch 1947). A slice needs two pairs, or two runs
    on each side.
    """
    runs = (*before, *after)
    end_s = _end_s(runs)
    width_s = joined_width(end_s, COURSE_SLICES)
    slices = math.ceil(end_s / width_s)
    cells = sorted({cell for run in runs for cell in run.reduced.cells})
    if not cells or not before or not after:
        return ()
    sides = [np.array([_means(run, cells, width_s, slices) for run in side]).T for side in (before, after)]
    estimate, half = _pair_by_pair(*sides) if paired else _side_by_side(*sides)
    places = [(*cell, at * width_s) for cell in cells for at in range(slices)]
    return tuple(
        CoursePoint(operation, fields, t_s, ratio_of(log), ratio_of(log - by), ratio_of(log + by))
        for (operation, fields, t_s), log, by in zip(places, estimate.tolist(), half.tolist(), strict=True)
        if math.isfinite(by)
    )


def draw_heat(side: str, runs: Sequence[Run], operations: Sequence[str], slices_most: int) -> tuple[HeatMap, ...]:
    """How many requests of every cell of some operations took how long, over the elapsed time."""
    cells = sorted({cell for run in runs for cell in run.reduced.cells if cell[0] in operations})
    if not cells:
        return ()
    width_s = joined_width(_end_s(runs), slices_most)
    times = math.ceil(_end_s(runs) / width_s)
    counts = np.zeros((len(cells) * times, BINS // BINS_A_BAND + 1), np.int64)
    for run in runs:
        reduced = run.reduced
        place = reduced.places_in(cells)
        group = np.where(place < 0, -1, place * times + (reduced.t_s // width_s).astype(np.int64))
        reduced.entries.add_to(counts, group, reduced.entries.bins // BINS_A_BAND)
    by_cell = counts.reshape(len(cells), times, -1)
    return tuple(
        _heat_map(side, cell, width_s, table) for cell, table in zip(cells, by_cell, strict=True) if table.any()
    )


def joined_width(end_s: float, slices_most: int) -> float:
    """How long slices are of which at most so many cover the time until ``end_s``; whole tens of seconds."""
    return SLICE_S * max(math.ceil(end_s / SLICE_S / slices_most), 1)


def _heat_map(side: str, cell: Cell, width_s: float, counts: NDArray[np.int64]) -> HeatMap:
    """``counts`` [slices, bands], cut to where any request lies."""
    at, band = (np.flatnonzero(counts.any(axis=axis)) for axis in (1, 0))
    first, last = int(band[0]), int(band[-1])
    return HeatMap(
        side=side,
        operation=cell[0],
        custom_fields=cell[1],
        slice_s=width_s,
        times_s=tuple(time * width_s for time in range(int(at[0]), int(at[-1]) + 1)),
        edges_s=tuple(_edge_s(band) for band in range(first, last + 2)),
        counts=tuple(tuple(row) for row in counts[at[0] : at[-1] + 1, first : last + 1].tolist()),
    )


def _edge_s(band: int) -> float:
    return SHORTEST_S * math.exp(min(band * BINS_A_BAND, BINS) * LOG_WIDTH)


def _means(run: Run, cells: Sequence[Cell], width_s: float, slices: int) -> Floats:
    """The mean log of every cell in every slice of a run, [cells x slices]; NaN where too few are in it."""
    reduced = run.reduced
    if not reduced.cells:
        return np.full(len(cells) * slices, math.nan)
    entries = reduced.entries
    group = reduced.places_in(cells) * slices + (reduced.t_s // width_s).astype(np.int64)
    by_entry, size = group[entries.rows], len(cells) * slices
    n = np.bincount(by_entry, entries.counts, size)
    sums = np.bincount(by_entry, entries.counts * log_seconds(entries.bins.astype(np.int64)), size)
    means: Floats = np.divide(sums, n, out=np.full(size, math.nan), where=n >= MEAN_AT_LEAST)
    return means


def _pair_by_pair(before: Floats, after: Floats) -> tuple[Floats, Floats]:
    """The mean difference of each row and half of its range, [slices, pairs]; NaN with fewer than two pairs."""
    estimate, variance, n = _moments(after - before)
    return estimate, special.stdtrit(np.maximum(n - 1, 1), 0.975) * np.sqrt(variance / n)


def _side_by_side(before: Floats, after: Floats) -> tuple[Floats, Floats]:
    """The same of two groups of runs."""
    (old, old_variance, old_n), (new, new_variance, new_n) = _moments(before), _moments(after)
    old_part, new_part = old_variance / old_n, new_variance / new_n
    both = old_part + new_part
    df = both**2 / np.maximum(old_part**2 / (old_n - 1) + new_part**2 / (new_n - 1), 1e-300)
    return new - old, special.stdtrit(np.maximum(df, 1), 0.975) * np.sqrt(both)


def _moments(values: Floats) -> tuple[Floats, Floats, Floats]:
    """Mean, variance and number of what is known in each row; NaN where it is fewer than two."""
    known = np.isfinite(values)
    n = known.sum(axis=1).astype(np.float64)
    n[n < 2] = math.nan
    mean = np.where(known, values, 0).sum(axis=1) / n
    apart = np.where(known, values - mean[:, None], 0)
    return mean, (apart**2).sum(axis=1) / (n - 1), n


def _end_s(runs: Sequence[Run]) -> float:
    return max((float(run.reduced.t_s.max()) for run in runs if len(run.slices)), default=0.0) + SLICE_S
