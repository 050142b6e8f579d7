"""The greenlets that perform arrivals: so many at once at most, each taking up one arrival after the other.

A greenlet of its own for each, as ``gevent.pool.Pool`` has it, costs a tenth of a request: it is made and waited
for, and asks the system for memory for its frames, which it gives back when it ends.
"""

from __future__ import annotations

from collections.abc import Callable

import gevent
from gevent.event import Event
from gevent.queue import SimpleQueue

from scenarios.arrivals import Arrival


class Performers:
    """There are as many as were needed at once so far."""

    def __init__(self, perform: Callable[[Arrival], None], most: int) -> None:
        self.busy = 0
        self._perform = perform
        self._most = most
        self._greenlets: list[gevent.Greenlet] = []
        self._idle = 0  # of them
        self._over = False
        self._given = SimpleQueue()
        self._one_done = Event()

    @property
    def are_all_busy(self) -> bool:
        """Whether the next arrival has to wait."""
        return self.busy >= self._most

    def begin(self, arrival: Arrival) -> None:
        """Have one of them perform it; returns at once."""
        self.busy += 1
        if self._idle:
            self._idle -= 1
        else:
            self._greenlets.append(gevent.spawn(self._work))
        self._given.put(arrival)

    def wait_for_one(self, timeout_s: float) -> None:
        """Until an arrival is done, so long at most."""
        self._one_done.clear()
        self._one_done.wait(timeout_s)

    def wait_for_all(self, timeout_s: float) -> bool:
        """Until none is under way, so long at most; whether all were done in time."""
        with gevent.Timeout(timeout_s, exception=False):
            while self.busy:
                self.wait_for_one(timeout_s)
        return not self.busy

    def end(self) -> None:
        """Interrupt what is under way (GreenletExit), and let all of them go."""
        self._over = True
        gevent.killall(self._greenlets)

    def _work(self) -> None:
        while not self._over:
            arrival = self._given.get()
            try:
                self._perform(arrival)
            finally:
                self.busy -= 1
                self._one_done.set()
            self._idle += 1
