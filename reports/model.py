"""``results.json``: the one computed model, written and read back.

Every other format only tells what stands here. Keys are the names of the fields of
``analysis.findings``; ``reports/results.schema.json`` describes them. A number that is not
known (NaN, or an infinite bound) is ``null``. Floats are rounded to 6 significant digits at
this border, so that a report made from the file equals one made from the computation.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

from analysis.findings import Assessment
from reports.escaping import one_line

SCHEMA: Final = "savepath.results/1"
_DIGITS: Final = 6
_Record = TypeVar("_Record")


class ResultsError(ValueError):
    """A ``results.json`` that cannot be read: says where, what was found and what was expected."""


@dataclass(frozen=True, slots=True)
class ReportMeta:
    """What a report says about itself. ``generated_at`` is ISO 8601 in UTC, handed in by the caller."""

    title: str
    generated_at: str
    version: str  # of savepath
    change: str | None = None  # id of the change request under review
    commands: tuple[str, ...] = ()  # repeat the comparison

    def __post_init__(self) -> None:
        try:
            offset = datetime.fromisoformat(self.generated_at).utcoffset()
        except ValueError:
            offset = None
        if offset != timedelta(0):
            raise ValueError(
                f"generated_at is {self.generated_at!r}; expected ISO 8601 in UTC, as 2026-11-20T16:12:00+00:00"
            )


def to_json(assessment: Assessment, *, meta: ReportMeta) -> bytes:
    """``results.json``: UTF-8, keys in the order of the fields; equal inputs give equal bytes."""
    document = {"schema": SCHEMA, "report": _plain(rounded(meta)), **_plain(rounded(assessment))}
    return (json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1) + "\n").encode()


def from_json(data: bytes) -> tuple[Assessment, ReportMeta]:
    """Read ``to_json``'s bytes back; unknown keys are left aside. Raises ``ResultsError``."""
    try:
        document = json.loads(data.decode("utf-8"), parse_constant=lambda _: None)  # Infinity is not known either
    except UnicodeDecodeError as error:
        raise ResultsError(
            f"results.json: byte {error.start} is not UTF-8; write it again with 'compare'"
        ) from None
    except json.JSONDecodeError as error:
        raise ResultsError(f"results.json:{error.lineno}:{error.colno}: not JSON ({error.msg})") from None
    except RecursionError:
        raise ResultsError("results.json: nested too deep to be a result of this program") from None
    except ValueError:  # of thousands of digits, which Python does not take for a number
        raise ResultsError("results.json: a number is too long to be one of this program") from None
    if not isinstance(document, dict):
        raise ResultsError(f"results.json holds {_found(document)}; expected an object")
    if document.get("schema") != SCHEMA:
        raise ResultsError(f"schema is {_found(document.get('schema'))}; expected {SCHEMA!r}")
    assessment: Assessment = _read(Assessment, document, "results.json")
    meta: ReportMeta = _read(ReportMeta, document.get("report"), "report")
    return assessment, meta


def rounded(record: _Record) -> _Record:
    """The dataclass as ``results.json`` will hold it: 6 significant digits, infinite is NaN."""
    return _mapped(record, _encodable)  # type: ignore[no-any-return]


def presentable(record: _Record) -> _Record:
    """``rounded``, with every text on one line and without control characters: what formats show."""
    return _mapped(record, one_line)  # type: ignore[no-any-return]


@lru_cache
def field_kinds(record: type) -> dict[str, Any]:
    """The fields of a dataclass of the model with their resolved types."""
    return get_type_hints(record)


def optional(kind: Any) -> Any:
    """``X`` if the kind is ``X | None``, else None."""
    if get_origin(kind) in (Union, types.UnionType):
        return next(part for part in get_args(kind) if part is not type(None))
    return None


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _mapped(value: Any, text: Callable[[str], str]) -> Any:
    if isinstance(value, bool) or value is None or isinstance(value, StrEnum | int):
        return value
    if isinstance(value, float):
        # + 0.0 turns -0.0 into 0.0
        return float(f"{value:.{_DIGITS}g}") + 0.0 if math.isfinite(value) else math.nan
    if isinstance(value, str):
        return text(value)
    if isinstance(value, tuple):
        return tuple(_mapped(item, text) for item in value)
    if isinstance(value, Mapping):
        return {text(key): _mapped(item, text) for key, item in sorted(value.items())}
    return dataclasses.replace(
        value, **{field.name: _mapped(getattr(value, field.name), text) for field in dataclasses.fields(value)}
    )


def _plain(value: Any) -> Any:
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return value


def _read(kind: Any, value: Any, where: str) -> Any:
    if (inner := optional(kind)) is not None:
        return None if value is None else _read(inner, value, where)
    if dataclasses.is_dataclass(kind):
        return _read_record(kind, value, where)
    if get_origin(kind) is tuple:
        _expect(isinstance(value, list), value, where, "a list")
        return tuple(_read(get_args(kind)[0], item, f"{where}[{number}]") for number, item in enumerate(value))
    if get_origin(kind) is not None:
        _expect(isinstance(value, dict), value, where, "an object")
        return {key: _read(get_args(kind)[1], item, f"{where}.{key}") for key, item in value.items()}
    if kind is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        _expect(value is None or number, value, where, "a number or null")
        return math.nan if value is None else float(value)
    if kind is int:
        _expect(isinstance(value, int) and not isinstance(value, bool), value, where, "a whole number")
        return value
    if issubclass(kind, StrEnum):
        names = [member.value for member in kind]
        _expect(value in names, value, where, "one of " + ", ".join(names))
        return kind(value)
    _expect(isinstance(value, kind), value, where, {str: "text", bool: "true or false"}.get(kind, kind.__name__))
    return value


def _read_record(kind: Any, value: Any, where: str) -> Any:
    _expect(isinstance(value, dict), value, where, "an object")
    found = {}
    for field in dataclasses.fields(kind):
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if field.name in value:
            path = field.name if where == "results.json" else f"{where}.{field.name}"
            found[field.name] = _read(field_kinds(kind)[field.name], value[field.name], path)
        elif required:
            raise ResultsError(f"{where} has no {field.name!r}")
    try:
        return kind(**found)
    except ValueError as error:
        raise ResultsError(f"{where}: {error}") from None


def _expect(holds: bool, value: Any, where: str, expected: str) -> None:
    if not holds:
        raise ResultsError(f"{where} is {_found(value)}; expected {expected}")


def _found(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
