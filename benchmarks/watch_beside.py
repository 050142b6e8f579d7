"""What an old environment beside the watched one is worth: false alarms, and how fast a change is found.

On simulated months (``benchmarks.window_months``), through the very functions that the service calls. With the old
one each of the two gets half of the requests. In some months it becomes faster, as when its users leave.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.watch_truth import decide, delay, row
from benchmarks.window_months import DRIFTING, NORMAL, OFFSETS, Beside, growing, month, uniform

MONTHS, WINDOWS = 8, 20
CHANGES = {
    "all slower by 25 %": (uniform(0.25), 3.0),
    "all slower by 10 %": (uniform(0.10), 3.0),
    "all slower by 25 % over 6 h": (uniform(0.25, over_h=6), 3.0),
    "+25 % at 500 fields": (growing(0.25), 2.0),
}


def measure() -> Iterator[dict[str, Any]]:
    """Rows {figure, value, low, high, goal, reached, n}."""
    for name, (change, days) in CHANGES.items():
        yield delay(f"{name}, both asked", change, days, None, WINDOWS, Beside())
        yield delay(f"{name}, alone", change, days, None, WINDOWS)
    worlds = {f"{env.name}, both asked, nothing changed": (env, Beside()) for env in (NORMAL, OFFSETS, DRIFTING)}
    for share in (0.10, 0.30):
        left = Beside(change=uniform(1 / (1 + share) - 1))
        worlds[f"normal, the old environment became faster by {share:.0%}"] = NORMAL, left
    for name, (env, beside) in worlds.items():
        alarms = [decide(month(env, 50_000 + seed, beside=beside))[1] for seed in range(MONTHS)]
        yield row(f"{name}: false ESCALATE a month", alarms, 1, at_most=True)
