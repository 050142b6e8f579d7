"""What a watch found, as reports tell it: the verdict now, every block so far, remarks, alarms and evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Final

from analysis.findings import Verdict

if TYPE_CHECKING:  # whoever only counts moments need not load the analysis
    from analysis.window.decisions import Alarm, Evidence, Reason

#: Blocks that lie further apart than so many have a gap between them.
GAP_BLOCKS: Final = 1.5
#: The stream that tells how much longer all requests take than those of an old environment at the same moments.
AGAINST_OLD: Final = "all against the old environment"


@dataclass(frozen=True, slots=True)
class Moment:
    """One block and what was said after it. ``at_s`` is its end, in Unix time."""

    at_s: float
    verdict: Verdict
    sentence: str
    shifts: Mapping[str, float]  # of the telling streams: 0.1 is 10 % slower than the baseline at that hour
    requests: int
    failures: int


@dataclass(frozen=True, slots=True)
class Remark:
    """What somebody told the watch: a note, an event that was seen, an acknowledgement."""

    at_s: float
    kind: str  # note, event, ack
    text: str


@dataclass(frozen=True, slots=True)
class Required:
    """An event without which it is never CLEAR, and when it was seen first; None if never."""

    name: str
    seen_s: float | None


@dataclass(frozen=True, slots=True)
class Period:
    """A time of one verdict without a break; ``sentence`` is the first that was said in it."""

    from_s: float
    to_s: float
    verdict: Verdict
    sentence: str


@dataclass(frozen=True, slots=True)
class Gap:
    """A time of which nothing is known."""

    from_s: float
    to_s: float


@dataclass(frozen=True, slots=True)
class Watched:
    """A watch until ``told_s``. All times are Unix times."""

    source: str
    begun_s: float
    ends_s: float  # when the window is over, as agreed
    ended: bool  # whether the watch was ended in order
    block_s: float
    tolerance: float
    told_s: float
    verdict: Verdict  # what holds now, as the gate says it
    sentence: str
    moments: tuple[Moment, ...] = ()
    remarks: tuple[Remark, ...] = ()
    required: tuple[Required, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    reasons: tuple[Reason, ...] = ()
    evidence: Evidence | None = None
    alone_since_s: float | None = None  # since when the old environment has not answered

    @property
    def is_held_against(self) -> bool:
        """Whether the target was ever held against an old environment that was asked at the same moments."""
        return any(AGAINST_OLD in one.shifts for one in self.moments)

    @property
    def first_s(self) -> float | None:
        """Where the first block began; None before any was decided."""
        return self.moments[0].at_s - self.block_s if self.moments else None

    @property
    def periods(self) -> tuple[Period, ...]:
        """The verdicts one after the other, each from its first block to the next verdict's."""
        runs = [list(own) for _, own in groupby(self.moments, key=lambda one: one.verdict)]
        ends = [own[0].at_s - self.block_s for own in runs[1:]] + [own[-1].at_s for own in runs[-1:]]
        return tuple(
            Period(own[0].at_s - self.block_s, end_s, own[0].verdict, own[0].sentence)
            for own, end_s in zip(runs, ends, strict=True)
        )

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """The times between blocks that are not next to each other."""
        return tuple(
            Gap(earlier.at_s, later.at_s - self.block_s)
            for earlier, later in zip(self.moments, self.moments[1:], strict=False)
            if later.at_s - earlier.at_s > GAP_BLOCKS * self.block_s
        )
