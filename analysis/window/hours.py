"""Hours: stretches of the day, as ``09:00-11:00`` UTC, that must be watched from end to end before CLEAR."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from analysis.window.blocks import Block

_FORM: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
_MINUTES: Final = 1440
#: The parts of a day of which the busiest two that follow each other are its peak.
_PARTS: Final = 48
#: Load is said to have a peak if it is so many times the median there.
PEAK: Final = 1.2
#: So much of a stretch must have been watched, on one day.
WATCHED: Final = 0.9

#: stretch -> its last occurrence (which day), and the blocks of it that were watched.
Progress = Mapping[str, tuple[int, int]]


def is_stretch(event: str) -> bool:
    """Whether a required event is a stretch of the day, and not one that somebody sees."""
    found = _FORM.fullmatch(event)
    return found is not None and found[1] + found[2] != found[3] + found[4]


def watch_stretches(progress: Progress, block: Block, stretches: Sequence[str], day_s: float) -> Progress:
    """The progress with one more block that can be judged."""
    found, middle_s = dict(progress), block.start_s + block.length_s / 2
    for stretch in stretches:
        from_s, length_s = _span(stretch, day_s)
        day, within_s = divmod(middle_s - from_s, day_s)
        if within_s < length_s:
            before, blocks = found.get(stretch, (int(day), 0))
            found[stretch] = int(day), blocks + 1 if before == int(day) else 1
    return found


def watched_whole(progress: Progress, block_s: float, day_s: float) -> set[str]:
    """The stretches that were watched from end to end."""
    return {
        stretch
        for stretch, (_, blocks) in progress.items()
        if blocks * block_s >= WATCHED * _span(stretch, day_s)[1]
    }


def busiest_hour(blocks: Sequence[Block], day_s: float) -> str:
    """The hour of the day with the most requests; empty if no hour stands out, or a day was not covered."""
    parts: list[list[float]] = [[] for _ in range(_PARTS)]
    for one in blocks:
        parts[int((one.start_s + one.length_s / 2) % day_s / day_s * _PARTS)].append(one.rate)
    if not all(parts):
        return ""
    rates = np.array([np.mean(own) for own in parts])
    hours = (rates + np.roll(rates, -1)) / 2
    first = int(hours.argmax())
    if hours[first] < PEAK * np.median(rates):
        return ""
    return f"{_clock(first)}-{_clock(first + 2)}"


def _clock(part: int) -> str:
    hour, half = divmod(part % _PARTS, 2)
    return f"{hour:02}:{30 * half:02}"


def _span(stretch: str, day_s: float) -> tuple[float, float]:
    """Where a stretch begins in the day, and its length, in seconds."""
    found = _FORM.fullmatch(stretch)
    assert found is not None, stretch  # noqa: S101 (callers ask is_stretch)
    begin, end = (60 * int(found[at]) + int(found[at + 1]) for at in (1, 3))
    return begin / _MINUTES * day_s, (end - begin) % _MINUTES / _MINUTES * day_s
