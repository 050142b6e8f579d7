"""Two workers against one: how much more they can offer, and whether the schedule is kept as well.

What a worker can offer is bounded by the core it has, so the figure is the core time that one worker takes at a
rate over that of the busier of two at the same rate: 2 where sharing a plan costs nothing, on any number of cores.
The rate itself is offered too, 1.8 times that of one worker; the server needs a core of its own for that, or the
machine is the limit: with two cores, two workers and the server share them.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.load import SLOW_S, THINK_S, Bench, row, server
from loadgen.run_info import RunInfo

REPEATS = 3
SAME_RATE_PER_S, DURATION_S = 3000.0, 6
ONE_PER_S = 2500.0
GOAL = 1.8
#: Of a closed loop the rate follows from the users: each asks once in the time they think and wait. How long they
#: think varies, or one stall would make them ask in step; of so many the rate has a standard error of 1 %.
USERS, ROUNDS = 300, 10


def measure() -> list[dict[str, object]]:
    """Rows {figure, value, low, high, goal, reached}."""
    with tempfile.TemporaryDirectory(prefix="savepath-workers-") as room, server() as port:
        bench = Bench(Path(room), port)
        shares, lag_one_ms, lag_two_ms, offered = [], [], [], []
        for _ in range(REPEATS):
            one, two = (_run(bench, SAME_RATE_PER_S, workers) for workers in (1, 2))
            shares.append(one.generator.cpu / two.generator.cpu)
            lag_one_ms.append(1000 * _run(bench, ONE_PER_S, 1).generator.lag_p99_s)
            both = _run(bench, GOAL * ONE_PER_S, 2)
            lag_two_ms.append(1000 * both.generator.lag_p99_s)
            offered.append(both.offered_per_s / ONE_PER_S)
        closed = [[_rate_of_users(bench, workers) for _ in range(REPEATS)] for workers in (1, 2)]
    return [
        row("two workers: what they can offer, times one worker's", shares, f">= {GOAL}", least=GOAL),
        row(f"two workers: offered, times the {ONE_PER_S:,.0f}/s of one", offered, f"{GOAL} (the plan)"),
        row("  schedule error of two, p99, ms", lag_two_ms, "<= 5", most=5),
        row("  schedule error of one, p99, ms", lag_one_ms, "<= 5", most=5),
        row("closed loop of one: users / (think + answer), error %", closed[0], "within 2", most=2),
        row("closed loop of two: users / (think + answer), error %", closed[1], "within 2", most=2),
    ]


def _rate_of_users(bench: Bench, workers: int) -> float:
    """By how many percent the arrivals per second differ from the law, with the answers that the users got."""
    more, duration = ["--workers", str(workers)], ROUNDS * (THINK_S + SLOW_S)
    run = bench.ours("slow", rate=0, duration=duration, in_flight=USERS, users=USERS, more=more)
    samples = run.read_samples().query("scheduled_s >= 0")
    answer_s = float((samples["done_s"] - samples["scheduled_s"]).mean())
    return 100 * (run.read().offered_per_s / (USERS / (THINK_S + answer_s)) - 1)


def _run(bench: Bench, rate: float, workers: int) -> RunInfo:
    run = bench.ours("static", rate=rate, duration=DURATION_S, in_flight=500, more=["--workers", str(workers)])
    return run.read()
