"""A long run: does the generator grow, and does its disk take what the plan said?

``SOAK_S`` seconds (30 min unless said otherwise) at 50 arrivals/s against a small server, the memory of the
generator read once a second. The slope is that from the median of the second third to that of the last: what is
made once at the start is no growth.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks.load import LOCUSTFILE, Bench, locust, row, server
from loadgen.guard import memory_bytes
from loadgen.plan import make_plan
from loadgen.run_folder import RunFolder
from scenarios.library import load_scenario
from targets.mapping import load_target

WHOLE_S = 1800.0
RATE_PER_S = 50


def measure() -> list[dict[str, object]]:
    length_s = float(os.environ.get("SOAK_S", WHOLE_S))
    with tempfile.TemporaryDirectory(prefix="savepath-soak-") as name, server() as port:
        bench = Bench(Path(name), port)
        command = bench.ask("static", rate=RATE_PER_S, duration=length_s, in_flight=500)
        child = locust(LOCUSTFILE, command.words)
        memory = _memory_of(child)
        _, said = child.communicate()
        if not (command.folder / "run.json").exists():
            raise RuntimeError(f"no run: {said}")
        run = RunFolder(command.folder)
        ledger = run.read().ledger
        plan = make_plan(load_scenario(str(command.scenario)), load_target(str(command.target)))
        on_disk = sum(path.stat().st_size for path in command.folder.rglob("*") if path.is_file())
    third = len(memory) // 3
    grown = statistics.median(memory[2 * third :]) - statistics.median(memory[third : 2 * third])
    an_hour = grown / third * 3600 / 1e6
    most = 5 if length_s >= WHOLE_S else None  # a short one tells of its beginning
    return [
        row(f"memory growth, MB/h, over {length_s:.0f} s at {RATE_PER_S}/s", [an_hour], "<= 5", most=most),
        row("  memory at the end, MB", [memory[-1] / 1e6]),
        row(f"samples lost, of {ledger.recorded:,}", [ledger.scheduled - ledger.recorded], "0", most=0),
        row("run folder, MB of the MB planned at most", [on_disk / plan.disk.most], "<= 1", most=1),
    ]


def _memory_of(child: subprocess.Popen[str]) -> list[float]:
    """What the process held, once a second, from the first second of its load to the last."""
    statm, found = Path(f"/proc/{child.pid}/statm"), []
    while child.poll() is None:
        time.sleep(1)
        found.append(memory_bytes(statm))
    return [one for one in found if one > 0][5:-5]
