"""Whose turn it was: whether scripts ran in the order that the target promises.

Promised is that the scripts of a save run by their numbers, and that those of one case run save by
save. A script is overtaken if one whose turn came later was done before it: a script of the same save
with a higher number, or the same script of a save of that case which was sent after this one had been
acknowledged. Two saves that were under way at the same time have no order. All by the target's clock.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

#: Moments at which the scripts of a save were done, by name and the target's clock; in the order of their numbers.
Ends = Mapping[str, float]


@dataclass(slots=True)
class _Turn:
    """One save of a case, from its sending until nobody needs it any more."""

    seq: int
    sent_s: float
    done_s: float = math.inf
    ended_s: float = math.inf  # when the last of its scripts was done, at the latest
    ends: Ends | None = None
    decided: bool = False

    def comes_before(self, other: _Turn) -> bool:
        """Whether it was acknowledged before the other was sent."""
        return self.done_s <= other.sent_s


@dataclass(frozen=True, slots=True)
class Decision:
    """The scripts of a save that were overtaken, by name; none if all ran in their turn."""

    seq: int
    overtaken: frozenset[str]


@dataclass(slots=True)
class Turns:
    """The saves whose order is open. A case is known by any key."""

    _cases: dict[tuple[str, str], dict[int, _Turn]] = field(default_factory=dict)

    def sent(self, case: tuple[str, str], seq: int, sent_s: float) -> None:
        """A save is about to be sent."""
        self._cases.setdefault(case, {})[seq] = _Turn(seq, sent_s)

    def acknowledged(self, case: tuple[str, str], seq: int, done_s: float) -> None:
        """Its answer is here and says that it was saved."""
        self._cases[case][seq].done_s = done_s

    def forget(self, case: tuple[str, str], seq: int) -> Sequence[Decision]:
        """It has no turn: not acknowledged, or nobody could look. What waited for it is decided."""
        self._cases.get(case, {}).pop(seq, None)
        return self._decide(case)

    def ran(self, case: tuple[str, str], seq: int, ends: Ends, ended_s: float) -> Sequence[Decision]:
        """Its scripts are known, the last done at ``ended_s`` at the latest. Returns what is decided by that.

        A save waits for those that may have overtaken it: sent before its scripts were done, and not
        looked up yet.
        """
        turn = self._cases[case][seq]
        turn.ends, turn.ended_s = ends, ended_s
        return self._decide(case)

    def close(self) -> Sequence[Decision]:
        """Decide the rest by what is known."""
        decided = []
        for case, turns in list(self._cases.items()):
            for turn in [turn for turn in turns.values() if turn.ends is None]:
                del turns[turn.seq]
            decided += self._decide(case)
        return decided

    def _decide(self, case: tuple[str, str]) -> list[Decision]:
        turns = self._cases.get(case, {})
        decided = []
        for turn in turns.values():
            if turn.decided or turn.ends is None:
                continue
            later = [t for t in turns.values() if turn.comes_before(t) and t.sent_s <= turn.ended_s]
            if all(t.ends is not None for t in later):
                turn.decided = True
                decided.append(Decision(turn.seq, overtaken(turn.ends, [t.ends for t in later if t.ends])))
        waiting = [turn for turn in turns.values() if not turn.decided]
        for turn in [t for t in turns.values() if t.decided]:
            if not any(t.comes_before(turn) for t in waiting):
                del turns[turn.seq]
        if not turns:
            self._cases.pop(case, None)
        return decided


def overtaken(ends: Ends, later: Sequence[Ends]) -> frozenset[str]:
    """The scripts of a save that a later one of it, or the same of a later save, was done before."""
    names = list(ends)
    found = set()
    for number, name in enumerate(names):
        rivals = [ends[other] for other in names[number + 1 :]] + [save[name] for save in later if name in save]
        if any(rival < ends[name] for rival in rivals):
            found.add(name)
    return frozenset(found)
