"""When a look-up is worth its request: what is pending is gathered until it fills one or has waited enough."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from loadgen.effects import Pending
from scenarios.model import Tenant

#: So many ripe tokens of a tenant are worth a look-up of their own.
ENOUGH: Final = 50
#: In the sweep ripe ones wait while others are about to ripen; it cannot end before those anyway.
LAST_PATIENCE_S: Final = 1.0


@dataclass(slots=True)
class Gathering:
    """What is pending of one kind of effect for one tenant. What is due to be looked at is ripe."""

    kind: str
    tenant: Tenant
    batch: int  # of one look-up at most
    patience_s: float  # ripe ones wait for company no longer
    _waiting: list[tuple[float, int, Pending]] = field(init=False, default_factory=list)  # a heap by time
    _ripe: list[Pending] = field(init=False, default_factory=list)
    _ripe_since_s: float = field(init=False, default=math.inf)
    _number: Iterator[int] = field(init=False, default_factory=itertools.count)  # breaks ties

    @property
    def pending(self) -> list[Pending]:
        """All of it, whether due or not."""
        return [*(entry[2] for entry in self._waiting), *self._ripe]

    def add(self, pending: Pending) -> None:
        """One more, to be looked at when it says."""
        heapq.heappush(self._waiting, (pending.next_look_s, next(self._number), pending))

    def ripen(self, now_s: float) -> None:
        """See what is due by now."""
        while self._waiting and self._waiting[0][0] <= now_s:
            due_s, _, pending = heapq.heappop(self._waiting)
            self._ripe.append(pending)
            self._ripe_since_s = min(self._ripe_since_s, due_s)

    def is_worth_a_look(self, now_s: float, *, sweeping: bool) -> bool:
        """Whether what is ripe should be looked up now, while the load lasts or in the sweep after it."""
        if not self._ripe:
            return False
        if len(self._ripe) >= min(ENOUGH, self.batch):
            return True
        waited_s = now_s - self._ripe_since_s
        if sweeping:
            alone = not self._waiting or self._waiting[0][0] - now_s > LAST_PATIENCE_S
            return alone or waited_s >= LAST_PATIENCE_S
        return waited_s >= self.patience_s

    def take(self) -> list[Pending]:
        """As many ripe ones as a look-up may hold; they are nobody's until they are added again."""
        taken, self._ripe = self._ripe[: self.batch], self._ripe[self.batch :]
        self._ripe_since_s = min((one.next_look_s for one in self._ripe), default=math.inf)
        return taken

    def hurry(self) -> None:
        """The load is over: nothing waits for longer than it must."""
        for _, _, pending in self._waiting:
            pending.hurry()
        self._waiting = [(one.next_look_s, number, one) for _, number, one in self._waiting]
        heapq.heapify(self._waiting)

    def clear(self) -> None:
        """Nothing of it is looked at any more."""
        self._waiting, self._ripe = [], []
