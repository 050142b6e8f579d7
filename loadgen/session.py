"""One run from its beginning to its whole folder: prepare, have it driven, compact, finish.

What belongs to one target is an arm's (``loadgen.arm``); a run has one, or two that are driven at once. It is
driven here (``loadgen.drive``) or by several workers (``loadgen.crew``).
Knows gevent but not Locust: whoever drives it hands in what wants to be told of finished requests.
"""

from __future__ import annotations

import math
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import gevent
from gevent.event import Event

from loadgen.arm import Prepared, announce_tokens, prepare
from loadgen.chosen import ALONE, CLIENTS, ChosenTarget, Workers, environ_of
from loadgen.crew import Crew
from loadgen.drive import Drive, Task, ending_of
from loadgen.ending import Ending, Progress
from loadgen.hands import Child, Guest
from loadgen.live import Live, live_of
from loadgen.messages import Known, Order
from loadgen.operations import Listener
from loadgen.part import Part, facts_of_arm, facts_of_workers, generator_of, with_foreign
from loadgen.plan import plan_for
from loadgen.reception import Reception
from loadgen.run_folder import RunFolder
from loadgen.run_info import (
    ArmFacts,
    Asked,
    Cell,
    IntegrityLimit,
    RunInfo,
    arms_of_run,
    facts_of_all,
)
from loadgen.shipping import files_of, mapping_name, scenario_name
from scenarios.arms import ARMS, count_arms
from scenarios.errors import InputError
from scenarios.library import load_scenario
from scenarios.model import Scenario
from scenarios.parts import refuse_too_many
from scenarios.tokens import new_run_key
from targets.environment import secret_of
from targets.footprint import Footprint
from targets.mapping import Target
from targets.quotas import refuse_over_quota
from targets.safety import refuse_unsafe

if TYPE_CHECKING:
    from loadgen.metrics import Metrics

