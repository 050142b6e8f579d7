"""A worker that comes from another machine: it looks for a run, takes its part, and sends its shards home.

Its line may break and be mended. It goes on meanwhile; where nobody is found any more, it ends in order.
"""

from __future__ import annotations

import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import gevent
from gevent.event import Event

from loadgen.drive import Drive
from loadgen.messages import Ask, Channel, Done, Got, Hello, Message, Order, Over, Refused, Tell
from loadgen.part import Part
from loadgen.pieces import Courier
from loadgen.run_folder import RunFolder
from loadgen.shipping import stays_below
from loadgen.work import Worker
from scenarios.errors import InputError

#: How soon it tries again to connect, and how long one try may take.
TRY_EVERY_S, TRY_S = 0.5, 5.0
#: A leader that has said nothing for so long may be behind a broken line: a new one is tried.
DOUBT_S: Final = 5.0
#: So long after that it goes on without one.
ALONE_S: Final = 15.0
#: So long it keeps what it recorded on offer after its part is done.
HAND_OVER_S: Final = 60.0
SEND_EVERY_S: Final = 0.5
#: Questions about the clock; the quickest answer counts.
QUESTIONS: Final = 7


class RemoteLine:
    """A line that is mended when it breaks. ``connect`` opens a socket, or returns None."""

    def __init__(self, connect: Callable[[], socket.socket | None], hello: Hello) -> None:
        self._connect = connect
        self._hello = hello
        self._channel: Channel | None = None
        self._heard_s = time.monotonic()
        self.over = False

    def open(self) -> bool:
        """Connect and say who it is; whether somebody was there."""
        sock = self._connect()
        if sock is None:
            return False
        self._channel = Channel(sock)
        self._heard_s = time.monotonic()
        return self._channel.send(self._hello)

    def known_as(self, order: Order) -> None:
        """From now on it comes back as this worker of this run."""
        self._hello = self._hello.model_copy(update={"run_key": order.run_key, "worker": order.worker})

    def send(self, message: Message) -> bool:
        """Say it; where the line is broken, it is not said."""
        return self._channel is not None and self._channel.send(message)

    def messages(self) -> Iterator[Message]:
        """What the leader says, over however many connections."""
        while self._channel is not None:
            channel = self._channel
            for message in channel.messages():
                self._heard_s = time.monotonic()
                yield message
            channel.close()
            if self.over or self._hello.worker is None or not self._mended():
                return

    def doubt(self) -> None:
        """Give up a connection over which nothing came for a while, which has a new one tried."""
        if time.monotonic() - self._heard_s > DOUBT_S and self._channel is not None:
            self._channel.close()

    def close(self) -> None:
        """Hang up."""
        self.over = True
        if self._channel is not None:
            self._channel.close()

    def _mended(self) -> bool:
        until_s = time.monotonic() + ALONE_S
        while time.monotonic() < until_s and not self.over:
            if self.open():
                return True
            gevent.sleep(TRY_EVERY_S)
        return False


