"""Where a target promises an order of scripts: what is settled waits until it is known if it was overtaken."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from loadgen.effects import Origin, Pending
from loadgen.turns import Decision, Turns
from targets.call import Call


class ScriptOrder:
    """The saves of one run. ``record`` takes what was pending, and its scripts that were overtaken by name."""

    def __init__(self, record: Callable[[Pending, Collection[str]], None]) -> None:
        self._record = record
        self._turns = Turns()
        self._held: dict[int, Pending] = {}  # settled, but for the order of their scripts; by number of the save

    def sent(self, call: Call, sent_s: float) -> None:
        """A save that runs scripts is about to be sent."""
        self._turns.sent((call.tenant.key, call.case), call.seq, sent_s)

    def answered(self, origin: Origin) -> None:
        """It was answered: it has its turn from then on, or none where it was not acknowledged."""
        case = (origin.tenant.key, origin.case)
        if origin.acknowledged:
            self._turns.acknowledged(case, origin.seq, origin.done_s)
        else:
            self._record_decided(self._turns.forget(case, origin.seq))

    def forget(self, pending: Pending) -> None:
        """Nobody will look at it: no other waits for it."""
        if _has_a_turn(pending):
            origin = pending.origin
            self._record_decided(self._turns.forget((origin.tenant.key, origin.case), origin.seq))

    def settled(self, pending: Pending) -> None:
        """It is known what became of it; it is recorded as soon as its order is known as well."""
        if not _has_a_turn(pending):
            self._record(pending, ())
            return
        origin = pending.origin
        self._held[origin.seq] = pending
        case = (origin.tenant.key, origin.case)
        self._record_decided(self._turns.ran(case, origin.seq, pending.ends, pending.ended_s))

    def close(self) -> None:
        """Record what is held, by what is known now."""
        self._record_decided(self._turns.close())

    def _record_decided(self, decisions: Iterable[Decision]) -> None:
        for decision in decisions:
            self._record(self._held.pop(decision.seq), decision.overtaken)


def _has_a_turn(pending: Pending) -> bool:
    """Mails have none, and neither has a save that the target did not acknowledge."""
    return pending.kind == "script" and pending.origin.acknowledged
