"""How long the disk takes: one queue that every file of the database shares.

The device serves ``queue_depth`` operations at the same time, first come first served.
An operation that arrives at ``t`` starts when one of the servers is free (and no stall is
on), lasts its cost, and the thread that asked sleeps until it is finished. Time is kept by
reservation: under a short lock the finish is computed, then the caller sleeps *outside*
the lock, so that who does not need the device is not held up.
"""

from __future__ import annotations

import heapq
import math
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from casedesk.disk import DiskProfile, packaged_profile

Kind = Literal["read", "write", "sync"]

#: A batch may reserve this much of the device ahead of the clock before it sleeps: it bounds how
#: long others wait behind a large flush, and keeps a thread from sleeping for microseconds.
_AHEAD_S: Final = 0.001
#: Longest single sleep, so that ``release`` ends every wait soon.
_NAP_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class DeviceCounters:
    """Totals since the device was made: operations served, seconds of service and of queueing."""

    reads: int
    writes: int
    syncs: int
    busy_s: float
    queue_wait_s: float


class Device:
    """A disk that takes as long as its profile says. Safe to use from any number of threads."""

    def __init__(
        self,
        profile: DiskProfile,
        *,
        seed: int = 1,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._released = False
        self._served: dict[Kind, int] = {"read": 0, "write": 0, "sync": 0}
        self._busy_s = 0.0
        self._queue_wait_s = 0.0
        self._set(profile)

    def _set(self, profile: DiskProfile) -> None:
        self._profile = profile
        self._start = packaged_profile(profile.ramp.start) if profile.ramp else None
        self._since = self._clock()
        self._free_at = [self._since] * profile.queue_depth

    @property
    def profile(self) -> DiskProfile:
        """The profile in force."""
        return self._profile

    def switch(self, profile: DiskProfile) -> None:
        """Put another profile in force; ramps and stalls count from now. Running waits end as they were."""
        with self._lock:
            self._set(profile)

    def repair_due(self) -> bool:
        """Whether the profile says that the system has moved to a new host by now."""
        after_s = self._profile.repaired_after_s
        return after_s is not None and self._clock() - self._since >= after_s

    def release(self) -> None:
        """From now on nothing costs time, and who waits is let go: the service is stopping."""
        self._released = True

    def operate(self, kind: Kind, count: int = 1) -> None:
        """Do ``count`` operations that were asked for together, and return when all are done.

        They use the whole queue depth side by side: ``count`` equal operations on an idle device
        take ``ceil(count / queue_depth) * cost``.
        """
        arrival = self._clock()
        finish = arrival
        while count > 0 and not self._released:
            with self._lock:
                while count > 0 and finish - self._clock() <= _AHEAD_S:
                    batch = min(count, self._profile.queue_depth)
                    finish = max(self._reserve(kind, arrival) for _ in range(batch))
                    # The host keeps the queue filled: what follows in the batch is asked for when
                    # its predecessors finish, not when our thread happens to wake up.
                    arrival = finish
                    count -= batch
            self._wait_until(finish)

    def counters(self) -> DeviceCounters:
        """The totals so far."""
        with self._lock:
            served = self._served
            return DeviceCounters(
                served["read"], served["write"], served["sync"], self._busy_s, self._queue_wait_s
            )

    def _reserve(self, kind: Kind, arrival: float) -> float:
        start = self._after_stall(max(arrival, self._free_at[0]))
        finish = start + self._cost_s(kind, start)
        heapq.heapreplace(self._free_at, finish)
        self._served[kind] += 1
        self._busy_s += finish - start
        self._queue_wait_s += start - arrival
        return finish

    def _after_stall(self, at: float) -> float:
        stalls = self._profile.stalls
        if stalls is None or at - self._since < stalls.every_s:
            return at
        into_s = (at - self._since) % stalls.every_s
        return at + max(0.0, stalls.for_s - into_s)

    def _cost_s(self, kind: Kind, at: float) -> float:
        cost_ms = _cost_ms(self._profile, kind)
        if self._start is not None and self._profile.ramp is not None:
            share = min(1.0, max(0.0, at - self._since) / self._profile.ramp.over_s)
            cost_ms = _cost_ms(self._start, kind) * (1 - share) + cost_ms * share
        sigma = self._profile.jitter
        if sigma > 0:
            # The mean of a lognormal is exp(mu + sigma^2 / 2): this mu makes it 1.
            cost_ms *= math.exp(self._random.gauss(-sigma * sigma / 2, sigma))
        return cost_ms / 1000

    def _wait_until(self, finish: float) -> None:
        while not self._released and (left_s := finish - self._clock()) > 0:
            self._sleep(min(left_s, _NAP_S))


def _cost_ms(profile: DiskProfile, kind: Kind) -> float:
    match kind:
        case "read":
            return profile.read_ms
        case "write":
            return profile.write_ms
        case "sync":
            return profile.sync_ms
