"""What one process drives: warm-up, measured window, drain, sweep; all of a run, or one worker's part of it.

Knows neither the run folder's facts nor Locust: whoever drives it hands in what wants to be told of finished
requests, and makes a run of what was counted.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable
from contextlib import ExitStack

import gevent

from loadgen.arm import Arm, Shared
from loadgen.ending import Ending, Phase, Progress, ending_of
from loadgen.guard import Guard
from loadgen.health import Health
from loadgen.operations import Listener
from loadgen.part import Part
from loadgen.pause import pause
from loadgen.tally import Tally
from loadgen.task import Task
from loadgen.teller import Teller
from scenarios.errors import SavepathError
from scenarios.model import Operation
from scenarios.parts import scaled

#: Beyond the time that a request may take, the drain waits this long for its greenlet to record it.
DRAIN_SLACK_S = 2.0
#: The sweep of a run that somebody interrupted: they are waiting.
SHORT_SWEEP_S = 5.0
#: How soon a drain notices that it may take less long.
LOOK_EVERY_S = 0.25


class Drive:
    """Drives one task. ``on_stop`` hears why it wants to end by itself; it ends when ``stop`` is called."""

    def __init__(self, task: Task, *, on_stop: Callable[[Ending], None], listener: Listener | None = None) -> None:
        self._task = task
        self._on_stop = on_stop
        self._teller = Teller(listener) if listener else None
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
            self._teller.keep if self._teller else None,
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
        watchers = [gevent.spawn(self._every_second, step) for step in (self._tick, self._look_out)]
        if self._teller:
            watchers.append(gevent.spawn(self._teller.tell_for_ever))
        try:
            with ExitStack() as looking:
                for arm in self._arms:
                    looking.enter_context(arm.looking_after())
                self._phase = "warm-up"
                self._walk_through()
                planned_s = self._scenario.duration_s
                self._driven_s = min(max(self.now(), 0.0), planned_s) if self._ending else planned_s
                self._phase = "drain"
                self._drain()
                self._health.stop()
                self._phase = "verify"
                gevent.joinall([gevent.spawn(self._sweep, arm) for arm in self._arms], raise_error=True)
        finally:
            gevent.killall(watchers)
            if self._teller:
                self._teller.tell_the_rest()
        for arm in self._arms:
            arm.close()
        self._phase = "done"
        return [self._part()]

    def _walk_through(self) -> None:
        """Send what is due until the schedule is through, or it is stopped."""
        spare = [arm for arm in self._arms if arm not in self._needed_arms]
        self._walkers += [self._walk(arm.driver.walk) for arm in self._needed_arms]
        beside = [self._walk(arm.driver.walk) for arm in spare]
        while not all(walker.dead for walker in self._walkers):  # a take-over adds some meanwhile
            gevent.joinall(self._walkers)
        for arm in spare:  # a target that hangs may have left it behind
            arm.driver.stop()
        gevent.joinall(beside)

    def _drain(self) -> None:
        """Wait for what is in flight; what takes longer than it rightly may is given up."""
        begun_s = self.now()
        while waiting := [arm for arm in self._arms if not arm.driver.drain(LOOK_EVERY_S)]:
            needed = any(arm in self._needed_arms for arm in waiting)
            if self.now() - begun_s > (self._drain_s if needed else DRAIN_SLACK_S):
                for arm in waiting:
                    arm.driver.abandon()

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
            while arm.recorder.flush_some():
                pause()
