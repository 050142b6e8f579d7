"""No more than so many requests a second."""

from __future__ import annotations

import math


class Pace:
    """Hands out turns. Up to a second's worth that was not used may be caught up."""

    def __init__(self, rate_per_s: float) -> None:
        self._rate_per_s = rate_per_s
        self._next_s = -math.inf

    def is_free(self, now_s: float) -> bool:
        """Whether a turn may be taken without waiting."""
        return self._next_s <= now_s

    def take(self, now_s: float) -> float:
        """Take the next turn; how long until it comes."""
        wait_s = max(self._next_s - now_s, 0.0)
        self._next_s = max(self._next_s, now_s - 1) + 1 / self._rate_per_s
        return wait_s
