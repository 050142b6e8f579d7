"""A document held against a model: what is wrong with it, in words and with its place in the file."""

from __future__ import annotations

import types
import typing
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from scenarios.errors import InputError, Problem, did_you_mean
from scenarios.source import Path, Source, dotted

ModelT = TypeVar("ModelT", bound=BaseModel)


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
