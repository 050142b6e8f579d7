"""One run by itself, in words of 80 columns and as JSON; a run of two targets arm by arm."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from analysis.account import Account, account_of
from analysis.details import Outage
from loadgen.plan import CLOSED_LOOP
from loadgen.run_folder import RunFolder
from loadgen.run_info import RunInfo, WorkerFacts
from loadgen.runs import find_runs, looks_like_run
from loadgen.tables import LOOKED_THROUGH
from reports import outages, units
from reports.account import parts as account_parts
from reports.console import BAD, plain_table, printed
from reports.escaping import one_line
from savepath.importing.telling import CANNOT
from savepath.loading import load_arms, load_run, question_of
from savepath.planning import tell_users
from scenarios.errors import InputError

SCHEMA: Final = "savepath.account/1"
CAVEAT: Final = (
    "One run by itself, no comparison: a range (95 %) says how well its own requests pin down a time of this "
    "run, not by how much the next run of the same system would differ."
)


@dataclasses.dataclass(frozen=True, slots=True)
class Shown:
    """A run folder, its facts, and its account: one for each arm, under "" where it drove one target."""

    folder: Path
    info: RunInfo
    accounts: Mapping[str, Account]
    outages: Mapping[str, tuple[Outage, ...] | None]  # None where there are too many samples to look


def show_run(folder: Path) -> Shown:
    """The run in that folder. Raises InputError for what is no run, and for several."""
    if not looks_like_run(folder):
        inside = find_runs([folder])
        if len(inside) > 1:
            raise InputError(
                f"{folder} holds {len(inside)} runs; show one of them, e.g. savepath show {inside[0]}"
            )
        folder = inside[0] if inside else folder
    info = RunFolder(folder).read()
    question = question_of(folder, ())
    runs = load_arms(folder) if info.arms else {"": load_run(folder)}
    accounts = {arm: account_of(run, question) for arm, run in runs.items()}
    return Shown(folder, info, accounts, {arm: run.outages for arm, run in runs.items()})


def tell_run(shown: Shown, *, width: int = 80, color: bool = False) -> str:
    """The run for people; no line is wider than ``width``."""
    return printed(_parts(shown), width=width, color=color)


def tell_line(shown: Shown) -> str:
    """The run in one line: status, requests, failures and broken promises."""
    accounts = list(shown.accounts.values())
    requests, failed = (sum(getattr(one, name) for one in accounts) for name in ("requests", "failed"))
    broken = sum(finding.after for one in accounts for finding in one.integrity if not finding.held)
    told = f"{units.counted(requests, 'request')}, {units.count(failed)} failed"
    return f"{shown.folder}: {shown.info.status}, {told}, {units.counted(broken, 'broken promise')}"


def run_as_json(shown: Shown) -> str:
    """The same as JSON: the facts as in ``run.json``, and the account of each arm; what is not known is null."""
    accounts = [{"arm": arm, **_plain(dataclasses.asdict(account))} for arm, account in shown.accounts.items()]
    document = {
        "schema": SCHEMA,
        "folder": str(shown.folder),
        "run": shown.info.model_dump(mode="json", by_alias=True),
        "accounts": accounts,
        "outages": {
            arm: None if found is None else [dataclasses.asdict(one) for one in found]
            for arm, found in shown.outages.items()
        },
    }
    return json.dumps(_plain(document), indent=1, ensure_ascii=False, allow_nan=False)


def runs_as_json(folders: Iterable[Path]) -> str:
    """Which runs were made, for the next program of a pipeline."""
    made = [(folder, RunFolder(folder).read()) for folder in folders]
    return json.dumps(
        [
            {"folder": str(folder), "id": info.id, "status": info.status, "ledger": info.ledger.model_dump()}
            for folder, info in made
        ],
        indent=1,
    )


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def _parts(shown: Shown) -> Iterator[RenderableType]:
    info = shown.info
    yield Text(str(shown.folder), style="bold")
    style = "" if info.status == "complete" else BAD
    yield Text.assemble(
        f"{one_line(info.scenario)} on {one_line(info.target)} · ",
        (info.status, style),
        f" · {units.moment(info.started_at)} · {units.duration(info.duration_s)} measured"
        + (f" after {units.duration(info.warmup_s)} of warm-up" if info.warmup_s else ""),
    )
    if info.users:
        yield Text(f"{CLOSED_LOOP}: {tell_users(info.users)}")
    for text in (info.reason, info.purpose):
        if text:
            yield Text(one_line(text))
    if info.origin:
        yield Text(f"imported from {info.origin.tool}: {', '.join(map(one_line, info.origin.files))}")
    yield Text(CAVEAT, style="dim")
    for arm, account in shown.accounts.items():
        if arm:
            facts = info.arms[arm]
            yield Text(f"\n{arm}: {one_line(facts.target)} at {one_line(facts.address)}", style="bold")
        yield from account_parts(account)
        for outage in shown.outages[arm] or ():
            yield ""
            yield from outages.parts(outages.told(outage, info.started_at))
        if shown.outages[arm] is None:
            yield Text(f"outages: not looked for in more than {units.count(LOOKED_THROUGH)} samples")
    yield ""
    yield _facts(shown)


def _facts(shown: Shown) -> Table:
    table = plain_table(header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in _told_facts(shown):
        table.add_row(Text(name), Text(one_line(text)))
    return table


def _told_facts(shown: Shown) -> Iterator[tuple[str, str]]:
    info = shown.info
    yield "ledger", f"{info.ledger}"
    if not info.origin:
        yield "offered", f"{info.offered_per_s:,.4g} arrivals/s"
        yield "generator", _generator(info)
        for worker in info.workers:
            yield f"worker {worker.worker}", _worker(worker)
        verified = info.verification
        yield (
            "checks",
            f"{units.counted(verified.requests, 'request')} beside the load, "
            f"{units.counted(verified.unverified, 'effect')} that nobody could look at",
        )
    else:
        for lack in info.origin.lacks:
            yield "not known", CANNOT[lack]
        for note in info.origin.notes:
            yield "note", note
    yield "labels", _pairs(info.labels)
    if info.arms:
        for arm, facts in info.arms.items():
            yield f"{arm} is", _pairs(facts.fingerprint)
    else:
        yield "target", " · ".join(part for part in (info.environment, _pairs(info.fingerprint)) if part)
    yield "plan", info.plan_digest[:16]
    yield "id", info.id
    yield "made by", _pairs(info.versions)


def _generator(info: RunInfo) -> str:
    health = info.generator
    who = f"{len(info.workers)} workers, " if info.workers else ""
    worst = "; the worst off" if info.workers else ";"
    return (
        f"{who}late by {units.seconds(health.lag_p50_s)} at p50 and {units.seconds(health.lag_p99_s)} at p99"
        f"{worst} waited for a core {units.share(health.run_queue_delay)} of its time, "
        f"used {units.share(health.cpu)} of one; {units.counted(health.waited_for_pool, 'arrival')} held back "
        f"because the target had all its requests open (peak {units.count(health.in_flight_peak)})"
    )


def _worker(worker: WorkerFacts) -> str:
    if worker.reason:
        told = f"{worker.reason}: {units.count(worker.recorded)} recorded, {units.count(worker.lost)} lost"
        return told + "; the others took over what it left" * bool(worker.heirs)
    waited, used = units.share(worker.run_queue_delay), units.share(worker.cpu)
    return (
        f"{units.counted(worker.fired, 'arrival')}; late by {units.seconds(worker.lag_p99_s)} at p99; "
        f"waited for a core {waited} of its time, used {used} of one"
    )


def _pairs(settings: Mapping[str, str]) -> str:
    return ", ".join(f"{key} {value}" for key, value in settings.items()) or "none"
