"""A day at 50/s in minutes: does what the generator keeps grow, and does its disk take what the plan said?

Everything that keeps something for the length of a run is the real one: schedule, operations, recorder and shards,
tally, health, watch, verifier with its read-backs, compaction. Only the clock is moved and not awaited, and the
target answers out of memory, each request in 5 ms of that clock. So there are no sockets and no Locust in it: what
they hold ``benchmarks.soak`` looks at. ``DAY_HOURS`` makes it shorter.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import gevent
import orjson

from benchmarks.load import row
from loadgen.guard import Watch, memory_bytes
from loadgen.health import Health
from loadgen.operations import Operations
from loadgen.plan import make_plan
from loadgen.recorder import Recorder
from loadgen.run_folder import RunFolder
from loadgen.tally import Tally
from loadgen.verifier import Verifier
from scenarios.arrivals import arrivals
from scenarios.library import parse_scenario
from targets.binding import Binding
from targets.http import Request, Response
from targets.inventory import Inventory, TenantInventory
from targets.mapping import load_target

HOURS = 24.0
TAKES_S = 0.005
LOOK_EVERY_S = 10
MAILS_KEPT = 2000
#: What is made once, at the start, is no growth.
SETTLED_AFTER = 1 / 8
SCENARIO = """\
name: day
cohorts:
  none: {{custom_fields: 0, tenants: 4, cases: 50, scripts_on_save: 1}}
  some: {{custom_fields: 20, tenants: 4, cases: 50, scripts_on_save: 2}}
  many: {{custom_fields: 200, tenants: 2, cases: 50, scripts_on_save: 2}}
mix: {{read_case: 5, save_standard: 2, save_custom: 2, send_email: 1}}
load: {{rate_per_s: 50, arrivals: constant}}
warmup_s: 0
duration_s: {seconds}
"""


class Clock:
    """Moved by whoever waits."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def now(self) -> float:
        return self.now_s


class Desk:
    """A target that keeps the latest values of each case and nothing else; a hundredth of the saves it denies."""

    def __init__(self, clock: Clock, scripts: Callable[[str], tuple[str, ...]]) -> None:
        self._clock = clock
        self._scripts = scripts
        self._cases: dict[str, dict[str, Any]] = {}
        self._mails: dict[str, str] = {}  # to whom, by token: the latest

    def send(self, request: Request) -> Response:
        parts = urlsplit(request.url)
        found = self._answer(request, unquote(parts.path), parse_qs(parts.query))
        return Response(found.pop("status", 200), {"content-type": "application/json"}, orjson.dumps(found))

    def close(self) -> None:
        """Nothing is open."""

    def _answer(self, request: Request, path: str, query: dict[str, list[str]]) -> dict[str, Any]:
        tenant = path.split("/")[2]
        if path.endswith("/script-runs"):
            tokens = query["save_ids"][0].split(",")
            names = self._scripts(tenant)
            ran = [token for token in tokens if not is_denied(token)]
            return {"runs": [{"save_id": token, "script": name} for token in ran for name in names]}
        if path.endswith("/outbox"):
            tokens = query["tokens"][0].split(",")
            return {"mails": [{"token": token, "deliveries": 1, "to": self._mails[token]} for token in tokens]}
        if path.endswith("/saves"):
            return {"saves": []}
        if request.method == "GET":
            return {"id": path, "fields": self._cases.get(path, {})}
        self._clock.now_s += TAKES_S
        if path.endswith("/emails"):
            mail = orjson.loads(request.body or b"")
            self._mails[mail["token"]] = mail["to"]
            if len(self._mails) > MAILS_KEPT:
                del self._mails[next(iter(self._mails))]
            return {"status": 202}
        if is_denied(request.headers["X-Save-Id"]):
            return {"status": 503}
        self._cases.setdefault(path, {}).update(orjson.loads(request.body or b"{}").get("fields", {}))
        return {"version": 1}


def is_denied(token: str) -> bool:
    return int(token.rpartition("-")[2], 16) % 101 == 0


