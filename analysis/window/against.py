"""Against the old environment: who moved when the difference of the two did?

The difference rises where the watched target becomes slower, and just as well where the old environment becomes
faster, as when its users leave it. What raises an alarm about the one must not be what the other did.

Either is the shared noise of that time plus what it did by itself. If only one of them did anything, the other
shows the shared noise alone, and that is normal with the spread that the baseline showed (``Baseline.moves``). So
the likelihood ratio of "the watched target moved" over "the old environment moved" is
exp((own^2 - old^2) / (2 spread^2)), where ``own`` and ``old`` are their means over the window.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from analysis.window.baseline import MOVED_Z, Baseline
from analysis.window.blocks import Block
from analysis.window.detector import Signal
from analysis.window.noise import SCALES
from analysis.window.streams import weighted


def of_the_watched(
    baseline: Baseline, blocks: Sequence[Block], signals: Mapping[str, Signal]
) -> dict[str, Signal]:
    """The signals without those that the old environment may have caused; ``blocks`` are those of the last day."""
    against = baseline.streams.against
    return {name: one for name, one in signals.items() if name not in against or _has_moved(baseline, blocks, one)}


def _has_moved(baseline: Baseline, blocks: Sequence[Block], signal: Signal) -> bool:
    """Whether it was the watched target that moved, ``MOVED_ODDS`` to one."""
    place = baseline.streams.against.index(signal.stream)
    weights = baseline.streams.weights_against[place : place + 1]
    begin_s = blocks[-1].end_s - (signal.blocks + 0.5) * baseline.block_s
    held = (one for one in blocks if one.versus and one.start_s >= begin_s)
    shifts = [weighted(weights, baseline.cell_shifts(one))[0] for one in held]
    known = [shift for shift in shifts if np.isfinite(shift)]
    if not known:
        return False
    own = float(np.mean(known))
    old = own - signal.shift
    spread = float(baseline.moves[SCALES.index(signal.blocks), place])
    return own > 0 and own**2 - old**2 >= (MOVED_Z * spread) ** 2
