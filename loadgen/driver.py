"""The open loop: arrivals begin when the schedule says, whether or not earlier ones were answered.

A greenlet walks the schedule and hands each arrival to a bounded pool of performers. A full pool makes the
walk wait, which is the target's doing (it is saturated) and is counted; the waiting shows in the
response times, since these count from the scheduled moment.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

import gevent

from loadgen.health import Health
from loadgen.pause import pause
from loadgen.performers import Performers
from scenarios.arrivals import Arrival

#: While catching up, every so many arrivals the answers get their turn, or they would starve.
PAUSE_EVERY = 16
#: And while passing over what another worker was to send, which is soon done but may be a day's.
PASS_AT_ONCE = 256

#: How long a request to stop may go unnoticed.
_NAP_S = 0.25


class Driver:
    """Walks a schedule. ``now`` gives the seconds since the start of the measured window."""

    def __init__(
        self,
        schedule: Iterable[Arrival],
        perform: Callable[[Arrival], None],
        *,
        now: Callable[[], float],
        in_flight_max: int,
        health: Health,
    ) -> None:
        self.fired = 0
        self.fired_in_window = 0
        self.waited_for_pool = 0
        self.in_flight_peak = 0
        self._schedule = schedule
        self._now = now
        self._health = health
        self._performers = Performers(perform, in_flight_max)
        self._stopping = False

    @property
    def in_flight(self) -> int:
        """Arrivals that were sent and are not done."""
        return self._performers.busy

    def stop(self) -> None:
        """No new arrivals from now on; what is in flight goes on."""
        self._stopping = True

    def walk(self) -> None:
        """Start every arrival in its moment; returns when the schedule is through or ``stop`` was called."""
        self._walk(self._schedule)

    def walk_from_now(self, schedule: Iterable[Arrival], passed: Callable[[Arrival], None]) -> None:
        """Walk another schedule beside its own; ``passed`` hears of the arrivals that were due before."""
        remaining = iter(schedule)
        for number, arrival in enumerate(remaining):
            if self._stopping:
                return
            if arrival.at_s > self._now():
                self._walk(itertools.chain([arrival], remaining))
                return
            passed(arrival)
            if number % PASS_AT_ONCE == 0:
                pause()

    def _walk(self, schedule: Iterable[Arrival]) -> None:
        held_until_s = float("-inf")
        behind = 0
        for arrival in schedule:
            wait_s = arrival.at_s - self._now()
            if wait_s <= 0:
                behind += 1
                if behind % PAUSE_EVERY == 0:
                    pause()
            else:
                behind = 0
            while wait_s > 0 and not self._stopping:
                gevent.sleep(min(wait_s, _NAP_S))
                wait_s = arrival.at_s - self._now()
            if self._stopping:
                return
            if arrival.at_s >= held_until_s:
                self._health.note_lag(-wait_s)
            if self._performers.are_all_busy:
                self.waited_for_pool += 1
                if not self._wait_for_room():
                    return
                held_until_s = self._now()
            self._fire(arrival)

    def drain(self, timeout_s: float) -> bool:
        """Wait for what is in flight; whether all of it was done in time."""
        return self._performers.wait_for_all(timeout_s)

    def abandon(self) -> None:
        """End what is still in flight; each records itself as aborted. Nothing is begun after that."""
        self._performers.end()

    def _fire(self, arrival: Arrival) -> None:
        self._performers.begin(arrival)
        self.fired += 1
        self.fired_in_window += arrival.at_s >= 0
        self.in_flight_peak = max(self.in_flight_peak, self.in_flight)

    def _wait_for_room(self) -> bool:
        while self._performers.are_all_busy:
            if self._stopping:
                return False
            self._performers.wait_for_one(_NAP_S)
        return True
