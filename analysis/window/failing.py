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
from analysis.window.noise import allowance

Floats = NDArray[np.float64]

BLOCKS_IN_30_DAYS: Final = 8640
#: The share of failures is held against so many times the baseline's, and these multiples of that.
MARGIN: Final = 1.25
MULTIPLES: Final = np.array([1.5, 3.0, 10.0, 30.0])
#: False alarms allowed in 30 days, over all operations.
FALSE_ALARMS: Final = 0.1
BLOCKS_TO_ALARM: Final = 4
#: The baseline's own evidence stays below the limit to this power. Evidence that weighs nothing still grows
#: by one a block (it asks of every block whether the change began there), so never below twice the blocks.
BASELINE_MOST: Final = 0.5
#: Burstier than this nothing is; and where it is, failures say little.
DISPERSION_MOST: Final = 100.0
#: A share that is below this is not worth telling from it.
SHARE_LEAST: Final = 1e-4
#: Spans at which the burstiness is told, in blocks: an hour, six, and a day where a block is 5 minutes. Some days
#: fail more than others, for hours, though nothing changed, and an hour does not show it.
SPANS: Final = (12, 72, 288)
#: A span of which the baseline has fewer tells nothing.
SPANS_LEAST: Final = 3
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
        dispersion = max(dispersion, _burstiness(n, y))
    most = max(limit(len(shares)) ** BASELINE_MOST, 2.0 * len(blocks))
    rates = {operation: FailureRate(share, dispersion) for operation, share in shares.items()}
    n, y = _counts(rates, blocks)
    while shares and dispersion < DISPERSION_MOST and _highest(rates, n, y) > most:
        dispersion *= 1.25
        rates = {operation: FailureRate(share, dispersion) for operation, share in shares.items()}
    return rates


def limit(operations: int) -> float:
    """The evidence from which an operation's failures raise an alarm."""
    return BLOCKS_IN_30_DAYS * max(operations, 1) / FALSE_ALARMS


def no_evidence(rates: Rates) -> Floats:
    """Before the first block; [operations, multiples]."""
    return np.zeros((len(rates), len(MULTIPLES)))


def weigh(rates: Rates, evidence: Floats, block: Block) -> Floats:
    """The evidence [operations, multiples] with one more block; one that the block did not try keeps its own."""
    n, y = _counts(rates, [block])
    return _added(evidence, n[0] > 0, _factors(rates, n, y)[0])


def strength(evidence: Floats) -> Floats:
    """The evidence of each operation over all multiples; [operations]."""
    strong: Floats = evidence.mean(axis=1)
    return strong


def _counts(rates: Rates, blocks: Sequence[Block]) -> tuple[Floats, Floats]:
    """Requests and failures, [blocks, operations]."""
    n, y = np.zeros((len(blocks), len(rates))), np.zeros((len(blocks), len(rates)))
    place = {operation: number for number, operation in enumerate(rates)}
    for row, block in enumerate(blocks):
        for one in block.counts:
            if one.operation in place:
                n[row, place[one.operation]], y[row, place[one.operation]] = one.requests, one.failures
    return n, y


def _factors(rates: Rates, n: Floats, y: Floats) -> Floats:
    """By how much a block multiplies the evidence, [blocks, operations, multiples]; 1 where nothing was tried."""
    share = np.array([rate.share for rate in rates.values()])
    dispersion = np.array([rate.dispersion for rate in rates.values()])
    expected = (n * share * MARGIN)[..., None]
    ratio = (y[..., None] * np.log(MULTIPLES) - (MULTIPLES - 1) * expected) / dispersion[:, None]
    factors: Floats = np.exp(np.minimum(ratio, math.log(limit(len(rates))) / BLOCKS_TO_ALARM + 0.01))
    return factors


def _burstiness(n: Floats, y: Floats) -> float:
    """The variance of counts over Poisson's, at the span where it is largest."""
    return max((_between(n, y, span) for span in SPANS if len(n) >= SPANS_LEAST * span), default=_between(n, y, 1))


def _between(n: Floats, y: Floats, span: int) -> float:
    """The variance between spans over Poisson's, so large that a fifth of such are too small by what is added."""
    whole = len(n) // span
    n, y = (a[: span * whole].reshape(whole, span).sum(axis=1) for a in (n, y))
    expected = n * y.sum() / max(float(n.sum()), 1.0)
    seen = expected > 0
    df = max(int(seen.sum()) - 1, 1)
    squares = (y[seen] - expected[seen]) ** 2 / expected[seen]
    return float(squares.sum()) / df * allowance(df)


def _highest(rates: Rates, n: Floats, y: Floats) -> float:
    """The strongest evidence that the baseline's own counts would have given."""
    evidence, highest = no_evidence(rates), 0.0
    for tried, factors in zip(n > 0, _factors(rates, n, y), strict=True):
        evidence = _added(evidence, tried, factors)
        highest = max(highest, float(strength(evidence).max()))
    return highest


def _added(evidence: Floats, tried: NDArray[np.bool_], factors: Floats) -> Floats:
    added: Floats = np.where(tried[:, None], np.minimum((evidence + 1) * factors, _MOST), evidence)
    return added
