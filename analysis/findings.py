"""What a comparison found: the frozen results that every report tells.

The nouns of ``docs/glossary.md``. A *cell* is one operation of one cohort; ``before`` and
``after`` are the two sides. Ratios are after / before without dimension (1.10 is +10 %),
times are seconds, shares are between 0 and 1. Numbers that are not known are NaN, never zero.

The two ends of a cell's interval answer two questions. ``low`` holds for all cells of a table at
once (97.5 %), since any one of them may raise a false alarm. ``high`` holds for its cell alone
(95 %): CLEAR needs every cell below the limit, so the worst of them guards the whole (Berger 1982).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from analysis.details import Details


class Verdict(StrEnum):
    """The one answer: may the window close, must it stay open, or must someone act now."""

    CLEAR = "CLEAR"
    HOLD = "HOLD"
    ESCALATE = "ESCALATE"


class Word(StrEnum):
    """The eight words of a cell, told by where its whole interval lies against the limit."""

    MUCH_SLOWER = "much slower"  # whole interval above +25 %
    SLOWER = "slower"  # whole interval above the limit
    NEAR_THE_LIMIT = "near the limit"  # above 0, across the limit
    UNCLEAR = "unclear"  # across 0 and the limit
    NO_HARM = "no harm"  # whole interval below the limit
    FASTER = "faster"  # below -5 % even by an interval that holds for all cells at once
    TOO_LITTLE_DATA = "too little data"
    NOT_APPLICABLE = "not applicable"


class Reason(StrEnum):
    """Why a verdict is not CLEAR. HOLD reasons first, then those of ESCALATE."""

    NEEDS_DATA = "needs-data"
    NEAR_LIMIT = "near-limit"
    INVALID_LOAD = "invalid-load"
    SETTLING = "settling"
    CONFOUNDED = "confounded-with-time"
    BASELINE_UNFIT = "baseline-unfit"
    UNVERIFIED = "unverified"
    LATENCY = "latency"
    GROWTH = "growth-with-custom-fields"
    STANDS_OUT = "stands-out"
    FAILURES = "failures"
    INTEGRITY = "integrity"
    OBJECTIVE = "objective"


class Design(StrEnum):
    """How the two sides were set against each other in time; it bounds what may be claimed."""

    CONCURRENT = "concurrent"
    ALTERNATING = "alternating"
    APART = "apart"
    CANDIDATES = "candidates"


@dataclass(frozen=True, slots=True)
class CellFinding:
    """One quantile of one operation at one number of custom fields, before against after."""

    operation: str
    custom_fields: int
    quantile: float
    before_s: float
    after_s: float
    ratio: float
    low: float
    high: float
    limit: float
    word: Word
    required: bool
    n_before: int
    n_after: int
    pairs: int
    p_value: float = float("nan")  # one-sided, for "slower"; not adjusted; for the appendix only
    alarms: bool = False  # whether the verdict ESCALATE rests on it
    pairs_needed: int | None = None  # in all, to answer at this noise; None where answered or unknown


class Measure(StrEnum):
    """What of the response times of a cell is set against other cells of its runs."""

    MEAN = "mean"  # of the logarithms: the geometric mean
    P95 = "p95"


@dataclass(frozen=True, slots=True)
class SlopeFinding:
    """How much more an operation grew from 0 to the most custom fields, after against before.

    ``growth`` is exp(b) - 1: 0.25 means that the largest cohort slowed down by 25 % more
    than the smallest. ``fires`` is decided simultaneously over all slopes. Where it is pooled
    over operations, ``operation`` holds their names joined by "+"; what the noise of the runs
    did to the other operations' slopes alike is then taken off.
    """

    operation: str
    measure: Measure
    growth: float
    low: float
    high: float
    fires: bool
    p_value: float = float("nan")

    @property
    def operations(self) -> tuple[str, ...]:
        """The operation, or those over which it is pooled."""
        return tuple(self.operation.split("+"))

    @property
    def pooled(self) -> bool:
        """Whether it tells what several operations have in common."""
        return len(self.operations) > 1


@dataclass(frozen=True, slots=True)
class StandoutFinding:
    """A cell against the rest of the same runs: how much more it slowed down than all others together.

    ``ratio`` is that of its change to the mean change of the others. ``stands_out`` and ``fires`` are decided
    simultaneously over all cells; only the latter is a reason for ESCALATE.
    """

    operation: str
    custom_fields: int
    measure: Measure
    ratio: float
    low: float
    high: float
    stands_out: bool
    fires: bool
    p_value: float = float("nan")


@dataclass(frozen=True, slots=True)
class FailureFinding:
    """Failed requests of an operation (``custom_fields`` None) or of one of its cells."""

    operation: str
    custom_fields: int | None
    before: int
    after: int
    requests_before: int
    requests_after: int
    low: float  # interval of the difference of the shares, after - before
    high: float
    fires: bool
    p_value: float = float("nan")


@dataclass(frozen=True, slots=True)
class FailureKind:
    """Failures of one kind over all runs of each side, and the operations they fell on."""

    outcome: str
    detail: str
    before: int
    after: int
    where: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IntegrityFinding:
    """An exact count of effects of one outcome against its limit. No statistics."""

    kind: str
    outcome: str
    before: int
    after: int
    checked_before: int
    checked_after: int
    limit: int  # the largest count that is still allowed on the after side
    held: bool


class ObjectiveOutcome(StrEnum):
    """Whether what was agreed is kept after the change."""

    HELD = "held"
    NEAR = "near the limit"  # over the limit, or perhaps over it, but not beyond doubt
    BROKEN = "broken"  # over the limit, beyond doubt
    NO_DATA = "no data"


@dataclass(frozen=True, slots=True)
class ObjectiveFinding:
    """An agreed limit, as it was written, with its value after the change.

    ``low`` and ``high`` bound the value (99 %; of a change 95 %, over all cells); an exact count has no other
    bounds than itself. All are in ``unit``: s (seconds), share (of 1), count, or change (0.1 is 10 % slower).
    """

    text: str
    unit: str
    limit: float
    before: float
    value: float
    low: float
    high: float
    n: int  # requests or effects that it rests on
    outcome: ObjectiveOutcome
    latency: bool = False  # about times: a failed check leaves it without a verdict


class CheckOutcome(StrEnum):
    """Whether the comparison may be trusted on this point."""

    PASS = "pass"  # noqa: S105 (a word, not a password)
    NOTE = "note"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One condition under which the answer may be believed; a failed one voids what is said of latency.

    ``reason`` is what HOLD rests on where the check stands in the way of CLEAR: one that failed has one always, a
    note may have one.
    """

    name: str
    outcome: CheckOutcome
    meaning: str
    reason: Reason | None = None

    @classmethod
    def passed(cls, name: str, meaning: str) -> Check:
        """It holds."""
        return cls(name, CheckOutcome.PASS, meaning)

    @classmethod
    def noted(cls, name: str, meaning: str, reason: Reason | None = None) -> Check:
        """It voids nothing but is worth knowing; with a reason it stands in the way of CLEAR."""
        return cls(name, CheckOutcome.NOTE, meaning, reason)

    @classmethod
    def failed(cls, name: str, meaning: str, reason: Reason) -> Check:
        """It does not hold."""
        return cls(name, CheckOutcome.FAIL, meaning, reason)


