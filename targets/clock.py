"""How far the clock of a target is from ours, from the Date headers of its answers."""

from __future__ import annotations

import math
from datetime import UTC
from email.utils import parsedate_to_datetime

#: A Date is told in whole seconds, and servers keep it for a second before they make it anew.
_COARSE_S = 2.0


class Clock:
    """Bounds of target minus ours in seconds; each answer draws them closer together."""

    def __init__(self) -> None:
        self.low_s = -math.inf
        self.high_s = math.inf

    def note(self, date: str, sent_s: float, done_s: float) -> None:
        """Take note of the Date of an answer to what was sent and answered at these epoch seconds."""
        try:
            moment = parsedate_to_datetime(date)
        except ValueError:
            return
        told_s = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        self.low_s = max(self.low_s, told_s - done_s)
        self.high_s = min(self.high_s, told_s + _COARSE_S - sent_s)

    @property
    def told(self) -> bool:
        """Whether any answer had a Date."""
        return self.low_s > -math.inf

    @property
    def consistent(self) -> bool:
        """Whether all Dates can be those of one clock."""
        return self.low_s <= self.high_s

    @property
    def least_s(self) -> float:
        """The offset nearest to none that is possible."""
        return min(max(0.0, self.low_s), self.high_s)