class Visitor(Worker):
    """A worker that works for whoever it was let in by."""

    ends_on = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self, line: RemoteLine, room: Path, *, allow_python: bool, say: Callable[[str], None]) -> None:
        super().__init__(line)
        self._remote = line
        self._room = room
        self._allow_python = allow_python
        self._say = say
        self._ahead_s = 0.0  # of the leader's clock
        self._home = RunFolder(room / "run")
        self._courier = Courier(self._home.shards, line.send)
        self._arrived = Event()
        self.refusal = ""

    def not_wanted(self, answer: Message | None) -> int:
        """Why it was not let in."""
        self.refusal = answer.message if isinstance(answer, Refused) else "no leader of a run answered"
        return 3 if isinstance(answer, Refused) else 4

    def arrive(self, order: Order) -> Order:
        """Lay the files down, and record here."""
        self._remote.known_as(order)
        self._say(f"worker {order.worker} of {order.workers}")
        if order.allow_python and not self._allow_python:
            raise InputError("the mapping may name a Python class: start savepath worker with --allow-python too")
        for name, text in order.files.items():
            if not stays_below(name):
                raise InputError(f"{name!r} is no file below the folder of the scenario")
            (self._room / name).parent.mkdir(parents=True, exist_ok=True)
            (self._room / name).write_text(text, encoding="utf-8")
        self._home.create()

        def here(name: str) -> str:
            return str(self._room / name) if name in order.files else name

        targets = {
            arm: known.model_copy(update={"mapping": here(known.mapping)}) for arm, known in order.targets.items()
        }
        changes = {"scenario": here(order.scenario), "targets": targets, "folder": str(self._home.path)}
        return order.model_copy(update=changes)

    def compare_clocks(self, messages: Iterator[Message]) -> None:
        """The answer that took the shortest way there and back says best what the leader's clock is ahead."""
        shortest_s = float("inf")
        for _ in range(QUESTIONS):
            self._remote.send(Ask(own_s=time.monotonic()))
            answer = next((one for one in messages if isinstance(one, Tell)), None)
            if answer is None:
                return
            now_s = time.monotonic()
            if now_s - answer.own_s < shortest_s:
                shortest_s = now_s - answer.own_s
                self._ahead_s = answer.leader_s - (answer.own_s + now_s) / 2

    def own_s(self, leader_s: float) -> float:
        """The leader's moment by the clock of this machine."""
        return leader_s - self._ahead_s

    def beside(self, drive: Drive) -> list[Any]:
        """Shards go home while they grow."""
        return [gevent.spawn(self._send_for_ever)]

    def hear(self, message: Message) -> None:
        """What has arrived there."""
        if isinstance(message, Got):
            self._courier.took(message)
        elif isinstance(message, Over):
            self._arrived.set()
        elif isinstance(message, Refused):
            self.refusal = message.message
            self._remote.over = True

    def hand_over(self, part: Part) -> bool:
        """The rest of the shards, then the counts, until the leader has them."""
        until_s = time.monotonic() + HAND_OVER_S
        while time.monotonic() < until_s and not self._remote.over:
            self._courier.go()
            if self._courier.is_done:
                self._remote.send(Done(part=part))
                if self._arrived.wait(2 * SEND_EVERY_S):
                    return True
            gevent.sleep(SEND_EVERY_S / 10)
        self._say(f"the leader has not got all that was recorded ({self.refusal or 'no answer'})")
        return False

    def _send_for_ever(self) -> None:
        while True:
            gevent.sleep(SEND_EVERY_S)
            self._courier.go()
            self._remote.doubt()


def visit_for_ever(
    master: str, token: str, wait_s: float, *, allow_python: bool, say: Callable[[str], None]
) -> int:
    """Take part in run after run, until nobody leads one for ``wait_s``; the exit code."""
    host, _, port = master.rpartition(":")
    hello = Hello(version=metadata.version("savepath"), host=socket.gethostname(), token=token)

    def connect() -> socket.socket | None:
        try:
            sock = socket.create_connection((host, int(port)), timeout=TRY_S)
        except OSError:
            return None
        sock.settimeout(None)
        return sock

    runs, code, until_s = 0, 4, time.monotonic() + wait_s
    while time.monotonic() < until_s:
        line = RemoteLine(connect, hello)
        if not line.open():
            gevent.sleep(TRY_EVERY_S)
            continue
        room = Path(tempfile.mkdtemp(prefix="savepath-worker-"))
        visitor = Visitor(line, room, allow_python=allow_python, say=say)
        try:
            code = visitor.work()
        finally:
            line.close()
            shutil.rmtree(room, ignore_errors=True)
        if visitor.refusal and code == 3:
            say(visitor.refusal)
            return code
        if code == 0:
            runs += 1
        until_s = time.monotonic() + wait_s
        gevent.sleep(TRY_EVERY_S)
    if not runs:
        say(f"nobody led a run at {master} within {wait_s:g} s; start savepath run --listen {master} there")
    return 0 if runs else code
