"""The load generator against its figures: what recording costs, whether its open loop is true, what is lost.

Everything runs against a small server of its own in another process, side by side with Locust's
FastHttpUser, and every figure is a ratio or a count, since the machines are shared and noisy.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from loadgen.guard import Guard, Watch
from loadgen.health import Health
from loadgen.recorder import Recorder, Sample
from loadgen.run_folder import RunFolder
from scenarios.abort_rules import parse_abort_rule
from scenarios.arrivals import arrivals
from scenarios.library import load_scenario, parse_scenario
from targets.hosts import AllowedHosts, network_of
from targets.inventory import Inventory

REPEATS = 3
LOCUSTFILE = Path(__file__).parent.parent / "locustfiles" / "save_path.py"

#: The server stalls for so long in every period, so that the response times follow a known law.
STALL_S, PERIOD_S = 2.0, 10.0
#: A slow answer takes this long: many requests are open when a run ends.
SLOW_S = 1.0
#: Users of a closed loop think so long before they ask again.
THINK_S = 1.0
#: Offered by both while CPU is counted: busy, and below what either can do.
RATE_PER_S = 1500.0
#: Offered where each request opens a connection.
CONNECTING_PER_S = 400.0

TARGET = """
name: stub
base_url: http://127.0.0.1:{port}/{mode}
operations:
  save_standard:
    request:
      method: PATCH
      path: /cases/{{{{ case }}}}
      headers: {{X-Save-Id: "{{{{ save.id }}}}"}}
      body: {{title: "{{{{ values.title }}}}", description: "{{{{ values.description }}}}", note: "{note}"}}
"""

SCENARIO = """
name: bench
cohorts: {{none: {{custom_fields: 0, cases: 10, scripts_on_save: 0}}}}
mix: {{save_standard: 1}}
load: {{{arrivals}, in_flight_max: {in_flight}, timeout_s: 20}}
warmup_s: {warmup}
duration_s: {duration}
"""

#: FastHttpUser with the same bodies, and nothing recorded but Locust's own statistics.
BARE = """
import itertools, json, os
from locust import FastHttpUser, HttpUser, constant_throughput, events, task
from scenarios.fields import standard_values

class Bare({kind}):
    host = "http://127.0.0.1:{port}"
    wait_time = constant_throughput({pace}) if {pace} else lambda self: 0
    numbers = itertools.count()
    begun = None

    @task
    def save(self):
        if Bare.begun is None:
            Bare.begun = os.times()
        n = next(Bare.numbers)
        values = standard_values(n)
        body = json.dumps({{"title": values['title'], "description": values['description'], "note": "x" * {note}}})
        headers = {{"X-Save-Id": f"sp-0123456789-{{n:07x}}", "Content-Type": "application/json"}}
        self.client.patch(f"/{mode}/cases/{{n % 2}}", data=body, name="save", headers=headers)

@events.test_stop.add_listener
def tell(environment, **_):
    used, total = os.times(), environment.stats.total
    cpu = used.user + used.system - Bare.begun.user - Bare.begun.system
    told = {{f"p{{100 * q:g}}_s": total.get_response_time_percentile(q) / 1000 for q in (0.9, 0.95, 0.99, 0.999)}}
    print(json.dumps({{"requests": total.num_requests, "cpu_s": cpu, **told}}), flush=True)
