"""The detector: is the mean of the last k blocks of a stream higher than such means ever are by themselves?

Asked after every block, of every stream, for windows of 25 minutes to a day. By the union bound the
number of false alarms expected in 30 days is below ``baseline.FALSE_ALARMS`` however the blocks depend on
each other, as long as window means are normal with at most the baseline's sigma; bursts of the
baseline widen its sigma (``learning.BASELINE_MOST``), and no block counts for more than ``clip``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analysis.window.baseline import Baseline
from analysis.window.noise import FILLED, SCALES

Floats = NDArray[np.float64]

#: Scores below this are nobody's business; above it a stream that raised an alarm still shows.
TOLD: Final = 0.5
_SCALES: Final = np.array(SCALES)


@dataclass(frozen=True, slots=True)
class Recent:
    """Running sums of the clipped residuals over the last blocks, [blocks + 1, streams], oldest first."""

    sums: Floats
    counts: Floats


@dataclass(frozen=True, slots=True)
class Signal:
    """The window of a stream that stands out most. ``score`` is 1 where it raises an alarm."""

    stream: str
    growth: bool  # rather than a latency
    blocks: int  # length of the window
    shift: float  # its mean on the log scale: 0.1 is about +10 %
    score: float


def no_recent(streams: int) -> Recent:
    """Before the first block."""
    return Recent(np.zeros((1, streams)), np.zeros((1, streams)))


def append(recent: Recent, clipped: Floats) -> Recent:
    """With one more block, whose missing values are NaN; only a day is kept."""
    present = np.isfinite(clipped)
    row = recent.sums[-1] + np.where(present, clipped, 0.0), recent.counts[-1] + present
    first = max(len(recent.sums) - SCALES[-1], 0)
    return Recent(np.vstack([recent.sums[first:], row[0]]), np.vstack([recent.counts[first:], row[1]]))


def scores(baseline: Baseline, recent: Recent) -> tuple[Floats, Floats]:
    """The mean of each window and its z beyond the margin, [scales, streams]; NaN where it is not full."""
    length = len(recent.sums) - 1
    fits = length >= _SCALES
    start = np.where(fits, length - _SCALES, length)
    total = recent.sums[-1] - recent.sums[start]
    n = recent.counts[-1] - recent.counts[start]
    full = fits[:, None] & (n >= FILLED * _SCALES[:, None]) & np.isfinite(baseline.sigma)
    means = np.where(full, total / np.maximum(n, 1), math.nan)
    return means, (means - baseline.margin) / baseline.sigma


def strongest(baseline: Baseline, means: Floats, z: Floats) -> dict[str, Signal]:
    """The most striking window of each stream that stands out by ``TOLD`` at least, and of the first of all.

    ``means`` and ``z`` are those of ``scores``.
    """
    found = {}
    score = np.where(np.isfinite(z), z, -np.inf) / baseline.z_alarm[:, None]
    best, highest = score.argmax(axis=0), score.max(axis=0)
    told = (highest >= min(TOLD, float(highest.max()))) & np.isfinite(highest)
    for place in np.flatnonzero(told).tolist():
        scale, name = int(best[place]), baseline.streams.names[place]
        found[name] = Signal(
            stream=name,
            growth=baseline.streams.is_growth(name),
            blocks=SCALES[scale],
            shift=float(means[scale, place]),
            score=float(score[scale, place]),
        )
    return found
