"""The rows of the effects table that say what became of the values of a save."""

from __future__ import annotations

import math
from collections.abc import Callable

from loadgen.effects import Origin
from loadgen.recorder import Effect


def failed_but_saved(origin: Origin, seen_s: float) -> Effect:
    """A save that was answered with an error and is there."""
    return origin.effect("value", "failed_but_saved", expected=0, seen=1, first_seen_s=seen_s)


def settled(origin: Origin, outcome: str, read_s: float) -> Effect:
    """An acknowledged save whose case was read."""
    seen = int(outcome in ("identical", "partial", "superseded"))
    first_s = read_s if seen else math.nan
    return origin.effect("value", outcome, seen=seen, due_s=origin.done_s, first_seen_s=first_s)


def record_unverified(record: Callable[[Effect], None], origin: Origin) -> None:
    """Nobody could look; of a save that was denied nothing was promised."""
    if origin.acknowledged:
        record(origin.effect("value", "unverified", due_s=origin.done_s))