#: From the start of the walk to the first planned moment, so that the first arrivals are not late: in one process,
#: and where others have to be told.
LEAD_S, LEAD_OF_SEVERAL_S = 0.1, 0.5
TELL_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run needs to be told."""

    scenario: str  # name or path
    target: ChosenTarget
    versus: ChosenTarget | None = None  # a second one, driven at the same time
    run_dir: Path | None = None  # None: runs/<UTC time>-<scenario>
    labels: Mapping[str, str] = field(default_factory=dict)
    purpose: str = ""
    allow_python: bool = False  # whether the mapping may name a class of its own
    client: str = CLIENTS[0]
    production: bool = False  # whether production is meant
    workers: Workers = ALONE  # the processes that drive it
    metrics_port: int | None = None  # of 127.0.0.1; where Prometheus looks while the run lasts

    @property
    def targets(self) -> dict[str, ChosenTarget]:
        """The targets by the name of their arm, which is empty where there is only one."""
        if self.versus is None:
            return {"": self.target}
        return dict(zip(ARMS, (self.target, self.versus), strict=True))


class Driving(Protocol):
    """What drives the plan of a run: this process alone (``Drive``), or several workers (``Crew``)."""

    def get_ready(self) -> None:
        """Everything that may fail before a request is measured. Raises SavepathError; blocks meanwhile."""

    def run(self, zero_s: float) -> list[Part]:
        """Drive to the end, second 0 being at ``zero_s`` of the monotonic clock; what each worker counted."""

    def stop(self, ending: Ending) -> None:
        """End early and in order."""

    def save(self) -> None:
        """Keep what is recorded: everything is about to be torn down."""

    @property
    def progress(self) -> Progress:
        """Where it is."""


class Session:
    """One run. ``prepare``, then ``start``; ``finished`` is set when the folder is whole, or never will be."""

    def __init__(
        self, settings: Settings, *, listener: Listener | None = None, say: Callable[[str], None] | None = None
    ) -> None:
        self.finished = Event()
        self.ending = Ending()
        self.folder = RunFolder(Path())
        self.created = False
        self.live = Live()
        self._settings = settings
        self._listener = listener
        self._say = say or _to_stderr
        self._zero = math.nan  # monotonic time of second 0
        self._stopped = False
        self._driving: Driving | None = None
        self._beside = ExitStack()
        self._prepared: Mapping[str, Prepared] = {}
        self._footprints: dict[str, Footprint] = {}

    # before anything is measured

    def prepare(self) -> None:
        """Everything that may fail before a request is measured. Raises SavepathError; blocks meanwhile."""
        settings = self._settings
        scenario = load_scenario(settings.scenario)
        targets = {
            name: chosen.load(allow_python=settings.allow_python) for name, chosen in settings.targets.items()
        }
        self._plan = plan_for(scenario, list(targets.values()), client=settings.client)
        self._scenario = self._plan.scenario
        refuse_too_many(self._scenario, settings.workers.number)
        for target in targets.values():
            refuse_unsafe(target, self._scenario.tenant_keys, production=settings.production)
            refuse_over_quota(target, self._scenario, at_once=len(targets) > 1)
        self.folder = RunFolder(settings.run_dir or _default_folder(self._scenario))
        self.folder.create()
        self.created = True
        self.folder.refuse_small_disk(self._plan.bytes_expected)
        self.folder.write_plan(self._plan.as_dict())
        for warning in self._plan.warnings:
            self._say(f"note: {warning}")
        self._write_progress(Progress())
        self._footprints = {name: self._footprint_of(name, target) for name, target in targets.items()}
        self._prepared = {
            name: prepare(
                target,
                self._scenario,
                settings.targets[name].inventory,
                environ_of(name, os.environ),
                self._footprints[name],
            )
            for name, target in targets.items()
        }
        self._key = new_run_key()
        for name, prepared in self._prepared.items():
            announce_tokens(self._footprints[name], prepared, self._key)
        self._driving = self._alone() if settings.workers.alone else self._several()
        with ExitStack() as opened:
            if settings.metrics_port is not None:
                opened.enter_context(closing(self._open_metrics(settings.metrics_port)))
            self._driving.get_ready()
            self._beside = opened.pop_all()

    def _open_metrics(self, port: int) -> Metrics:
        from loadgen.metrics import Metrics

        about = {"run": self.folder.path.resolve().name, "scenario": self._scenario.name}
        return Metrics(port, about, lambda: self._driving.progress if self._driving else Progress())

    def _alone(self) -> Drive:
        return Drive(self._task_of(0), on_stop=self.stop, listener=self._listener)

    def _several(self) -> Crew:
        settings, workers = self._settings, self._settings.workers
        files = files_of(settings.scenario, self._scenario, settings.targets) if workers.listen else {}
        known = {
            name: Known(
                mapping=mapping_name(name, chosen.mapping) if workers.listen else chosen.mapping,
                variables=dict(chosen.variables),
                fingerprint=dict(self._prepared[name].fingerprint),
                inventory=self._prepared[name].inventory,
            )
            for name, chosen in settings.targets.items()
        }
        orders = [
            Order(
                worker=worker,
                workers=workers.number,
                scenario=scenario_name(settings.scenario) if workers.listen else settings.scenario,
                targets=known,
                folder="" if workers.listen else str(self.folder.path),
                files=files,
                run_key=self._key,
                plan_digest=self._plan.digest,
                client=settings.client,
                allow_python=settings.allow_python,
            )
            for worker in range(workers.number)
        ]
        if not workers.listen:
            return Crew([Child(order) for order in orders], self._task_of, on_stop=self.stop)
        guests = [Guest(order, self.folder) for order in orders]
        token = secret_of(os.environ, workers.token_env) or "" if workers.token_env else ""
        reception = Reception(workers.listen, token, guests, metadata.version("savepath"), self._say)
        return Crew(guests, self._task_of, on_stop=self.stop, reception=reception)

    def _task_of(self, worker: int) -> Task:
        client, workers = self._settings.client, self._settings.workers.number
        return Task(self._scenario, self._prepared, self.folder, self._key, client, worker, workers)

    def _footprint_of(self, arm: str, target: Target) -> Footprint:
        """Where it is kept what the run makes there."""
        side = arm or self._settings.labels.get("side", "")  # of runs by turns, savepath has told by a label
        name = f"run-{arm}" if arm else "run"
        return self._settings.targets[arm].footprint(self.folder.path, name, target, self._scenario, side)

    @property
    def failure_folder(self) -> RunFolder | None:
        """Where to say why the run could not begin; None where nobody named a folder, or it is somebody else's."""
        if self.created:
            return self.folder
        wanted = self._settings.run_dir
        if wanted is None:
            return None
        folder = RunFolder(wanted)
        try:
            folder.create()
        except InputError:
            return None
        return folder

    # the run

    def start(self) -> None:
        """Begin to drive; returns at once."""
        lead_s = LEAD_S if self._settings.workers.alone else LEAD_OF_SEVERAL_S
        self._zero = time.monotonic() + lead_s + self._scenario.warmup_s
        self._started_at = datetime.now(UTC) + timedelta(seconds=lead_s + self._scenario.warmup_s)
        self._conductor = gevent.spawn(self._conduct)

    def now(self) -> float:
        """Seconds since the start of the measured window; negative in the warm-up."""
        return time.monotonic() - self._zero

    def stop(self, ending: Ending) -> None:
        """End the run early and in order. The first call says why, unless it was harmless and the next is not."""
        if self.finished.is_set() or (self._stopped and (self.ending.exit_code or not ending.exit_code)):
            return
        self._stopped = True
        self.ending = ending
        if self._driving is not None:
            self._driving.stop(ending)

    @property
    def started(self) -> bool:
        """Whether arrivals have begun."""
        return not math.isnan(self._zero)

    def save_what_there_is(self) -> None:
        """Flush the shards of a run that is being torn down at once."""
        if self._driving is not None and not self.finished.is_set():
            self._driving.save()

    def _conduct(self) -> None:
        assert self._driving is not None  # noqa: S101  # prepare was called
        ticker = gevent.spawn(self._tell_progress, self._driving)
        try:
            parts = self._driving.run(self._zero)
            ticker.kill()
            self._finish(parts)
            self._write_progress(self._driving.progress.model_copy(update={"phase": "done"}))
        except Exception as error:
            self.stop(ending_of(error, self.folder.path))
            self.ending = self.ending if self.ending.exit_code else Ending("aborted", repr(error), 1)
            self._say(f"the run has no run.json: {self.ending.reason or error}")
        finally:
            ticker.kill()
            self._beside.close()
            for footprint in self._footprints.values():
                footprint.close()
            self.finished.set()

    def _finish(self, parts: Sequence[Part]) -> None:
        # Loaded now, as it takes what no run needs before its end; and here, so that its locks are of this thread.
        from loadgen.compaction import compact

        # In a thread of its own: the loop goes on, so that a second Ctrl-C is heard.
        strays = {seq for part in parts for seq in part.strays}
        found_elsewhere = gevent.get_hub().threadpool.apply(
            compact, (self.folder.path, self.folder.shards, strays)
        )
        driven_s = max(part.driven_s for part in parts)
        arms = self._arm_facts(parts, driven_s, found_elsewhere)
        ledger = facts_of_all(arms).ledger
        if not self.ending.exit_code:
            if not all(facts.ledger.closes for facts in arms.values()):
                self.ending = Ending("aborted", f"the ledger does not close: {ledger}", 4)
            elif self.ending.status == "complete" and ledger.unsent:
                self.ending = Ending("aborted", f"a part of the plan was not driven: {ledger}", 4)
        self.folder.finish(self._info(parts, arms, driven_s))
        failed = sum(counts.logins_failed for part in parts for counts in part.arms.values())
        if failed:
            self._say(f"note: {failed} logins failed in the course of the run, and were tried again")
        outcome = self.ending.status + (f" ({self.ending.reason})" if self.ending.reason else "")
        self._say(f"{outcome}: {ledger}; {self.folder.path}")

    # once a second

    def _tell_progress(self, driving: Driving) -> None:
        while True:
            gevent.sleep(TELL_EVERY_S)
            try:
                self._write_progress(driving.progress)
            except Exception as error:
                self.stop(ending_of(error, self.folder.path))

    def _write_progress(self, progress: Progress) -> None:
        self.live = live_of(
            progress,
            scheduled=self._plan.arrivals_expected,
            elapsed_s=self.now() + self._scenario.warmup_s if self.started else 0.0,
            total_s=self._plan.duration_s,
            recorded_before=self.live.recorded,
        )
        self.folder.write_whole("progress.json", self.live.model_dump_json().encode())

    # what is kept

    def _arm_facts(
        self, parts: Sequence[Part], driven_s: float, found_elsewhere: Mapping[str, int]
    ) -> dict[str, ArmFacts]:
        planned = self._plan.arrivals_expected
        if self._plan.is_closed:  # what comes next is decided by the answers: what began was what was due
            planned = sum(counts.fired for part in parts for counts in part.arms.values())
        scheduled = {"": planned} if len(self._prepared) == 1 else count_arms(self._key, planned)
        return {
            name: with_foreign(
                facts_of_arm(prepared.about, [part.arms[name] for part in parts], scheduled[name], driven_s),
                found_elsewhere.get(name, 0),
            )
            for name, prepared in self._prepared.items()
        }

    def _info(self, parts: Sequence[Part], arms: Mapping[str, ArmFacts], driven_s: float) -> RunInfo:
        settings, scenario, whole = self._settings, self._scenario, facts_of_all(arms)
        return RunInfo(
            schema="savepath.run/1",
            id=self.folder.path.resolve().name,
            key=self._key,
            purpose=settings.purpose,
            scenario=scenario.name,
            target=whole.target,
            environment=whole.environment,
            plan_digest=self._plan.digest,
            labels=dict(settings.labels),
            fingerprint=whole.fingerprint,
            started_at=self._started_at.isoformat(timespec="milliseconds"),
            warmup_s=scenario.warmup_s,
            duration_s=round(driven_s, 3),
            ended_s=round(self.now(), 3),
            status=self.ending.status,
            reason=self.ending.reason,
            offered_per_s=whole.offered_per_s,
            fired=whole.fired,
            ledger=whole.ledger,
            generator=generator_of(parts, whole, settings.client),
            verification=whole.verification,
            effects=whole.effects,
            stored_cases=whole.stored_cases,
            arms=arms_of_run(arms),
            workers=facts_of_workers(parts),
            users=scenario.load.users,
            question=question_of(scenario),
            versions=_versions(),
        )


def question_of(scenario: Scenario) -> Asked:
    """What the scenario asks of a comparison."""
    limits = scenario.limits
    return Asked(
        tolerance=limits.slower,
        required=tuple(Cell(operation=op, custom_fields=n) for op, n in sorted(scenario.required_cells)),
        not_applicable=tuple(Cell(operation=op, custom_fields=n) for op, n in sorted(scenario.impossible_cells)),
        limits=(
            IntegrityLimit(kind="script", outcome="late", share=limits.late_scripts),
            IntegrityLimit(kind="mail", outcome="late", share=limits.late_mails),
        ),
        objectives=scenario.parsed_objectives,
    )


def _default_folder(scenario: Scenario) -> Path:
    return Path("runs") / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{scenario.name}"


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in ("savepath", "locust", "gevent", "geventhttpclient", "pyarrow"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _to_stderr(text: str) -> None:
    sys.stderr.write(f"savepath: {text}\n")
    sys.stderr.flush()
