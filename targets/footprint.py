"""The footprint: what savepath makes on a target, in a file before it is asked for, so that it can be removed.

A file is written by one process, which holds a lock on it while it works; a killed process lets go. Lines of JSON:

    heading   which target, and how it was chosen
    making    so many things of a kind will be asked for in a tenant, which has these already
    made      one of them was answered, and is called this there
    tokens    a run begins, whose saves and mails carry tokens with this key
    removed   one of them is gone again
    closed    everything is

What announces is synced to the disk: it must outlast the machine. What was answered is only written. A kill does
not lose it; a loss of power may, and then the thing is searched for by what was announced, like one whose answer
never came. The tokens of a run follow from its key (``scenarios.tokens``), so that one line announces all of them
and the measured path writes nothing.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Annotated, Final, Literal

from pydantic import Field, TypeAdapter, ValidationError

from scenarios.errors import InputError, Refused
from scenarios.source import StrictModel
from targets.lasting import sync_folder

#: The folder of footprints in the folder of a run, or of the runs of one command.
FOLDER: Final = "footprint"
_DAMAGED: Final = "the file is damaged, look at the target by hand"

Kind = Literal["tenant", "case_type", "field", "case"]


class Heading(StrictModel):
    """Which target it is about: the mapping and its variables as they were chosen, and the address they led to."""

    line: Literal["heading"] = "heading"
    schema_: Literal["savepath.footprint/1"] = Field("savepath.footprint/1", alias="schema")
    scenario: str
    tenants: tuple[str, ...]  # all tenants of the scenario, by key
    mapping: str  # name or path
    settings: dict[str, str] = Field({})
    address: str  # its base_url
    side: str = ""  # before or after, where two targets are driven: whose secrets are meant


class Making(StrictModel):
    """``number`` things will be asked for: those with these keys, or cases beside those that are there."""

    line: Literal["making"] = "making"
    kind: Kind
    tenant: str = ""  # by key; empty where tenants are made
    remote: dict[str, str] = Field({})  # what the target calls that tenant
    keys: tuple[str, ...] = ()
    number: int = Field(ge=0)
    there: tuple[str, ...] = ()


class Made(StrictModel):
    """It was answered. ``id`` is what the target calls it, the key where it does not say."""

    line: Literal["made"] = "made"
    kind: Kind
    tenant: str = ""
    key: str = ""
    id: str


class Tokens(StrictModel):
    """A run begins in these tenants, by key, with what the target calls them."""

    line: Literal["tokens"] = "tokens"
    run_key: str
    tenants: dict[str, dict[str, str]]


class Removed(StrictModel):
    """It is gone. ``name`` is the id of a case, else the key; of what a run left, its key."""

    line: Literal["removed"] = "removed"
    kind: str
    tenant: str = ""
    name: str


class Closed(StrictModel):
    """Nothing of it is left."""

    line: Literal["closed"] = "closed"


Line = Heading | Making | Made | Tokens | Removed | Closed
_LINE: Final[TypeAdapter[Line]] = TypeAdapter(Annotated[Line, Field(discriminator="line")])


class Footprint:
    """Writes one file in ``folder/footprint``, made when there is something to announce. Threads may share it."""

    def __init__(self, folder: Path, name: str, heading: Heading) -> None:
        self._folder = folder / FOLDER
        self._name = name
        self._heading = heading
        self._file: IO[bytes] | None = None
        self._lock = threading.Lock()
        self.path: Path | None = None  # from the first announcement on

    def announce(self, line: Making | Tokens) -> None:
        """Before anything of it is asked for. Raises InputError where it cannot be kept."""
        with self._lock:
            if self._file is None:
                self._open()
            self._append(line, lasting=True)

    def note(self, line: Made) -> None:
        """As soon as it is answered. Raises InputError where it cannot be kept."""
        with self._lock:
            self._append(line)

    def close(self) -> None:
        """Let go of the file: from now on what it names may be removed."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _open(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self.path = _first_free(self._folder, self._name)
            self._file = self.path.open("xb", buffering=0)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._append(self._heading, lasting=True)
            sync_folder(self._folder)
        except OSError as error:
            raise _unkept(self._folder, error) from None

    def _append(self, line: Line, *, lasting: bool = False) -> None:
        assert self._file is not None  # noqa: S101  # announced before
        append(self._file, line, lasting=lasting)


