"""How often the watch raises a false alarm, how fast it finds what was planted, and when it clears.

On simulated months (``benchmarks.window_months``), each with a baseline of 7 days of its own, through the
very functions that the service calls. Delays count from the change to the end of the block that escalates.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from analysis.findings import Verdict
from analysis.window.decisions import Decision
from analysis.window.learning import learn_baseline
from analysis.window.state import Terms, acknowledge, begin
from analysis.window.watch import step
from benchmarks import watch_keeping, watch_survival
from benchmarks.window_months import (
    BLOCK_S,
    DRIFTING,
    NORMAL,
    OFFSETS,
    QUIET,
    Beside,
    Change,
    Environment,
    Month,
    growing,
    month,
    uniform,
)

#: Months of each environment in which nothing changed; the other numbers follow from it.
MONTHS = 10
CLEARS, CHANGES, WRONG = 6, 2, 2.5  # windows of two days, changes of a kind and windows of a kind, for each month
DAY = round(86_400 / BLOCK_S)
METHOD = Path(__file__).parents[1] / "docs" / "method.md"
BEGIN, END = "<!-- made by `make bench-watch` -->", "<!-- end of what `make bench-watch` made -->"


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


def measure(options: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """Rows {figure, value, low, high, goal, reached, n}, each as soon as it is known."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks watch", description=__doc__)
    parser.add_argument("--months", type=int, default=MONTHS)
    parser.add_argument("--write", action="store_true", help="into docs/method.md")
    asked = parser.parse_args(options)
    rows = []
    for one in _rows(asked.months):
        rows.append(one)
        print(_line(one), file=sys.stderr, flush=True)
        yield one
    if asked.write:
        write(rows)


def write(rows: Sequence[dict[str, Any]], path: Path = METHOD) -> None:
    """Put the table between the comments of the document."""
    head, begin, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path}: expected the lines {BEGIN} and {END}")
    table = ["| what | | from, to | goal | n |", "|---|---|---|---|---|", *map(_line, rows)]
    path.write_text("\n".join([f"{head}{begin}\n", *table, f"\n{end}{tail}"]), encoding="utf-8")


def _line(one: dict[str, Any]) -> str:
    value, low, high = (
        "never" if one[k] is None else f"{one[k]:.2f}".rstrip("0").rstrip(".") for k in ("value", "low", "high")
    )
    goal = (one["goal"] or "") + (", **not reached**" if one["reached"] is False else "")
    return f"| {one['figure']} | {value} | {low} to {high} | {goal} | {one['n']} |"


def _rows(months: int) -> Iterator[dict[str, Any]]:
    yield _cost()
    for env, most in ((QUIET, 1.0), (NORMAL, 1.0), (OFFSETS, 1.0), (DRIFTING, None)):
        yield from _nothing_changed(env, most, months)
    for env in (QUIET, NORMAL, OFFSETS):
        yield _cleared(env, round(CLEARS * months), 0.95 if env is not OFFSETS else None)
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
        delays = [minutes_to_escalate(change, days, seed) for seed in range(round(CHANGES * months))]
        yield delay_row(name, delays, goal)
    everywhere, n = (QUIET, NORMAL, OFFSETS), round(WRONG * months)
    yield _wrong_clear("all slower by 25 %", uniform(0.25), everywhere, n, 0.01)
    yield _wrong_clear("+25 % at 500 fields", growing(0.25), everywhere, n, 0.01)
    yield _wrong_clear("all slower by 10 %, the tolerance", uniform(0.10), (NORMAL,), n, None)
    yield from watch_keeping.measure()
    yield from watch_survival.measure()


def _nothing_changed(env: Environment, most: float | None, months: int) -> list[dict[str, Any]]:
    alarms, held = [], []
    for seed in range(months):
        decisions, n = decide(month(env, 10_000 + seed))
        alarms.append(n)
        held.append(float(np.mean([one.verdict is Verdict.HOLD for one in decisions[2 * DAY :]])))
    name = f"{env.name}, nothing changed"
    return [
        row(f"{name}: false ESCALATE a month", alarms, most, at_most=True),
        row(f"{name}: share of HOLD after 48 h", held, None),
    ]


def _cleared(env: Environment, windows: int, goal: float | None) -> dict[str, Any]:
    cleared = []
    for seed in range(windows):
        decisions, _ = decide(month(env, 40_000 + seed, after_days=2))
        cleared.append(any(one.verdict is Verdict.CLEAR for one in decisions))
    return row(f"{env.name}, nothing changed: CLEAR within 48 h", cleared, goal)


def minutes_to_escalate(change: Change, days: float, seed: int, beside: Beside | None = None) -> float:
    """How long it takes until a change in *normal* escalates; infinity where it does not in so many days."""
    found = month(NORMAL, 20_000 + seed, after_days=days, change=change, beside=beside)
    decisions, alarms = decide(found, to_first=True)
    return len(decisions) * BLOCK_S / 60 if alarms else math.inf


def delay_row(name: str, minutes: Sequence[float], goal: float | None) -> dict[str, Any]:
    """A row with the median of some delays, p10 and p90."""
    told = [float(np.quantile(minutes, q, method="higher")) for q in (0.5, 0.1, 0.9)]
    value, low, high = (one if math.isfinite(one) else None for one in told)
    return {
        "figure": f"normal, {name}: minutes to ESCALATE, median, p10 to p90",
        "value": value,
        "low": low,
        "high": high,
        "goal": None if goal is None else f"<= {goal:g}",
        "reached": None if goal is None else told[0] <= goal,
        "n": len(minutes),
    }


def _wrong_clear(
    name: str, change: Change, envs: Sequence[Environment], n: int, goal: float | None
) -> dict[str, Any]:
    wrong = []
    for env in envs:
        for seed in range(n):
            decisions, _ = decide(month(env, 30_000 + seed, after_days=3, change=change), to_first=True)
            wrong.append(any(one.verdict is Verdict.CLEAR for one in decisions))
    where = "three environments" if len(envs) > 1 else envs[0].name
    return row(f"{where}, {name}: wrong CLEAR within 3 days", wrong, goal, at_most=True)


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
        "n": len(times),
    }


def row(figure: str, values: Sequence[float], goal: float | None, *, at_most: bool = False) -> dict[str, Any]:
    """A row with the mean of ``values`` and two Monte-Carlo errors around it."""
    found = np.asarray(values, np.float64)
    mean = float(found.mean())
    # Nothing seen in n says no more than "below 3 / n" (the rule of three).
    error = max(2 * float(found.std()) / math.sqrt(len(found)), 3 / len(found))
    return {
        "figure": figure,
        "value": mean,
        "low": max(mean - error, 0.0),
        "high": min(mean + error, 1.0) if max(values) <= 1 else mean + error,
        "goal": None if goal is None else f"{'<' if at_most else '>='} {goal:g}",
        "reached": None if goal is None else (mean < goal if at_most else mean >= goal),
        "n": len(found),
    }
