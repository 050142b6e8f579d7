"""The baseline against itself (A/A): do the runs before differ from one another as if something had changed?

A yardstick that moves by itself measures nothing, and the same estimator that will judge the change shows it.
Runs made in turns are held against their neighbours, as before and after will be; where the sides lie apart
in time, the later half against the earlier one, since a course over days would pass for a change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from analysis.comparison import DECIDING, Histograms, compare, holm
from analysis.findings import CellFinding, Check, Design, Reason
from analysis.levels import paired
from analysis.runs import Question

NAME: Final = "baseline alike itself"
#: How often identical baselines of 25 cells are called unlike themselves on a very noisy host (sd 20 % common to
#: all cells, 5 % of each): with two pairs 10 % of 200, with three and four 2 % of 300; on a quiet one none of 200.
PAIRS_AT_LEAST: Final = 3
ALPHA: Final = 0.01


def check_itself(before: Histograms, question: Question, design: Design) -> Check:
    """Hold the runs before, in order of time, against each other. One that surely differs voids the answer."""
    first, second = _halves(before, design)
    if len(first) < PAIRS_AT_LEAST:
        text = f"{len(before)} runs before are too few to be held against each other; six can be."
        return Check.noted(NAME, text)
    asked = replace(question, quantiles=DECIDING)
    cells = [
        cell
        for cell in compare(first, second, asked, paired, pairs=len(first)).cells
        if cell.required and cell.low == cell.low
    ]
    if not cells:
        return Check.noted(NAME, "No required cell holds enough data to tell.")
    how = "the later half against the earlier" if design is Design.APART else "each against its neighbour"
    worst = max(cells, key=lambda cell: abs(cell.ratio - 1))
    text = f"Of the {len(before)} runs before, {how}, the required cells differ by {worst.ratio - 1:+.0%} at most"
    unlike = _surely_unlike(cells)
    if unlike:
        named = ", ".join(dict.fromkeys(f"{cell.operation}@{cell.custom_fields}" for cell in unlike))
        beyond = f"{text}; surely beyond {question.tolerance:.0%}, though nothing was changed: {named}."
        return Check.failed(NAME, beyond, Reason.BASELINE_UNFIT)
    return Check.passed(NAME, f"{text}; none surely by more than {question.tolerance:.0%}.")


def _halves(before: Histograms, design: Design) -> tuple[Histograms, Histograms]:
    """As many runs in either; which of two neighbours comes first takes turns, as the sides of pairs do."""
    half = len(before) // 2
    if design is Design.APART:
        return before[:half], before[len(before) - half :]
    pairs = [(before[2 * k + k % 2], before[2 * k + 1 - k % 2]) for k in range(half)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def _surely_unlike(cells: Sequence[CellFinding]) -> list[CellFinding]:
    """Cells whose whole simultaneous interval lies beyond the limit on either side, with Holm's consent."""
    two_sided = [2 * min(cell.p_value, 1 - cell.p_value) for cell in cells]
    return [
        cell
        for cell, adjusted in zip(cells, holm(two_sided), strict=True)
        # ``low`` is as far below the ratio as the other end of that interval is above it.
        if adjusted < ALPHA and (cell.low > cell.limit or cell.ratio**2 / cell.low < 1 / cell.limit)
    ]
