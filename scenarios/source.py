"""YAML text to data that still knows where each value stood, and models checked against it.

Used for scenarios and for target mappings alike. Every problem of a file is told at once,
each with its line and column; duplicate keys are refused, since YAML would silently keep
only the last of them.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails
from yaml.constructor import SafeConstructor
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from scenarios.errors import InputError, Problem, did_you_mean

#: Keys and list positions that lead from the top of a document to a value.
Path = tuple[str | int, ...]

#: What PyYAML raises for text that it cannot read; for numbers, dates, escapes and tags what Python says.
UNREADABLE: typing.Final = (
    yaml.YAMLError, ValueError, OverflowError, LookupError, AttributeError, RecursionError,
)  # fmt: skip
#: A document may not unfold to more values than this: aliases multiply ("billion laughs").
MAX_VALUES = 200_000
#: Nor be nested deeper than this.
MAX_DEPTH = 60

ModelT = TypeVar("ModelT", bound=BaseModel)


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


def check(model: type[ModelT], source: Source) -> ModelT:
    """The document as a checked model. Raises InputError with every problem, in the order of the file."""
    if not isinstance(source.data, dict):
        raise InputError(source.problem((), f"expected a mapping of keys to values, found {_kind(source.data)}"))
    try:
        return model.model_validate(source.data)
    except ValidationError as error:
        problems = {_problem(model, source, detail) for detail in error.errors(include_url=False)}
        raise InputError(sorted(problems, key=lambda p: (p.line or 0, p.column or 0, p.message))) from None


def _problem(model: type[BaseModel], source: Source, detail: ErrorDetails) -> Problem:
    loc = tuple(part for part in detail["loc"] if part != "[key]")
    path = _path_in_document(source, loc)
    name = dotted(path) or "the document"
    kind = detail["type"]
    if kind == "extra_forbidden":
        path = loc
        *parent, key = loc
        known = _keys_at(model, tuple(parent))
        hint = did_you_mean(str(key), known) or f"; expected one of {', '.join(sorted(known))}"
        return source.problem(path, f"{dotted(path)} is not a known key{hint}", at_key=True)
    if kind == "missing":
        return source.problem(path, f"{dotted((*path, str(loc[-1])))} is missing{_expected_of(model, loc)}")
    at_key = "[key]" in detail["loc"]
    if kind in ("value_error", "assertion_error"):
        said = str(detail["ctx"]["error"])
        return source.problem(path, f"{name}: {said}" if path else said, at_key=at_key)
    found = _show(path[-1] if at_key and path else detail["input"])
    return source.problem(path, f"{name} is {found}; expected {_expected(detail)}", at_key=at_key)


def _path_in_document(source: Source, loc: tuple[str | int, ...]) -> Path:
    """The part of a pydantic location that exists in the document (unions add names of their own)."""
    path: Path = ()
    for part in loc:
        if (*path, part) in source.values:
            path = (*path, part)
    return path


def _expected(detail: ErrorDetails) -> str:
    context = detail.get("ctx", {})
    match detail["type"]:
        case "greater_than_equal":
            return f"{context['ge']:g} or more"
        case "greater_than":
            return f"more than {context['gt']:g}"
        case "less_than_equal":
            return f"{context['le']:g} or less"
        case "less_than":
            return f"less than {context['lt']:g}"
        case "enum" | "literal_error":
            found = str(detail["input"])
            known = [part.strip(" '") for part in str(context["expected"]).replace(" or ", ",").split(",")]
            return ", ".join(known[:-1]) + f" or {known[-1]}" * bool(known) + did_you_mean(found, known)
        case "int_type" | "int_parsing" | "int_from_float":
            return "a whole number"
        case "float_type" | "float_parsing" | "finite_number":
            return "a number"
        case "string_type":
            return "text"
        case "bool_type" | "bool_parsing":
            return "true or false"
        case "list_type" | "tuple_type":
            return "a list"
        case "dict_type" | "model_type" | "model_attributes_type":
            return "a mapping of keys to values"
        case "too_short":
            return "at least " + str(context.get("min_length", 1))
        case _:
            return detail["msg"][:1].lower() + detail["msg"][1:]


def _expected_of(model: type[BaseModel], loc: tuple[str | int, ...]) -> str:
    """What the model says of a missing key, from the description of its field."""
    for owner in _models_at(model, loc[:-1]):
        info = owner.model_fields.get(str(loc[-1]))
        if info and info.description:
            return f"; expected {info.description}"
    return ""


def _show(value: Any) -> str:
    if isinstance(value, dict | list):
        return _kind(value)
    if value is None:
        return "empty"
    text = repr(value) if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _kind(value: Any) -> str:
    return {dict: "a mapping", list: "a list", str: "text", bool: "true or false"}.get(
        type(value), "a single value"
    )


def _keys_at(model: type[BaseModel], loc: tuple[str | int, ...]) -> set[str]:
    return {info.alias or name for owner in _models_at(model, loc) for name, info in owner.model_fields.items()}


def _models_at(model: type[BaseModel], loc: tuple[str | int, ...]) -> list[type[BaseModel]]:
    """The models that may stand at a location, found by walking the annotations."""
    here: list[Any] = [model]
    for part in loc:
        following: list[Any] = []
        for kind in here:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                fields = {info.alias or name: info for name, info in kind.model_fields.items()}
                if part in fields:
                    following += _unfold(fields[str(part)].annotation)
                elif kind.__name__ == part:  # pydantic names the branch of a union
                    following.append(kind)
            else:
                following += [inner for arg in typing.get_args(kind) for inner in _unfold(arg)]
        here = following or here
    return [kind for kind in here if isinstance(kind, type) and issubclass(kind, BaseModel)]


def _unfold(annotation: Any) -> list[Any]:
    """The branches of a union, or the annotation itself."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _unfold(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return [branch for arg in typing.get_args(annotation) for branch in _unfold(arg)]
    return [annotation]
