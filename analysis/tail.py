"""The tail: do the slowest requests of an operation take longer, though p95 hardly moved?

A cell holds too few requests for its p99; an operation over all its cohorts has enough. Nothing is escalated by
it, since rare stalls of a host make it jump, but a tail that grew stands in the way of CLEAR.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from analysis.comparison import SLOW, Histograms, Opposing, bounds_of, word_for
from analysis.findings import Check, Reason, Word
from analysis.histograms import Histogram, joined
from analysis.levels import Cell, measure, ratio_of
from analysis.runs import Question
from analysis.variation import expected_own, vary

NAME: Final = "tail alike"
QUANTILE: Final = 0.99
#: Requests of an operation in each run: below this two of them lie beyond p99, and one stall is the whole tail.
AT_LEAST: Final = 200


def check_tail(before: Histograms, after: Histograms, question: Question, oppose: Opposing) -> Check:
    """Hold p99 of each operation against before: HOLD where it rose, unless surely within the tolerance."""
    sides = [[_by_operation(run, question) for run in side] for side in (before, after)]
    operations = sorted({cell for side in sides for run in side for cell in run})
    if len(before) < 2 or not after or not operations:
        return Check.noted(NAME, "Too few runs to tell whether the slowest requests became slower.")
    levels = [measure(side, operations, QUANTILE) for side in sides]
    enough = np.minimum(*(side.n.min(axis=0) for side in levels)) >= AT_LEAST
    if not enough.any():
        text = f"Runs of fewer than {AT_LEAST} requests of an operation do not tell how long the slowest take."
        return Check.noted(NAME, text)
    contrast = oppose(levels[0].of(enough), levels[1].of(enough))
    bounds = bounds_of(contrast, vary(contrast.rows, expected_own(contrast.rows, contrast.sampling)))
    limit = 1 + question.tolerance
    worst, longer = 0.0, []
    for cell, log, least, most in zip(contrast.cells, contrast.estimate, bounds.low, bounds.high, strict=True):
        worst = max(worst, float(log))
        ends = ratio_of(float(least)), ratio_of(float(most))
        if word_for(*ends, limit, highest=ends[1]) in (*SLOW, Word.NEAR_THE_LIMIT):
            longer.append(f"{cell[0]} {ratio_of(float(log)) - 1:+.0%} (at least {ends[0] - 1:+.0%})")
    if longer:
        text = f"p99 rose by more than chance, and perhaps by more than agreed: {'; '.join(longer)}."
        return Check.noted(NAME, text, Reason.NEAR_LIMIT)
    return Check.passed(
        NAME,
        f"p99 of each operation rose by {ratio_of(worst) - 1:.0%} at most, none beyond chance.",
    )


def _by_operation(run: Mapping[Cell, Histogram], question: Question) -> dict[Cell, Histogram]:
    """The histograms of the required cells of a run, by operation."""
    parts: dict[str, list[Histogram]] = {}
    for cell, histogram in run.items():
        if cell in question.required:
            parts.setdefault(cell[0], []).append(histogram)
    return {(operation, 0): joined(own) for operation, own in parts.items()}
