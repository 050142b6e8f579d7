"""When to stop by ourselves: the target is gone. A slow or full target is a finding, never a reason to stop."""

from __future__ import annotations

REFUSED_IN_A_ROW = 20
REFUSED_FOR_S = 3.0


class Guard:
    """Watches for a target that refuses every connection."""

    def __init__(self) -> None:
        self._in_a_row = 0
        self._since_s = 0.0
        self._last_s = 0.0

    def note(self, outcome: str, done_s: float) -> None:
        """One finished request. Anything but a refusal, even an error or a timeout, is a sign of life."""
        if outcome != "refused":
            self._in_a_row = 0
            return
        if not self._in_a_row:
            self._since_s = done_s
        self._in_a_row += 1
        self._last_s = done_s

    @property
    def reason(self) -> str:
        """Why the run must stop, or nothing."""
        if self._in_a_row < REFUSED_IN_A_ROW or self._last_s - self._since_s < REFUSED_FOR_S:
            return ""
        return (
            f"the target is gone: {self._in_a_row} requests in a row were refused or reset "
            f"over {self._last_s - self._since_s:.1f} s; start it again and make the run again"
        )
