"""The verdict: CLEAR, HOLD or ESCALATE, and why.

ESCALATE if integrity is broken after the change, if failures rose, if times grow with the custom
fields, if a required cell is surely slower than agreed or than the rest of its runs, or if an objective is
surely broken. HOLD if a
required cell or an objective is not answered, or a check stands in the way. CLEAR otherwise. No data is HOLD.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final

from analysis.comparison import SLOW, holm
from analysis.findings import (
    CellFinding,
    Check,
    CheckOutcome,
    Design,
    FailureFinding,
    IntegrityFinding,
    ObjectiveFinding,
    ObjectiveOutcome,
    Reason,
    SlopeFinding,
    StandoutFinding,
    Verdict,
    Word,
)

#: Holm-adjusted p below which a slower cell raises the alarm; stricter where time itself may be the cause.
ALPHA: Final = 0.05
ALPHA_APART: Final = 0.005


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict and its reasons, the gravest first: those of ESCALATE, or those of HOLD; none for CLEAR."""

    verdict: Verdict
    reasons: tuple[Reason, ...]
    cells: tuple[CellFinding, ...]  # those that were judged, marked where the verdict rests on them


def judge(
    cells: Sequence[CellFinding],
    slopes: Sequence[SlopeFinding],
    failures: Sequence[FailureFinding],
    integrity: Sequence[IntegrityFinding],
    checks: Sequence[Check],
    design: Design,
    *,
    standouts: Sequence[StandoutFinding] = (),
    beyond: Collection[tuple[str, int, float]] = (),
    objectives: Sequence[ObjectiveFinding] = (),
) -> Judgement:
    """Apply the rules. ``beyond`` names the cells whose after-runs all lie beyond every before-run.

    A failed check voids what latency and growth say, and objectives about times, but neither integrity nor
    failures, which are counts.
    """
    void = any(one.outcome is CheckOutcome.FAIL for one in checks)
    alarm = set() if void else set(alarming(cells, design, beyond))
    marked = tuple(replace(one, alarms=one in alarm) for one in cells)
    alarms = [
        (Reason.INTEGRITY, any(not one.held for one in integrity)),
        (Reason.FAILURES, any(one.fires for one in failures)),
        (Reason.GROWTH, not void and any(one.fires for one in slopes)),
        (Reason.LATENCY, bool(alarm)),
        (Reason.STANDS_OUT, not void and design is not Design.APART and _more_stands_out(standouts, alarm)),
        (Reason.OBJECTIVE, any(_counts_as_broken(one, void) for one in objectives)),
    ]
    raised = tuple(reason for reason, raises in alarms if raises)
    if raised:
        return Judgement(Verdict.ESCALATE, raised, marked)
    holding = [*_from_checks(checks), *_from_cells(cells, design, void), *_from_objectives(objectives)]
    held = tuple(dict.fromkeys(holding))
    return Judgement(Verdict.HOLD if held else Verdict.CLEAR, held, marked)


def alarming(
    cells: Sequence[CellFinding], design: Design, beyond: Collection[tuple[str, int, float]] = ()
) -> list[CellFinding]:
    """The required cells that are slower beyond doubt.

    Their whole simultaneous interval lies above the limit *and* they are slower by Holm's test over all
    required cells at p50 and p95 together: the first alone is 95 % per quantile, too little for an alarm.
    Apart in time, all after-runs must also lie beyond every before-run by more than the tolerance.
    """
    tested = [one for one in cells if one.required and one.p_value == one.p_value]
    alpha = ALPHA_APART if design is Design.APART else ALPHA
    return [
        one
        for one, adjusted in zip(tested, holm([one.p_value for one in tested]), strict=True)
        if one.word in SLOW
        and adjusted < alpha
        and (design is not Design.APART or (one.operation, one.custom_fields, one.quantile) in beyond)
    ]


def _from_checks(checks: Sequence[Check]) -> list[Reason]:
    return [one.reason for one in checks if one.reason is not None]


def _from_cells(cells: Sequence[CellFinding], design: Design, void: bool) -> list[Reason]:
    """HOLD for required cells without a clear answer, and for every level that time may have caused."""
    words = {one.word for one in cells if one.required}
    reasons = []
    # Slower, but not beyond doubt (see ``alarming``): more pairs decide it.
    undecided = words & {Word.UNCLEAR, Word.TOO_LITTLE_DATA} or (not void and words & set(SLOW))
    if undecided or not words:
        reasons.append(Reason.NEEDS_DATA)
    if Word.NEAR_THE_LIMIT in words:
        reasons.append(Reason.NEAR_LIMIT)
    if design is Design.APART:
        reasons.append(Reason.CONFOUNDED)
    return reasons


def _more_stands_out(standouts: Sequence[StandoutFinding], alarm: Collection[CellFinding]) -> bool:
    """Whether a cell stands out that is not among the slower ones of the alarm already."""
    named = {(one.operation, one.custom_fields) for one in alarm}
    return any(one.fires and (one.operation, one.custom_fields) not in named for one in standouts)


def _counts_as_broken(one: ObjectiveFinding, void: bool) -> bool:
    return one.outcome is ObjectiveOutcome.BROKEN and not (void and one.latency)


def _from_objectives(objectives: Sequence[ObjectiveFinding]) -> list[Reason]:
    """HOLD for what was agreed and cannot be told."""
    outcomes = {one.outcome for one in objectives}
    reasons = {ObjectiveOutcome.NO_DATA: Reason.NEEDS_DATA, ObjectiveOutcome.NEAR: Reason.NEAR_LIMIT}
    return [reason for outcome, reason in reasons.items() if outcome in outcomes]
