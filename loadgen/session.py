"""One run from its beginning to its whole folder: prepare, drive, drain, verify, compact, finish.

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
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import Literal

import gevent
from gevent.event import Event
from pydantic import ValidationError

from loadgen.client import Client
from loadgen.driver import Driver, share_of
from loadgen.guard import Guard
from loadgen.health import Health
from loadgen.logins import Logins
from loadgen.operations import Listener, Operations
from loadgen.plan import make_plan
from loadgen.recorder import Recorder, Sample
from loadgen.run_folder import Asked, Cell, Generator, IntegrityLimit, Ledger, RunFolder, RunInfo, Verified
from loadgen.verifier import OPEN_AT_ONCE, Verifier
from scenarios.arrivals import arrivals
from scenarios.errors import InputError
from scenarios.library import load_scenario
from scenarios.model import Operation, Scenario
from scenarios.tokens import new_run_key
from targets.control import preflight
from targets.extension import bind
from targets.inventory import Inventory
from targets.mapping import load_target
from targets.provisioning import provision, warm_up

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
    target: str
    run_dir: Path | None = None  # None: runs/<UTC time>-<scenario>
    variables: Mapping[str, str] = field(default_factory=dict)
    inventory: Path | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    purpose: str = ""
    allow_python: bool = False  # whether the mapping may name a class of its own


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ends before its schedule is through, or because it is."""

    status: Literal["complete", "aborted", "interrupted"] = "complete"
    reason: str = ""
    exit_code: int = 0


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

    # before anything is measured

    def prepare(self) -> None:
        """Everything that may fail before a request is measured. Raises SavepathError; blocks meanwhile."""
        settings = self._settings
        scenario = load_scenario(settings.scenario)
        self._target = load_target(settings.target, settings.variables, allow_python=settings.allow_python)
        self._plan = make_plan(scenario, self._target)
        self._scenario = self._plan.scenario
        self.folder = RunFolder(settings.run_dir or _default_folder(self._scenario))
        self.folder.create()
        self.created = True
        self.folder.write_plan(self._plan.as_dict())
        for warning in self._plan.warnings:
            self._say(f"note: {warning}")
        self._write_progress()
        self._fingerprint = preflight(self._target, os.environ)
        self._inventory = self._find_inventory()
        warm_up(self._target, self._scenario, self._inventory, os.environ)
        self._binding = bind(self._target, self._scenario, self._inventory, os.environ)
        self._assemble()
        self._logins.log_in()
        self._prime()

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

    def _find_inventory(self) -> Inventory:
        if self._settings.inventory is None:
            return provision(self._target, self._scenario, os.environ, lambda what, done, of: None)
        return read_inventory(self._settings.inventory)

    def _assemble(self) -> None:
        scenario, load = self._scenario, self._scenario.load
        self._key = new_run_key()
        self._recorder = Recorder(self.folder)
        self._health = Health()
        self._guard = Guard()
        self._client = Client(timeout_s=load.timeout_s, connections=load.in_flight_max)
        # Verification has connections of its own, so that it never takes one from the load.
        self._checking = Client(timeout_s=load.timeout_s, connections=OPEN_AT_ONCE + 8)
        self._logins = Logins(self._binding.credentials, self._checking.send, self._broken)
        self._verifier = Verifier(
            scenario,
            self._binding,
            self._checking,
            self._recorder,
            run_key=self._key,
            now=self.now,
            broken=self._broken,
        )
        self._operations = Operations(
            scenario,
            self._binding,
            self._inventory,
            self._client,
            self._recorder,
            self._verifier,
            self._guard,
            run_key=self._key,
            now=self.now,
            listener=self._untold.append if self._listener else None,
            broken=self._broken,
        )
        self._driver = Driver(
            share_of(arrivals(scenario), 0, 1),
            self._operations.perform,
            now=self.now,
            in_flight_max=load.in_flight_max,
            health=self._health,
        )

    def _prime(self) -> None:
        """Make beforehand what a read-back or a look-up would make first: the values of each size of tenant."""
        for tenant in self._scenario.tenants:
            if tenant.custom_fields and self._scenario.mix.get(Operation.SAVE_CUSTOM):
                self._binding.values_saved(tenant, 0, "")

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
            self._driver.stop()
            self._verifier.hasten(SHORT_SWEEP_S)

    @property
    def started(self) -> bool:
        """Whether arrivals have begun."""
        return not math.isnan(self._zero)

    def save_what_there_is(self) -> None:
        """Flush the shards of a run that is being torn down at once."""
        if self.started and not self.finished.is_set():
            self._recorder.flush()

    def _broken(self, error: Exception) -> None:
        if isinstance(error, OSError):  # the disk is full, or the folder is gone
            self.stop(Ending("aborted", f"{self.folder.path} cannot be written: {error.strerror or error}", 4))
            return
        log.error("%s", "".join(traceback.format_exception(error)))
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(last.filename).name}:{last.lineno}"
        self.stop(Ending("aborted", f"a mistake in savepath or in the mapping: {error!r} at {where}", 1))

    def _conduct(self) -> None:
        try:
            self._drive()
            self._finish()
        except Exception as error:
            self._broken(error)
            self.ending = self.ending if self.ending.exit_code else Ending("aborted", repr(error), 1)
            self._say(f"the run has no run.json: {error}")
        finally:
            self.finished.set()

    def _drive(self) -> None:
        self._health.start()
        ticker = gevent.spawn(self._tick_for_ever)
        teller = gevent.spawn(self._tell_for_ever)
        looker = gevent.spawn(self._verifier.run)
        renewer = gevent.spawn(self._logins.run)
        for greenlet in (looker, renewer):
            greenlet.link_exception(lambda dead: self._broken(dead.exception))
        try:
            self._phase = "warm-up"
            walker = gevent.spawn(self._driver.walk)
            walker.link_exception(lambda dead: self._broken(dead.exception))
            walker.join()
            planned_s = self._scenario.duration_s
            self._driven_s = min(max(self.now(), 0.0), planned_s) if self._stopped else planned_s
            self._phase = "drain"
            begun_s = self.now()
            while not self._driver.drain(LOOK_EVERY_S):
                if self.now() - begun_s > self._drain_s:
                    self._driver.abandon()
            self._health.stop()
            self._phase = "verify"
            self._verifier.sweep(self._sweep_s)
        finally:
            ticker.kill()
            looker.kill()
            renewer.kill()
            teller.kill()
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
        return timeout_s * self._operations.requests_peak + scripts_s + DRAIN_SLACK_S

    @property
    def _sweep_s(self) -> float:
        match self.ending.status:
            case "complete":
                return self._verifier.longest_sweep_s
            case "interrupted":
                return min(SHORT_SWEEP_S, self._verifier.longest_sweep_s)
            case _:
                return 0.0  # there is nobody to ask

    def _finish(self) -> None:
        self._recorder.close()
        self._client.close()
        self._checking.close()
        ledger = self._ledger()
        if not ledger.closes and not self.ending.exit_code:
            self.ending = Ending("aborted", f"the ledger does not close: {ledger}", 4)
        # In a thread of its own: the loop goes on, so that a second Ctrl-C is heard.
        gevent.get_hub().threadpool.apply(self.folder.compact)
        self.folder.finish(self._info(ledger))
        self._phase = "done"
        self._write_progress()
        if self._logins.failed:
            self._say(f"note: {self._logins.failed} logins failed in the course of the run, and were tried again")
        outcome = self.ending.status + (f" ({self.ending.reason})" if self.ending.reason else "")
        self._say(f"{outcome}: {ledger}; {self.folder.path}")

    # once a second

    def _tick_for_ever(self) -> None:
        next_s = self.now()
        while True:
            next_s += 1
            gevent.sleep(max(next_s - self.now(), 0))
            try:
                self._tick()
            except Exception as error:
                self._broken(error)

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
        self._recorder.flush()
        if self._guard.reason:
            self.stop(Ending("aborted", self._guard.reason, 4))
        self._write_progress()
        self._recorded_before = self._recorder.recorded

    def _write_progress(self) -> None:
        scenario = self._scenario
        progress: dict[str, object] = {"phase": self._phase, "elapsed_s": 0.0, "total_s": self._plan.duration_s}
        if self.started:
            recorded = self._recorder.recorded
            lag_p99_s = self._health.lag_p99_s
            progress |= {
                "elapsed_s": round(min(max(self.now() + scenario.warmup_s, 0), self._plan.duration_s), 1),
                "scheduled": self._plan.arrivals_expected,
                "recorded": recorded,
                "failures": self._recorder.failures,
                "rate_per_s": recorded - self._recorded_before,
                "in_flight": self._driver.in_flight,
                "pending_effects": self._verifier.pending,
                "lag_p99_s": None if math.isnan(lag_p99_s) else round(lag_p99_s, 6),
            }
        self.folder.write_whole("progress.json", json.dumps(progress).encode())

    # what is kept

    def _ledger(self) -> Ledger:
        """From three independent counts: the plan, the driver, and the rows that are in the shard."""
        scheduled = self._plan.arrivals_expected
        return Ledger(
            scheduled=scheduled,
            recorded=self._recorder.written - self._recorder.aborted,
            aborted=self._recorder.aborted,
            unsent=scheduled - self._driver.fired,
        )

    def _info(self, ledger: Ledger) -> RunInfo:
        health, settings, scenario = self._health, self._settings, self._scenario
        return RunInfo(
            schema="savepath.run/1",
            id=self.folder.path.resolve().name,
            key=self._key,
            purpose=settings.purpose,
            scenario=scenario.name,
            target=self._target.name,
            environment=self._target.environment,
            plan_digest=self._plan.digest,
            labels=dict(settings.labels),
            fingerprint=self._fingerprint,
            started_at=self._started_at.isoformat(timespec="milliseconds"),
            warmup_s=scenario.warmup_s,
            duration_s=round(self._driven_s, 3),
            ended_s=round(self.now(), 3),
            status=self.ending.status,
            reason=self.ending.reason,
            offered_per_s=round(self._driver.fired_in_window / self._driven_s, 4) if self._driven_s else 0.0,
            fired=self._driver.fired,
            ledger=ledger,
            generator=Generator(
                lag_p50_s=health.lag_quantile_s(0.5),
                lag_p99_s=health.lag_quantile_s(0.99),
                run_queue_delay=health.run_queue_delay,
                cpu=health.cpu,
                waited_for_pool=self._driver.waited_for_pool,
                in_flight_peak=self._driver.in_flight_peak,
            ),
            verification=Verified(
                requests=self._verifier.requests, reads=self._verifier.reads, unverified=self._recorder.unverified
            ),
            effects={
                kind: dict(sorted(counts.items())) for kind, counts in sorted(self._recorder.effects.items())
            },
            stored_cases=sum(len(known.cases) for known in self._inventory.tenants.values()),
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
    )


def read_inventory(path: Path) -> Inventory:
    """The inventory in a file. Raises InputError."""
    try:
        return Inventory.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InputError(f"{path}: {where}: {first['msg']}; expected an inventory as savepath wrote it") from None


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
