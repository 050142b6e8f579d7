"""Decisions of the watch: what is said after each block, with the evidence for it. Plain, frozen results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from analysis.findings import Verdict
from analysis.window.detector import Signal


class Kind(StrEnum):
    """What an alarm is about."""

    INTEGRITY = "integrity"
    FAILURES = "failures"
    GROWTH = "growth-with-custom-fields"
    LATENCY = "latency"


class Hold(StrEnum):
    """Why the window stays open. The first ones are evidence of harm, the rest a lack of evidence."""

    OUTAGE = "outage"
    SHORT_BASELINE = "short-baseline"  # an alarm that the baseline is too short for
    DEVIATION = "deviation"  # close to an alarm within the last half day
    SUDDEN = "sudden"  # a block beyond everything in the baseline
    ACKNOWLEDGED = "acknowledged"  # somebody knows, and it still shows
    CREDENTIALS = "credentials-refused"
    CLOCK = "clock"  # a block from the past
    INVALID_LOAD = "invalid-load"
    LOAD_CHANGED = "load-changed"
    GAP = "gap"
    DEGENERATE = "degenerate-scale"
    EVENT = "event-not-seen"
    SETTLING = "settling"
    NEEDS_DATA = "needs-data"


class Shape(StrEnum):
    """How the slow-down lies over the cells; evidence of a kind of cause, never a diagnosis."""

    GROWS = "grows with the number of custom fields (as slow storage does)"
    UNIFORM = "about the same everywhere (as a slow network or a busy host is)"
    QUEUE = "in scripts or mail, not in saves and reads (as a full queue is)"
    MIXED = "neither uniform nor growing with the custom fields"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why it is HOLD, for programs and for people."""

    code: Hold
    text: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A cell that got slower beyond the tolerance since the change."""

    operation: str
    custom_fields: int
    ratio: float
    share: float  # of all requests
    versus: float | None = None  # how many times as long it takes as in the old environment at the same moments


@dataclass(frozen=True, slots=True)
class Breach:
    """When the p95 of a cell reaches its objective if it goes on as in the last hours. Unix times."""

    operation: str
    custom_fields: int
    objective_s: float
    now_s: float  # the p95 now, in seconds
    earliest_s: float
    likely_s: float
    latest_s: float  # infinite if it may never


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of an alarm in latency: since when, who is hit, how it lies over the cells, where it leads."""

    since_s: float  # Unix time, an estimate
    since_low_s: float
    since_high_s: float
    rising: bool  # along a line rather than at once
    shape: Shape
    uniform: float  # slow-down of the cells with the fewest custom fields, as a share
    growth: float  # and what comes to it up to the most custom fields
    hits: tuple[Hit, ...]
    breaches: tuple[Breach, ...]
    tenants: tuple[str, ...] = ()  # those with a cell that was hit
    saves: float = 0.0  # share of all saves that lie in cells that were hit


@dataclass(frozen=True, slots=True)
class Alarm:
    """One thing that is wrong. It stays until somebody acknowledges it."""

    kind: Kind
    what: str  # the stream, the operation or the kind and outcome of the effects
    raised_s: float
    text: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What is said after a block. ``alarms`` are those that nobody has acknowledged."""

    at_s: float  # Unix time: the end of the block
    verdict: Verdict
    alarms: tuple[Alarm, ...]
    reasons: tuple[Reason, ...]
    strongest: Signal | None
    shifts: Mapping[str, float] = field(default_factory=dict)  # of the telling streams in this block, log scale
    alone_since_s: float | None = None  # since when the old environment has not answered; Unix time

    @property
    def sentence(self) -> str:
        """The reason in one line."""
        if self.verdict is Verdict.ESCALATE:
            return "; ".join(alarm.text for alarm in self.alarms[:2]) + _more(len(self.alarms) - 2)
        if self.verdict is Verdict.HOLD:
            return "; ".join(reason.text for reason in self.reasons[:2]) + _more(len(self.reasons) - 2)
        return "nothing got slower than agreed, nothing failed more, every effect was there"


def _more(n: int) -> str:
    return f" (and {n} more)" if n > 0 else ""
