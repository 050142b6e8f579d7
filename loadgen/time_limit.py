"""The time that a request may take: after it, the greenlet that sends is interrupted wherever it waits.

All requests of a client may take equally long, so whatever began first is late first, and one timer does for all.
One for each (``gevent.Timeout``) costs as much as putting the request together, and hardly one of them ever rings.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import gevent


class TimeIsUp(BaseException):
    """Thrown into the greenlet of a request. No Exception, as gevent's own: nobody is to take it for a mistake."""


class Begun:
    """A request under way; whoever began it sets ``greenlet`` to None when it is over, whatever became of it."""

    __slots__ = ("greenlet", "until_s")

    def __init__(self, greenlet: Any, until_s: float) -> None:
        self.greenlet = greenlet
        self.until_s = until_s


class TimeLimit:
    """Interrupts what takes longer than ``limit_s``, in the order in which it was begun."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._begun: deque[Begun] = deque()
        self._timer: Any = None  # rings when the first of them may be late

    def begin(self) -> Begun:
        """The greenlet that calls this sends a request now."""
        begun = Begun(gevent.getcurrent(), time.monotonic() + self._limit_s)
        while self._begun and self._begun[0].greenlet is None:
            self._begun.popleft()
        self._begun.append(begun)
        if self._timer is None:
            self._ring_in(self._limit_s)
        return begun

    def _ring_in(self, after_s: float) -> None:
        self._timer = gevent.get_hub().loop.timer(after_s)
        self._timer.start(self._ring)

    def _ring(self) -> None:
        """In the hub, which each interrupted greenlet gives back when it waits for something else."""
        now_s = time.monotonic()
        while self._begun and (self._begun[0].greenlet is None or self._begun[0].until_s <= now_s):
            late = self._begun.popleft()
            if late.greenlet is not None:
                late.greenlet.throw(TimeIsUp)
        self._timer.close()
        self._timer = None
        if self._begun:
            self._ring_in(max(self._begun[0].until_s - now_s, 0))
