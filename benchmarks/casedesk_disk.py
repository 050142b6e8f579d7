"""What a degraded disk does to each operation of casedesk, by number of custom fields.

Drives the embedded system at a fixed rate (open loop: arrivals do not wait for answers), first
on one disk profile, then on others, and prints the median response time of each operation and
cohort, and how busy the single writer was.

    python -m benchmarks disk                                    # rows with goals, two minutes and more
    python -m benchmarks.casedesk_disk --disks healthy slow --seconds 20   # a table of medians
"""

from __future__ import annotations

import argparse
import asyncio
import math
import random
import statistics
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx
import orjson

from casedesk.process import RunningDesk, running_desk

#: The estate of scenarios/field-sweep.yaml, with a second script.
COHORTS = (0, 10, 50, 200, 500)
TENANTS_PER_COHORT = 2
CASES_PER_TENANT = 30
SCRIPTS_ON_SAVE = 2
MESSAGES_PER_BATCH = 5
RATE_PER_S = 40.0
WARMUP_S = 10.0
MIX = {"read_case": 20, "send_email": 20, "send_batch": 10, "save_standard": 20, "save_custom": 30}
METHODS = {
    "read_case": "GET",
    "send_email": "POST",
    "send_batch": "POST",
    "save_standard": "PATCH",
    "save_custom": "PATCH",
}
TYPES = ("text", "number", "date", "choice", "long_text", "checkbox")


@dataclass
class Tenant:
    """A tenant of the estate: its key, its number of custom fields and its cases."""

    key: str
    custom_fields: int
    cases: list[int] = field(default_factory=list)


@dataclass
class Measured:
    """One profile's run: response times by operation and cohort, answers that were not 2xx, shares."""

    times_s: dict[tuple[str, int], list[float]]
    failures: dict[int, int]
    writer_share: float
    device_share: float
    cpu_share: float
    late_s: float


def value(rng: random.Random, number: int) -> object:
    """A new value for field ``number``: about 40 bytes on average over the types."""
    match TYPES[number % len(TYPES)]:
        case "number":
            return rng.randrange(10**6)
        case "date":
            return f"20{rng.randrange(10, 30)}-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}"
        case "choice":
            return f"choice {rng.randrange(8)}"
        case "checkbox":
            return rng.random() < 0.5
        case "long_text":
            return "".join(rng.choices("abcdefgh ", k=rng.randrange(60, 180)))
        case _:
            return "".join(rng.choices("abcdefgh ", k=rng.randrange(10, 40)))


def fields(rng: random.Random, count: int) -> dict[str, object]:
    """New values for all custom fields."""
    return {f"field_{number:03}": value(rng, number) for number in range(count)}


def provision(desk: RunningDesk, rng: random.Random) -> list[Tenant]:
    """Create the estate."""
    tenants: list[Tenant] = []
    with httpx.Client(base_url=desk.url, trust_env=False, timeout=60) as client:

        def ask(path: str, body: object) -> dict[str, int]:
            answer = client.post(path, json=body)
            answer.raise_for_status()
            found: dict[str, int] = answer.json()
            return found

        for count in COHORTS:
            for number in range(TENANTS_PER_COHORT):
                tenant = Tenant(f"f{count}-{number}", count)
                tenants.append(tenant)
                ask("/tenants", {"key": tenant.key, "name": tenant.key})
                definitions = [
                    {
                        "key": f"field_{n:03}",
                        "label": f"Field {n}",
                        "type": TYPES[n % len(TYPES)],
                        "choices": [f"choice {c}" for c in range(8)] if TYPES[n % len(TYPES)] == "choice" else [],
                    }
                    for n in range(count)
                ]
                body = {
                    "key": "request",
                    "name": "Request",
                    "scripts_on_save": SCRIPTS_ON_SAVE,
                    "fields": definitions,
                }
                ask(f"/tenants/{tenant.key}/case-types", body)
        for _ in range(CASES_PER_TENANT):
            for tenant in tenants:
                case = {
                    "case_type": "request",
                    "title": "A case",
                    "description": "A sentence on what the client has asked for, and by when.",
                    "fields": fields(rng, tenant.custom_fields),
                }
                tenant.cases.append(ask(f"/tenants/{tenant.key}/cases", case)["id"])
    return tenants


