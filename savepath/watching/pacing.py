"""The pace of a watch that drives: which block is now, and how long until the next, though clocks may jump."""

from __future__ import annotations

from dataclasses import dataclass

from savepath.watching.agreed import Agreed


@dataclass(frozen=True, slots=True)
class Now:
    """One moment by two clocks: Unix time, which may jump, and seconds that never go back."""

    wall_s: float
    steady_s: float


@dataclass(frozen=True, slots=True)
class Turn:
    """A block of the watch: its number, and its end by both clocks."""

    number: int
    ends: Now

    def left_s(self, now: Now) -> float:
        """How long until the next block: by the wall clock, but never longer than one block by the steady one."""
        return max(min(self.ends.wall_s - now.wall_s, self.ends.steady_s - now.steady_s), 0.0)


def turn_at(agreed: Agreed, now: Now, before: int) -> Turn:
    """The block that is now; always one after ``before``, also where the clock was set back."""
    number = max(int((now.wall_s - agreed.begun_s) // agreed.block_s), before + 1)
    ends_s = agreed.begun_s + (number + 1) * agreed.block_s
    return Turn(number, Now(ends_s, now.steady_s + agreed.block_s))
