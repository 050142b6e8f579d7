"""What one process drives: warm-up, measured window, drain, sweep; all of a run, or one worker's part of it.

Knows neither the run folder's facts nor Locust: whoever drives it hands in what wants to be told of finished
requests, and makes a run of what was counted.
"""

from __future__ import annotations

import gc
import logging
import math
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import gevent

from loadgen.arm import Arm, Prepared, Shared
from loadgen.chosen import CLIENTS
from loadgen.ending import Ending, Phase, Progress
from loadgen.guard import Guard
from loadgen.health import Health
from loadgen.operations import Listener
from loadgen.part import Part
from loadgen.recorder import Sample
from loadgen.run_folder import RunFolder
from loadgen.tally import Tally
from scenarios.arms import arm_of
from scenarios.arrivals import Arrival, arrivals
from scenarios.errors import SavepathError
from scenarios.model import Operation, Scenario
from scenarios.parts import Parts, scaled
from scenarios.users import UsersAtWork

log = logging.getLogger(__name__)

#: Beyond the time that a request may take, the drain waits this long for its greenlet to record it.
DRAIN_SLACK_S = 2.0
#: The sweep of a run that somebody interrupted: they are waiting.
SHORT_SWEEP_S = 5.0
#: How soon a drain notices that it may take less long.
LOOK_EVERY_S = 0.25
#: How far the live figures may be behind, and how many rows they get before the answers have their turn.
TELL_EVERY_S = 0.1
TELL_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be driven: a scenario on prepared targets, and which part of it."""

    scenario: Scenario  # the whole
    prepared: Mapping[str, Prepared]  # by the name of the arm
    folder: RunFolder
    run_key: str
    client: str = CLIENTS[0]
    worker: int = 0
    workers: int = 1
    spare: str | None = None  # the arm that may be missing, and then ends nothing

    def schedule(self, arm: str) -> Iterator[Arrival]:
        """The arrivals of this part that are the arm's."""
        whole = arrivals(self.scenario) if self.workers == 1 else self._parts(arm).arrivals(self.worker)
        return self._of_arm(arm, whole)

    def users(self, scenario: Scenario) -> UsersAtWork:
        """The users of this part of a closed loop, which drives one target; ``scenario`` is scaled to the part."""
        (arm,) = self.prepared
        wanted = self._parts(arm).of(self.worker) if self.workers > 1 else None
        return UsersAtWork(scenario, self.worker, self.workers, wanted)

    def inherited(self, arm: str, lost: int) -> Iterator[Arrival]:
        """Those that a lost worker leaves to this one, from the beginning of the plan."""
        return self._of_arm(arm, self._parts(arm).inherited(self.worker, lost))

    def _parts(self, arm: str) -> Parts:
        known = self.prepared[arm].inventory.tenants
        return Parts(self.scenario, self.workers, {key: len(tenant.cases) for key, tenant in known.items()})

    def _of_arm(self, arm: str, schedule: Iterator[Arrival]) -> Iterator[Arrival]:
        return (one for one in schedule if arm_of(self.run_key, one.seq) == arm) if arm else schedule


