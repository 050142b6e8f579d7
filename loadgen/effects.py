"""What became of what a save or a mail promised: decided from look-ups, without asking anybody anything.

The oracle for *exactly once* is the save token of one request and the rows that the target shows for
it; a counter would not do (counters lose updates under concurrency). Nothing is believed before
``settle_s`` has passed, and nothing is called missed that was not looked up after its deadline.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from loadgen.recorder import Effect
from scenarios.model import Operation, Tenant

#: Pauses between look-ups of what was not there yet.
FIRST_PAUSE_S, PAUSE_GROWTH, LAST_PAUSE_S = 0.25, 1.6, 2.0

#: While the run lasts, what is missing is looked for during so many deadlines: to tell late from never.
PATIENT_DEADLINES = 3

#: A first look this long after the settle time finds most scripts run and settled: one look is enough.
SLACK_S = 1.0

#: Outcomes of a request that say "it was not saved"; after any other failure it may have been.
SAID_NO = frozenset({"http_error", "conflict"})


class Origin(NamedTuple):
    """The request that promised something."""

    seq: int
    token: str
    tenant: Tenant
    operation: Operation
    outcome: str  # of the request
    done_s: float
    case: str = ""  # that was saved; "" for mails

    @property
    def acknowledged(self) -> bool:
        """Whether the target said that it was done."""
        return self.outcome == "ok"

    def effect(
        self,
        kind: str,
        outcome: str,
        *,
        name: str = "",
        expected: int = 1,
        seen: int = 0,
        due_s: float = math.nan,
        first_seen_s: float = math.nan,
        delay_s: float = math.nan,
    ) -> Effect:
        """A row about an effect of this request."""
        return Effect(
            self.seq,
            self.tenant.key,
            self.tenant.custom_fields,
            str(self.operation),
            kind,
            name,
            expected,
            min(seen, 65_535),
            due_s,
            first_seen_s,
            delay_s,
            outcome,
        )


@dataclass(frozen=True, slots=True)
class Sight:
    """What a look-up showed of one effect: how often, and after how long and when by the target's own clock."""

    count: int = 1
    delay_s: float | None = None
    recipient: str = ""  # of a mail
    ended_at: float | None = None  # epoch seconds; of several the first


@dataclass(slots=True)
class _Seen:
    count: int = 0
    first_s: float = math.nan
    delay_s: float | None = None
    ended_at: float | None = None
    elsewhere: bool = False  # a mail that went to somebody else
    absent_s: float = -math.inf  # the last moment for which a look-up showed nothing


