"""What the process that leads a run and its workers say to each other: a line of JSON each, over a socket."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Annotated, Final, Literal

from gevent.lock import BoundedSemaphore
from pydantic import Base64Bytes, Field, TypeAdapter, ValidationError

from loadgen.ending import Ending, Progress
from loadgen.part import Part
from scenarios.source import StrictModel
from targets.inventory import Inventory

_BLOCK: Final = 64 * 1024
LINE_MAX: Final = 256 * 1024 * 1024


class Known(StrictModel):
    """A target as it was chosen, and what was found there when the run was prepared."""

    mapping: str  # name or path
    variables: dict[str, str]
    fingerprint: dict[str, str]
    inventory: Inventory


class Hello(StrictModel):
    """From a worker on another machine, first: may it take part, or go on after its line broke?"""

    kind: Literal["hello"] = "hello"
    version: str
    host: str
    token: str = ""
    run_key: str = ""  # with the number: it is that worker of that run
    worker: int | None = None


class Order(StrictModel):
    """To a worker, first: what to get ready for."""

    kind: Literal["order"] = "order"
    worker: int
    workers: int
    scenario: str  # name or path
    targets: dict[str, Known]  # by the name of the arm
    folder: str
    files: dict[str, str] = Field({})  # for another machine: the texts behind the names, which lie in one folder
    run_key: str
    plan_digest: str  # of what the leading process has read; the worker must find the same
    client: str
    allow_python: bool


class Start(StrictModel):
    """To a worker: drive; second 0 is at this time of the machine's monotonic clock."""

    kind: Literal["start"] = "start"
    zero_s: float


class Ask(StrictModel):
    """From a worker on another machine: what does the clock of the leader say?"""

    kind: Literal["ask"] = "ask"
    own_s: float


class Tell(StrictModel):
    """To that worker: this."""

    kind: Literal["tell"] = "tell"
    own_s: float
    leader_s: float


class Stop(StrictModel):
    """To a worker: end in order. From a worker: it wants the run to end."""

    kind: Literal["stop"] = "stop"
    ending: Ending


class TakeOver(StrictModel):
    """To a worker: this one is lost, and what it leaves is shared out among you."""

    kind: Literal["take-over"] = "take-over"
    lost: int


class Leave(StrictModel):
    """To a worker: keep what is recorded, and end at once."""

    kind: Literal["leave"] = "leave"


class Ready(StrictModel):
    """From a worker: it can start."""

    kind: Literal["ready"] = "ready"


class Refused(StrictModel):
    """From a worker: it cannot start. To one on another machine: it may not take part."""

    kind: Literal["refused"] = "refused"
    exit_code: int
    message: str


class Second(StrictModel):
    """From a worker, once a second: where it is."""

    kind: Literal["second"] = "second"
    progress: Progress


class Piece(StrictModel):
    """From a worker on another machine: what comes next in one of its shards."""

    kind: Literal["piece"] = "piece"
    name: str
    offset: int = Field(ge=0)
    digest: str
    data: Base64Bytes


class Got(StrictModel):
    """To that worker: of these shards the leader has so many bytes."""

    kind: Literal["got"] = "got"
    sizes: dict[str, int]
    again: bool = False  # the line was broken: what comes after these is to be sent once more


class Over(StrictModel):
    """To a worker on another machine: the leader has all that it counted."""

    kind: Literal["over"] = "over"


class Done(StrictModel):
    """From a worker, last: its shards are whole, and this is what it counted."""

    kind: Literal["done"] = "done"
    part: Part


Message = (
    Hello | Order | Ask | Tell | Start | Stop | TakeOver | Leave | Ready | Refused | Second | Piece | Got | Done
    | Over
)  # fmt: skip
_ANY: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="kind")])


class Channel:
    """One end of the line. Several greenlets may send."""

    def __init__(self, sock: socket.socket, *, line_max: int = LINE_MAX) -> None:
        self._sock = sock
        self.line_max = line_max  # bytes; longer than that is no message
        self._sending = BoundedSemaphore(1)

    def send(self, message: Message) -> bool:
        """Say it; whether the other side is still there to be told."""
        with self._sending:
            try:
                self._sock.sendall(message.model_dump_json().encode() + b"\n")
            except OSError:
                return False
        return True

    def messages(self) -> Iterator[Message]:
        """What the other side says, until it is gone. Raises ValueError for what is no message."""
        parts: list[bytes] = []
        while block := self._receive():
            *lines, rest = block.split(b"\n")
            for line in lines:
                whole = b"".join([*parts, line])
                parts = []
                yield _parse(whole)
            parts.append(rest)
            if sum(map(len, parts)) > self.line_max:
                raise ValueError(f"no message of a run: more than {self.line_max:,} bytes in a line")

    def close(self) -> None:
        """Hang up."""
        self._sock.close()

    def _receive(self) -> bytes:
        try:
            return self._sock.recv(_BLOCK)
        except OSError:
            return b""


def _parse(line: bytes) -> Message:
    try:
        return _ANY.validate_json(line)
    except ValidationError as error:
        raise ValueError(f"no message of a run: {line[:80]!r} ({error.error_count()} errors)") from None
