"""One run from its beginning to its whole folder: prepare, drive, drain, verify, compact, finish.

What belongs to one target is an arm's (``loadgen.arm``); a run has one, or two that are driven at once.
Knows gevent but not Locust: whoever drives it hands in what wants to be told of finished requests.
"""

from __future__ import annotations

import gc
import json
import logging
import math
import os
import platform
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import Literal

import gevent
from gevent.event import Event

from loadgen.arm import Arm, Shared, announce_tokens, prepare
from loadgen.chosen import CLIENTS, ChosenTarget, environ_of
from loadgen.driver import share_of
from loadgen.guard import Guard
from loadgen.health import Health
from loadgen.operations import Listener
from loadgen.plan import plan_for
from loadgen.recorder import Sample
from loadgen.run_folder import (
    ArmFacts,
    Asked,
    Cell,
    Generator,
    IntegrityLimit,
    RunFolder,
    RunInfo,
    arms_of_run,
    facts_of_all,
)
from scenarios.arms import ARMS, arm_of, count_arms
from scenarios.arrivals import Arrival, arrivals
from scenarios.errors import InputError
from scenarios.library import load_scenario
from scenarios.model import Operation, Scenario
from scenarios.tokens import new_run_key
from targets.footprint import Footprint
from targets.mapping import Target
from targets.quotas import refuse_over_quota
from targets.safety import refuse_unsafe

log = logging.getLogger(__name__)

#: Beyond the time that a request may take, the drain waits this long for its greenlet to record it.
DRAIN_SLACK_S = 2.0
#: The sweep of a run that somebody interrupted: they are waiting.
SHORT_SWEEP_S = 5.0
#: From the start of the walk to the first planned moment, so that the first arrivals are not late.
LEAD_S = 0.1
#: How soon a drain notices that it may take less long.
LOOK_EVERY_S = 0.25
#: How far the live figures may be behind, and how many rows they get before the answers have their turn.
TELL_EVERY_S = 0.1
TELL_AT_ONCE = 16

