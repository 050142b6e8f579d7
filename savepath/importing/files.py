"""Reading result files: plain or gzip, a line at a time, with an error that says where the file breaks."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

from scenarios.errors import InputError, Problem

_GZIP: Final = b"\x1f\x8b"
_BOM: Final = b"\xef\xbb\xbf"
#: A line may not be longer: a vegeta line can hold the whole body of an answer.
LONGEST_LINE: Final = 64 * 2**20
#: Fields of a CSV file may be as long as a line.
csv.field_size_limit(LONGEST_LINE)
_CHUNK: Final = 2**18
_DIGITS_MOST: Final = 40


class Line(NamedTuple):
    """A line and its number, which counts from 1."""

    number: int
    text: bytes


class Row(NamedTuple):
    """A row of a CSV file and the number of the line on which it ends."""

    line: int
    fields: Sequence[str]


def broken(path: Path, line: int, message: str) -> NoReturn:
    """Raise InputError for a line of a file."""
    raise InputError(Problem(message, str(path), line))


def read_head(path: Path) -> bytes:
    """The first bytes of a file, unpacked: enough to tell whose it is. Raises InputError for an empty file."""
    with _opened(path) as file:
        head = file.read(4096).removeprefix(_BOM)
    if not head.strip():
        raise InputError(f"{path} is empty; was the tool stopped before its first request?")
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise InputError(
            f"{path} is UTF-16, as PowerShell's > writes it; let the tool write its file, or save it as UTF-8"
        )
    return head


def read_chunks(path: Path) -> Iterator[bytes]:
    """The file, unpacked, in pieces."""
    with _opened(path) as file:
        while piece := file.read(_CHUNK):
            yield piece


def read_lines(path: Path) -> Iterator[Line]:
    """The lines of the file, unpacked; empty ones are left out."""
    number = 0
    with _opened(path) as file:
        while line := file.readline(LONGEST_LINE + 1):
            number += 1
            if len(line) > LONGEST_LINE:
                broken(
                    path, number, f"the line is longer than {LONGEST_LINE // 2**20} MiB; this is no result file"
                )
            if number == 1:
                line = line.removeprefix(_BOM)
            if line := line.strip():
                yield Line(number, line)


def read_rows(path: Path, delimiter: str = ",") -> Iterator[Row]:
    """The rows of a CSV file. A quoted field may go over several lines."""
    reader = csv.reader(_decoded(path), delimiter=delimiter)
    try:
        for fields in reader:
            if fields:
                yield Row(reader.line_num, fields)
    except csv.Error as error:
        broken(path, reader.line_num, f"not CSV ({error})")


def whole_number(text: str) -> int:
    """A number of bytes or a status, 0 where the tool wrote none or a word."""
    return int(text) if is_whole_number(text) else 0


def is_whole_number(text: str) -> bool:
    """Whether these are digits, and not the thousands that Python takes for no number."""
    return len(text) <= _DIGITS_MOST and text.isdecimal()


def _decoded(path: Path) -> Iterator[str]:
    number = 0
    with _opened(path) as file:
        while line := file.readline(LONGEST_LINE + 1):
            number += 1
            try:
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise InputError(
                    Problem(
                        f"byte 0x{line[error.start]:02x} is not UTF-8; save the file as UTF-8",
                        str(path),
                        number,
                        error.start + 1,
                    )
                ) from None


@contextmanager
def _opened(path: Path) -> Iterator[io.BufferedIOBase]:
    """The file's bytes, unpacked where it is gzip, whatever its name. Raises InputError."""
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == _GZIP
            raw.seek(0)
            if not packed:
                yield raw
                return
            with gzip.open(raw) as unpacked:
                yield unpacked
    except FileNotFoundError:
        raise InputError(f"{path} is not there") from None
    except EOFError:
        raise InputError(
            f"{path} ends in the middle of its gzip data: it was cut off; copy it again, or unpack what is there "
            "with gzip -dc and import that"
        ) from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path} is damaged gzip ({error}); copy it again") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None


def place_columns(path: Path, header: Iterable[str], needed: Sequence[str]) -> dict[str, int]:
    """Column -> its place. Raises InputError where one of the needed is missing, or one stands there twice.

    A column without a name is called by its place, so that there are as many as in a line.
    """
    names = [name.strip() or f"(column {place})" for place, name in enumerate(header, 1)]
    places = {name: place for place, name in enumerate(names)}
    if twice := [name for name in places if names.count(name) > 1]:
        broken(path, 1, f"column {', '.join(twice)} stands there more than once; keep one of them")
    if missing := [name for name in needed if name not in places]:
        broken(path, 1, f"no column {', '.join(missing)}; found {', '.join(places)}")
    return places