class Client:
    """A bare HTTP/1.1 client on kept connections: it costs less time than what it measures."""

    def __init__(self, url: str) -> None:
        self._host, self._port = url.removeprefix("http://").split(":")
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, method: str, path: str, body: object = None, *, save_id: str = "-") -> tuple[int, bytes]:
        """Status and body of the answer."""
        content = b"" if body is None else orjson.dumps(body)
        head = f"{method} {path} HTTP/1.1\r\nhost: desk\r\nx-save-id: {save_id}\r\n"
        reader, writer = self._idle.pop() if self._idle else await asyncio.open_connection(self._host, self._port)
        writer.write(f"{head}content-length: {len(content)}\r\n\r\n".encode() + content)
        answer = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(answer.split(b"content-length:")[1].split(b"\r\n")[0])
        received = await reader.readexactly(length)
        self._idle.append((reader, writer))
        return int(answer.split()[1]), received

    def close(self) -> None:
        for _, writer in self._idle:
            writer.close()


async def drive(desk: RunningDesk, tenants: Sequence[Tenant], seconds: float, rng: random.Random) -> Measured:
    """Poisson arrivals at the fixed rate, their answers, and the counters over the measured window."""
    times_s: dict[tuple[str, int], list[float]] = defaultdict(list)
    failures: dict[int, int] = defaultdict(int)
    client = Client(desk.url)

    async def fire(operation: str, tenant: Tenant, number: int, *, measured: bool) -> None:
        path, body = _request(rng, operation, tenant, number)
        begun = time.perf_counter()
        status, _ = await client.ask(METHODS[operation], path, body, save_id=f"s{number}")
        took_s = time.perf_counter() - begun
        if measured and status < 300:
            times_s[operation, tenant.custom_fields].append(took_s)
        elif measured:
            failures[status] += 1

    begin = due = time.perf_counter()
    tasks: list[asyncio.Task[None]] = []
    before: dict[str, float] = {}
    while due < begin + WARMUP_S + seconds:
        due += rng.expovariate(RATE_PER_S)
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        measured = due >= begin + WARMUP_S
        if measured and not before:
            before, began = await asyncio.to_thread(desk.counters), time.perf_counter()
        operation = rng.choices(list(MIX), list(MIX.values()))[0]
        tasks.append(asyncio.create_task(fire(operation, rng.choice(tenants), len(tasks), measured=measured)))
    after, ended = await asyncio.to_thread(desk.counters), time.perf_counter()
    await asyncio.gather(*tasks)
    late_s = await _script_delay_s(client, tenants[0])
    client.close()
    share = {name: (after[name] - before[name]) / (ended - began) for name in before}
    return Measured(times_s, failures, share["writer_busy_s"], share["busy_s"], share["process_cpu_s"], late_s)


def _request(rng: random.Random, operation: str, tenant: Tenant, number: int) -> tuple[str, object]:
    case = f"/tenants/{tenant.key}/cases/{rng.choice(tenant.cases)}"
    mail = {"to": "someone@example.com", "subject": "S", "body": "b" * 200, "token": f"m{number}"}
    match operation:
        case "read_case":
            return case, None
        case "save_standard":
            return case, {"title": f"Title {number}"}
        case "save_custom":
            return case, {"fields": fields(rng, tenant.custom_fields)}
        case "send_email":
            return f"/tenants/{tenant.key}/emails", mail
        case _:
            messages = [{**mail, "token": f"m{number}-{n}"} for n in range(MESSAGES_PER_BATCH)]
            return f"/tenants/{tenant.key}/email-batches", {"token": f"b{number}", "messages": messages}


async def _script_delay_s(client: Client, tenant: Tenant) -> float:
    """Save a last time and say how long after the save its scripts were finished."""
    save_id = f"last-{time.time_ns()}"
    await client.ask("PATCH", f"/tenants/{tenant.key}/cases/{tenant.cases[0]}", {}, save_id=save_id)
    for _ in range(600):
        _, content = await client.ask("GET", f"/tenants/{tenant.key}/script-runs?save_ids={save_id}")
        if runs := orjson.loads(content)["runs"]:
            return max(float(run["finished_at"] - run["queued_at"]) for run in runs)
        await asyncio.sleep(0.05)
    return float("inf")


def table(results: dict[str, Measured]) -> str:
    """The medians as a Markdown table, in milliseconds, and a line on each profile."""
    lines = [
        "| operation | disk | " + " | ".join(f"{count} fields" for count in COHORTS) + " |",
        "|---|---|" + "---|" * len(COHORTS),
    ]
    for operation in MIX:
        for disk, measured in results.items():
            cells = [
                f"{1000 * statistics.median(found):.1f} (n {len(found)})"
                if (found := measured.times_s.get((operation, count)))
                else "-"
                for count in COHORTS
            ]
            lines.append(f"| {operation} | {disk} | " + " | ".join(cells) + " |")
    for disk, measured in results.items():
        lines.append(
            f"{disk}: writer busy {measured.writer_share:.0%}, "
            f"{measured.device_share:.2f} operations at the device, "
            f"CPU {measured.cpu_share:.0%} of a core, failures {dict(measured.failures)}, "
            f"last save's scripts done after {1000 * measured.late_s:.0f} ms"
        )
    return "\n".join(lines)


