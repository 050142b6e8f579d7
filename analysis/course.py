"""The course: after against before slice by slice of the elapsed time, and where the durations lay.

A change that costs something from the first minute to the last looks different from one that settles, and
from one that builds up. Nothing of a verdict rests on it: a slice holds too few samples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from analysis.details import CoursePoint, HeatMap
from analysis.histograms import BINS, LOG_WIDTH, SHORTEST_S, flat, lengths
from analysis.levels import ratio_of
from analysis.quantiles import log_means
from analysis.runs import Run
from analysis.slices import SLICE_S, histograms_by

#: More slices have no room in a chart, and fewer samples in each.
COURSE_SLICES: Final = 12
#: Samples of a run in a slice below which its mean is left out.
MEAN_AT_LEAST: Final = 3
#: A band of a heat map joins so many bins of the histograms: its ends differ by a tenth.
BINS_A_BAND: Final = 19
Floats = NDArray[np.float64]

_KEYS: Final = ("t_s", "operation", "custom_fields")


def draw_course(before: Sequence[Run], after: Sequence[Run], *, paired: bool) -> tuple[CoursePoint, ...]:
    """Every cell's ratio over the elapsed time, by cell and time. ``paired``: run k of both sides is pair k.

    Unpaired runs are held against each other as two groups (Welch 1947). A slice needs two pairs, or two runs
    on each side.
    """
    width_s = joined_width(_end_s((*before, *after)), COURSE_SLICES)
    rows = pd.concat([_means(before, 0, width_s), _means(after, 1, width_s)])
    if not len(rows):
        return ()
    table = rows.pivot_table("log_s", index=["operation", "custom_fields", "t_s"], columns=["side", "run"])
    sides = [
        table.reindex(columns=pd.MultiIndex.from_product([[side], range(len(runs))])).to_numpy(np.float64)
        for side, runs in enumerate((before, after))
    ]
    estimate, half = _pair_by_pair(*sides) if paired else _side_by_side(*sides)
    places = [(str(one[0]), int(one[1]), float(one[2])) for one in table.index.tolist()]
    return tuple(
        CoursePoint(operation, fields, t_s, ratio_of(log), ratio_of(log - by), ratio_of(log + by))
        for (operation, fields, t_s), log, by in zip(places, estimate.tolist(), half.tolist(), strict=True)
        if math.isfinite(by)
    )


def draw_heat(side: str, runs: Sequence[Run], operations: Sequence[str], slices_most: int) -> tuple[HeatMap, ...]:
    """How many requests of every cell of some operations took how long, over the elapsed time."""
    tables = [run.slices[run.slices["operation"].isin(operations)] for run in runs if len(run.slices)]
    if not any(len(table) for table in tables):
        return ()
    rows = pd.concat(tables, ignore_index=True)
    width_s = joined_width(_end_s(runs), slices_most)
    flat_rows = pd.DataFrame(
        {
            "operation": np.repeat(rows["operation"].to_numpy(), lengths(rows["response_bins"])),
            "custom_fields": np.repeat(rows["custom_fields"].to_numpy(), lengths(rows["response_bins"])),
            "at": np.repeat((rows["t_s"].to_numpy() // width_s).astype(int), lengths(rows["response_bins"])),
            "band": flat(rows["response_bins"]) // BINS_A_BAND,
            "n": flat(rows["response_counts"]),
        }
    )
    sums = flat_rows.groupby(["operation", "custom_fields", "at", "band"], sort=True)["n"].sum().reset_index()
    cells: dict[tuple[str, int], pd.DataFrame] = dict(list(sums.groupby(["operation", "custom_fields"])))  # type: ignore[arg-type]
    return tuple(_heat_map(side, operation, fields, width_s, cell) for (operation, fields), cell in cells.items())


def joined_width(end_s: float, slices_most: int) -> float:
    """How long slices are of which at most so many cover the time until ``end_s``; whole tens of seconds."""
    return SLICE_S * max(math.ceil(end_s / SLICE_S / slices_most), 1)


def _heat_map(side: str, operation: str, fields: int, width_s: float, cell: pd.DataFrame) -> HeatMap:
    first, last = int(cell["band"].min()), int(cell["band"].max())
    times = range(int(cell["at"].min()), int(cell["at"].max()) + 1)
    counts: NDArray[Any] = np.zeros((len(times), last - first + 1), np.int64)
    counts[cell["at"].to_numpy() - times.start, cell["band"].to_numpy() - first] = cell["n"].to_numpy()
    return HeatMap(
        side=side,
        operation=operation,
        custom_fields=fields,
        slice_s=width_s,
        times_s=tuple(at * width_s for at in times),
        edges_s=tuple(_edge_s(band) for band in range(first, last + 2)),
        counts=tuple(tuple(row) for row in counts.tolist()),
    )


def _edge_s(band: int) -> float:
    return SHORTEST_S * math.exp(min(band * BINS_A_BAND, BINS) * LOG_WIDTH)


def _means(runs: Sequence[Run], side: int, width_s: float) -> pd.DataFrame:
    """The mean log of every cell of every run in every slice: side, run, operation, custom_fields, t_s, log_s."""
    parts = []
    for number, run in enumerate(runs):
        if not len(run.slices):
            continue
        rows = run.slices.assign(t_s=np.floor(run.slices["t_s"] / width_s) * width_s)
        keys, histograms = histograms_by(rows, _KEYS)
        means = log_means(histograms)
        enough = means.n >= MEAN_AT_LEAST
        kept = {name: column[enough] for name, column in keys.items()}
        parts.append(pd.DataFrame({**kept, "side": side, "run": number, "log_s": means.log_s[enough]}))
    names = [*_KEYS, "side", "run", "log_s"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({name: [] for name in names})


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
    return max((float(run.slices["t_s"].max()) for run in runs if len(run.slices)), default=0.0) + SLICE_S
