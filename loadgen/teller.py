"""How a listener hears of finished requests: a little behind the load, and never in its way."""

from __future__ import annotations

from collections import deque

import gevent

from loadgen.operations import Listener
from loadgen.pause import pause
from loadgen.recorder import Sample

#: How far the listener may be behind, and how many rows it gets before the answers have their turn.
TELL_EVERY_S = 0.1
TELL_AT_ONCE = 16


class Teller:
    """Keeps finished requests until the listener gets them in small portions: a burst of answers must not wait."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._untold: deque[Sample] = deque()

    def keep(self, row: Sample) -> None:
        """A request is finished. Never blocks."""
        self._untold.append(row)

    def tell_for_ever(self) -> None:
        """Tell what is kept, and what comes; its own greenlet."""
        while True:
            gevent.sleep(TELL_EVERY_S)
            while self._untold:
                self._tell(TELL_AT_ONCE)
                pause()

    def tell_the_rest(self) -> None:
        """Tell at once what is kept still."""
        self._tell(len(self._untold))

    def _tell(self, number: int) -> None:
        for _ in range(min(number, len(self._untold))):
            self._listener(self._untold.popleft())