def append(file: IO[bytes], line: Line, *, lasting: bool = False) -> None:
    """Write one line to the end of a footprint. Raises InputError where it cannot be kept."""
    data = line.model_dump_json(by_alias=True).encode() + b"\n"
    try:
        if file.write(data) != len(data):
            raise OSError(0, "the disk is full")
        if lasting:
            os.fsync(file.fileno())
    except OSError as error:
        raise _unkept(Path(file.name).parent, error) from None


@dataclass(slots=True)
class Recorded:
    """What a footprint tells."""

    heading: Heading
    makings: list[Making] = field(default_factory=list)
    made: list[Made] = field(default_factory=list)
    tokens: list[Tokens] = field(default_factory=list)
    removed: set[tuple[str, str, str]] = field(default_factory=set)  # kind, tenant, name
    closed: bool = False

    def ids(self, kind: Kind, tenant: str = "") -> dict[str, str]:
        """The ids of what was answered, by key; of cases by themselves."""
        found = [one for one in self.made if (one.kind, one.tenant) == (kind, tenant)]
        return {one.key or one.id: one.id for one in found}

    @property
    def tenants_removed(self) -> set[str]:
        """Tenants that are gone with all they had, by key."""
        return {name for kind, _, name in self.removed if kind == "tenant"}


def read_footprint(path: Path) -> Recorded | None:
    """What the file tells; None where its writer was killed before it could tell anything.

    A last line that was cut off is left out: what it would have said was not asked for yet, or is searched for.
    Raises InputError for a file that is damaged elsewhere.
    """
    try:
        lines = path.read_bytes().split(b"\n")[:-1]
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    found: Recorded | None = None
    for number, text in enumerate(lines, 1):
        try:
            line = _LINE.validate_json(text)
        except ValidationError as error:
            what = error.errors()[0]["msg"]
            raise InputError(f"{path}:{number}: {what}; {_DAMAGED}") from None
        if isinstance(line, Heading):
            found = found or Recorded(line)
        elif found is None:
            raise InputError(f"{path}:{number}: expected a heading; {_DAMAGED}")
        else:
            _take(found, line)
    return found


def _take(found: Recorded, line: Line) -> None:
    match line:
        case Making():
            found.makings.append(line)
        case Made():
            found.made.append(line)
        case Tokens():
            found.tokens.append(line)
        case Removed():
            found.removed.add((line.kind, line.tenant, line.name))
        case Closed():
            found.closed = True


@contextmanager
def taken(path: Path) -> Iterator[IO[bytes]]:
    """The file for whoever removes what it names, to be appended to; a line that was cut off is cut away.

    Raises Refused while its writer is at work, InputError where it cannot be written.
    """
    try:
        file = path.open("r+b", buffering=0)
    except OSError as error:
        raise _unkept(path, error) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Refused(f"{path}: the run that writes it is still at work; clean up when it is over") from None
        file.truncate(file.read().rfind(b"\n") + 1)
        file.seek(0, os.SEEK_END)
        yield file


def footprints_in(folder: Path) -> list[Path]:
    """The footprints of a folder itself."""
    return sorted((folder / FOLDER).glob("*.jsonl"))


def move_footprints(run: Path, into: Path) -> None:
    """Keep the footprints of a run whose folder goes."""
    for path in footprints_in(run):
        (into / FOLDER).mkdir(exist_ok=True)
        path.rename(_first_free(into / FOLDER, path.stem))


def _first_free(folder: Path, name: str) -> Path:
    numbers: Sequence[str] = ("", *(f"-{number}" for number in range(2, 10_000)))
    return next(path for one in numbers if not (path := folder / f"{name}{one}.jsonl").exists())


def _unkept(path: Path, error: OSError) -> InputError:
    return InputError(
        f"{path}: what is made on the target cannot be kept there: {error.strerror or error}; "
        "nothing is made that could not be removed again"
    )
