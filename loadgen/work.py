"""What a worker does: it gets ready for its part of a run, drives it, and says what it counted."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import gevent

from loadgen.chosen import ChosenTarget, environ_of
from loadgen.drive import Drive
from loadgen.ending import Ending, ending_of
from loadgen.messages import Done, Leave, Message, Order, Ready, Refused, Second, Start, Stop, TakeOver
from loadgen.part import Part
from loadgen.plan import plan_for
from loadgen.prepared import Prepared
from loadgen.run_folder import RunFolder
from loadgen.task import Task
from scenarios.errors import InputError, SavepathError
from scenarios.library import load_scenario
from targets.extension import bind

TELL_EVERY_S = 1.0
LEADER_GONE = "the process that led the run has ended"


class Line(Protocol):
    """Leads to whoever leads the run."""

    def send(self, message: Message) -> bool:
        """Say it; whether there is somebody to be told."""

    def messages(self) -> Iterator[Message]:
        """What is said, until there is nobody any more."""


class Worker:
    """Does what comes over the line."""

    ends_on: tuple[signal.Signals, ...] = (signal.SIGTERM, signal.SIGHUP)

    def __init__(self, line: Line) -> None:
        self._line = line
        self._drive: Drive | None = None
        self._signals = 0
        self._folder = Path()

    def work(self) -> int:
        """From the first order to the end of its part; the exit code of the process."""
        messages = self._line.messages()
        order = next(messages, None)
        if not isinstance(order, Order):
            return self.not_wanted(order)
        try:
            order = self.arrive(order)
            self._folder = Path(order.folder)
            self._drive = Drive(task_of(order), on_stop=self._ask_to_stop)
            self._drive.get_ready()
        except SavepathError as error:
            self._line.send(Refused(exit_code=error.exit_code, message=f"worker {order.worker}: {error}"))
            return error.exit_code
        signals = [gevent.signal_handler(one, self._told_to_end, order.worker, one) for one in self.ends_on]
        try:
            self.compare_clocks(messages)
            self._line.send(Ready())
            start = next((one for one in messages if isinstance(one, Start | Stop | Leave)), None)
            if not isinstance(start, Start):
                return 0
            return self._run(self._drive, self.own_s(start.zero_s), messages)
        finally:
            for one in signals:
                one.cancel()

    # what differs for one that comes from another machine

    def not_wanted(self, answer: Message | None) -> int:
        """There is no order."""
        return 1

    def arrive(self, order: Order) -> Order:
        """Make the order one of this machine. Raises SavepathError."""
        return order

    def compare_clocks(self, messages: Iterator[Message]) -> None:
        """Find out what the leader's clock says; on one machine it is this one's."""

    def own_s(self, leader_s: float) -> float:
        """A moment of the leader's monotonic clock, by this machine's."""
        return leader_s

    def beside(self, drive: Drive) -> list[Any]:
        """Greenlets that are needed while it drives."""
        return []

    def hear(self, message: Message) -> None:
        """What is said besides stops."""

    def hand_over(self, part: Part) -> bool:
        """Say what was counted; whether that is known to have arrived."""
        return self._line.send(Done(part=part))

    # the part

    def _run(self, drive: Drive, zero_s: float, messages: Iterator[Message]) -> int:
        listening = gevent.spawn(self._listen, drive, messages)
        helpers = [gevent.spawn(self._tell, drive), *self.beside(drive)]
        try:
            (part,) = drive.run(zero_s)
            self._line.send(Second(progress=drive.progress))
            return 0 if self.hand_over(part) else 4
        except Exception as error:
            self._ask_to_stop(ending_of(error, self._folder))
            return 1
        finally:
            gevent.killall([*helpers, listening])

    def _listen(self, drive: Drive, messages: Iterator[Message]) -> None:
        for message in messages:
            if isinstance(message, Stop):
                drive.stop(message.ending)
            elif isinstance(message, TakeOver):
                drive.take_over(message.lost)
            elif isinstance(message, Leave):
                drive.save()
                os._exit(1)
            else:
                self.hear(message)
        drive.stop(Ending("interrupted", LEADER_GONE))

    def _tell(self, drive: Drive) -> None:
        while True:
            gevent.sleep(TELL_EVERY_S)
            self._line.send(Second(progress=drive.progress))

    def _ask_to_stop(self, ending: Ending) -> None:
        """The whole run is to end. The answer is a stop for everybody, this worker included."""
        if not self._line.send(Stop(ending=ending)) and self._drive is not None:
            self._drive.stop(ending)

    def _told_to_end(self, worker: int, number: signal.Signals) -> None:
        """The first signal ends the run in order, the second this worker at once."""
        self._signals += 1
        if self._signals > 1:
            if self._drive is not None:
                self._drive.save()
            os._exit(128 + number)
        reason = f"worker {worker} was told to end ({signal.Signals(number).name})"
        self._ask_to_stop(Ending("interrupted", reason, 128 + number))


def task_of(order: Order) -> Task:
    """What is ordered, read from the files. Raises SavepathError, also where these say something else by now."""
    scenario = load_scenario(order.scenario)
    targets = {
        arm: ChosenTarget(known.mapping, known.variables).load(allow_python=order.allow_python)
        for arm, known in order.targets.items()
    }
    plan = plan_for(scenario, list(targets.values()), client=order.client)
    if plan.digest != order.plan_digest:
        raise InputError(
            f"worker {order.worker} reads another plan ({plan.digest[:12]}) than the run has "
            f"({order.plan_digest[:12]}); the scenario or a mapping was changed while the run began: begin again"
        )
    prepared = {
        arm: Prepared(
            targets[arm],
            known.fingerprint,
            known.inventory,
            bind(targets[arm], plan.scenario, known.inventory, environ_of(arm, os.environ)),
        )
        for arm, known in order.targets.items()
    }
    return Task(
        plan.scenario,
        prepared,
        RunFolder(Path(order.folder)),
        order.run_key,
        order.client,
        order.worker,
        order.workers,
    )
