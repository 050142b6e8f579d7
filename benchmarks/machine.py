"""How restless the machine is while a benchmark runs: a bad figure and a bad day are not the same.

Left alone, a machine takes equally long for one and the same loop, and wakes a busy loop in time.
"""

from __future__ import annotations

import time

import numpy as np

ADDITIONS = 5_000_000


def loop_ms() -> float:
    """What the loop takes this time, the waiting for a core included."""
    begun_s = time.perf_counter()
    total = 0
    for number in range(ADDITIONS):
        total += number
    return 1000 * (time.perf_counter() - begun_s)


def lateness_of_a_loop_s(rate_per_s: float, cpu: float, duration_s: float) -> float:
    """The schedule error, p99, of a loop that does nothing but take that share of a core, at that rate."""
    late_s, begun_s = [], time.monotonic()
    for number in range(int(rate_per_s * duration_s)):
        at_s = begun_s + number / rate_per_s
        while (wait_s := at_s - time.monotonic()) > 0:
            time.sleep(wait_s)
        late_s.append(-wait_s)
        until_s = time.thread_time() + cpu / rate_per_s
        while time.thread_time() < until_s:
            pass
    return float(np.quantile(late_s, 0.99))
