"""Progress for people on stderr: one changing line on a terminal, one line a minute elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

EVERY_S = 60.0
TOLD_WITHOUT_A_TERMINAL = ("measure", "drain", "verify")


class Progress:
    """Shows where a run is: phase, rate, failures, time left."""

    def __init__(self, stream: TextIO, *, title: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._title = title
        self._clock = clock
        self._live = stream.isatty()
        self._last_at: float | None = None
        self._width = 0

    def show(self, progress: Mapping[str, Any]) -> None:
        """Tell the state of ``progress.json``; without a terminal once it measures, then once a minute."""
        if self._live or progress.get("phase") in TOLD_WITHOUT_A_TERMINAL:
            self._tell(line(progress))

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

    def _write(self, text: str) -> None:
        if self._live:
            self._stream.write("\r" + text[:79].ljust(self._width))
            self._width = min(len(text), 79)
        else:
            self._stream.write(text + "\n")
        self._stream.flush()


def line(progress: Mapping[str, Any]) -> str:
    """``measure 40 of 120 s · 1,203 sent · 30.1/s · 2 failed · 80 s left``."""
    elapsed, total = float(progress.get("elapsed_s", 0)), float(progress.get("total_s", 0))
    parts = [f"{progress.get('phase', '')} {elapsed:.0f} of {total:.0f} s"]
    if progress.get("recorded"):
        parts.append(f"{progress['recorded']:,} done")
        parts.append(f"{float(progress.get('rate_per_s', 0)):.1f}/s")
        parts.append(f"{progress.get('failures', 0):,} failed")
    if progress.get("phase") == "verify":
        parts.append(f"{progress.get('pending_effects', 0):,} effects to check")
    elif total > elapsed:
        parts.append(f"{total - elapsed:.0f} s left")
    return " · ".join(parts)
