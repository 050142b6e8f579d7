"""YAML text to data that still knows where each value stood.

Used for scenarios and for target mappings alike. Every problem of a file is told at once,
each with its line and column; duplicate keys are refused, since YAML would silently keep
only the last of them. What the data means is held against a model in ``scenarios.validation``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml
from pydantic import BaseModel, ConfigDict
from yaml.constructor import SafeConstructor
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from scenarios.errors import InputError, Problem

#: Keys and list positions that lead from the top of a document to a value.
Path = tuple[str | int, ...]

#: What PyYAML raises for text that it cannot read; for numbers, dates, escapes and tags what Python says.
UNREADABLE: Final = (
    yaml.YAMLError, ValueError, OverflowError, LookupError, AttributeError, RecursionError,
)  # fmt: skip
#: A document may not unfold to more values than this: aliases multiply ("billion laughs").
MAX_VALUES = 200_000
#: Nor be nested deeper than this.
MAX_DEPTH = 60


class StrictModel(BaseModel):
    """A part of an input file: frozen, and a key that it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class Position:
    """Where a value, or the key before it, stands; both count from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Source:
    """A document: its data, and the position of each value and of each key by path."""

    file: str
    data: Any
    values: Mapping[Path, Position]
    keys: Mapping[Path, Position]

    def problem(self, path: Path, message: str, *, at_key: bool = False) -> Problem:
        """A problem at the given path, or at the nearest thing above it that stands in the file."""
        while path:
            place = (self.keys if at_key else self.values).get(path) or self.values.get(path)
            if place:
                return Problem(message, self.file, place.line, place.column)
            path = path[:-1]
        place = self.values.get((), Position(1, 1))
        return Problem(message, self.file, place.line, place.column)


def read_yaml(text: str, file: str) -> Source:
    """Parse one YAML document; ``file`` is the name to use in messages.

    Raises InputError with file:line:column for text that is not YAML, for duplicate keys, and
    for documents that refer to themselves or unfold beyond bounds.
    """
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = " ".join(part for part in (error.context, error.problem) if part)
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise InputError(Problem(f"not valid YAML: {what}", file, line, column)) from None
    except (yaml.YAMLError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error).splitlines()[0]
        raise InputError(Problem(f"not valid YAML: {reason}", file, 1, 1)) from None
    except (ValueError, OverflowError) as error:  # "\U0011F4A5": no character has that number
        mark = loader.get_mark()
        what = f"not valid YAML: a number that is too large here ({error})"
        raise InputError(Problem(what, file, mark.line + 1, mark.column + 1)) from None
    if root is None:
        raise InputError(Problem("the file is empty; expected a mapping of keys to values", file, 1, 1))
    reader = _Reader(file)
    data = reader.read(root, ())
    if reader.problems:
        raise InputError(reader.problems)
    return Source(file, data, reader.values, reader.keys)


class _Reader:
    """Walks the nodes of a document once: builds the data, notes positions, collects problems."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.values: dict[Path, Position] = {}
        self.keys: dict[Path, Position] = {}
        self.problems: list[Problem] = []
        self._scalars = SafeConstructor()

    def read(self, node: Node, path: Path) -> Any:
        place = _position(node)
        self.values[path] = place
        if len(self.values) > MAX_VALUES or len(path) > MAX_DEPTH:
            what = "unfolds to too many values" if len(path) <= MAX_DEPTH else "is nested too deeply"
            raise InputError(
                Problem(f"the document {what}; write it without aliases", self.file, place.line, place.column)
            )
        if isinstance(node, MappingNode):
            return self._read_mapping(node, path)
        if isinstance(node, SequenceNode):
            return [self.read(item, (*path, i)) for i, item in enumerate(node.value)]
        return self._read_scalar(node)

    def _read_mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            place = _position(key_node)
            if not isinstance(key_node, ScalarNode):
                self.problems.append(Problem("a key must be text", self.file, place.line, place.column))
                continue
            key = key_node.value
            if key in found:
                first = self.keys[(*path, key)]
                self.problems.append(
                    Problem(
                        f"{dotted((*path, key))} is given twice (first on line {first.line}); keep one of them",
                        self.file,
                        place.line,
                        place.column,
                    )
                )
                continue
            self.keys[(*path, key)] = place
            found[key] = self.read(value_node, (*path, key))
        return found

    def _read_scalar(self, node: Node) -> Any:
        try:
            return self._scalars.construct_object(node)
        except UNREADABLE as error:
            place = _position(node)
            kind, reason = node.tag.rpartition(":")[2], str(error).splitlines()[0]
            what = f"cannot read this value as {kind}: {reason}"
            self.problems.append(Problem(what, self.file, place.line, place.column))
            return None


def _position(node: Node) -> Position:
    return Position(node.start_mark.line + 1, node.start_mark.column + 1)


def dotted(path: Path) -> str:
    """``cohorts.large.custom_fields``, ``required[2]``: a path as people write it."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
