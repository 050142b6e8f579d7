"""Progress for people on stderr: a block that changes in place on a terminal, one line a minute elsewhere."""

from __future__ import annotations

import io
import shutil
import time
from collections.abc import Callable, Sequence
from typing import TextIO

from loadgen.live import Live
from reports.units import counted
from savepath.live_table import table

EVERY_S = 60.0
TOLD_WITHOUT_A_TERMINAL = ("measure", "drain", "verify")


class _Nobody(io.StringIO):
    """Reads nothing of what it is told."""

    def write(self, text: str, /) -> int:
        return len(text)


#: The stream of a progress that nobody wants to see.
NOBODY: TextIO = _Nobody()


class Progress:
    """Shows where a run is: phase, rate, failures, time left; on a terminal each cell and the effects, too."""

    def __init__(self, stream: TextIO, *, title: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._title = title
        self._clock = clock
        self._live = stream.isatty()
        self._last_at: float | None = None
        self._shown: list[str] = []

    def titled(self, title: str) -> Progress:
        """The same stream, each line beginning with a title."""
        return Progress(self._stream, title=title, clock=self._clock)

    def show(self, live: Live) -> None:
        """Tell where the run is; without a terminal once it measures, then once a minute."""
        if self._live:
            columns, lines = shutil.get_terminal_size((80, 24))
            below = table(live, columns=columns - 1, lines=lines)
            self._draw([f"{self._title}{line(live, columns - 1 - len(self._title))}", *below])
        elif live.phase in TOLD_WITHOUT_A_TERMINAL:
            self._tell(line(live))

    def step(self, what: str, done: int, of: int) -> None:
        """Tell that ``done`` of ``of`` things are made."""
        self._tell(f"making {what}: {done:,} of {of:,}")

    def say(self, text: str) -> None:
        """One sentence of its own."""
        self.close()
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def close(self) -> None:
        """Take the changing lines away, so that what follows begins on a fresh one."""
        if self._shown:
            self._draw([])

    def _tell(self, text: str) -> None:
        if self._live:
            self._draw([f"{self._title}{text}"])
            return
        now = self._clock()
        if self._last_at is None or now - self._last_at >= EVERY_S:
            self._last_at = now
            self._stream.write(f"{self._title}{text}\n")
            self._stream.flush()

    def _draw(self, lines: Sequence[str]) -> None:
        """Show these lines where the last ones stood.

        The cursor rests on the first of them, so that whatever else is written there is seen and not overdrawn.
        """
        room = shutil.get_terminal_size((80, 24)).columns - 1
        wanted = [text[:room] for text in lines]
        if wanted != self._shown:
            back = f"\x1b[{len(wanted) - 1}A" if len(wanted) > 1 else ""
            self._stream.write("\r\x1b[J" + "\n".join(wanted) + back + "\r")
            self._stream.flush()
            self._shown = wanted


def line(live: Live, room: int = 1000) -> str:
    """``measure 40 of 120 s · 1,203 done · 30.1/s · 2 failed · 80 s left``.

    Where that is longer than ``room``, what can be spared is left out: rate, failures and time left stay.
    """
    whole = [f"{live.phase} {live.elapsed_s:.0f} of {live.total_s:.0f} s"]
    short: list[str] = [live.phase]
    if live.recorded:
        rate = [f"{live.rate_per_s:.1f}/s", f"{live.failures:,} failed"]
        if live.broken_effects:
            rate.append(f"{counted(live.broken_effects, 'effect')} broken")
        whole += [f"{live.recorded:,} done", *rate]
        short += rate
    if live.phase == "verify":
        left = [f"{live.pending_effects:,} effects to check"]
    else:
        left = [f"{live.total_s - live.elapsed_s:.0f} s left"] if live.total_s > live.elapsed_s else []
    told = " · ".join(whole + left)
    return told if len(told) <= room else " · ".join(short + left)
