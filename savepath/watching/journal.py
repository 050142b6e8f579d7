"""The journal of a watch: ``decisions.jsonl`` in its state folder, appended to and never rewritten.

A line is a decision with the block it was made from, a note, an acknowledgement, an event that somebody
saw, or the end. What the watch remembers follows from the lines in their order, so that one file is all
there is to keep whole. A line that a kill tore apart at the end never counts: its block is decided again.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from scenarios.errors import InputError

NAME: Final = "decisions.jsonl"
KINDS: Final = ("decision", "note", "ack", "event", "end")
#: What a line raises that was changed, where its parts are taken for what they should be.
UNREADABLE: Final = (KeyError, TypeError, ValueError, AttributeError, OverflowError)

Line = Mapping[str, Any]


class Journal:
    """The journal of the watch whose state folder is ``state``."""

    def __init__(self, state: Path) -> None:
        self.path = state / NAME
        self._read_to = 0  # bytes
        self._lines = 0

    def read(self) -> list[Line]:
        """Every whole line. Raises InputError for a broken one that is not the last."""
        self._read_to = self._lines = 0
        return self.read_on()

    def read_on(self) -> list[Line]:
        """The whole lines since the last time, appended by whomever."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._read_to)
                content = file.read()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise InputError(f"{self.path} cannot be read: {error.strerror or error}") from None
        whole = content[: content.rfind(b"\n") + 1]
        found = [self._parse(self._lines + i, text) for i, text in enumerate(whole.splitlines(), start=1)]
        self._read_to += len(whole)
        self._lines += len(found)
        return found

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else appends meanwhile, so that what is decided rests on every line before it."""
        with self.path.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def append(self, line: Line) -> None:
        """Add a line that survives a crash; it counts as read. Call within ``locked``, after ``read_on``.

        Raises OSError where the disk does not take all of it, and leaves nothing of it behind.
        """
        text = json.dumps(line, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        with self.path.open("r+b", buffering=0) as file:  # a buffer would write what failed once more at the end
            begin = self._whole(file, file.seek(0, os.SEEK_END))
            file.truncate(begin)
            file.seek(begin)
            try:
                written = 0
                while written < len(text):
                    written += file.write(text[written:])
                os.fsync(file.fileno())
            except OSError:
                file.truncate(begin)
                raise
            self._read_to, self._lines = begin + len(text), self._lines + 1

    def _whole(self, file: Any, end: int) -> int:
        """Where the last whole line ends."""
        while end > 0:
            start = max(end - 65_536, 0)
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                return start + int(found) + 1
            end = start
        return 0

    def _parse(self, number: int, text: bytes) -> Line:
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict) or found.get("kind") not in KINDS:
            raise InputError(
                f"{self.path}:{number}: no line of a watch; the file was changed or is damaged, "
                "begin a new watch with another --state"
            )
        return found


def unwritable(path: Path, error: OSError) -> InputError:
    """What to say of a file of a watch that cannot be written."""
    return InputError(f"{path} cannot be written ({error.strerror or type(error).__name__})")
