"""A worker as the process that leads the run sees it: a child of its own, or one of another machine."""

from __future__ import annotations

import math
import os
import signal
import sys
import time

from gevent import socket, subprocess
from gevent.event import Event

from loadgen.ending import Progress
from loadgen.messages import Channel, Done, Message, Order, Ready, Refused, Second
from loadgen.part import Part
from loadgen.pieces import Shelf
from loadgen.run_folder import RunFolder

#: A worker that was told to leave or has said its last has this long before it is killed.
KILL_AFTER_S = 5.0


class Hand:
    """What is known of one worker, whichever it is."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.channel: Channel | None = None
        self.progress = Progress()
        self.latest_s = float("inf")  # when it said something
        self.line_broke = False  # since then
        self.answered, self.over = Event(), Event()
        self.is_ready = False
        self.refused: Refused | None = None
        self.part: Part | None = None
        self.why = ""  # it is gone
        self.gone_s = float("inf")
        self.heirs: tuple[int, ...] = ()  # who took over what it leaves
        self.dismissed = False  # nobody listens any more

    def send(self, message: Message) -> None:
        """Say it, if it is there to be told."""
        if self.channel is not None:
            self.channel.send(message)

    def rest(self) -> None:
        """It is gone: where it was is not where the run is."""
        over = {"phase": "done", "in_flight": 0, "pending_effects": 0, "lag_p99_s": math.nan}
        self.progress = self.progress.model_copy(update=over)

    def take(self, message: Message) -> None:
        """What it says of itself."""
        self.latest_s, self.line_broke = time.monotonic(), False
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


class Child(Hand):
    """A process of this machine, over a socket pair that no other can reach."""

    process: subprocess.Popen[bytes] | None = None
    outlives_its_line = False

    def start(self) -> None:
        """Start it and say what it has to do."""
        ours, theirs = socket.socketpair()
        os.set_inheritable(theirs.fileno(), True)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "loadgen.worker", "--channel", str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(),),
        )
        theirs.close()
        self.channel = Channel(ours)
        self.send(self.order)

    @property
    def name(self) -> str:
        """For people."""
        return f"worker {self.order.worker} (process {self.process.pid if self.process else 'none'})"

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

    def give_up(self) -> None:
        """It hangs."""
        if self.process is not None:
            self.process.kill()

    def end(self) -> None:
        """From now on it surely sends nothing."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def dismiss(self) -> None:
        """It is not needed any more, and must not be left over."""
        self.dismissed = True
        if self.process is None:
            return
        if self.channel is not None:
            self.channel.close()
        try:
            self.process.wait(timeout=KILL_AFTER_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Guest(Hand):
    """A worker of another machine. Its line may break; it is lost only when it stays silent."""

    outlives_its_line = True

    def __init__(self, order: Order, folder: RunFolder) -> None:
        super().__init__(order)
        self.host = ""  # where it says that it is
        self.shelf = Shelf(folder.shards, order.worker)

    def start(self) -> None:
        """It comes by itself (``loadgen.reception``)."""

    @property
    def name(self) -> str:
        """For people."""
        return f"worker {self.order.worker} (on {self.host or 'another machine'})"

    def how_it_ended(self) -> str:
        """In words."""
        return "has hung up"

    def give_up(self) -> None:
        """It stays silent."""
        if self.channel is not None:
            self.channel.close()

    def dismiss(self) -> None:
        """It is not needed any more."""
        self.dismissed = True
        self.give_up()
