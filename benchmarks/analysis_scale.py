"""How long the analysis of a million samples takes: folding them, and comparing the folded runs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from analysis.assessment import assess
from analysis.runs import Question, Run
from analysis.samples import OPERATIONS
from analysis.slices import fold

SAMPLES, RUNS, REPEATS = 1_000_000, 20, 3
FIELDS = (0, 10, 50, 200, 500)


def samples(rng: np.random.Generator, n: int, duration_s: float) -> pd.DataFrame:
    """``n`` samples of six operations and five cohorts, 0.2 % of them failures."""
    scheduled_s = np.sort(rng.uniform(0, duration_s, n))
    sent_s = scheduled_s + rng.exponential(0.0005, n)
    failed = rng.random(n) < 0.002
    return pd.DataFrame(
        {
            "seq": np.arange(n, dtype=np.uint32),
            "arm": pd.Categorical([""] * n),
            "custom_fields": rng.choice(FIELDS, n).astype(np.uint16),
            "operation": pd.Categorical(np.array(OPERATIONS)[rng.integers(0, len(OPERATIONS), n)]),
            "scheduled_s": scheduled_s,
            "sent_s": sent_s,
            "done_s": sent_s + rng.lognormal(-2, 0.5, n),
            "outcome": pd.Categorical(np.where(failed, "http_error", "ok")),
            "detail": pd.Categorical(np.where(failed, "http 503", "")),
        }
    )


def _run(number: int, tables: list[pd.DataFrame], recorded: int) -> Run:
    return Run(
        id=f"run-{number:02d}",
        started_at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=20 * number),
        status="complete",
        scenario="scale",
        target="none",
        plan_digest="0" * 64,
        duration_s=600.0,
        scheduled=recorded,
        recorded=recorded,
        aborted=0,
        unsent=0,
        run_queue_delay=0.01,
        cpu=0.5,
        slices=tables[number],
        effects=pd.DataFrame(),
    )


def measure() -> list[dict[str, Any]]:
    """Rows {figure, value, low, high, goal, reached}: the median of three and the extremes."""
    rng = np.random.default_rng(1)
    per_run = SAMPLES // RUNS
    frames = [samples(rng, per_run, 600.0) for _ in range(RUNS)]
    tables: list[pd.DataFrame] = []

    def fold_all() -> None:
        tables[:] = [fold(frame) for frame in frames]

    def compare_all() -> None:
        runs = [_run(number, tables, per_run) for number in range(RUNS)]
        assessment = assess(runs[::2], runs[1::2], Question())
        assert assessment.pairs == RUNS // 2

    whole = pd.concat(frames, ignore_index=True)
    return [
        _row("fold 1 M samples of 20 runs, s", fold_all, 1.5),
        _row("fold 1 M samples of one run, s", lambda: fold(whole), 1.0),
        _row("compare 20 folded runs, 1 M samples, s", compare_all, 3.0),
    ]


def _row(figure: str, work: Callable[[], object], goal: float) -> dict[str, Any]:
    seconds = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    value = statistics.median(seconds)
    return {
        "figure": figure,
        "value": value,
        "low": min(seconds),
        "high": max(seconds),
        "goal": goal,
        "reached": value < goal,
    }


def main() -> None:
    print(f"{'figure':<48}{'value':>8}  {'low .. high':>15}{'goal':>7}")
    for row in measure():
        span = f"{row['low']:.2f} .. {row['high']:.2f}"
        print(f"{row['figure']:<48}{row['value']:8.2f}  {span:>15}{row['goal']:7.1f}")


if __name__ == "__main__":
    main()
