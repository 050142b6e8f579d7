"""What a watch keeps: the megabytes of its state after 30 days, and its memory after 24 hours of runs.

And what it costs to go on with one that was ended, beside what it cost to take its runs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.window.blocks import block_as_plain
from analysis.window.learning import learn_baseline
from analysis.window.state import Terms, begin
from analysis.window.watch import evidence, step
from benchmarks.watched_runs import BLOCK_S, repeat_run, write_run
from benchmarks.window_months import NORMAL, growing, month
from savepath.watching.lines import Told, line_of

#: Blocks of a day, and runs of a baseline; as many after it differ, and are repeated.
A_DAY, BEFORE = 288, 20
#: Kept runs of a watch that is gone on with.
KEPT = (500, 2000)


def measure() -> list[dict[str, Any]]:
    """Rows {figure, value, low, high, goal, reached, n}."""
    quiet, loud = _state_mb(None), _state_mb(growing(0.5))
    return [
        _row("30 days, nothing changed: MB of journal and baseline", quiet, 50, 8640),
        _row("30 days of an alarm that nobody acknowledges: MB", loud, None, 8640),
        _row(
            "24 h of 5-minute runs followed, with the service: MB of memory",
            _follow(A_DAY)[0].memory_mb,
            300,
            A_DAY,
        ),
        *(_gone_on(runs) for runs in KEPT),
    ]


@dataclass(frozen=True, slots=True)
class _Used:
    """What a process used: processor seconds, and the most memory that it ever had (``ru_maxrss``)."""

    cpu_s: float
    memory_mb: float


def _gone_on(runs: int) -> dict[str, Any]:
    first, again = _follow(runs)
    return _row(
        f"{runs:,} runs, gone on with: processor time, share of taking them", again.cpu_s / first.cpu_s, 0.2, runs
    )


def _state_mb(change: Any) -> float:
    found = month(NORMAL, 2, change=change)
    baseline = learn_baseline(found.before)
    state, size = begin(baseline), sum(_length(block_as_plain(block)) for block in found.before)
    for number, block in enumerate(found.after):
        state, decision = step(baseline, Terms(), state, block)
        told = Told(decision, evidence(baseline, Terms(), state) if number % 50 == 0 else None)
        line = line_of(block, f"block-{number:06d}", told, block.end_s, left=0)
        # What is known of an alarm is costly to work out, so every fiftieth stands for its fellows.
        size += _length(line) + (49 * _length(line["evidence"]) if line["evidence"] else 0)
    return size / 1e6


def _length(line: object) -> int:
    return len(json.dumps(line, separators=(",", ":"))) + 1


def _follow(runs: int) -> list[_Used]:
    """What a watch used that took so many runs, and the same command after it, which found nothing new."""
    with tempfile.TemporaryDirectory() as place:
        room = Path(place)
        for number in range(2 * BEFORE):
            write_run(room / ("before" if number < BEFORE else "after"), number)
        for number in range(BEFORE, runs):
            like = BEFORE + number % BEFORE
            repeat_run(room / "after" / f"run-{like:03d}", BEFORE + number, BEFORE + number - like)
        words = ["watch", "--follow", "after", "--baseline", "before", "--state", "state", "--for", "0.01s"]
        words += [
            "--every",
            f"{BLOCK_S:g}s",
            "--day",
            f"{A_DAY * BLOCK_S:g}s",
            "--listen",
            "127.0.0.1:0",
            "--quiet",
        ]
        found = [_spend(words, room) for _ in range(2)]
        decided = (room / "state" / "decisions.jsonl").read_text().count('"kind":"decision"')
    assert decided == runs, decided
    return found


def _spend(words: list[str], room: Path) -> _Used:
    child = subprocess.Popen([sys.executable, "-m", "savepath", *words], cwd=room, stdout=subprocess.DEVNULL)
    _, _, used = os.wait4(child.pid, 0)
    return _Used(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def _row(figure: str, value: float, goal: float | None, n: int) -> dict[str, Any]:
    return {
        "figure": figure,
        "value": value,
        "low": value,
        "high": value,
        "goal": None if goal is None else f"< {goal:g}",
        "reached": None if goal is None else value < goal,
        "n": n,
    }
