"""Saves of a case that were under way at the same time: nobody can tell what one has done to the other."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass

from loadgen.effects import SAID_NO, Origin

#: A case, with its tenant.
Case = tuple[str, str]


@dataclass(slots=True)
class _UnderWay:
    """A save of a case, of whatever fields: from ``sent_s`` until it can change nothing any more."""

    seq: int
    sent_s: float
    ended_s: float = math.inf


class Company:
    """The latest saves of each case. A request takes ``timeout_s`` at most."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._under_way: dict[Case, OrderedDict[int, _UnderWay]] = {}  # by case and save, the oldest first

    def sending(self, case: Case, seq: int, sent_s: float) -> None:
        """A save of the case is about to be sent."""
        saves = self._under_way.setdefault(case, OrderedDict())
        # Older ones are beyond every read that is still awaited. From the front: a case that is saved often
        # has thousands of them, and none may cost time again for each save.
        while saves and next(iter(saves.values())).ended_s <= sent_s - 5 * self._timeout_s:
            saves.popitem(last=False)
        saves[seq] = _UnderWay(seq, sent_s)

    def answered(self, case: Case, origin: Origin) -> None:
        """What became of it: denied, it never changes anything; without an answer, it may still be at work."""
        saves = self._under_way.get(case)
        save = saves.get(origin.seq) if saves is not None else None
        if save is None:
            return
        if origin.outcome in SAID_NO:
            save.ended_s = -math.inf
        else:
            save.ended_s = origin.done_s if origin.acknowledged else origin.done_s + 2 * self._timeout_s

    def had(self, case: Case, seq: int, sent_s: float, read_s: float) -> bool:
        """Whether another save of the case was under way between the sending of this one and the read."""
        saves = self._under_way.get(case)
        others = saves.values() if saves is not None else ()
        return any(one.seq != seq and one.sent_s < read_s and one.ended_s > sent_s for one in others)