#: The check that fails where there are too few runs, or too few are left.
ENOUGH_PAIRS: Final = "enough pairs"


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting of the target or its host that was not the same on both sides."""

    setting: str
    before: str
    after: str
    planned: bool


@dataclass(frozen=True, slots=True)
class TimelinePoint:
    """One slice of elapsed time on one side: what a chart over time needs."""

    side: str  # before, after
    operation: str
    custom_fields: int
    t_s: float  # start of the slice from the start of the measured window
    requests: int
    failures: int
    p95_s: float


@dataclass(frozen=True, slots=True)
class Side:
    """Where the figures of one side come from."""

    runs: tuple[str, ...]
    target: str
    started_at: str  # ISO 8601, UTC, of the first run
    requests: int
    labels: Mapping[str, str] = field(default_factory=dict)
    days: int = 1  # groups of runs that lie twelve hours or more apart


@dataclass(frozen=True, slots=True)
class Assessment:
    """The whole answer. ``results.json`` is this, field by field."""

    verdict: Verdict
    reasons: tuple[Reason, ...]
    design: Design
    scenario: str
    plan_digest: str
    before: Side
    after: Side
    pairs: int
    pairs_dropped: int
    pairs_needed: int | None
    cells: tuple[CellFinding, ...]
    slopes: tuple[SlopeFinding, ...]
    failures: tuple[FailureFinding, ...]
    failure_kinds: tuple[FailureKind, ...]
    integrity: tuple[IntegrityFinding, ...]
    checks: tuple[Check, ...]
    differences: tuple[Difference, ...]
    common: CellFinding | None  # "everything got slower": the mean over all cells, p95
    timeline: tuple[TimelinePoint, ...] = ()
    pair_s: float = float("nan")  # how long a pair took
    shares: Mapping[str, float] = field(default_factory=dict)  # cohort (as text) -> share of all saves
    warnings: tuple[str, ...] = ()
    details: Details = field(default_factory=Details)  # for engineers; the verdict does not rest on them
    imported_from: str = ""  # the tool whose results these are; empty where savepath drove every run
    objectives: tuple[ObjectiveFinding, ...] = ()
    standouts: tuple[StandoutFinding, ...] = ()  # every cell against the rest of its runs
    ranking: tuple[Ranked, ...] = ()  # of several candidates, the best first; the rest is then the first one's

    @property
    def within(self) -> Design:
        """How the sides lie in time, also within a comparison of candidates."""
        return self.ranking[0].assessment.design if self.ranking else self.design


@dataclass(frozen=True, slots=True)
class Ranked:
    """One of several candidates that were held against the same before runs.

    ``ratio`` is p95 of all its cells together against before, and ``low`` to ``high`` a range that holds for
    all candidates at once. ``rank`` is one more than the number of candidates that are surely faster.
    """

    name: str
    rank: int
    ratio: float
    low: float
    high: float
    level_with: tuple[str, ...]  # candidates whose ranges overlap with this one's: they cannot be told apart
    assessment: Assessment
