"""A recorded schedule: a CSV that says when something arrived, and perhaps what it was and where.

at_s,operation,cohort
0.25,read_case,large
0.31,save_custom,
"""

from __future__ import annotations

import csv
import hashlib
import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from scenarios.errors import InputError, Problem, did_you_mean

COLUMNS: Final = ("at_s", "operation", "cohort")
ROWS_MOST: Final = 5_000_000
#: So many mistakes of a file are told.
TOLD: Final = 20


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """Moments from the start of the measured window, rising; what and where each is, as a number of ``kinds``."""

    at_s: NDArray[np.float64]
    kind: NDArray[np.int64]
    kinds: tuple[tuple[str, str], ...]  # (operation, cohort); "" for whatever the scenario draws
    sha256: str  # of the file


def read_recording(path: Path, possible: Mapping[str, AbstractSet[str]], *, from_s: float) -> Recording:
    """Read a CSV. ``possible``: the operations of each cohort; ``from_s``: the first moment of a run.

    Raises InputError with each mistake's file:line:column.
    """
    try:
        content = path.read_bytes()
        rows = list(csv.reader(content.decode("utf-8-sig").splitlines(), strict=True))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is no CSV in UTF-8: {error}") from None
    if not rows or len(rows) > ROWS_MOST:
        what = "the file is empty" if not rows else f"{len(rows):,} lines, more than {ROWS_MOST:,}"
        raise InputError(
            Problem(f"{what}; expected a line at_s[,operation][,cohort] and one for each arrival", str(path))
        )
    return _Reader(path, rows, possible, from_s).read(hashlib.sha256(content).hexdigest())


class _Reader:
    """One file, and what is wrong with it."""

    def __init__(
        self, path: Path, rows: Sequence[list[str]], possible: Mapping[str, AbstractSet[str]], from_s: float
    ) -> None:
        self._file = str(path)
        self._rows = rows
        self._possible = possible
        self._operations = sorted({op for operations in possible.values() for op in operations})
        self._from_s = from_s
        self._problems: list[Problem] = []

    def read(self, sha256: str) -> Recording:
        header = [name.strip() for name in self._rows[0]]
        for place, name in enumerate(header):
            if name not in COLUMNS or name in header[:place]:
                hint = did_you_mean(name, COLUMNS) or f"; expected {', '.join(COLUMNS)}"
                self._wrong(1, place, f"{name!r} is not a known column, or there twice{hint}")
        if "at_s" not in header:
            self._wrong(1, 0, "no column at_s, the seconds from the start of the measured window")
        self._stop_if_wrong()
        at_s, kind, kinds = np.empty(len(self._rows) - 1), np.empty(len(self._rows) - 1, np.int64), {("", ""): 0}
        last_s = self._from_s
        number = 0
        for line, row in enumerate(self._rows[1:], start=2):
            if not row:
                continue
            if len(row) != len(header):
                self._wrong(line, 0, f"{len(row)} values; expected {len(header)}, as in the first line")
                continue
            named = dict(zip(header, (text.strip() for text in row), strict=True))
            last_s = at_s[number] = self._moment(line, header.index("at_s"), named["at_s"], last_s)
            what = (named.get("operation", ""), named.get("cohort", ""))
            if what not in kinds:
                self._check(line, header, *what)
                kinds[what] = len(kinds)
            kind[number] = kinds[what]
            number += 1
            if len(self._problems) >= TOLD:
                break
        if not number and not self._problems:
            self._wrong(1, 0, "no arrivals; expected one on each further line")
        self._stop_if_wrong()
        return Recording(at_s[:number].copy(), kind[:number].copy(), tuple(kinds), sha256)

    def _moment(self, line: int, place: int, text: str, last_s: float) -> float:
        try:
            found = float(text)
        except ValueError:
            found = math.nan
        if not math.isfinite(found):
            self._wrong(line, place, f"at_s is {text!r}; expected a number of seconds")
            return last_s
        if found < last_s:
            least = "the warm-up starts there" if last_s == self._from_s else "arrivals stand in order of time"
            self._wrong(line, place, f"at_s is {text}; expected {last_s:g} or more, {least}")
            return last_s
        return found

    def _check(self, line: int, header: Sequence[str], operation: str, cohort: str) -> None:
        """Say it where no tenant can do that; told once for each operation and cohort."""
        if cohort and cohort not in self._possible:
            hint = did_you_mean(cohort, self._possible) or f"; expected one of {', '.join(self._possible)}"
            self._wrong(line, header.index("cohort"), f"{cohort!r} is no cohort of the scenario{hint}")
        elif operation and operation not in self._operations:
            hint = did_you_mean(operation, self._operations) or f"; expected one of {', '.join(self._operations)}"
            self._wrong(line, header.index("operation"), f"{operation!r} is not in the mix{hint}")
        elif operation and cohort and operation not in self._possible[cohort]:
            self._wrong(line, header.index("operation"), f"cohort {cohort} cannot do {operation}")

    def _wrong(self, line: int, place: int, message: str) -> None:
        row = self._rows[line - 1]
        column = sum(len(text) + 1 for text in row[:place]) + 1
        self._problems.append(Problem(message, self._file, line, column))

    def _stop_if_wrong(self) -> None:
        if self._problems:
            raise InputError(self._problems)
