"""The ranking: several candidates held against the same before runs, from the best to the worst.

Each candidate has an assessment of its own. What orders them is the p95 of all cells together, with ranges that
hold for all candidates at once (Bonferroni 1936). Two whose ranges overlap cannot be told apart; that is on the
safe side, as both share the before runs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from scipy import special

from analysis.assessment import assess
from analysis.comparison import cells_of, sufficient
from analysis.findings import Assessment, Design, Ranked, Verdict
from analysis.levels import measure, ratio_of
from analysis.runs import Question, Run
from analysis.selection import select
from analysis.variation import QUANTISATION

LEVEL: Final = 0.95
#: p95, or the median where no cell has samples enough for it.
_QUANTILES: Final = (0.95, 0.5)


def rank(before: Sequence[Run], candidates: Mapping[str, Sequence[Run]], question: Question) -> Assessment:
    """The assessment of the best candidate, with the ranking of all of them; design CANDIDATES.

    One that must not be taken (ESCALATE) comes after those that may, however fast it is; one without an
    answer comes last of its kind. Needs a candidate. Raises IncomparableRuns for runs of different plans.
    """
    found = [
        _Candidate(name, assess(before, runs, question), _shift(before, runs, question, len(candidates)))
        for name, runs in candidates.items()
    ]
    found.sort(key=lambda one: (one.assessment.verdict is Verdict.ESCALATE, one.shift.place))
    ranking = tuple(_ranked(one, found) for one in found)
    return replace(found[0].assessment, design=Design.CANDIDATES, ranking=ranking)


@dataclass(frozen=True, slots=True)
class _Shift:
    """A log ratio of all cells together, and its simultaneous range; NaN where there is no answer."""

    log: float
    low: float
    high: float

    @property
    def place(self) -> float:
        """Where it is sorted: what is not known comes last."""
        return math.inf if math.isnan(self.log) else self.log


@dataclass(frozen=True, slots=True)
class _Candidate:
    name: str
    assessment: Assessment
    shift: _Shift


def _shift(before: Sequence[Run], after: Sequence[Run], question: Question, candidates: int) -> _Shift:
    """The common mode of the pairs that the assessment kept."""
    selection = select(before, after)
    sides = selection.histograms
    cells = [cell for cell in cells_of(sides[0], sides[1], question) if cell not in question.not_applicable]
    for q in _QUANTILES:
        old, new = (measure(side, cells, q) for side in sides)
        judged = sufficient(old, new, q)
        if judged.any():
            contrast = selection.oppose(old.of(judged), new.of(judged))
            rows = contrast.rows.mean(axis=1)
            se = math.sqrt(contrast.factor * max(float(rows.var(ddof=1)), QUANTISATION))
            reach = float(special.stdtrit(len(rows) - 1, 1 - (1 - LEVEL) / (2 * candidates))) * se
            log = float(contrast.estimate.mean())
            return _Shift(log, log - reach, log + reach)
    return _Shift(math.nan, math.nan, math.nan)


def _ranked(one: _Candidate, every: Sequence[_Candidate]) -> Ranked:
    others = [other for other in every if other is not one]
    return Ranked(
        name=one.name,
        rank=1 + sum(other.shift.high < one.shift.low for other in others),
        ratio=ratio_of(one.shift.log),
        low=ratio_of(one.shift.low),
        high=ratio_of(one.shift.high),
        # What is not known overlaps with everything.
        level_with=tuple(
            other.name
            for other in others
            if not (other.shift.high < one.shift.low or one.shift.high < other.shift.low)
        ),
        assessment=one.assessment,
    )
