"""Moments and spans of time: which numbers of a file are some, and how reasons and alarms tell them."""

from __future__ import annotations

from typing import Any, Final

#: The last second of the year 9999, beyond which no calendar tells a date.
LAST_S: Final = 253_402_300_799.0


def moment_of(value: Any) -> float:
    """Unix time in seconds. Raises ValueError or TypeError for what no calendar tells."""
    found = float(value)
    if not 0 <= found <= LAST_S:
        raise ValueError(f"{value!r} is no time in seconds since 1970")
    return found


def length_of(value: Any) -> float:
    """How long something lasts, in seconds. Raises ValueError or TypeError for what does not last, or for ever."""
    found = float(value)
    if not 0 < found <= LAST_S:
        raise ValueError(f"{value!r} is no length of time in seconds")
    return found


def span(seconds: float) -> str:
    """How long."""
    minutes = seconds / 60
    if minutes < 2:
        return f"{seconds:.0f} s"
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.0f} h"


def ago(seconds: float) -> str:
    """How long ago."""
    return "now" if seconds <= 0 else f"{span(seconds)} ago"
