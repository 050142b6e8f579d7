"""The closed loop: whoever was answered thinks, and then begins again; in place of a schedule.

The driver walks it as it walks a schedule, and sends, records and checks the same way. What a stall keeps from
being asked is missing here (coordinated omission), so such a run says so wherever its times are told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gevent.event import Event

from scenarios.arrivals import Arrival
from scenarios.users import UsersAtWork


class ClosedLoop:
    """Arrivals in the moments in which users begin, until the measured window ends."""

    def __init__(self, work: UsersAtWork, end_s: float, now: Callable[[], float]) -> None:
        self._work = work
        self._end_s = end_s
        self._now = now
        self._changed = Event()
        self._stopped = False

    def __iter__(self) -> Iterator[Arrival]:
        while not self._stopped:
            at_s = self._work.next_at_s
            wait_s = min(at_s, self._end_s) - self._now()
            if wait_s > 0:
                self._changed.clear()
                self._changed.wait(wait_s)
            elif at_s < self._end_s:
                yield self._work.begin()
            else:
                return

    def stop(self) -> None:
        """Nobody begins any more."""
        self._stopped = True
        self._changed.set()

    def answering(self, perform: Callable[[Arrival], None]) -> Callable[[Arrival], None]:
        """``perform``, after which whoever waited begins to think, whatever became of it."""

        def perform_and_think(arrival: Arrival) -> None:
            try:
                perform(arrival)
            finally:
                self._work.answered(arrival, self._now())
                self._changed.set()

        return perform_and_think
