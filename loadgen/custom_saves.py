"""The custom saves of a run, of which no more is kept than a verdict can still need.

While a save is under way, or its own values are to be judged, all of it is known. After that it matters only as
the writer whose token a case holds: whose case it meant, and whether it was done before the save that is judged
was sent. Once all that can still be judged were sent after it was done, the answer to that is yes for ever, and
its times are let go. What is left is four bytes.
"""

from __future__ import annotations

import math
from array import array
from collections import OrderedDict

from loadgen.values import CustomSave


class CustomSaves:
    """By the number of the arrival: ``sending``, ``answered``, and ``over`` once its own values need no look."""

    def __init__(self) -> None:
        # Both from the front: a dictionary that loses its first entries takes ever longer to find the next.
        self._open: OrderedDict[int, CustomSave] = OrderedDict()  # in the order of their sending
        self._done: OrderedDict[int, CustomSave] = OrderedDict()  # over, and needed as writers; as they came in
        self._places: dict[tuple[str, str], int] = {}  # of tenant and case, from 1 on
        self._cases: list[tuple[str, str]] = []
        self._let_go = array("i")  # by number: the place, negative where it was not acknowledged; 0 is none

    def __len__(self) -> int:
        """Of how many all is known still."""
        return len(self._open) + len(self._done)

    def sending(self, seq: int, tenant: str, case: str, sent_s: float) -> None:
        """It is about to be sent."""
        self._open[seq] = CustomSave(seq, tenant, case, sent_s)

    def answered(self, seq: int, done_s: float, *, acknowledged: bool) -> bool:
        """What became of it; False where the arrival was no custom save."""
        save = self._open.get(seq)
        if save is None:
            return False
        save.done_s, save.acknowledged = done_s, acknowledged
        return True

    def over(self, seq: int) -> None:
        """It is answered, and its own values are judged, or will be by its history, or are nobody's concern."""
        save = self._open.pop(seq)
        if save.acknowledged:
            self._done[seq] = save
        else:
            self._pack(save)
        oldest_s = next(iter(self._open.values())).sent_s if self._open else math.inf
        while self._done and (first := next(iter(self._done.values()))).done_s <= oldest_s:
            del self._done[first.seq]
            self._pack(first)

    def inherit(self, seq: int, tenant: str, case: str) -> None:
        """Another worker may have sent it, and is gone."""
        self._pack(CustomSave(seq, tenant, case, -math.inf, -math.inf, acknowledged=True))

    def find(self, seq: int) -> CustomSave | None:
        """What is known of it: all, or as much as still matters; None where it was no custom save."""
        known = self._open.get(seq) or self._done.get(seq)
        if known is not None:
            return known
        place = self._let_go[seq] if seq < len(self._let_go) else 0
        if not place:
            return None
        tenant, case = self._cases[abs(place) - 1]
        return CustomSave(seq, tenant, case, -math.inf, -math.inf, acknowledged=place > 0)

    def _pack(self, save: CustomSave) -> None:
        key = (save.tenant, save.case)
        place = self._places.get(key)
        if place is None:
            self._cases.append(key)
            place = self._places[key] = len(self._cases)
        if save.seq >= len(self._let_go):
            self._let_go.extend(array("i", bytes(4 * (save.seq + 1 - len(self._let_go)))))
        self._let_go[save.seq] = place if save.acknowledged else -place