"""


def measure() -> list[dict[str, object]]:
    room = Path(tempfile.mkdtemp(prefix="savepath-bench-"))
    try:
        with server() as port:
            bench = Bench(room, port)
            rows = [*bench.recording_cost(), *bench.networks_cost(), *bench.open_loop(), *bench.losses()]
            return [*rows, *_bytes_a_sample(room)]
    finally:
        shutil.rmtree(room)


@dataclass(frozen=True)
class Asked:
    """One run that is to be made: its files, and the words for Locust."""

    folder: Path
    scenario: Path
    target: Path
    words: list[str]


@dataclass
class Bench:
    room: Path
    port: int
    runs: int = 0

    def recording_cost(self) -> list[dict[str, object]]:
        """CPU per request with everything recorded against FastHttpUser, both offering the same rate, in turns."""
        ours, bare = [], []
        for _ in range(REPEATS):
            said = self.bare("static", users=50, seconds=6, pace=RATE_PER_S / 50)
            bare.append(said["cpu_s"] / said["requests"] * 1e6)
            run = self.ours("static", rate=RATE_PER_S, duration=5, in_flight=500)
            ours.append(_cpu_us(run))
        ratios = sorted(b / o for b, o in zip(bare, ours, strict=True))
        guards = [100 * _guard_us() / one for one in ours]
        return [
            row("requests per CPU, everything recorded / FastHttpUser", ratios, ">= 0.95", least=0.95),
            row("guard with every kind of rule, % of that CPU", guards, "< 1", most=1),
            row("  ours, us of CPU a request", ours),
            row("  FastHttpUser, us of CPU a request", bare),
        ]

    def networks_cost(self) -> list[dict[str, object]]:
        """CPU of asking about the networks of a mapping: of kept connections, and of one for each request."""
        shares: dict[str, list[float]] = {"static": [], "close": []}
        opened_of_each = []
        for _ in range(REPEATS):
            for mode, found in shares.items():
                before = self.opened()
                run = self.ours(mode, rate=CONNECTING_PER_S, duration=5, in_flight=500)
                opened = (self.opened() - before - 1) / len(run.read_samples())  # one asked how many there are
                found.append(100 * opened * _networks_us() / _cpu_us(run))
            opened_of_each.append(opened)
        return [
            row("networks of a mapping, connections kept, % of CPU", shares["static"], "< 1", most=1),
            row("networks, a connection for each request, % of CPU", shares["close"], "< 1", most=1),
            row("  connections opened for each of these requests", opened_of_each),
        ]

    def open_loop(self) -> list[dict[str, object]]:
        """A server that stalls 2 s in every 10 s: P(response > x) = (2 - x) / 10, whenever one asks."""
        # Not a whole number of arrivals in a period, so that each period is sampled at other moments.
        samples = self.ours("stall", rate=100.13, duration=4 * PERIOD_S, in_flight=500).read_samples()
        bare = self.bare("stall", users=100, seconds=2 * PERIOD_S, pace=1)
        responses = (samples["done_s"] - samples["scheduled_s"]).to_numpy()
        rows = []
        for q in (0.9, 0.95, 0.99, 0.999):
            truth = STALL_S - PERIOD_S * (1 - q)
            error = float(np.quantile(responses, q)) / truth - 1
            rows.append(
                row(f"open loop, p{100 * q:g} against the truth, error %", [100 * error], "within 2", most=2)
            )
        truth = STALL_S - PERIOD_S * 0.05
        rows.append(row("  FastHttpUser constant_throughput, p95, error %", [100 * (bare["p95_s"] / truth - 1)]))
        return rows

    def losses(self) -> list[dict[str, object]]:
        """Requests that the server has seen and the run folder has not, with 100 open at the end."""
        rows = []
        for name, more, stop in (("--run-time", ["--run-time", "3s"], None), ("SIGINT", [], signal.SIGINT)):
            before = self.seen()
            run = self.ours("slow", rate=100, duration=60, in_flight=500, more=more, stop=stop)
            lost = self.seen() - before - len(run.read_samples())
            ledger = run.read().ledger
            rows.append(row(f"samples lost at the end by {name}, of {ledger.recorded}", [lost], "0", most=0))
        return rows

    def ours(
        self,
        mode: str,
        *,
        rate: float,
        duration: float,
        in_flight: int,
        more: Sequence[str] = (),
        stop: signal.Signals | None = None,
        users: int = 0,
    ) -> RunFolder:
        """One run of savepath's own user; ``stop`` is sent when three seconds of samples are there."""
        asked = self.ask(mode, rate=rate, duration=duration, in_flight=in_flight, users=users)
        folder = asked.folder
        child = locust(LOCUSTFILE, [*asked.words, *more])
        if stop is not None:
            while _recorded(folder) < 2 * rate:
                if child.poll() is not None:
                    break
                time.sleep(0.05)
            child.send_signal(stop)
        _, said = child.communicate(timeout=120)
        if not (folder / "run.json").exists():
            raise RuntimeError(f"no run: {said}")
        return RunFolder(folder)

    def ask(
        self, mode: str, *, rate: float, duration: float, in_flight: int, note: int = 0, users: int = 0
    ) -> Asked:
        """Write down what one run of ours is to do; each body carries a note of so many characters.

        So many ``users`` who think ``THINK_S`` on average come in place of a rate.
        """
        self.runs += 1
        folder = self.room / f"run-{self.runs}"
        scenario, target = self.room / "bench.yaml", self.room / "stub.yaml"
        closed = f"users: {{count: {users}, think_s: {THINK_S}}}"
        text = SCENARIO.format(
            arrivals=closed if users else f"rate_per_s: {rate}, arrivals: constant",
            warmup=2 * (THINK_S + SLOW_S) if users else 0,  # until each is at their place in the round
            duration=duration,
            in_flight=in_flight,
        )
        scenario.write_text(text)
        target.write_text(TARGET.format(port=self.port, mode=mode, note="x" * note))
        known = Inventory.model_validate(
            {"tenants": {t.key: {"cases": ["1", "2"]} for t in parse_scenario(scenario.read_text(), "b").tenants}}
        )
        (self.room / "inventory.json").write_text(known.model_dump_json())
        words = ["--scenario", str(scenario), "--target", str(target), "--run-dir", str(folder)]
        words += ["--stop-with-parent", str(os.getpid())]  # as savepath run starts it
        return Asked(folder, scenario, target, [*words, "--inventory", str(self.room / "inventory.json")])

    def bare(self, mode: str, *, users: int, seconds: float, pace: float = 0) -> dict[str, float]:
        """What FastHttpUser told of itself; ``pace`` is requests per second and user, 0 for as many as it can."""
        child = self.start_bare(mode, users=users, seconds=seconds, pace=pace)
        out, errors = child.communicate(timeout=120)
        lines = [line for line in out.splitlines() if line.startswith("{")]
        if not lines:
            raise RuntimeError(f"Locust said nothing: {errors}")
        said: dict[str, float] = json.loads(lines[-1])
        return said

    def start_bare(
        self,
        mode: str,
        *,
        users: int,
        seconds: float,
        pace: float = 0,
        kind: str = "FastHttpUser",
        note: int = 0,
    ) -> subprocess.Popen[str]:
        """Plain Locust with one of its own users, whose bodies carry a note of so many characters."""
        file = self.room / f"bare_{mode}_{kind}_{note}.py"
        file.write_text(BARE.format(port=self.port, mode=mode, pace=pace, kind=kind, note=note))
        return locust(file, ["-u", str(users), "-r", "100", "--run-time", f"{seconds:.0f}s"])

    def seen(self) -> int:
        """How many requests the server has had."""
        return self._told("seen")

    def opened(self) -> int:
        """How many connections were opened to the server, that of this question included."""
        return self._told("opened")

    def _told(self, count: str) -> int:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/{count}", timeout=10) as answer:
            return int(answer.read())


