"""How often the watch raises a false alarm, how fast it finds what was planted, and when it clears.

On simulated months (``benchmarks.window_months``), each with a baseline of 7 days of its own, through the
very functions that the service calls. Delays count from the change to the end of the block that escalates.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from analysis.findings import Verdict
from analysis.window.baseline import learn_baseline
from analysis.window.decisions import Decision
from analysis.window.watch import Terms, acknowledge, begin, step
from benchmarks.window_months import (
    BLOCK_S,
    DRIFTING,
    NORMAL,
    OFFSETS,
    QUIET,
    Change,
    Environment,
    Month,
    growing,
    month,
    uniform,
)

#: Months of each environment, and changes of each kind; SAVEPATH_BENCH_MONTHS makes them more or fewer.
MONTHS = int(os.environ.get("SAVEPATH_BENCH_MONTHS", "30"))
CHANGES = 2 * MONTHS
DAY = round(86_400 / BLOCK_S)


def decide(found: Month, *, to_first: bool = False) -> tuple[list[Decision], int]:
    """The decisions after each block, and how often it escalated: an alarm is acknowledged after a day."""
    baseline = learn_baseline(found.before)
    state, decisions, alarms, quiet_until = begin(baseline), [], 0, -1
    for number, block in enumerate(found.after):
        state, decision = step(baseline, Terms(), state, block)
        decisions.append(decision)
        if decision.verdict is Verdict.ESCALATE:
            if to_first:
                return decisions, 1
            if quiet_until < 0:
                alarms, quiet_until = alarms + 1, number + DAY
            elif number >= quiet_until:
                state, quiet_until = acknowledge(state, baseline), -1
    return decisions, alarms


def measure() -> list[dict[str, Any]]:
    return [_said(row) for row in _rows()]


def _said(row: dict[str, Any]) -> dict[str, Any]:
    print(f"{row['figure']}: {row['value']:.4g} (goal {row['goal']})", file=sys.stderr, flush=True)
    return row


def _rows() -> Iterator[dict[str, Any]]:
    yield _cost()
    for env, most in ((QUIET, 1.0), (NORMAL, 1.0), (OFFSETS, 1.0), (DRIFTING, None)):
        yield from _nothing_changed(env, most)
    minutes = [
        ("all slower by 100 %", uniform(1.0), 1.0, 75.0),
        ("all slower by 25 %", uniform(0.25), 3.0, 510.0),
        ("all slower by 100 % over 6 h", uniform(1.0, over_h=6), 1.0, 240.0),
        ("+10 % at 500 fields", growing(0.10), 3.0, None),
        ("+25 % at 500 fields", growing(0.25), 2.0, 90.0),
        ("+50 % at 500 fields", growing(0.50), 1.0, 40.0),
        ("+100 % at 500 fields", growing(1.0), 1.0, 30.0),
        ("+100 % at 500 fields over 6 h", growing(1.0, over_h=6), 1.0, 150.0),
    ]
    for name, change, days, goal in minutes:
        yield _delay(name, change, days, goal)
    yield _wrong_clear("all slower by 25 %", uniform(0.25))
    yield _wrong_clear("+25 % at 500 fields", growing(0.25))


def _nothing_changed(env: Environment, most: float | None) -> list[dict[str, Any]]:
    alarms, cleared, held = [], [], []
    for seed in range(MONTHS):
        decisions, n = decide(month(env, 10_000 + seed))
        alarms.append(n)
        cleared.append(any(one.verdict is Verdict.CLEAR for one in decisions[: 2 * DAY]))
        held.append(np.mean([one.verdict is Verdict.HOLD for one in decisions[2 * DAY :]]))
    name = f"{env.name}, nothing changed, {MONTHS} months"
    return [
        _row(f"{name}: false ESCALATE a month", alarms, most, at_most=True),
        _row(f"{env.name}: CLEAR within 48 h", cleared, 0.95 if env in (QUIET, NORMAL) else None),
        _row(f"{env.name}: share of HOLD after 48 h", held, None),
    ]


def _delay(name: str, change: Change, days: float, goal: float | None) -> dict[str, Any]:
    minutes = []
    for seed in range(CHANGES):
        decisions, found = decide(month(NORMAL, 20_000 + seed, after_days=days, change=change), to_first=True)
        minutes.append(len(decisions) * BLOCK_S / 60 if found else math.inf)
    middle, low, high = (float(np.quantile(minutes, q, method="higher")) for q in (0.5, 0.1, 0.9))
    return {
        "figure": f"normal, {name}: median min [p10 p90]",
        "value": middle,
        "low": low,
        "high": high if math.isfinite(high) else None,
        "goal": None if goal is None else f"<= {goal:g}",
        "reached": None if goal is None else middle <= goal,
    }


def _wrong_clear(name: str, change: Change) -> dict[str, Any]:
    wrong = []
    for env in (QUIET, NORMAL, OFFSETS):
        for seed in range(CHANGES):
            decisions, _ = decide(month(env, 30_000 + seed, after_days=3, change=change), to_first=True)
            wrong.append(any(one.verdict is Verdict.CLEAR for one in decisions))
    return _row(f"{name}, {len(wrong)} windows of 3 days: wrong CLEAR", wrong, 0.01, at_most=True)


def _cost() -> dict[str, Any]:
    found = month(NORMAL, 1)
    blocks, baseline = found.after, learn_baseline(found.before)
    times = []
    for _ in range(3):
        state, start = begin(baseline), time.process_time()
        for block in blocks:
            state, _decision = step(baseline, Terms(), state, block)
        times.append(time.process_time() - start)
    return {
        "figure": f"30 days, {len(baseline.streams.names)} streams: seconds to decide",
        "value": float(np.median(times)),
        "low": min(times),
        "high": max(times),
        "goal": "< 5",
        "reached": float(np.median(times)) < 5,
    }


def _row(figure: str, values: Sequence[float], goal: float | None, *, at_most: bool = False) -> dict[str, Any]:
    found = np.asarray(values, np.float64)
    mean = float(found.mean())
    # Nothing seen in n says no more than "below 3 / n" (the rule of three).
    error = max(2 * float(found.std()) / math.sqrt(len(found)), 3 / len(found))
    return {
        "figure": figure,
        "value": mean,
        "low": max(mean - error, 0.0),
        "high": mean + error,
        "goal": None if goal is None else f"{'<' if at_most else '>='} {goal:g}",
        "reached": None if goal is None else (mean < goal if at_most else mean >= goal),
    }
