"""The workers of a run as the process that leads it sees them: started, ordered, heard, missed when they are gone.

Each is a process of its own with a core of its own to use, and drives its part of the same plan
(``scenarios.parts``). Why no master and worker of Locust: docs/decisions/0011-workers.md.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable

import gevent
from gevent import socket, subprocess
from gevent.event import Event

from loadgen.drive import Task
from loadgen.ending import Ending, Progress, progress_of_all
from loadgen.messages import Channel, Done, Leave, Message, Order, Ready, Refused, Second, Start, Stop
from loadgen.part import Part, left_of
from scenarios.errors import Aborted, SavepathError

#: A worker that was told to leave or has said its last has this long before it is killed.
KILL_AFTER_S = 5.0
#: A worker that says nothing for so long hangs: it says where it is once a second.
SILENT_S = 20.0


class Crew:
    """So many workers. ``task_of`` says what each is to do; ``on_stop`` hears why the run must end."""

    def __init__(
        self, orders: list[Order], task_of: Callable[[int], Task], *, on_stop: Callable[[Ending], None]
    ) -> None:
        self._workers = [_Worker(order) for order in orders]
        self._task_of = task_of
        self._on_stop = on_stop
        self._zero_s = float("nan")

    def get_ready(self) -> None:
        """Start the workers and wait until each can begin. Raises what one of them met; then none is left."""
        try:
            for worker in self._workers:
                worker.start()
                gevent.spawn(self._hear, worker)
            for worker in self._workers:
                worker.answered.wait()
                if worker.refused is not None:
                    error = SavepathError(worker.refused.message)
                    error.exit_code = worker.refused.exit_code
                    raise error
                if not worker.is_ready:
                    raise Aborted(f"{worker.name} {worker.how_it_ended()} before the run began")
        except BaseException:
            self._end_all()
            raise

    def run(self, zero_s: float) -> list[Part]:
        """Have the plan driven, second 0 being at ``zero_s`` of the monotonic clock; what each has counted."""
        self._zero_s = zero_s
        for worker in self._workers:
            worker.latest_s = time.monotonic()
            worker.channel.send(Start(zero_s=zero_s))
        watchman = gevent.spawn(self._watch_for_silence)
        try:
            for worker in self._workers:
                worker.over.wait()
        finally:
            watchman.kill()
            self._end_all()
        return [worker.part or self._left_of(worker) for worker in self._workers]

    def stop(self, ending: Ending) -> None:
        """Let all of them end in order."""
        for worker in self._workers:
            worker.channel.send(Stop(ending=ending))

    def save(self) -> None:
        """Let all of them keep what they have and leave at once."""
        for worker in self._workers:
            worker.channel.send(Leave())

    @property
    def progress(self) -> Progress:
        """Where they are."""
        return progress_of_all([worker.progress for worker in self._workers])

    def _hear(self, worker: _Worker) -> None:
        """Take in what a worker says until it is gone. One that is gone without its counts ends the run."""
        try:
            for message in worker.channel.messages():
                worker.take(message)
                if isinstance(message, Stop):
                    self._on_stop(message.ending)
        except ValueError as error:
            worker.why = f"said what is {error}"
        if worker.part is None and worker.is_ready and not worker.dismissed:
            worker.gone_s = time.monotonic() - self._zero_s
            when = f"{worker.gone_s:.1f} s into the measured window" if worker.gone_s >= 0 else "in the warm-up"
            worker.why = f"{worker.why or worker.how_it_ended()} {when}"
            self._on_stop(Ending("aborted", f"{worker.name} {worker.why}; the run is void", 4))
        worker.answered.set()
        worker.over.set()

    def _watch_for_silence(self) -> None:
        while True:
            gevent.sleep(1)
            for worker in self._workers:
                silent_s = time.monotonic() - worker.latest_s
                if silent_s > SILENT_S and not worker.over.is_set() and not worker.why:
                    worker.why = f"said nothing for {SILENT_S:g} s and was ended"
                    worker.kill()

    def _left_of(self, worker: _Worker) -> Part:
        task = self._task_of(worker.order.worker)
        gone_s = min(worker.gone_s, task.scenario.duration_s)
        due = {arm: sum(1 for one in task.schedule(arm) if one.at_s <= gone_s) for arm in task.prepared}
        return left_of(task.folder, task.worker, due, why=worker.why, driven_s=max(gone_s, 0.0))

    def _end_all(self) -> None:
        """See to it that no worker is left."""
        for worker in self._workers:
            worker.end()


class _Worker:
    """One of them."""

    channel: Channel

    def __init__(self, order: Order) -> None:
        self.order = order
        self.process: subprocess.Popen[bytes] | None = None
        self.progress = Progress()
        self.latest_s = float("inf")  # when it said something
        self.answered, self.over = Event(), Event()
        self.is_ready = False
        self.refused: Refused | None = None
        self.part: Part | None = None
        self.why = ""  # it is gone
        self.gone_s = float("inf")
        self.dismissed = False  # nobody listens any more

    def start(self) -> None:
        ours, theirs = socket.socketpair()
        os.set_inheritable(theirs.fileno(), True)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "loadgen.worker", "--channel", str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(),),
        )
        theirs.close()
        self.channel = Channel(ours)
        self.channel.send(self.order)

    @property
    def name(self) -> str:
        return f"worker {self.order.worker} (process {self.process.pid if self.process else 'none'})"

    def take(self, message: Message) -> None:
        self.latest_s = time.monotonic()
        match message:
            case Ready():
                self.is_ready = True
                self.answered.set()
            case Refused():
                self.refused = message
            case Second():
                self.progress = message.progress
            case Done():
                self.part = message.part

    def how_it_ended(self) -> str:
        """In words, once its line is dead."""
        assert self.process is not None  # noqa: S101  # it was started
        try:
            code = self.process.wait(timeout=KILL_AFTER_S)
        except subprocess.TimeoutExpired:
            return "has hung up"
        if code < 0:
            return f"was killed ({signal.Signals(-code).name})"
        return f"ended by itself with code {code}"

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()

    def end(self) -> None:
        self.dismissed = True
        if self.process is None:
            return
        self.channel.close()
        try:
            self.process.wait(timeout=KILL_AFTER_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
