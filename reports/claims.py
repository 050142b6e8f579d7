"""What a report may say: facts picked from the findings, before any sentence is made of them.

The verdict decides and the report only tells: "slower" is claimed where the verdict rests on
it, "not slower" where every cell shows it, and everything else is called not known.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from analysis.findings import (
    Assessment,
    CellFinding,
    Check,
    CheckOutcome,
    Design,
    Difference,
    FailureFinding,
    IntegrityFinding,
    Reason,
    SlopeFinding,
    StandoutFinding,
    Word,
)
from reports import words
from reports.matrix import DECISIVE, headline_quantile, lay_out

SLOWER: Final = (Word.MUCH_SLOWER, Word.SLOWER)
HARMLESS: Final = (Word.NO_HARM, Word.FASTER)
OPEN: Final = (Word.NEAR_THE_LIMIT, Word.UNCLEAR, Word.TOO_LITTLE_DATA)
#: The order in which a HOLD is explained: first what must be put right before anything else counts.
HOLD_ORDER: Final = (
    Reason.INVALID_LOAD,
    Reason.BASELINE_UNFIT,
    Reason.CONFOUNDED,
    Reason.SETTLING,
    Reason.NEAR_LIMIT,
    Reason.NEEDS_DATA,
    Reason.UNVERIFIED,
)


@dataclass(frozen=True, slots=True)
class Claims:
    """The facts of one assessment that its sentences are made of, each list worst first."""

    void: bool  # a check failed: nothing may be said about latency
    slower: tuple[CellFinding, ...]
    growing: tuple[SlopeFinding, ...]  # that of the cell which stands for the report first
    standing_out: tuple[StandoutFinding, ...]  # told of, one a cell; what fires first
    failing: tuple[FailureFinding, ...]
    broken: tuple[IntegrityFinding, ...]
    suspected: tuple[CellFinding, ...]  # required and measured slower, but the verdict does not rest on it
    near: tuple[CellFinding, ...]  # required and near the limit
    open_places: tuple[tuple[str, int], ...]  # required (operation, custom_fields) without an answer
    required_places: int
    optional_slower: tuple[CellFinding, ...]  # slower, but not required
    not_slower: tuple[str, ...]  # operations shown harmless at every quantile
    not_slower_to_headline: tuple[str, ...]  # the same up to the quantile of the matrix; beyond not known
    not_known: tuple[str, ...]  # operations with a cell that has no answer, and no slower one
    telling: CellFinding | None  # the cell that stands for the report
    failed_checks: tuple[Check, ...]
    unplanned: tuple[Difference, ...]
    cohorts: Mapping[str, int]  # how many cohorts each operation was measured in


def claim(assessment: Assessment) -> Claims:
    """Pick the facts. Nothing is computed here but order and membership."""
    failed = tuple(check for check in assessment.checks if check.outcome is CheckOutcome.FAIL)
    void = bool(failed) or Reason.INVALID_LOAD in assessment.reasons
    # Apart in time another change may have hidden a slow-down just as well.
    unsure = void or assessment.within is Design.APART
    measured_slower = _worst_first(cell for cell in assessment.cells if cell.word in SLOWER)
    slower = tuple(cell for cell in measured_slower if cell.alarms)
    fired = () if void else _growing(assessment)
    required = [cell for cell in assessment.cells if cell.required and cell.word is not Word.NOT_APPLICABLE]
    decisive = [cell for cell in required if cell.quantile <= DECISIVE] or required
    near = _worst_first(cell for cell in decisive if cell.word is Word.NEAR_THE_LIMIT)
    suspected = () if void else tuple(cell for cell in measured_slower if cell.required and not cell.alarms)
    telling = _telling(assessment, (slower, suspected, near), fired)
    growing = tuple(sorted(fired, key=lambda slope: telling is None or telling.operation not in slope.operations))
    waiting = {_place(cell) for cell in decisive if cell.word in OPEN} | {_place(cell) for cell in suspected}
    return Claims(
        void=void,
        slower=slower,
        growing=growing,
        standing_out=() if void else _standing_out(assessment),
        failing=_failing(assessment),
        broken=tuple(sorted((item for item in assessment.integrity if not item.held), key=words.effect_rank)),
        suspected=suspected,
        near=near,
        open_places=tuple(sorted(waiting, key=_place_rank)),
        required_places=len({_place(cell) for cell in required}),
        optional_slower=() if void else tuple(cell for cell in measured_slower if not cell.required),
        not_slower=() if unsure else _operations_where(assessment, _all_harmless),
        not_slower_to_headline=() if unsure else _operations_where(assessment, _harmless_to_headline),
        not_known=() if void else _operations_where(assessment, _has_no_answer),
        telling=telling,
        failed_checks=failed,
        unplanned=tuple(item for item in assessment.differences if not item.planned),
        cohorts=Counter(operation for operation, _ in {_place(cell) for cell in assessment.cells if cell.n_after}),
    )


def _place(cell: CellFinding) -> tuple[str, int]:
    return (cell.operation, cell.custom_fields)


def _place_rank(place: tuple[str, int]) -> tuple[tuple[int, str], int]:
    return (words.operation_rank(place[0]), place[1])


def _worst_first(cells: Iterable[CellFinding]) -> tuple[CellFinding, ...]:
    return tuple(
        sorted(
            cells,
            key=lambda cell: (
                not cell.required,
                -_known(cell.after_s - cell.before_s),  # what people wait longer, not the largest ratio
                _place_rank(_place(cell)),
                -cell.quantile,
            ),
        )
    )


def _known(number: float) -> float:
    return number if math.isfinite(number) else 0.0


def _growing(assessment: Assessment) -> tuple[SlopeFinding, ...]:
    if Reason.GROWTH not in assessment.reasons:
        return ()
    fired = [slope for slope in assessment.slopes if slope.fires]
    # Where an operation fires alone, what it has in common with others says nothing more.
    fired = [slope for slope in fired if not slope.pooled] or fired
    return tuple(sorted(fired, key=lambda slope: (-_known(slope.growth), words.operation_rank(slope.operation))))


def _standing_out(assessment: Assessment) -> tuple[StandoutFinding, ...]:
    """The cells told to stand out, each by its mean where that does: those of the alarm, then the furthest out."""
    told: dict[tuple[str, int], StandoutFinding] = {}
    for one in sorted(assessment.standouts, key=lambda one: (not one.fires, words.measure_rank(one.measure))):
        if one.stands_out:
            told.setdefault((one.operation, one.custom_fields), one)
    return tuple(sorted(told.values(), key=lambda one: (not one.fires, -_known(one.ratio))))


def raising(assessment: Assessment, claims: Claims) -> list[StandoutFinding]:
    """The cells on whose standing out ESCALATE rests."""
    return [one for one in claims.standing_out if one.fires and Reason.STANDS_OUT in assessment.reasons]


def _failing(assessment: Assessment) -> tuple[FailureFinding, ...]:
    if Reason.FAILURES not in assessment.reasons:
        return ()
    fired = (finding for finding in assessment.failures if finding.fires)
    return tuple(
        sorted(
            fired, key=lambda item: (item.custom_fields is not None, -(item.after - item.before), item.operation)
        )
    )


def _operations_where(
    assessment: Assessment, holds: Callable[[list[CellFinding], float], bool]
) -> tuple[str, ...]:
    headline = headline_quantile(assessment)
    cells: dict[str, list[CellFinding]] = {}
    for cell in assessment.cells:
        if cell.word is not Word.NOT_APPLICABLE:
            cells.setdefault(cell.operation, []).append(cell)
    return tuple(name for name in sorted(cells, key=words.operation_rank) if holds(cells[name], headline))


def _all_harmless(cells: list[CellFinding], headline: float) -> bool:
    return all(cell.word in HARMLESS for cell in cells)


def _harmless_to_headline(cells: list[CellFinding], headline: float) -> bool:
    up_to = [cell for cell in cells if cell.quantile <= headline]
    beyond = [cell for cell in cells if cell.quantile > headline]
    return (
        bool(up_to)
        and all(cell.word in HARMLESS for cell in up_to)
        and all(cell.word in (*HARMLESS, Word.UNCLEAR, Word.TOO_LITTLE_DATA) for cell in beyond)
        and not _all_harmless(cells, headline)
    )


def _has_no_answer(cells: list[CellFinding], headline: float) -> bool:
    up_to = [cell for cell in cells if cell.quantile <= headline]
    return any(cell.word in OPEN for cell in up_to) and not any(cell.word in SLOWER for cell in cells)


def _likely_cause(cell: CellFinding, grows: bool) -> tuple[bool, int]:
    return (not cell.required, -1 - cell.custom_fields if grows else 0)


def _telling(
    assessment: Assessment,
    worst: tuple[tuple[CellFinding, ...], ...],
    growing: tuple[SlopeFinding, ...],
) -> CellFinding | None:
    shown = [cell for cell in lay_out(assessment).findings if math.isfinite(cell.ratio)]
    headline = headline_quantile(assessment)
    grows = {name for slope in assessment.slopes if growing and slope.fires for name in slope.operations}
    for candidates in worst:
        if candidates:
            # Growth is the surest sign of a cause: an operation that grew goes before one that is only slow,
            # and where it grew, the most custom fields are hit the hardest.
            likely = sorted(candidates, key=lambda c: _likely_cause(c, c.operation in grows))
            return next((cell for cell in likely if cell.quantile == headline), likely[0])
    if growing:
        grown = [cell for cell in shown if cell.operation in growing[0].operations]
        if grown:
            return max(grown, key=lambda cell: cell.custom_fields)
    standing_out = [(one.operation, one.custom_fields) for one in assessment.standouts if one.fires]
    if standing_out and Reason.STANDS_OUT in assessment.reasons:
        out = [cell for cell in shown if _place(cell) in standing_out]
        if out:
            return _worst_first(out)[0]
    required = [cell for cell in shown if cell.required]
    ordered = _worst_first(required or shown)
    return ordered[0] if ordered else None


def standing_in_the_way(assessment: Assessment, *reasons: Reason) -> list[Check]:
    """The notes on which a HOLD for one of the reasons rests; failed checks are told of their own."""
    return [one for one in assessment.checks if one.outcome is CheckOutcome.NOTE and one.reason in reasons]
