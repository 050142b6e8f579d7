"""The spread of response times: each cell's quantiles on both sides, and how far each of them moved.

A distribution lays the runs of a side over one another: it shows a shape, and nothing is concluded from it.
A shift is taken as everything is that a conclusion may rest on: run by run, then opposed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Final

import numpy as np
from scipy import special

from analysis.details import Distribution, Shift
from analysis.histograms import Histogram, joined
from analysis.levels import Cell, Contrast, Levels, measure, ratio_of
from analysis.quantiles import quantile

Histograms = Sequence[Mapping[Cell, Histogram]]  # by run

#: Quantiles of a distribution: the body in tenths, then a tail that is even on a logarithmic scale.
BODY: Final = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
TAIL: Final = (0.9, 0.95, 0.98)
#: The curve of a distribution ends where fewer samples than this lie beyond it.
BEYOND_AT_LEAST: Final = 20
#: The shift function (Doksum 1974) is shown at the deciles.
DECILES: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
#: Samples of a cell in each run below which its deciles say nothing.
DECILES_AT_LEAST: Final = 20


def distributions(side: str, runs: Histograms) -> tuple[Distribution, ...]:
    """The distribution of every cell that has samples enough for a median, by cell."""
    found = []
    for cell in sorted({cell for run in runs for cell in run}):
        parts = [run[cell] for run in runs if cell in run]
        whole = joined(parts)
        quantiles = known_quantiles(whole.n)
        if quantiles:
            times_s = tuple(quantile(whole, q) for q in quantiles)
            found.append(Distribution(side, cell[0], cell[1], whole.n, quantiles, times_s))
    return tuple(found)


def known_quantiles(n: int) -> tuple[float, ...]:
    """The quantiles beyond which at least ``BEYOND_AT_LEAST`` of ``n`` samples lie; none without a median."""
    tenths = range(1, 7)
    tail = sorted({*TAIL, *(round(1 - (1 - q) / 10**k, 9) for k in tenths for q in TAIL)})
    kept = tuple(q for q in (*BODY, *tail) if n * (1 - q) >= BEYOND_AT_LEAST - 1e-9)
    return kept if kept and kept[-1] >= 0.5 else ()


def shifts(
    before: Histograms, after: Histograms, oppose: Callable[[Levels, Levels], Contrast]
) -> tuple[Shift, ...]:
    """The shift function of every cell that has samples enough in each run, by cell and decile.

    The range is Student's, for this decile of this cell alone. Empty with fewer than two rows.
    """
    cells = _cells_with_enough(before, after)
    if not cells or len(before) < 2 or not after:
        return ()
    found = []
    for q in DECILES:
        contrast = oppose(measure(before, cells, q), measure(after, cells, q))
        df = len(contrast.rows) - 1
        reach = float(special.stdtrit(df, 0.975)) if df else math.nan
        deviation = contrast.rows.std(axis=0, ddof=1) if df else np.full(len(cells), math.nan)
        half = reach * np.sqrt(contrast.factor) * deviation
        for cell, log, by in zip(cells, contrast.estimate.tolist(), half.tolist(), strict=True):
            found.append(Shift(*cell, q, math.exp(log), ratio_of(log - by), ratio_of(log + by)))
    return tuple(sorted(found, key=lambda one: (one.operation, one.custom_fields, one.quantile)))


def by_cell(found: Sequence[Shift]) -> dict[Cell, tuple[Shift, ...]]:
    """The shifts of each cell, in order of the quantiles."""
    cells = groupby(found, key=lambda one: (one.operation, one.custom_fields))
    return {cell: tuple(parts) for cell, parts in cells}


def _cells_with_enough(before: Histograms, after: Histograms) -> list[Cell]:
    runs = (*before, *after)
    every = sorted({cell for run in runs for cell in run})
    return [cell for cell in every if all(cell in run and run[cell].n >= DECILES_AT_LEAST for run in runs)]
