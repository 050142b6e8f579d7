"""Failing: did the share of failed requests rise, at any time in a window of days?

The e-detector of Shiryaev and Roberts (Pollak 1985; Shin, Ramdas & Rinaldo 2024) with the likelihood of
Poisson counts, divided by the baseline's dispersion since failures come in bursts. If nothing changed it
raises a false alarm once in ``limit`` blocks at most, per operation. No block counts for more than a
quarter of an alarm, so that one bad block is not yet one, and the dispersion is widened until the
baseline itself stays far from an alarm.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analysis.window.blocks import Block

Floats = NDArray[np.float64]

BLOCKS_IN_30_DAYS: Final = 8640
#: The share of failures is held against so many times the baseline's, and these multiples of that.
MARGIN: Final = 1.25
MULTIPLES: Final = np.array([1.5, 3.0, 10.0, 30.0])
#: False alarms allowed in 30 days, over all operations.
FALSE_ALARMS: Final = 0.1
BLOCKS_TO_ALARM: Final = 4
#: The baseline's own evidence stays below the limit to this power.
BASELINE_MOST: Final = 0.4
#: A share that is below this is not worth telling from it.
SHARE_LEAST: Final = 1e-4
_PER_HOUR: Final = 12
_MOST: Final = 1e12


@dataclass(frozen=True, slots=True)
class FailureRate:
    """What share of an operation's requests failed in the baseline at most, and how bursty (1 is Poisson)."""

    share: float
    dispersion: float


Rates = Mapping[str, FailureRate]


def learn_rates(blocks: Sequence[Block]) -> dict[str, FailureRate]:
    """The rates by operation, from the blocks of a baseline in order of time."""
    by_operation: dict[str, list[tuple[int, int]]] = {}
    for block in blocks:
        for one in block.counts:
            by_operation.setdefault(one.operation, []).append((one.requests, one.failures))
    shares, dispersion = {}, 1.0
    for operation, pairs in sorted(by_operation.items()):
        n, y = np.array(pairs, np.float64).T
        shares[operation] = max((float(y.sum()) + 2) / max(float(n.sum()), 1.0), SHARE_LEAST)
        # A burst that one operation had, any other may have.
        dispersion = max(dispersion, _widened(n, y, shares[operation], len(by_operation)))
    return {operation: FailureRate(share, dispersion) for operation, share in shares.items()}


def limit(operations: int) -> float:
    """The evidence from which an operation's failures raise an alarm."""
    return BLOCKS_IN_30_DAYS * max(operations, 1) / FALSE_ALARMS


def no_evidence(rates: Rates) -> Floats:
    """Before the first block; [operations, multiples]."""
    return np.zeros((len(rates), len(MULTIPLES)))


def weigh(rates: Rates, evidence: Floats, block: Block) -> Floats:
    """The evidence with one more block; an operation that the block did not try keeps what it had."""
    counts = {one.operation: one for one in block.counts}
    tried = [counts.get(operation) for operation in rates]
    n = np.array([0 if one is None else one.requests for one in tried], np.float64)
    y = np.array([0 if one is None else one.failures for one in tried], np.float64)
    share, dispersion = (
        np.array([getattr(rate, name) for rate in rates.values()]) for name in FailureRate.__slots__
    )
    gain = np.minimum(_log_likelihood_ratio(n, y, share, dispersion), _cap(len(rates)))
    weighed: Floats = np.where(n[:, None] > 0, np.minimum((evidence + 1) * np.exp(gain), _MOST), evidence)
    return weighed


def strength(evidence: Floats) -> Floats:
    """The evidence of each operation, over all multiples."""
    strong: Floats = evidence.mean(axis=1)
    return strong


def _cap(operations: int) -> float:
    return math.log(limit(operations)) / BLOCKS_TO_ALARM + 0.01


def _log_likelihood_ratio(n: Floats, y: Floats, share: Floats, dispersion: Floats) -> Floats:
    """[counts, multiples]."""
    expected = (n * share * MARGIN)[:, None]
    ratio: Floats = (y[:, None] * np.log(MULTIPLES) - (MULTIPLES - 1) * expected) / dispersion[:, None]
    return ratio


def _widened(n: Floats, y: Floats, share: float, operations: int) -> float:
    """The dispersion of an operation: between hours, and so much that its baseline raises no alarm."""
    hours = len(n) // _PER_HOUR
    if hours >= 2:  # bursts last longer than a block
        n_h, y_h = (a[: _PER_HOUR * hours].reshape(hours, _PER_HOUR).sum(axis=1) for a in (n, y))
    else:
        n_h, y_h = n, y
    expected = n_h * y_h.sum() / max(float(n_h.sum()), 1.0)
    seen = expected > 0
    squares = (y_h[seen] - expected[seen]) ** 2 / expected[seen]
    dispersion = max(float(squares.sum()) / max(int(seen.sum()) - 1, 1), 1.0)
    cap, most = _cap(operations), limit(operations) ** BASELINE_MOST
    while _highest(n, y, share, dispersion, cap) > most:
        dispersion *= 1.25
    return dispersion


def _highest(n: Floats, y: Floats, share: float, dispersion: float, cap: float) -> float:
    """The strongest evidence that the baseline's own counts would have given."""
    ones = np.ones(len(n))
    factors = np.exp(np.minimum(_log_likelihood_ratio(n, y, share * ones, dispersion * ones), cap))
    evidence, highest = np.zeros(len(MULTIPLES)), 0.0
    for factor in factors:
        evidence = np.minimum((evidence + 1) * factor, _MOST)
        highest = max(highest, float(evidence.mean()))
    return highest
