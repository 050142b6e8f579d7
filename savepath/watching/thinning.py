"""Thinning: which of the runs that a watch has driven are kept, so that its folder does not grow with its days.

What a decision rests on is in the journal in any case. Kept are the runs after which something else was said than
before, one an hour of the last day, and one a day before that.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Final

from analysis.window.decisions import Decision
from targets.footprint import move_footprints

AN_HOUR: Final = 12  # blocks
A_DAY: Final = 24 * AN_HOUR
#: In a run that is only kept because it is one of its hour.
ORDINARY: Final = "ordinary"


def run_of(runs: Path, number: int) -> Path:
    """The folder of the run of a block."""
    return runs / f"block-{number:06d}"


def is_news(decision: Decision, before: Decision | None) -> bool:
    """Whether something else was said than after the block before."""
    return before is None or _gist(decision) != _gist(before)


def thin(runs: Path, number: int, *, news: bool) -> None:
    """Remove what need not be kept, now that the block ``number`` was decided."""
    run, yesterday = run_of(runs, number), run_of(runs, number - A_DAY)
    if not news:
        if number % AN_HOUR:
            forget(run)
        else:
            with suppress(OSError):
                (run / ORDINARY).touch()
    if (number - A_DAY) % A_DAY and (yesterday / ORDINARY).exists():
        forget(yesterday)


def forget(run: Path) -> None:
    """Remove a run's folder; what it made on the target is still known beside the runs. A full disk keeps it."""
    with suppress(OSError):
        move_footprints(run, into=run.parent.parent)
        shutil.rmtree(run, ignore_errors=True)


def _gist(decision: Decision) -> tuple[object, ...]:
    return decision.verdict, {one.code for one in decision.reasons}, {one.what for one in decision.alarms}