def run(disks: Sequence[str], *, seconds: float, seed: int = 1) -> dict[str, Measured]:
    """Each disk in turn on one estate of one desk, and what a request costs in CPU on the first."""
    rng = random.Random(seed)
    results: dict[str, Measured] = {}
    with running_desk() as desk:
        tenants = provision(desk, rng)
        for disk in disks:
            desk.set_disk(disk)
            results[disk] = asyncio.run(drive(desk, tenants, seconds, rng))
    return results


def cpu_ms(repeats: int = 200) -> dict[str, float]:
    """CPU of the server per request, its scripts and checkpoints included, in milliseconds."""
    rng = random.Random(2)

    async def spend(desk: RunningDesk, method: str, path: str, bodies: Sequence[object]) -> float:
        client = Client(desk.url)
        before = await asyncio.to_thread(desk.counters)
        for number, body in enumerate(bodies):
            await client.ask(method, path, body, save_id=f"cpu-{number}")
        after = await asyncio.to_thread(desk.counters)
        client.close()
        return 1000 * (after["process_cpu_s"] - before["process_cpu_s"]) / len(bodies)

    with running_desk() as desk:
        tenants = {tenant.custom_fields: tenant for tenant in provision(desk, rng)}
        small, large = (f"/tenants/{tenants[n].key}/cases/{tenants[n].cases[0]}" for n in (0, 500))
        saves = [{"fields": fields(rng, 500)} for _ in range(repeats)]
        return {
            "read_case": asyncio.run(spend(desk, "GET", small, [None] * repeats)),
            "save_custom": asyncio.run(spend(desk, "PATCH", large, saves)),
        }


def measure(seconds: float = 60.0) -> list[dict[str, object]]:
    """Rows {figure, value, low, high, goal, reached}: medians, ratios, shares and CPU."""
    results = run(("healthy", "degraded"), seconds=seconds)
    rows: list[dict[str, object]] = []

    def row(figure: str, value: float, low: float | None, high: float | None, goal: str, ok: bool | None) -> None:
        rows.append({"figure": figure, "value": value, "low": low, "high": high, "goal": goal, "reached": ok})

    for disk, measured in results.items():
        for (operation, count), times_s in sorted(measured.times_s.items()):
            low, high = interval_s(times_s)
            median_ms = 1000 * statistics.median(times_s)
            row(f"{disk}, {operation}, {count} fields, p50 ms", median_ms, 1000 * low, 1000 * high, "", None)

    def ratio(
        operation: str, count: int, goal: str, most: float | None = None, least: float | None = None
    ) -> None:
        healthy, degraded = (results[disk].times_s[operation, count] for disk in ("healthy", "degraded"))
        value = statistics.median(degraded) / statistics.median(healthy)
        low = interval_s(degraded)[0] / interval_s(healthy)[1]
        high = interval_s(degraded)[1] / interval_s(healthy)[0]
        ok = (
            None
            if most is least is None
            else (most is None or value <= most) and (least is None or value >= least)
        )
        row(f"{operation}, {count} fields, degraded / healthy", value, low, high, goal, ok)

    ratio("save_custom", 500, "at least 5", least=5.0)
    ratio("save_custom", 10, "")
    ratio("save_custom", 0, "")
    ratio("save_standard", 0, "")
    ratio("read_case", 500, "")
    ratio("read_case", 0, "at most 1.1", most=1.1)
    share = results["degraded"].writer_share
    row("degraded, share of time the writer is busy", share, None, None, "0.5 to 0.8", 0.5 <= share <= 0.8)
    failed = float(sum(results["degraded"].failures.values()))
    row("degraded, answers that were no success", failed, None, None, "0", failed == 0)
    cpu = cpu_ms()
    row("CPU ms of a read of a case without fields", cpu["read_case"], None, None, "1.5", cpu["read_case"] <= 1.5)
    row("CPU ms of a custom save of 500 fields", cpu["save_custom"], None, None, "8", cpu["save_custom"] <= 8)
    return rows


def interval_s(times_s: Sequence[float]) -> tuple[float, float]:
    """A 95 % interval of the median by order statistics (normal approximation of the binomial)."""
    ordered = sorted(times_s)
    half = 0.98 * len(ordered) ** 0.5
    middle = len(ordered) / 2
    return ordered[max(0, int(middle - half))], ordered[min(len(ordered) - 1, math.ceil(middle + half))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--disks", nargs="+", default=["healthy", "degraded"])
    parser.add_argument("--seconds", type=float, default=60.0)
    found = parser.parse_args()
    print(table(run(found.disks, seconds=found.seconds)))


if __name__ == "__main__":
    main()