Phase = Literal["provision", "warm-up", "measure", "drain", "verify", "done"]


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

    @property
    def targets(self) -> dict[str, ChosenTarget]:
        """The targets by the name of their arm, which is empty where there is only one."""
        if self.versus is None:
            return {"": self.target}
        return dict(zip(ARMS, (self.target, self.versus), strict=True))


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ends before its schedule is through, or because it is."""

    status: Literal["complete", "aborted", "interrupted"] = "complete"
    reason: str = ""
    exit_code: int = 0
    target_answers: bool = True  # so that what it promised can be looked up still


class Session:
    """One run. ``prepare``, then ``start``; ``finished`` is set when the folder is whole, or never will be."""

    def __init__(
        self, settings: Settings, *, listener: Listener | None = None, say: Callable[[str], None] | None = None
    ) -> None:
        self.finished = Event()
        self.ending = Ending()
        self.folder = RunFolder(Path())
        self.created = False
        self._settings = settings
        self._listener = listener
        self._untold: deque[Sample] = deque()
        self._say = say or _to_stderr
        self._phase: Phase = "provision"
        self._zero = math.nan  # monotonic time of second 0
        self._stopped = False
        self._driven_s = 0.0
        self._recorded_before = 0
        self._arms: list[Arm] = []
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
        self._write_progress()
        self._footprints = {name: self._footprint_of(name, target) for name, target in targets.items()}
        ready = {
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
        for name, prepared in ready.items():
            announce_tokens(self._footprints[name], prepared, self._key)
        self._health = Health()
        shared = Shared(
            self._scenario,
            self.folder,
            self._key,
            self._health,
            self.now,
            self._broken,
            self._untold.append if self._listener else None,
            settings.client,
        )
        self._arms = [Arm(name, prepared, self._schedule_of(name), shared) for name, prepared in ready.items()]
        for arm in self._arms:
            arm.get_ready()
        watches = {f"{arm.name} ({arm.target.base_url})" if arm.name else "": arm.watch for arm in self._arms}
        self._guard = Guard(self._scenario.abort_rules, watches, self._health, self.folder.path)

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

    def _schedule_of(self, arm: str) -> Iterator[Arrival]:
        schedule = share_of(arrivals(self._scenario), 0, 1)
        return (one for one in schedule if arm_of(self._key, one.seq) == arm) if arm else schedule

    # the run

    def start(self) -> None:
        """Begin to drive; returns at once."""
        gevent.config.track_greenlet_tree = False  # who spawned an arrival is known; noting it costs each of them
        gc.collect()
        gc.freeze()  # what lives now is not looked through again by every full collection: tens of ms each
        self._zero = time.monotonic() + LEAD_S + self._scenario.warmup_s
        self._started_at = datetime.now(UTC) + timedelta(seconds=LEAD_S + self._scenario.warmup_s)
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
        if self.started:
            for arm in self._arms:
                arm.driver.stop()
                arm.verifier.hasten(SHORT_SWEEP_S)

    @property
    def started(self) -> bool:
        """Whether arrivals have begun."""
        return not math.isnan(self._zero)

    def save_what_there_is(self) -> None:
        """Flush the shards of a run that is being torn down at once."""
        if self.started and not self.finished.is_set():
            for arm in self._arms:
                arm.recorder.flush()

    def _broken(self, error: Exception) -> None:
        if isinstance(error, OSError):  # the disk is full, or the folder is gone
            reason = f"{self.folder.path} cannot be written: {error.strerror or error}"
            self.stop(Ending("aborted", reason, 4, target_answers=False))
            return
        log.error("%s", "".join(traceback.format_exception(error)))
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(last.filename).name}:{last.lineno}"
        reason = f"a mistake in savepath or in the mapping: {error!r} at {where}"
        self.stop(Ending("aborted", reason, 1, target_answers=False))

    def _conduct(self) -> None:
        try:
            self._drive()
            self._finish()
        except Exception as error:
            self._broken(error)
            self.ending = self.ending if self.ending.exit_code else Ending("aborted", repr(error), 1)
            self._say(f"the run has no run.json: {error}")
        finally:
            for footprint in self._footprints.values():
                footprint.close()
            self.finished.set()

    def _drive(self) -> None:
        self._health.start()
        ticker = gevent.spawn(self._every_second, self._tick)
        guard = gevent.spawn(self._every_second, self._look_out)
        teller = gevent.spawn(self._tell_for_ever)
        try:
            with ExitStack() as looking:
                for arm in self._arms:
                    looking.enter_context(arm.looking_after())
                self._phase = "warm-up"
                walkers = [gevent.spawn(arm.driver.walk) for arm in self._arms]
                for walker in walkers:
                    walker.link_exception(lambda dead: self._broken(dead.exception))
                gevent.joinall(walkers)
                planned_s = self._scenario.duration_s
                self._driven_s = min(max(self.now(), 0.0), planned_s) if self._stopped else planned_s
                self._phase = "drain"
                begun_s = self.now()
                while not all(arm.driver.drain(LOOK_EVERY_S) for arm in self._arms):
                    if self.now() - begun_s > self._drain_s:
                        for arm in self._arms:
                            arm.driver.abandon()
                self._health.stop()
                self._phase = "verify"
                gevent.joinall([gevent.spawn(self._sweep, arm) for arm in self._arms], raise_error=True)
        finally:
            gevent.killall([ticker, guard, teller])
            self._tell(len(self._untold))

    @property
    def _drain_s(self) -> float:
        """As long as what is in flight may rightly take."""
        scripts_s = (
            self._scenario.verification.script_deadline_s if self._scenario.mix.get(Operation.RUN_SCRIPT) else 0
        )
        timeout_s = self._scenario.load.timeout_s
        if self._stopped:  # somebody waits: a batch of many requests is not awaited to its last
            return timeout_s + DRAIN_SLACK_S
        requests = max(arm.operations.requests_peak for arm in self._arms)
        return timeout_s * requests + scripts_s + DRAIN_SLACK_S

    def _sweep(self, arm: Arm) -> None:
        match self.ending.status:
            case "complete":
                arm.verifier.sweep(arm.verifier.longest_sweep_s)
            case _ if self.ending.target_answers:
                arm.verifier.sweep(min(SHORT_SWEEP_S, arm.verifier.longest_sweep_s))
            case _:
                arm.verifier.sweep(0.0)  # there is nobody to ask

    def _finish(self) -> None:
        for arm in self._arms:
            arm.close()
        arms = self._arm_facts()
        ledger = facts_of_all(arms).ledger
        if not all(facts.ledger.closes for facts in arms.values()) and not self.ending.exit_code:
            self.ending = Ending("aborted", f"the ledger does not close: {ledger}", 4)
        # In a thread of its own: the loop goes on, so that a second Ctrl-C is heard.
        gevent.get_hub().threadpool.apply(self.folder.compact)
        self.folder.finish(self._info(arms))
        self._phase = "done"
        self._write_progress()
        failed = sum(arm.logins.failed for arm in self._arms)
        if failed:
            self._say(f"note: {failed} logins failed in the course of the run, and were tried again")
        outcome = self.ending.status + (f" ({self.ending.reason})" if self.ending.reason else "")
        self._say(f"{outcome}: {ledger}; {self.folder.path}")

    # once a second

    def _every_second(self, step: Callable[[], None]) -> None:
        next_s = self.now()
        while True:
            next_s += 1
            gevent.sleep(max(next_s - self.now(), 0))
            try:
                step()
            except Exception as error:
                self._broken(error)

    def _look_out(self) -> None:
        """Let the guard end the run. Not when the load is over: the verification is no load."""
        if self._phase == "verify":
            return
        if reason := self._guard.reason():
            self.stop(
                Ending("aborted", reason, 4, target_answers=not any(arm.watch.is_gone for arm in self._arms))
            )

    def _tell_for_ever(self) -> None:
        """Tell the listener, a little behind and in small portions: a burst of answers must not wait for it."""
        while True:
            gevent.sleep(TELL_EVERY_S)
            while self._untold:
                self._tell(TELL_AT_ONCE)
                gevent.sleep(0)

    def _tell(self, number: int) -> None:
        for _ in range(min(number, len(self._untold))):
            row = self._untold.popleft()
            if self._listener is not None:
                self._listener(row)

    def _tick(self) -> None:
        if self._phase == "warm-up" and self.now() >= 0:
            self._phase = "measure"
        if self._phase in ("warm-up", "measure", "drain"):
            self._health.tick()
        for arm in self._arms:
            arm.recorder.flush()
        self._write_progress()
        self._recorded_before = self._recorded

    @property
    def _recorded(self) -> int:
        return sum(arm.recorder.recorded for arm in self._arms)

    def _write_progress(self) -> None:
        scenario = self._scenario
        progress: dict[str, object] = {"phase": self._phase, "elapsed_s": 0.0, "total_s": self._plan.duration_s}
        if self.started:
            recorded = self._recorded
            lag_p99_s = self._health.lag_p99_s
            progress |= {
                "elapsed_s": round(min(max(self.now() + scenario.warmup_s, 0), self._plan.duration_s), 1),
                "scheduled": self._plan.arrivals_expected,
                "recorded": recorded,
                "failures": sum(arm.recorder.failures for arm in self._arms),
                "rate_per_s": recorded - self._recorded_before,
                "in_flight": sum(arm.driver.in_flight for arm in self._arms),
                "pending_effects": sum(arm.verifier.pending for arm in self._arms),
                "lag_p99_s": None if math.isnan(lag_p99_s) else round(lag_p99_s, 6),
            }
        self.folder.write_whole("progress.json", json.dumps(progress).encode())

    # what is kept

    def _arm_facts(self) -> dict[str, ArmFacts]:
        planned = self._plan.arrivals_expected
        scheduled = {"": planned} if len(self._arms) == 1 else count_arms(self._key, planned)
        return {arm.name: arm.facts(scheduled[arm.name], self._driven_s) for arm in self._arms}

    def _info(self, arms: Mapping[str, ArmFacts]) -> RunInfo:
        health, settings, scenario, whole = self._health, self._settings, self._scenario, facts_of_all(arms)
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
            duration_s=round(self._driven_s, 3),
            ended_s=round(self.now(), 3),
            status=self.ending.status,
            reason=self.ending.reason,
            offered_per_s=whole.offered_per_s,
            fired=whole.fired,
            ledger=whole.ledger,
            generator=Generator(
                lag_p50_s=health.lag_quantile_s(0.5),
                lag_p99_s=health.lag_quantile_s(0.99),
                run_queue_delay=health.run_queue_delay,
                cpu=health.cpu,
                waited_for_pool=whole.waited_for_pool,
                in_flight_peak=whole.in_flight_peak,
                client=settings.client,
            ),
            verification=whole.verification,
            effects=whole.effects,
            stored_cases=whole.stored_cases,
            arms=arms_of_run(arms),
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
