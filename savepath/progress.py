"""Progress for people on stderr: one changing line on a terminal, one line a minute elsewhere."""

from __future__ import annotations

import io
import shutil
import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

EVERY_S = 60.0
TOLD_WITHOUT_A_TERMINAL = ("measure", "drain", "verify")


class _Nobody(io.StringIO):
    """Reads nothing of what it is told."""

    def write(self, text: str, /) -> int:
        return len(text)


#: The stream of a progress that nobody wants to see.
NOBODY: TextIO = _Nobody()


class Progress:
    """Shows where a run is: phase, rate, failures, time left."""

    def __init__(self, stream: TextIO, *, title: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._title = title
        self._clock = clock
        self._live = stream.isatty()
        self._last_at: float | None = None
        self._width = 0

    def titled(self, title: str) -> Progress:
        """The same stream, each line beginning with a title."""
        return Progress(self._stream, title=title, clock=self._clock)

    def show(self, progress: Mapping[str, Any]) -> None:
        """Tell the state of ``progress.json``; without a terminal once it measures, then once a minute."""
        if self._live or progress.get("phase") in TOLD_WITHOUT_A_TERMINAL:
            self._tell(line(progress, self._room - len(self._title)))

    def step(self, what: str, done: int, of: int) -> None:
        """Tell that ``done`` of ``of`` things are made."""
        self._tell(f"making {what}: {done:,} of {of:,}")

    def _tell(self, text: str) -> None:
        now = self._clock()
        if self._live or self._last_at is None or now - self._last_at >= EVERY_S:
            self._last_at = now
            self._write(f"{self._title}{text}")

    def say(self, text: str) -> None:
        """One sentence of its own."""
        self.close()
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def close(self) -> None:
        """End the changing line, so that what follows begins on a new one."""
        if self._live and self._width:
            self._stream.write("\r" + " " * self._width + "\r")
            self._stream.flush()
            self._width = 0

    @property
    def _room(self) -> int:
        """Columns for a line that must stay one; it may be as long as it likes where there is no terminal."""
        return shutil.get_terminal_size((80, 24)).columns - 1 if self._live else 1000

    def _write(self, text: str) -> None:
        if self._live:
            text = text[: self._room]
            self._stream.write("\r" + text.ljust(self._width))
            self._width = len(text)
        else:
            self._stream.write(text + "\n")
        self._stream.flush()


def line(progress: Mapping[str, Any], room: int = 1000) -> str:
    """``measure 40 of 120 s · 1,203 done · 30.1/s · 2 failed · 80 s left``.

    Where that is longer than ``room``, what can be spared is left out: rate, failures and time left stay.
    """
    elapsed, total = float(progress.get("elapsed_s", 0)), float(progress.get("total_s", 0))
    phase = str(progress.get("phase", ""))
    whole, short = [f"{phase} {elapsed:.0f} of {total:.0f} s"], [phase]
    if progress.get("recorded"):
        rate = [f"{float(progress.get('rate_per_s', 0)):.1f}/s", f"{progress.get('failures', 0):,} failed"]
        whole += [f"{progress['recorded']:,} done", *rate]
        short += rate
    if phase == "verify":
        left = [f"{progress.get('pending_effects', 0):,} effects to check"]
    else:
        left = [f"{total - elapsed:.0f} s left"] if total > elapsed else []
    told = " · ".join(whole + left)
    return told if len(told) <= room else " · ".join(short + left)
