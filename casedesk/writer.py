"""Whose turn it is to write: one writer at a time, first come first served, until a deadline.

SQLite allows one write transaction at a time and lets waiting ones poll without order.
This lock gives turns in the order of asking, so that a request waits for those before it
and never for luck, and it says how busy the single writer is.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from casedesk.problems import DeadlinePassed


class WriterLock:
    """A fair lock. Deadlines are on the given monotonic clock, in seconds."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._guard = threading.Lock()
        self._turns: deque[threading.Lock] = deque()
        self._held = False
        self._closed = False
        self._since = 0.0
        self._busy_s = 0.0
        self._wait_s = 0.0

    def acquire(self, deadline: float) -> None:
        """Wait for the turn; :class:`DeadlinePassed` if it does not come before ``deadline``."""
        asked = self._clock()
        with self._guard:
            self._refuse_if_closed()
            if not self._held:
                self._take(asked)
                return
            turn = threading.Lock()
            turn.acquire()
            self._turns.append(turn)
        left_s = max(0.0, deadline - self._clock())
        came = turn.acquire(timeout=min(left_s, threading.TIMEOUT_MAX))
        with self._guard:
            if not came and turn in self._turns:
                self._turns.remove(turn)
                raise DeadlinePassed("the writer did not come free before the deadline; nothing was saved")
            self._refuse_if_closed()
            self._take(asked)

    def release(self) -> None:
        """Hand the turn to who has waited longest."""
        with self._guard:
            self._busy_s += self._clock() - self._since
            if self._turns:
                self._turns.popleft().release()
            else:
                self._held = False

    def close(self) -> None:
        """Refuse everybody from now on, those who wait included: the service is stopping."""
        with self._guard:
            self._closed = True
            while self._turns:
                self._turns.popleft().release()

    def waiting(self) -> int:
        """How many wait for their turn."""
        with self._guard:
            return len(self._turns)

    def busy_s(self) -> float:
        """Seconds during which the lock was held, until now."""
        with self._guard:
            return self._busy_s + (self._clock() - self._since if self._held else 0.0)

    def wait_s(self) -> float:
        """Seconds that successful holders waited in all."""
        with self._guard:
            return self._wait_s

    def _take(self, asked: float) -> None:
        self._held = True
        self._since = self._clock()
        self._wait_s += self._since - asked

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise DeadlinePassed("the service is stopping; nothing was saved")
