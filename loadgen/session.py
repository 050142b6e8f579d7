"""One run from its beginning to its whole folder: prepare, have it driven, compact, finish.

What belongs to one target is an arm's (``loadgen.arm``); a run has one, or two that are driven at once. It is
driven here (``loadgen.drive``) or by several workers (``loadgen.crew``).
Knows gevent but not Locust: whoever drives it hands in what wants to be told of finished requests.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import gevent
from gevent.event import Event

from loadgen.chosen import environ_of, refuse_blind, secrets_side
from loadgen.drive import Drive
from loadgen.ending import Ending, Progress, ending_of
from loadgen.live import Live, live_of
from loadgen.muster import crew_of
from loadgen.operations import Listener
from loadgen.outcome import outcome_of
from loadgen.part import Part
from loadgen.plan import notes_on_rules, plan_for
from loadgen.prepared import announce_tokens, prepare
from loadgen.run_folder import RunFolder
from loadgen.run_info import facts_of_all
from loadgen.settings import PreparedRun, Settings
from scenarios.errors import InputError, SavepathError
from scenarios.library import load_scenario
from scenarios.model import Scenario
from scenarios.tokens import new_run_key
from targets.footprint import Footprint
from targets.model import Target
from targets.quotas import refuse_over_quota
from targets.safety import refuse_unsafe

if TYPE_CHECKING:
    from loadgen.metrics import Metrics

#: From the start of the walk to the first planned moment, so that the first arrivals are not late: in one process,
#: and where others have to be told.
LEAD_S, LEAD_OF_SEVERAL_S = 0.1, 0.5
TELL_EVERY_S = 1.0


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
        settings.workers.refuse_unfit(self._scenario)
        for target in targets.values():
            refuse_unsafe(target, self._scenario.tenant_keys, production=settings.production)
            refuse_blind(settings.client, target.allowed_hosts)
            refuse_over_quota(target, self._scenario, at_once=len(targets) > 1 or settings.watched)
        self.folder = RunFolder(settings.run_dir or _default_folder(self._scenario))
        self.folder.create()
        self.created = True
        self.folder.refuse_small_disk(self._plan.disk.most)
        self.folder.write_plan(self._plan.as_dict())
        parts = settings.workers.number * len(targets)
        apart = notes_on_rules(self._scenario, self._plan.arrivals_expected, parts) if parts > 1 else []
        for note in dict.fromkeys((*self._plan.warnings, *apart)):
            self._say(f"note: {note}")
        self._write_progress(Progress())
        self._footprints = {name: self._footprint_of(name, target) for name, target in targets.items()}
        prepared = {}
        for name, target in targets.items():
            environ = environ_of(secrets_side(name, watched=settings.watched), os.environ)
            inventory = settings.targets[name].inventory
            try:
                prepared[name] = prepare(target, self._scenario, inventory, environ, self._footprints[name])
            except SavepathError as error:
                if name != settings.spare:
                    raise
                self._say(f"note: {target.base_url} is left out of this run: {error}")
        run = self._run = PreparedRun(settings, self._plan, self.folder, new_run_key(), prepared)
        for name, ready in prepared.items():
            announce_tokens(self._footprints[name], ready, run.key)
        self._driving = (
            Drive(run.task_of(0), on_stop=self.stop, listener=self._listener)
            if settings.workers.alone
            else crew_of(run, on_stop=self.stop, say=self._say)
        )
        with ExitStack() as opened:
            if settings.metrics_port is not None:
                opened.enter_context(closing(self._open_metrics(settings.metrics_port)))
            self._driving.get_ready()
            self._beside = opened.pop_all()

    def _open_metrics(self, port: int) -> Metrics:
        from loadgen.metrics import Metrics

        about = {"run": self.folder.path.resolve().name, "scenario": self._scenario.name}
        return Metrics(port, about, lambda: self._driving.progress if self._driving else Progress())

    def _footprint_of(self, arm: str, target: Target) -> Footprint:
        """Where it is kept what the run makes there."""
        # Of runs by turns, savepath has told by a label.
        side = secrets_side(arm, watched=self._settings.watched) or self._settings.labels.get("side", "")
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
        found = gevent.get_hub().threadpool.apply(self.folder.read_outages)
        outages = None if found is None else sum(map(len, found.values()))
        outcome = outcome_of(self._run, parts, found_elsewhere)
        ledger, settings = facts_of_all(outcome.arms).ledger, self._settings
        if not self.ending.exit_code:
            if not all(facts.ledger.closes for facts in outcome.arms.values()):
                self.ending = Ending("aborted", f"the ledger does not close: {ledger}", 4)
            elif self.ending.status == "complete" and any(
                facts.ledger.unsent for name, facts in outcome.arms.items() if name != settings.spare
            ):
                self.ending = Ending("aborted", f"a part of the plan was not driven: {ledger}", 4)
        info = outcome.info(self.ending, started_at=self._started_at, ended_s=self.now())
        self.folder.finish(info.model_copy(update={"outages": outages}))
        if outages:
            self._say(f"note: {outages} outage{'s' * (outages > 1)} in the run; savepath show {self.folder.path}")
        failed = sum(counts.logins_failed for part in parts for counts in part.arms.values())
        if failed:
            self._say(f"note: {failed} logins failed in the course of the run, and were tried again")
        ended = self.ending.status + (f" ({self.ending.reason})" if self.ending.reason else "")
        self._say(f"{ended}: {ledger}; {self.folder.path}")

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
            scheduled=None if self._plan.is_closed else self._plan.arrivals_expected,
            elapsed_s=self.now() + self._scenario.warmup_s if self.started else 0.0,
            total_s=self._plan.duration_s,
            recorded_before=self.live.recorded,
        )
        self.folder.write_whole("progress.json", self.live.model_dump_json().encode())


def _default_folder(scenario: Scenario) -> Path:
    return Path("runs") / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{scenario.name}"


def _to_stderr(text: str) -> None:
    sys.stderr.write(f"savepath: {text}\n")
    sys.stderr.flush()
