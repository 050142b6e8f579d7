"""The workers of a run: started or awaited, ordered, heard, missed when they are gone.

Each is a process of its own with a core of its own to use, on this machine or on another, and drives its part of
the same plan (``scenarios.parts``). Why no master and worker of Locust: docs/decisions/0011-workers.md.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence

import gevent

from loadgen.ending import Ending, Progress, progress_of_all
from loadgen.hands import Child, Guest
from loadgen.messages import (
    Ask,
    Channel,
    Done,
    Got,
    Leave,
    Message,
    Over,
    Piece,
    Second,
    Start,
    Stop,
    TakeOver,
    Tell,
)
from loadgen.part import Part
from loadgen.reception import Reception
from loadgen.remains import left_of
from loadgen.task import Task
from scenarios.arrivals import Arrival
from scenarios.errors import Aborted, SavepathError

#: A worker that says nothing for so long is lost: it says where it is once a second.
SILENT_S = 20.0
#: One whose line broke, not just fell silent, comes back in this time, or is lost.
BACK_S = 10.0
#: So long may logins and the reading of the files take.
READY_S = 300.0


class Crew:
    """The workers of one run. ``task_of`` says what each is to do; ``on_stop`` hears why the run must end.

    ``reception`` lets those in that come from other machines; without it all are children of this process.
    ``take_over``: what the first that is lost leaves is driven by the others, so that the run goes on.
    """

    def __init__(
        self,
        workers: Sequence[Child | Guest],
        task_of: Callable[[int], Task],
        *,
        on_stop: Callable[[Ending], None],
        reception: Reception | None = None,
        take_over: bool = False,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._workers = workers
        self._task_of = task_of
        self._on_stop = on_stop
        self._reception = reception
        self._may_take_over = take_over
        self._say = say
        self._ending: Ending | None = None
        self._zero_s = float("nan")

    def get_ready(self) -> None:
        """Start the workers and wait until each can begin. Raises what one of them met; then none is left."""
        try:
            if self._reception is not None:
                self._reception.await_all(self._hear)
            for worker in self._workers:
                worker.start()
                if self._reception is None:
                    self._hear(worker)
            for worker in self._workers:
                if not worker.answered.wait(READY_S):
                    raise Aborted(f"{worker.name} was not ready to begin within {READY_S:g} s")
                if worker.refused is not None:
                    error = SavepathError(worker.refused.message)
                    error.exit_code = worker.refused.exit_code
                    raise error
                if not worker.is_ready:
                    raise Aborted(f"{worker.name} {worker.how_it_ended()} before the run began")
        except BaseException:
            self._dismiss_all()
            raise

    def run(self, zero_s: float) -> list[Part]:
        """Have the plan driven, second 0 being at ``zero_s`` of the monotonic clock; what each has counted."""
        self._zero_s = zero_s
        for worker in self._workers:
            worker.latest_s = time.monotonic()
            worker.send(Start(zero_s=zero_s))
        watchman = gevent.spawn(self._watch_for_silence)
        try:
            for worker in self._workers:
                worker.over.wait()
        finally:
            watchman.kill()
            self._dismiss_all()
        # Counting what was due takes a while for a long run; Ctrl-C is heard meanwhile.
        work = gevent.get_hub().threadpool
        return [worker.part or work.apply(self._left_of, (worker,)) for worker in self._workers]

    def stop(self, ending: Ending) -> None:
        """Let all of them end in order."""
        self._ending = ending
        for worker in self._workers:
            worker.send(Stop(ending=ending))

    def save(self) -> None:
        """Let all of them keep what they have and leave at once."""
        for worker in self._workers:
            worker.send(Leave())

    @property
    def progress(self) -> Progress:
        """Where they are."""
        whole = progress_of_all([worker.progress for worker in self._workers])
        return whole.model_copy(update={"workers_lost": sum(bool(worker.why) for worker in self._workers)})

    def _hear(self, worker: Child | Guest) -> None:
        """Listen to a worker from now on; also to one whose line was broken and is mended."""
        if worker.channel is not None:
            if self._ending is not None:
                worker.send(Stop(ending=self._ending))
            gevent.spawn(self._listen, worker, worker.channel)

    def _listen(self, worker: Child | Guest, channel: Channel) -> None:
        try:
            for message in channel.messages():
                worker.take(message)
                self._answer(worker, message)
        except ValueError as error:
            worker.why = f"said what is {error}"
        if channel is not worker.channel:  # it has come back over another one
            return
        if worker.outlives_its_line and worker.is_ready and not worker.part and not worker.why:
            worker.line_broke = True
            return
        self._miss(worker)

    def _answer(self, worker: Child | Guest, message: Message) -> None:
        if isinstance(message, Stop):
            self._on_stop(message.ending)
        elif isinstance(message, Ask):
            worker.send(Tell(own_s=message.own_s, leader_s=time.monotonic()))
        elif isinstance(message, Piece) and isinstance(worker, Guest):
            worker.send(worker.shelf.take(message))
        elif isinstance(message, Second) and isinstance(worker, Guest):
            worker.send(Got(sizes={}))  # it hears that the leader is still there
        elif isinstance(message, Done) and isinstance(worker, Guest):
            worker.send(Over())

    def _miss(self, worker: Child | Guest) -> None:
        """Its line is dead for good. Without its counts its part is taken over, or the run ends, and is void."""
        if worker.part is None and worker.is_ready and not worker.dismissed:
            worker.gone_s = time.monotonic() - self._zero_s
            when = f"{worker.gone_s:.1f} s into the measured window" if worker.gone_s >= 0 else "in the warm-up"
            worker.why = f"{worker.why or worker.how_it_ended()} {when}"
            worker.rest()
            if not self._taken_over(worker):
                self._on_stop(Ending("aborted", f"{worker.name} {worker.why}; the run is void", 4))
        worker.answered.set()
        worker.over.set()

    def _taken_over(self, lost: Child | Guest) -> bool:
        """Have its part driven by the others, if that can be: once in a run, and while it is driven."""
        others = [worker for worker in self._workers if worker is not lost]
        if not self._may_take_over or self._ending or not isinstance(lost, Child) or math.isnan(lost.gone_s):
            return False
        self._may_take_over = False
        lost.end()
        lost.heirs = tuple(worker.order.worker for worker in others)
        for worker in others:
            worker.send(TakeOver(lost=lost.order.worker))
        self._say(f"{lost.name} {lost.why}; the others take over what it leaves")
        return True

    def _watch_for_silence(self) -> None:
        while True:
            gevent.sleep(1)
            for worker in self._workers:
                patience_s = BACK_S if worker.line_broke else SILENT_S
                silent_s = time.monotonic() - worker.latest_s
                if silent_s > patience_s and not worker.over.is_set() and not worker.why:
                    what = "hung up and did not come back within" if worker.line_broke else "said nothing for"
                    worker.why = f"{what} {patience_s:g} s and was given up"
                    worker.give_up()
                    if worker.outlives_its_line:
                        self._miss(worker)

    def _left_of(self, worker: Child | Guest) -> Part:
        task = self._task_of(worker.order.worker)
        gone_s = min(worker.gone_s, task.scenario.duration_s)
        due = {arm: self._due(worker, arm) for arm in task.prepared}
        return left_of(task, due, why=worker.why, driven_s=max(gone_s, 0.0), heirs=worker.heirs)

    def _due(self, worker: Child | Guest, arm: str) -> int:
        """How many arrivals had come up for one that is gone when it was missed, or when others drove them."""
        number, gone_s = worker.order.worker, worker.gone_s
        if self._task_of(number).scenario.load.users:
            return worker.progress.sent  # by its own last word: no plan says how many will come
        if worker.heirs:
            shares = (
                max(_until(gone_s, self._task_of(heir).inherited(arm, number)), self._inherited(heir, arm))
                for heir in worker.heirs
            )
            return sum(shares)
        task = self._task_of(number)
        due = _until(gone_s, task.schedule(arm))
        for one in self._workers:
            if number in one.heirs:  # it was to drive that as well
                left = one.order.worker
                due += _until(gone_s, task.inherited(arm, left)) - _until(one.gone_s, task.inherited(arm, left))
        return due

    def _inherited(self, heir: int, arm: str) -> int:
        part = next(worker.part for worker in self._workers if worker.order.worker == heir)
        return part.arms[arm].inherited if part else 0

    def _dismiss_all(self) -> None:
        """See to it that no worker is left."""
        if self._reception is not None:
            self._reception.close()
        for worker in self._workers:
            worker.dismiss()


def _until(at_s: float, schedule: Iterator[Arrival]) -> int:
    return sum(1 for _ in itertools.takewhile(lambda one: one.at_s <= at_s, schedule))
