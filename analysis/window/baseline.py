"""The baseline: what was normal before the change, and how much it moves by itself at every scale of time.

A residual is the value of a stream less its profile over the day; from a contrast is also taken what a
uniform slow-down of the host does to it, because cells gain unequally (a host that is twice as slow
would otherwise pass for growth). ``sigma[k]`` is the standard deviation of the mean of k consecutive blocks
(``noise``). How it is all learnt: ``learning``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

from analysis.window.blocks import Block
from analysis.window.failing import BLOCKS_IN_30_DAYS, FailureRate
from analysis.window.noise import SCALES, allowance
from analysis.window.streams import Cell, Streams

Floats = NDArray[np.float64]

#: Levels, which every busy half hour moves, begin with the second of them, contrasts with the first.
LEVELS_FROM: Final = 1
#: Alarms expected in 30 days of 5-minute blocks, over all streams and scales, if nothing is wrong: a bound.
FALSE_ALARMS: Final = 0.5
#: A shift up to this is not acted upon.
MARGIN: Final = math.log(1.05)
#: A stream against the old environment raises an alarm only where it was the watched target that moved, and not
#: the old one: that must be so many times as likely as the contrary (``against``).
MOVED_ODDS: Final = 1000.0
#: In standard deviations of how far it moves by itself, where the old environment stands still.
MOVED_Z: Final = math.sqrt(2 * math.log(MOVED_ODDS))
#: The common level counts for the gains of the cells up to so much.
GAIN_CLIP: Final = 0.7
#: Shorter baselines than a day cannot tell a daily cycle from a change.
SHORT_DAYS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Baseline:
    """Learnt once, never changed. Arrays are [bins], [streams], [bins, streams] or [scales, streams]."""

    streams: Streams
    block_s: float
    day_s: float
    blocks: int
    days: float
    profile: Floats
    zero_profile: Floats
    zero_cells: NDArray[np.bool_]
    gain: Floats
    highest: Floats  # residual of a single block
    mean: Floats  # residual, each block counted up to ``clip``: bursts lift it above the profile, a median
    clip: Floats
    sigma: Floats
    long_run: Floats  # variance of one block, as if blocks were independent; rather too large
    long_run_df: float  # degrees of freedom that it was told from
    rate_low: Floats
    rate_high: Floats
    failures: Mapping[str, FailureRate]
    cell_profile: Floats  # [bins, cells]
    moves: Floats  # [scales, against]: how far the watched target alone moves, of each stream against the old one
    cell_p95: Mapping[Cell, float]  # median, log seconds
    shares: Mapping[Cell, float]  # of all requests
    degenerate: tuple[str, ...]  # streams without any variation

    @property
    def margin(self) -> Floats:
        """A shift up to this may be chance of the baseline, or too small to act upon; [streams]."""
        return MARGIN + np.sqrt(self.long_run / max(self.blocks, 1))

    @property
    def long_run_told(self) -> Floats:
        """The same as it was told, without the allowance for having been told from little; [streams]."""
        return self.long_run / allowance(self.long_run_df)

    @property
    def z_alarm(self) -> Floats:
        """Sigmas beyond the margin that raise an alarm, [scales]: a union bound over blocks, streams, scales."""
        return _z_alarm(len(self.streams.names))

    @property
    def threshold(self) -> Floats:
        """The mean of a window that raises an alarm, [scales, streams]."""
        return self.margin + self.z_alarm[:, None] * self.sigma

    @property
    def is_short(self) -> bool:
        """Whether it is too short to tell a daily cycle from a change."""
        return self.days < SHORT_DAYS

    def smallest(self, stream: str) -> float:
        """The smallest lasting shift of a stream that a day of watching can find, as a share: 0.1 is +10 %."""
        at = self.streams.names.index(stream)
        needed = self.threshold[:, at]
        if at >= self.streams.own:
            needed = np.maximum(needed, MOVED_Z * self.moves[:, at - self.streams.own])
        return math.expm1(float(needed.min()))

    def bin_of(self, block: Block) -> int:
        """Which part of the day a block belongs to."""
        middle = block.start_s + block.length_s / 2
        return int(middle % self.day_s / self.day_s * len(self.profile))

    def residual(self, block: Block) -> Floats:
        """Every stream less what is normal at that time of day, NaN where it has no value."""
        part, means = self.bin_of(block), self.streams.means(block)
        common = max(-GAIN_CLIP, min(self._common(means, part), GAIN_CLIP))
        row: Floats = self.streams.row(block, means) - self.profile[part]
        if math.isnan(common):
            row[self.gain != 0] = math.nan
            return row
        row -= self.gain * common
        return row

    def cell_shifts(self, block: Block) -> Floats:
        """How much slower than normal each cell is, log scale; NaN where the block has none."""
        shifts: Floats = self.streams.means(block) - self.cell_profile[self.bin_of(block)]
        return shifts

    def _common(self, means: Floats, part: int) -> float:
        """How much slower than normal the cells without custom fields are; NaN if one is missing."""
        zero = means[self.zero_cells]
        return float(zero.mean() - self.zero_profile[part]) if len(zero) else math.nan


@cache
def _z_alarm(streams: int) -> Floats:
    """The means of k blocks change slowly, and z^2 of them a window are as good as all (Pickands 1969)."""
    found = []
    for k in SCALES:
        z = 4.5
        for _ in range(20):
            looks = BLOCKS_IN_30_DAYS / k * min(k, z**2)
            z = -float(special.ndtri(FALSE_ALARMS / (looks * len(SCALES) * max(streams, 1))))
        found.append(z)
    return np.array(found)