@dataclass(slots=True)
class Pending:
    """The scripts of one save, or one mail, until their outcome is settled.

    ``names`` are the scripts that must run, or ``("",)`` for a mail.
    """

    origin: Origin
    kind: str
    names: tuple[str, ...]
    deadline_s: float
    settle_s: float
    recipient: str = ""  # of a mail; "" if it does not matter
    next_look_s: float = field(init=False)
    settled: bool = field(init=False, default=False)
    _seen: dict[str, _Seen] = field(init=False)
    _pause_s: float = field(init=False, default=FIRST_PAUSE_S)
    _looked_s: float = field(init=False, default=-math.inf)
    _hurried: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self._seen = {name: _Seen() for name in self.names}
        done_s = self.origin.done_s
        # What a timed-out save did may come late: it is looked at when its deadline is over, or in the sweep.
        told = self.origin.acknowledged or self.origin.outcome in SAID_NO
        self.next_look_s = done_s + self.settle_s + (SLACK_S if told else self.deadline_s)

    @property
    def token(self) -> str:
        """The token to look up."""
        return self.origin.token

    @property
    def due_s(self) -> float:
        """After this an effect is late."""
        return self.origin.done_s + self.deadline_s

    @property
    def closes_s(self) -> float:
        """Once the run is over, a look-up after this settles everything."""
        return self.due_s + self.settle_s

    def hurry(self) -> None:
        """The run is over: no look is put off for the sake of fewer look-ups, nor for patience."""
        self._hurried = True
        first = self._looked_s == -math.inf
        soon_s = self.origin.done_s + self.settle_s if first else self.closes_s
        self.next_look_s = min(self.next_look_s, soon_s)

    def look(self, asked_s: float, answered_s: float, found: Mapping[str, Sight]) -> None:
        """Take in a look-up that was sent at ``asked_s``; then either settled or ``next_look_s`` is set."""
        self._looked_s = asked_s
        for name in self.names:
            sight = found.get(name)
            seen = self._seen[name]
            if sight is None or not sight.count:
                seen.absent_s = asked_s
                continue
            if not seen.count:
                seen.first_s = answered_s
            seen.count = max(seen.count, sight.count)
            seen.elsewhere = bool(self.recipient) and sight.recipient != self.recipient
            seen.delay_s = sight.delay_s if sight.delay_s is not None else seen.delay_s
            seen.ended_at = sight.ended_at if sight.ended_at is not None else seen.ended_at
        self._decide(asked_s, answered_s)

    def postpone(self, now_s: float) -> None:
        """A look-up failed: try again after a pause."""
        self.next_look_s = now_s + self._pause_s
        self._pause_s = min(self._pause_s * PAUSE_GROWTH, LAST_PAUSE_S)

    def _decide(self, asked_s: float, answered_s: float) -> None:
        if all(seen.count for seen in self._seen.values()):
            believed_s = self.ended_s + self.settle_s
            self.settled = asked_s >= believed_s
            self.next_look_s = believed_s
        elif asked_s >= self._gives_up_s:
            self.settled = True
        elif not self.origin.acknowledged:  # what it may have done in spite of that shows at the end, in one look
            self.next_look_s = self._gives_up_s
        else:
            self.postpone(answered_s)
            if self.next_look_s < self._gives_up_s < self.next_look_s + self._pause_s:
                self.next_look_s = self._gives_up_s

    @property
    def _gives_up_s(self) -> float:
        hurried = self._hurried or not self.origin.acknowledged
        patient_s = 0.0 if hurried else (PATIENT_DEADLINES - 1) * self.deadline_s
        return self.closes_s + patient_s

    def _happened_s(self, seen: _Seen) -> float:
        """When it happened at the latest, as far as is known."""
        if seen.delay_s is None:
            return seen.first_s
        return min(seen.first_s, self.origin.done_s + seen.delay_s)

    @property
    def ends(self) -> dict[str, float]:
        """When each script was done by the target's clock, as far as it is known, in the order of the names."""
        return {name: seen.ended_at for name, seen in self._seen.items() if seen.ended_at is not None}

    @property
    def ended_s(self) -> float:
        """When the last of what was seen had happened at the latest."""
        return max((self._happened_s(seen) for seen in self._seen.values() if seen.count), default=-math.inf)

    def rows(self, overtaken: Collection[str] = ()) -> list[Effect]:
        """The effects and their outcomes, as far as is known by now; what nobody looked at is unverified.

        ``overtaken`` are the scripts that ran after others whose turn came later (``loadgen.turns``).
        """
        if self.origin.acknowledged:
            return [
                self._row(name, seen, self._outcome(seen, name in overtaken)) for name, seen in self._seen.items()
            ]
        # Nothing was promised, so once is as right as never; twice is not.
        rows = [
            self._row(name, seen, "doubled" if seen.count > 1 else "once", expected=1)
            for name, seen in self._seen.items()
            if seen.count
        ]
        if rows and self.origin.outcome in SAID_NO and self.origin.operation.saves:
            first_s = min(seen.first_s for seen in self._seen.values() if seen.count)
            rows.append(self.origin.effect("value", "failed_but_saved", expected=0, seen=1, first_seen_s=first_s))
        return rows

    def _row(self, name: str, seen: _Seen, outcome: str, expected: int = 1) -> Effect:
        return self.origin.effect(
            self.kind,
            outcome,
            name=name,
            expected=expected,
            seen=seen.count,
            due_s=self.due_s,
            first_seen_s=seen.first_s,
            delay_s=math.nan if seen.delay_s is None else seen.delay_s,
        )

    def _outcome(self, seen: _Seen, overtaken: bool) -> str:
        if seen.count > 1:
            return "doubled"
        if not seen.count:
            return "missed" if self._looked_s >= self.due_s else "unverified"
        if not self.settled:
            return "unverified"
        if seen.elsewhere:
            return "wrong_recipient"
        late = seen.absent_s >= self.due_s if seen.delay_s is None else seen.delay_s > self.deadline_s
        return "late" if late else "out_of_order" if overtaken else "once"


def sights(pairs: Iterable[tuple[str, Sight]]) -> dict[str, Sight]:
    """Several rows of one effect as one sight: counts added, the longest delay and the first end kept."""
    found: dict[str, Sight] = {}
    for name, sight in pairs:
        before = found.get(name)
        if before is None:
            found[name] = sight
        else:
            delays = [s.delay_s for s in (before, sight) if s.delay_s is not None]
            ends = [s.ended_at for s in (before, sight) if s.ended_at is not None]
            found[name] = Sight(
                before.count + sight.count,
                max(delays, default=None),
                sight.recipient,
                min(ends, default=None),
            )
    return found
