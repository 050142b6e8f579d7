"""Against the old environment: who moved when the difference of the two did?

The difference rises where the watched target becomes slower, and just as well where the old environment becomes
faster, as when its users leave it. What raises an alarm about the one must not be what the other did.

Either is the shared noise of that time plus what it did by itself. If only one of them did anything, the other
shows the shared noise alone, and that is normal with the spread that the baseline showed (``Baseline.moves``). So
the likelihood ratio of "the watched target moved" over "the old environment moved" is
exp((own^2 - old^2) / (2 spread^2)), where ``own`` and ``old`` are their means over the window.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from analysis.window.baseline import MOVED_Z, Baseline
from analysis.window.blocks import Block
from analysis.window.detector import Signal
from analysis.window.noise import SCALES
from analysis.window.streams import weighted

Floats = NDArray[np.float64]


def own_shifts(baseline: Baseline, block: Block) -> Floats:
    """How much slower than normal the watched target itself is, [against]; NaN where the old one is silent."""
    streams = baseline.streams
    if not block.versus:
        return np.full(len(streams.against), math.nan)
    return weighted(streams.weights_against, baseline.cell_shifts(block))


def of_the_watched(
    baseline: Baseline, blocks: Sequence[Block], own: Floats, signals: Mapping[str, Signal]
) -> dict[str, Signal]:
    """The signals without those that the old environment may have caused.

    ``blocks`` are those of the last day, and ``own`` their ``own_shifts``, [blocks, against].
    """
    against = baseline.streams.against
    return {
        name: one
        for name, one in signals.items()
        if name not in against or _has_moved(baseline, blocks, own[:, against.index(name)], one)
    }


def _has_moved(baseline: Baseline, blocks: Sequence[Block], shifts: Floats, signal: Signal) -> bool:
    """Whether it was the watched target that moved, ``MOVED_ODDS`` to one."""
    place = baseline.streams.against.index(signal.stream)
    begin_s = blocks[-1].end_s - (signal.blocks + 0.5) * baseline.block_s
    held = shifts[[one.start_s >= begin_s for one in blocks]]
    known = held[np.isfinite(held)]
    if not len(known):
        return False
    own = float(np.mean(known))
    old = own - signal.shift
    spread = float(baseline.moves[SCALES.index(signal.blocks), place])
    return own > 0 and own**2 - old**2 >= (MOVED_Z * spread) ** 2
