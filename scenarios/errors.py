"""What can go wrong on purpose: the tree of errors that a user may see.

    SavepathError        exit 1, a bug unless a leaf says otherwise
    ├── InputError       exit 2, a file, flag or run folder is wrong; holds every problem found
    ├── Refused          exit 3, a safety rule says no; nothing was sent
    └── Aborted          exit 4, the target is gone, the run is incomplete, the generator overloaded
        └── Unauthorised the target does not accept the credentials

A message says what was found, where, and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class SavepathError(Exception):
    """Base of every error that savepath raises deliberately."""

    exit_code = 1


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with an input: where it stands and what to do about it."""

    message: str
    file: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        """``file:line:column: message``, clickable in terminals and editors."""
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        return f"{place}: {self.message}"


class InputError(SavepathError):
    """A file, a flag or a run folder cannot be used as it is. Tells all problems at once."""

    exit_code = 2

    def __init__(self, problems: Problem | Sequence[Problem] | str) -> None:
        if isinstance(problems, str):
            self.problems: tuple[Problem, ...] = ()
            super().__init__(problems)
            return
        found = (problems,) if isinstance(problems, Problem) else tuple(problems)
        self.problems = found
        super().__init__("\n".join(str(problem) for problem in found))


class Refused(SavepathError):
    """A safety rule refuses the plan. No request has been sent."""

    exit_code = 3


class Aborted(SavepathError):
    """What was begun cannot be finished: the target is gone or the run is not whole."""

    exit_code = 4


class Unauthorised(Aborted):
    """The target does not accept the credentials: they are wrong, or were rotated. It says nothing else of it."""


def few_of(names: Sequence[str], most: int = 5) -> str:
    """The first few of many names, and how many more there are, for a message."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def did_you_mean(found: str, known: Iterable[str]) -> str:
    """`` (did you mean save_custom?)`` where something known is close to what was found, else nothing."""
    close = difflib.get_close_matches(found, sorted(known), n=1, cutoff=0.6)
    return f" (did you mean {close[0]}?)" if close else ""