def measure() -> list[dict[str, object]]:
    hours = float(os.environ.get("DAY_HOURS", HOURS))
    with tempfile.TemporaryDirectory(prefix="savepath-day-") as name:
        return _measure(hours, Path(name))


def _measure(hours: float, room: Path) -> list[dict[str, object]]:
    begun_s = time.monotonic()
    scenario = parse_scenario(SCENARIO.format(seconds=hours * 3600), "day.yaml")
    target = load_target("casedesk")
    assert target.verify is not None
    # Without histories each chosen save is read back at once, so that verdicts are made all day.
    target = target.model_copy(update={"verify": target.verify.model_copy(update={"history": None})})
    plan = make_plan(scenario, target)
    inventory = Inventory(
        tenants={
            tenant.key: TenantInventory(
                cases=tuple(f"c{number}" for number in range(tenant.cases)),
                fields={f"cf_{number:03}": f"cf_{number:03}" for number in range(1, tenant.custom_fields + 1)},
            )
            for tenant in scenario.tenants
        }
    )
    binding = Binding(target, scenario, inventory, {})
    clock, folder, tally, health, watch = Clock(), RunFolder(room / "run"), Tally(), Health(), Watch()
    tenants = {tenant.key: tenant for tenant in scenario.tenants}
    desk = Desk(clock, lambda key: binding.expected_scripts(tenants[key]))
    folder.create()
    recorder = Recorder(folder, clock=clock.now, on_flush=tally.take)
    how = {"run_key": "0123456789", "now": clock.now, "broken": _broken}
    verifier = Verifier(scenario, binding, desk, recorder, **how)  # type: ignore[arg-type]
    operations = Operations(scenario, binding, inventory, desk, recorder, verifier, watch, **how)  # type: ignore[arg-type]
    memory: list[float] = []
    second, number = 0, 0
    for arrival in arrivals(scenario):
        while second <= arrival.at_s:
            second += 1
            recorder.flush()
            health.tick()
            if second % LOOK_EVERY_S == 0:
                memory.append(memory_bytes())
        clock.now_s = max(clock.now_s, arrival.at_s)
        health.note_lag(clock.now_s - arrival.at_s)
        operations.perform(arrival)
        number += 1
        if number % 2 == 0:  # 25 times a second: one look-up each, and 20/s may be needed
            verifier.look()
        gevent.sleep(0)
    recorder.flush()
    open_effects = verifier.pending
    recorder.close()
    in_shards = _bytes_of(room)
    folder.compact()
    kept = sum(path.stat().st_size for path in room.rglob("*.parquet"))
    samples = folder.read_samples()
    an_hour = _growth_an_hour(memory[int(len(memory) * SETTLED_AFTER) :]) / 1e6
    effects = sum(counts.total() for counts in recorder.effects.values())
    wrong = sum(
        count
        for kind, counts in recorder.effects.items()
        for outcome, count in counts.items()
        if outcome not in ("once", "identical", "superseded")
    )
    return [
        row(f"memory growth, MB/h, over {hours:g} h at 50/s", [an_hour], "<= 5", most=5),
        row("  memory at the end, MB", [memory[-1] / 1e6]),
        row(f"samples lost or doubled, of {number:,}", [abs(number - samples["seq"].nunique())], "0", most=0),
        row(f"effects that came out wrong, of {effects:,}", [wrong], "0", most=0),
        row("  effects still open at the end", [open_effects]),
        row(
            "shards at the end of the load, MB of the MB planned",
            [in_shards / plan.disk.most],
            "<= 1",
            most=1,
        ),
        row("  what is kept of it, MB", [kept / 1e6]),
        row("minutes that it took", [(time.monotonic() - begun_s) / 60]),
    ]


def _growth_an_hour(memory: list[float]) -> float:
    """From the median of the first half to that of the second."""
    half = len(memory) // 2
    grown = statistics.median(memory[half:]) - statistics.median(memory[:half])
    return grown / (half * LOOK_EVERY_S) * 3600


def _broken(error: Exception) -> None:
    raise error


def _bytes_of(room: Path) -> int:
    return sum(path.stat().st_size for path in room.rglob("*") if path.is_file())
