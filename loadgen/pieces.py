"""Shards on their way from a worker on another machine: in pieces, each acknowledged, none counted twice.

A piece says where in its shard it belongs. What the leader has already is not written again, so that everything
that is not known to have arrived may be sent once more.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from loadgen.messages import Got, Piece

#: Small enough that sending one holds nothing up, and so many bytes may be on their way at once.
PIECE_BYTES: Final = 256 * 1024
WINDOW_BYTES: Final = 4 * PIECE_BYTES


class Courier:
    """At the worker: sends what its shards hold. ``send`` says whether the line is still there."""

    def __init__(self, shards: Path, send: Callable[[Piece], bool]) -> None:
        self._shards = shards
        self._send = send
        self._sent: dict[str, int] = {}
        self._arrived: dict[str, int] = {}

    def go(self) -> None:
        """Send what is new, as far as what is on its way allows it."""
        for path in sorted(self._shards.glob("*.arrow")):
            with path.open("rb") as file:
                while self._on_the_way < WINDOW_BYTES:
                    offset = self._sent.get(path.name, 0)
                    file.seek(offset)
                    data = file.read(PIECE_BYTES)
                    if not data or not self._send(piece_of(path.name, offset, data)):
                        break
                    self._sent[path.name] = offset + len(data)

    def took(self, got: Got) -> None:
        """So much has arrived; after a break what is behind it is sent again."""
        self._arrived.update(got.sizes)
        if got.again:
            self._sent = dict(got.sizes)

    @property
    def is_done(self) -> bool:
        """Whether everything that the shards hold has arrived."""
        return all(self._arrived.get(path.name, 0) >= path.stat().st_size for path in self._shards.glob("*.arrow"))

    @property
    def _on_the_way(self) -> int:
        return sum(self._sent.values()) - sum(self._arrived.get(name, 0) for name in self._sent)


class Shelf:
    """At the leader: puts the pieces of one worker together, as shards of the run folder."""

    def __init__(self, shards: Path, worker: int) -> None:
        self._shards = shards
        self._name = re.compile(rf"worker-{worker}(-[a-z]+){{1,2}}(-\d{{4}})?\.arrow")

    def take(self, piece: Piece) -> Got:
        """Write what is new of it. Raises ValueError for a piece that is damaged, no shard's, or beyond a gap."""
        if not self._name.fullmatch(piece.name):
            raise ValueError(f"no piece of a shard of its own: {piece.name[:60]!r}")
        if _digest(piece.data) != piece.digest:
            raise ValueError(f"a damaged piece of {piece.name} at {piece.offset}")
        path = self._shards / piece.name
        size = path.stat().st_size if path.exists() else 0
        if piece.offset > size:
            raise ValueError(f"a piece of {piece.name} at {piece.offset}, where {size} bytes are")
        new = piece.data[size - piece.offset :]
        if new:
            with path.open("ab") as file:
                file.write(new)
        return Got(sizes={piece.name: size + len(new)})

    @property
    def sizes(self) -> Mapping[str, int]:
        """How much there is of each shard."""
        found = [path for path in self._shards.glob("*.arrow") if self._name.fullmatch(path.name)]
        return {path.name: path.stat().st_size for path in found}


def piece_of(name: str, offset: int, data: bytes) -> Piece:
    """What a shard holds from there on."""
    return Piece.model_construct(name=name, offset=offset, digest=_digest(data), data=data)


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()
