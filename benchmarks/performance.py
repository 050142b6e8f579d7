"""docs/performance.md: what a request costs each generator, and which of them tells the truth of a stall.

``python -m benchmarks performance [--rounds N] [--write]``; ``--write`` puts the tables into the document.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks import workers
from benchmarks.load import PERIOD_S, RATE_PER_S, STALL_S, Bench, row, server
from benchmarks.machine import loop_ms
from benchmarks.peers import SIZES, TOOLS, cpu_us, own_figures

DOCUMENT: Final = Path(__file__).parents[1] / "docs" / "performance.md"
BEGIN: Final = "<!-- made by `make bench-performance` -->"
END: Final = "<!-- end of what `make bench-performance` made -->"
QUANTILES: Final = (0.9, 0.95, 0.99, 0.999)
#: Not a whole number of requests in a period, so that each period is sampled at other moments.
STALLED_RATE_PER_S: Final = 100.13
STALLED_S: Final = 4 * PERIOD_S

K6 = """
import http from "k6/http";
export const options = {{ summaryTrendStats: ["p(90)", "p(95)", "p(99)", "p(99.9)"], scenarios: {{ save: {{
  executor: "constant-arrival-rate", rate: 100, timeUnit: "1s", duration: "{seconds:.0f}s",
  preAllocatedVUs: 300, maxVUs: 500 }} }} }};
export default function () {{ http.get("{url}"); }}
"""
WRK = """
done = function(summary, latency, requests)
  io.write(string.format("{\\"told\\": [%f, %f, %f, %f]}\\n", latency:percentile(90) / 1e6,
    latency:percentile(95) / 1e6, latency:percentile(99) / 1e6, latency:percentile(99.9) / 1e6))
end
"""


@dataclass(frozen=True)
class Told:
    """The response times that a tool told of the stalling server, by quantile."""

    tool: str
    times_s: Sequence[float]


def measure(options: Sequence[str] = ()) -> list[dict[str, object]]:
    """Rows {figure, value, low, high, goal, reached}."""
    asked = _parser().parse_args(options)
    with tempfile.TemporaryDirectory(prefix="savepath-performance-") as room, server() as port:
        bench = Bench(Path(room), port)
        loop: list[float] = []

        def between() -> None:
            loop.append(loop_ms())

        cost = {size: cpu_us(bench, list(TOOLS), size, asked.rounds, between) for size in SIZES}
        told = list(_told(bench))
        own = [*own_figures(bench, statistics.median(cost[SIZES[0]]["savepath"])), *workers.measure()]
    if asked.write:
        _write("\n".join([_machine(asked.rounds, loop), "", *_cost(cost), "", *_accuracy(told), "", *_own(own)]))
    costs = [
        row(f"{tool}, {size // 1000} KB, us of CPU a request", values)
        for size, found in cost.items()
        for tool, values in found.items()
    ]
    errors = [
        row(f"{one.tool}, p{100 * q:g} against the truth, error %", [100 * (time_s / truth_s(q) - 1)])
        for one in told
        for q, time_s in zip(QUANTILES, one.times_s, strict=True)
    ]
    return [row("one and the same loop of additions, ms", loop), *costs, *errors, *own]


def truth_s(q: float) -> float:
    """A server that stalls 2 s in every 10 s: P(response > x) = (2 - x) / 10, whenever one asks."""
    return STALL_S - PERIOD_S * (1 - q)


def _told(bench: Bench) -> list[Told]:
    samples = bench.ours("stall", rate=STALLED_RATE_PER_S, duration=STALLED_S, in_flight=500).read_samples()
    responses = (samples["done_s"] - samples["scheduled_s"]).to_numpy()
    found = [Told("savepath", [float(np.quantile(responses, q)) for q in QUANTILES])]
    url = f"http://127.0.0.1:{bench.port}/stall/cases/1"
    if shutil.which("k6"):
        script, summary = bench.room / "stall.js", bench.room / "stall.json"
        script.write_text(K6.format(seconds=STALLED_S, url=url))
        _run(["k6", "run", "--quiet", "--no-usage-report", "--summary-export", str(summary), str(script)])
        times = json.loads(summary.read_text())["metrics"]["http_req_duration"]
        found.append(Told("k6 constant-arrival-rate", [times[f"p({100 * q:g})"] / 1000 for q in QUANTILES]))
    bare = bench.bare("stall", users=100, seconds=STALLED_S, pace=1)
    found.append(Told("Locust constant_throughput", [bare[f"p{100 * q:g}_s"] for q in QUANTILES]))
    if shutil.which("wrk"):
        (bench.room / "stall.lua").write_text(WRK)
        said = _run(
            [
                "wrk",
                "-t1",
                "-c10",
                f"-d{STALLED_S:.0f}s",
                "--timeout",
                "10s",
                "-s",
                str(bench.room / "stall.lua"),
                url,
            ]
        )
        line = next(line for line in said.splitlines() if line.startswith('{"told"'))
        found.append(Told("wrk, 10 connections", json.loads(line)["told"]))
    return found


def _run(words: list[str]) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=120).stdout


def _machine(rounds: int, loop: Sequence[float]) -> str:
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    model = names[0].partition(":")[2].strip() if names else platform.machine()
    taken = "one round" if rounds == 1 else f"median of {rounds} rounds (lowest to highest)"
    return (
        f"{model}, {os.cpu_count()} cores shared with others, Python {platform.python_version()}; {taken}.\n"
        f"Between them one and the same loop of additions took {min(loop):.0f} to {max(loop):.0f} ms."
    )


def _cost(cost: dict[int, dict[str, list[float]]]) -> list[str]:
    sizes = list(cost)
    heads = " | ".join(f"{size // 1000} KB" for size in sizes)
    lines = [
        f"### CPU of a request, microseconds, at {RATE_PER_S:,.0f} requests/s",
        "",
        f"| tool | {heads} |",
        f"|---|{'---|' * len(sizes)}",
    ]
    for tool in cost[sizes[0]]:
        rounds = [cost[size][tool] for size in sizes]
        cells = [f"{statistics.median(one):.0f} ({min(one):.0f} to {max(one):.0f})" for one in rounds]
        lines.append(f"| {tool} | {' | '.join(cells)} |")
    return lines


def _accuracy(told: Sequence[Told]) -> list[str]:
    lines = [
        "### Response times of a server that stalls 2 s in every 10 s, milliseconds",
        "",
        f"| tool | {' | '.join(f'p{100 * q:g}' for q in QUANTILES)} |",
        f"|---|{'---|' * len(QUANTILES)}",
        f"| **the truth** | {' | '.join(f'{1000 * truth_s(q):,.0f}' for q in QUANTILES)} |",
    ]
    return [*lines, *(f"| {one.tool} | {' | '.join(f'{1000 * s:,.0f}' for s in one.times_s)} |" for one in told)]


def _own(rows: Sequence[dict[str, object]]) -> list[str]:
    lines = ["### Its own figures", "", "| figure | value | lowest to highest | goal |", "|---|---|---|---|"]
    for one in rows:
        missed = ", **not reached**" if one["reached"] is False else ""
        figure = str(one["figure"]).strip()
        lines.append(
            f"| {figure} | {one['value']:.3g} | {one['low']:.3g} to {one['high']:.3g} | {one['goal']}{missed} |"
        )
    return lines


def _write(made: str) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{DOCUMENT}: expected the lines {BEGIN} and {END}")
    DOCUMENT.write_text(f"{head}{BEGIN}\n\n{made}\n\n{END}{tail}", encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks performance", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="into docs/performance.md")
    return parser
