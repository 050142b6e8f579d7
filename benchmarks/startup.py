"""How long a command takes to begin: ``savepath --help`` against the bare interpreter."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

REPEATS = 15


def _seconds(command: list[str]) -> list[float]:
    times = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.perf_counter() - begun)
    return sorted(times)


def measure() -> list[dict[str, object]]:
    helps = _seconds([sys.executable, "-m", "savepath", "--help"])
    bare = _seconds([sys.executable, "-c", "pass"])
    middle = statistics.median(helps) * 1000
    return [
        {
            "figure": "savepath --help, ms",
            "value": middle,
            "low": helps[0] * 1000,
            "high": helps[-1] * 1000,
            "goal": "< 200",
            "reached": middle < 200,
        },
        {
            "figure": "  of which a bare python, ms",
            "value": statistics.median(bare) * 1000,
            "low": bare[0] * 1000,
            "high": bare[-1] * 1000,
            "goal": "",
            "reached": None,
        },
    ]
