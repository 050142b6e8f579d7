"""Clearing: has every stream been shown to be no slower than agreed, and settled?

The upper bound of a stream's mean since the watch began must lie below the tolerance, of all streams at once.
Those against the old environment are not asked: it may be gone, or faster than it was.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

from analysis.window.baseline import Baseline
from analysis.window.detector import Recent

Floats = NDArray[np.float64]

#: Standard errors of the bound, of the mean since the watch began less that of the baseline. A stream that is
#: slower by the whole tolerance passes a single look with a chance of .07, and a watch that looks from the first
#: day to the third with .05 if everything is slower, as all streams must pass (`make bench-watch`). The
#: confidence sequence of Waudby-Smith et al. (2024) holds for ever, and is twice as wide at two days.
Z: Final = 1.5
#: The later half of the watch (at most a day) may lie above what was before by this share of the tolerance, or by
#: so many standard errors where spans of that length differ by more than that anyway. The first half day alone in
#: place of all that was before kept healthy windows open for days, where it had happened to be a fast one.
TREND_SHARE: Final = 0.75
TREND_Z: Final = 1.645


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums of the clipped residuals since the watch began, [streams]."""

    blocks: int
    sums: Floats
    counts: Floats


def no_totals(streams: int) -> Totals:
    """Before the first block."""
    return Totals(0, np.zeros(streams), np.zeros(streams))


def accumulate(totals: Totals, clipped: Floats) -> Totals:
    """With one more block, whose missing values are NaN."""
    present = np.isfinite(clipped)
    return Totals(totals.blocks + 1, totals.sums + np.where(present, clipped, 0.0), totals.counts + present)


@cache
def _z(df: float) -> float:
    """``Z`` for a variance that was told from ``df`` (Student)."""
    return float(special.stdtrit(df, special.ndtr(Z)))


def unsettled(baseline: Baseline, totals: Totals, recent: Recent, tolerance: float) -> dict[str, str]:
    """The streams that cannot be cleared yet, and why not; empty if all can."""
    bound, half_day = math.log1p(tolerance), round(baseline.day_s / baseline.block_s / 2)
    variance = baseline.long_run_told
    t = np.maximum(totals.counts, 1.0)
    # The baseline's own mean is no better known than its length allows.
    error = np.sqrt(variance * (1 / t + 1 / baseline.blocks))
    upper = totals.sums / t - baseline.mean + _z(baseline.long_run_df) * error
    n, last = _latest(recent, half_day)
    later_n, later = _latest(recent, max(totals.blocks // 2, 1))
    before_n = np.maximum(totals.counts - later_n, 1.0)
    rise = later - (totals.sums - later * later_n) / before_n
    trend = np.maximum(TREND_SHARE * bound, TREND_Z * np.sqrt(variance * (1 / later_n + 1 / before_n)))
    found = {}
    for place, name in enumerate(baseline.streams.names[: baseline.streams.own]):
        if totals.counts[place] < 0.5 * half_day or n[place] < 0.5 * min(half_day, len(recent.sums) - 1):
            found[name] = "too few blocks have it"
        elif upper[place] >= bound:
            may = math.expm1(float(upper[place]))
            found[name] = f"it may still be {may:+.0%}" if may < 1 else "too little is known of it yet"
        elif last[place] - baseline.mean[place] + math.sqrt(variance[place] / n[place]) >= bound:
            found[name] = "the last half day is not shown harmless"
        elif rise[place] >= trend[place]:
            found[name] = "it is slower than at first"
    return found


def _latest(recent: Recent, blocks: int) -> tuple[Floats, Floats]:
    """How many of the last ``blocks`` have a value, 1 at least, and the mean of these; [streams] both."""
    back = min(blocks, len(recent.sums) - 1)
    n = np.maximum(recent.counts[-1] - recent.counts[-1 - back], 1.0)
    return n, (recent.sums[-1] - recent.sums[-1 - back]) / n