class Drive:
    """Drives one task. ``on_stop`` hears why it wants to end by itself; it ends when ``stop`` is called."""

    def __init__(self, task: Task, *, on_stop: Callable[[Ending], None], listener: Listener | None = None) -> None:
        self._task = task
        self._on_stop = on_stop
        self._listener = listener
        self._untold: deque[Sample] = deque()
        self._zero = math.nan  # monotonic time of second 0
        self._phase: Phase = "provision"
        self._ending: Ending | None = None  # once it was told to stop
        self._driven_s = 0.0
        self._walkers: list[gevent.Greenlet] = []
        self._health = Health()
        self._tally = Tally()
        self._scenario = scaled(task.scenario, task.worker, task.workers) if task.workers > 1 else task.scenario
        shared = Shared(
            self._scenario,
            task.folder,
            task.run_key,
            self._health,
            self.now,
            self._broken,
            self._untold.append if listener else None,
            task.client,
            task.worker,
            task.workers,
            self._tally.take,
            task.users(self._scenario) if task.scenario.load.users else None,
        )
        self._arms = [Arm(name, prepared, task.schedule(name), shared) for name, prepared in task.prepared.items()]
        watches = {
            f"{arm.name} ({arm.target.base_url})" if arm.name else "": arm.watch for arm in self._needed_arms
        }
        self._guard = Guard(self._scenario.abort_rules, watches, self._health, task.folder.path)

    def get_ready(self) -> None:
        """Everything that may fail before a request is measured. Raises SavepathError; blocks meanwhile."""
        for arm in list(self._arms):
            try:
                arm.get_ready()
            except SavepathError:
                if arm in self._needed_arms:
                    raise
                arm.close()
                self._arms.remove(arm)
        gevent.config.track_greenlet_tree = False  # who spawned an arrival is known; noting it costs each of them
        gc.collect()
        gc.freeze()  # what lives now is not looked through again by every full collection: tens of ms each

    @property
    def _needed_arms(self) -> list[Arm]:
        """Those without which there is no run."""
        return [arm for arm in self._arms if arm.name != self._task.spare]

    def now(self) -> float:
        """Seconds since the start of the measured window; negative in the warm-up."""
        return time.monotonic() - self._zero

    def stop(self, ending: Ending) -> None:
        """End early and in order; the last call says how."""
        self._ending = ending
        for arm in self._arms:
            arm.stop(SHORT_SWEEP_S)

    def take_over(self, lost: int) -> None:
        """Drive what a lost worker leaves to this one as well, from now on; where its own plan is not through."""
        if self._phase in ("warm-up", "measure"):
            for arm in self._arms:
                self._walkers.append(self._walk(arm.take_over, self._task.inherited(arm.name, lost)))

    def save(self) -> None:
        """Flush the shards of what is being torn down at once."""
        for arm in self._arms:
            arm.recorder.flush()

    @property
    def progress(self) -> Progress:
        """Where it is."""
        return Progress(
            phase=self._phase,
            recorded=sum(arm.recorder.recorded for arm in self._arms),
            failures=sum(arm.recorder.failures for arm in self._arms),
            sent=sum(arm.driver.fired for arm in self._arms),
            aborted=sum(arm.recorder.aborted for arm in self._arms),
            waited_for_pool=sum(arm.driver.waited_for_pool for arm in self._arms),
            in_flight=sum(arm.driver.in_flight for arm in self._arms),
            pending_effects=sum(arm.verifier.pending for arm in self._arms),
            lag_p99_s=self._health.lag_p99_s,
            effects={
                arm.name: {kind: dict(counts) for kind, counts in arm.recorder.effects.items()}
                for arm in self._arms
            },
            cells=self._tally.cells,
        )

    def run(self, zero_s: float) -> list[Part]:
        """Drive it to its end, second 0 being at ``zero_s`` of the monotonic clock; what was counted."""
        self._zero = zero_s
        if self._ending:  # it was stopped before it began
            self.stop(self._ending)
        self._health.start()
        ticker = gevent.spawn(self._every_second, self._tick)
        guard = gevent.spawn(self._every_second, self._look_out)
        teller = gevent.spawn(self._tell_for_ever)
        try:
            with ExitStack() as looking:
                for arm in self._arms:
                    looking.enter_context(arm.looking_after())
                self._phase = "warm-up"
                spare = [arm for arm in self._arms if arm not in self._needed_arms]
                self._walkers += [self._walk(arm.driver.walk) for arm in self._needed_arms]
                beside = [self._walk(arm.driver.walk) for arm in spare]
                while not all(walker.dead for walker in self._walkers):
                    gevent.joinall(self._walkers)
                for arm in spare:  # a target that hangs may have left it behind
                    arm.driver.stop()
                gevent.joinall(beside)
                planned_s = self._scenario.duration_s
                self._driven_s = min(max(self.now(), 0.0), planned_s) if self._ending else planned_s
                self._phase = "drain"
                begun_s = self.now()
                while waiting := [arm for arm in self._arms if not arm.driver.drain(LOOK_EVERY_S)]:
                    needed = any(arm in self._needed_arms for arm in waiting)
                    if self.now() - begun_s > (self._drain_s if needed else DRAIN_SLACK_S):
                        for arm in waiting:
                            arm.driver.abandon()
                self._health.stop()
                self._phase = "verify"
                gevent.joinall([gevent.spawn(self._sweep, arm) for arm in self._arms], raise_error=True)
        finally:
            gevent.killall([ticker, guard, teller])
            self._tell(len(self._untold))
        for arm in self._arms:
            arm.close()
        self._phase = "done"
        return [self._part()]

    def _walk(self, step: Callable[..., None], *args: object) -> gevent.Greenlet:
        walker = gevent.spawn(step, *args)
        walker.link_exception(lambda dead: self._broken(dead.exception))
        return walker

    def _part(self) -> Part:
        return Part(
            worker=self._task.worker,
            driven_s=self._driven_s,
            arms={arm.name: arm.counts for arm in self._arms},
            lags=self._health.lag_counts,
            run_queue_delay=self._health.run_queue_delay,
            cpu=self._health.cpu,
            strays=tuple(seq for arm in self._arms for seq in arm.verifier.strays),
        )

    @property
    def _drain_s(self) -> float:
        """As long as what is in flight may rightly take."""
        scripts_s = (
            self._scenario.verification.script_deadline_s if self._scenario.mix.get(Operation.RUN_SCRIPT) else 0
        )
        timeout_s = self._scenario.load.timeout_s
        if self._ending:  # somebody waits: a batch of many requests is not awaited to its last
            return timeout_s + DRAIN_SLACK_S
        requests = max(arm.operations.requests_peak for arm in self._arms)
        return timeout_s * requests + scripts_s + DRAIN_SLACK_S

    def _sweep(self, arm: Arm) -> None:
        longest_s = arm.verifier.longest_sweep_s
        if arm not in self._needed_arms:  # nobody asks for its effects
            arm.verifier.sweep(min(SHORT_SWEEP_S, longest_s))
        elif self._ending is None:
            arm.verifier.sweep(longest_s)
        elif self._ending.target_answers:
            arm.verifier.sweep(min(SHORT_SWEEP_S, longest_s))
        else:
            arm.verifier.sweep(0.0)  # there is nobody to ask

    def _broken(self, error: Exception) -> None:
        self._on_stop(ending_of(error, self._task.folder.path))

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
            gone = any(arm.watch.is_gone for arm in self._needed_arms)
            self._on_stop(Ending("aborted", reason, 4, target_answers=not gone))

    def _tick(self) -> None:
        if self._phase == "warm-up" and self.now() >= 0:
            self._phase = "measure"
        if self._phase in ("warm-up", "measure", "drain"):
            self._health.tick()
        for arm in self._arms:
            arm.recorder.flush()

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


def ending_of(error: Exception, folder: Path) -> Ending:
    """How a run ends that met this error: the disk is full, or it is a mistake of ours, which is logged."""
    if isinstance(error, SavepathError):  # said already, for people
        return Ending("aborted", str(error), error.exit_code, target_answers=False)
    if isinstance(error, OSError):  # the disk is full, or the folder is gone
        reason = f"{folder} cannot be written: {error.strerror or error}"
        return Ending("aborted", reason, 4, target_answers=False)
    log.error("%s", "".join(traceback.format_exception(error)))
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(last.filename).name}:{last.lineno}"
    return Ending("aborted", f"a mistake in savepath or in the mapping: {error!r} at {where}", 1, False)