def _guard_us() -> float:
    """CPU that seven abort rules over a minute take of each request, the look once a second included."""
    texts = ("failures > 99 %", "timeouts > 99 %", "p99 > 9 min", "schedule lag > 9 s", "run-queue delay > 99 %")
    rules = [parse_abort_rule(text) for text in (*(f"{text} over 60 s" for text in texts), "memory > 900 GB")]
    rules.append(parse_abort_rule("disk free < 1 MB"))
    watch, health = Watch(rules), Health()
    health.start()
    guard, seconds, rate = Guard(rules, {"": watch}, health, Path()), 180, int(RATE_PER_S)
    for _ in range(60):
        for _ in range(rate):
            health.note_lag(0.001)
        health.tick()
    empty = _cpu_s(lambda: [None for _ in range(rate * seconds)])

    def look_after() -> None:
        for _ in range(seconds):
            for _ in range(rate):
                watch.note("ok", 1.0, 0.02)
            guard.reason()

    return (_cpu_s(look_after) - empty) / (rate * seconds) * 1e6


def _networks_us() -> float:
    """CPU that asking takes of a connection: two addresses, each in the last network of its kind."""
    texts = ("10.20.0.0/16", "fd00:20::/64", "10.99.0.0/16", "fd00:99::/64")
    hosts, number = AllowedHosts(("desk.example.test",), tuple(map(network_of, texts))), 20_000
    empty = _cpu_s(lambda: [None for _ in range(number)])

    def ask() -> None:
        for _ in range(number):
            hosts.refuse_elsewhere("desk.example.test", ("10.99.1.7", "fd00:99::7"))

    return (_cpu_s(ask) - empty) / number * 1e6


def _cpu_us(run: RunFolder) -> float:
    """CPU of a request of a run."""
    samples, info = run.read_samples(), run.read()
    wall_s = samples["done_s"].max() - samples["scheduled_s"].min() + 0.1
    return float(info.generator.cpu * wall_s / len(samples) * 1e6)


def _cpu_s(work: Callable[[], object]) -> float:
    begun_s = time.process_time()
    work()
    return time.process_time() - begun_s


def _bytes_a_sample(room: Path) -> list[dict[str, object]]:
    """100,000 samples of field-sweep at its own rate, compacted: what the Parquet file takes of each."""
    scenario = load_scenario("field-sweep").model_copy(update={"duration_s": 4000.0})
    folder = RunFolder(room / "bytes")
    folder.create()
    recorder, rng, number = Recorder(folder), np.random.default_rng(1), 100_000
    lags, services = rng.gamma(2, 3e-4, number), rng.lognormal(np.log(0.02), 0.6, number)
    for arrival, lag, service in zip(arrivals(scenario), lags, services, strict=False):
        fields, saves = arrival.tenant.custom_fields, arrival.operation == "save_custom"
        back = 200 + 25 * fields + int(rng.integers(0, 40 + fields))
        out = (
            120 + 30 * fields + int(rng.integers(0, 40 + 4 * fields)) if saves else 150 + int(rng.integers(0, 60))
        )
        failed = rng.random() < 0.002
        recorder.sample(
            Sample(
                arrival.seq, 0, "", arrival.tenant.key, fields, str(arrival.operation), arrival.at_s,
                arrival.at_s + lag, arrival.at_s + lag + service, 503 if failed else 200,
                "http_error" if failed else "ok", "http 503" if failed else "", out,
                back if arrival.operation == "read_case" else 90 + int(rng.integers(0, 10)),
            )
        )  # fmt: skip
    recorder.close()
    folder.compact()
    size = (folder.path / "samples.parquet").stat().st_size / recorder.written
    return [row("bytes a sample on disk, 100,000 of field-sweep", [size], "<= 12", most=12)]


def row(
    figure: str, values: Sequence[float], goal: str = "", *, least: float | None = None, most: float | None = None
) -> dict[str, object]:
    value = float(statistics.median(values))
    reached = None
    if least is not None:
        reached = value >= least
    if most is not None:
        reached = abs(value) <= most
    low, high = float(min(values)), float(max(values))
    return {"figure": figure, "value": value, "low": low, "high": high, "goal": goal, "reached": reached}


def locust(file: Path, words: Sequence[str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "locust", "-f", str(file), "--headless", "--only-summary", *words]
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _recorded(folder: Path) -> int:
    """Requests of a run that were sent so far, as its progress tells."""
    try:
        said = json.loads((folder / "progress.json").read_text())
        return int(said["recorded"]) + int(said["in_flight"])
    except (OSError, ValueError, KeyError):
        return 0


@contextlib.contextmanager
def server() -> Iterator[int]:
    """The server in a process of its own; its port."""
    child = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.load", "serve"], stdout=subprocess.PIPE, text=True,
        cwd=Path(__file__).parent.parent,
    )  # fmt: skip
    try:
        assert child.stdout is not None
        yield int(child.stdout.readline())
    finally:
        child.terminate()
        child.communicate(timeout=10)


class _Answers(asyncio.Protocol):
    """The same JSON for every request: at once, after the stall, slowly, or as the last, as its path begins."""

    seen = opened = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        _Answers.opened += 1
        self._transport = transport
        self._data = b""

    def data_received(self, data: bytes) -> None:
        self._data += data
        while (end := self._data.find(b"\r\n\r\n")) >= 0:
            head = self._data[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._data) < end + 4 + length:
                return
            self._data = self._data[end + 4 + length :]
            self._answer(head.split(b" ", 2)[1])

    def _answer(self, path: bytes) -> None:
        if path in (b"/seen", b"/opened"):
            self._write(str(getattr(_Answers, path[1:].decode())).encode())
            return
        _Answers.seen += 1
        wait_s = 0.0
        if path.startswith(b"/slow"):
            wait_s = SLOW_S
        elif path.startswith(b"/stall"):
            wait_s = max(STALL_S - time.monotonic() % PERIOD_S, 0.0)
        if wait_s:
            asyncio.get_running_loop().call_later(wait_s, self._write, b"{}")
        else:
            self._write(b"{}", last=path.startswith(b"/close"))

    def _write(self, body: bytes, *, last: bool = False) -> None:
        more = b"Connection: close\r\n" if last else b""
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n%bContent-Length: %d\r\n\r\n"
        self._transport.write(head % (more, len(body)) + body)  # type: ignore[attr-defined]
        if last:
            self._transport.close()


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Answers, "127.0.0.1", 0, backlog=1000)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_serve())
    else:
        from benchmarks.__main__ import table

        print(table(measure()))
