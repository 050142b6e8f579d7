"""What a custom field may hold: the types, their checks, and how a value is stored.

Stored form: text, date, choice and reference as text (a numeric reference as an integer),
number as a number, checkbox as 0 or 1, multi_choice as a JSON array. ``None`` is "no
value" and is not stored at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Literal

import orjson

from casedesk.problems import Problem

FieldType = Literal["text", "long_text", "number", "date", "choice", "multi_choice", "checkbox", "reference"]
#: Longest text per type, in characters.
TEXT_LIMITS: Final = {"text": 1000, "long_text": 20_000, "reference": 200}
_NUMBER_LIMIT: Final = 1e15

#: What SQLite keeps for a value.
Stored = str | int | float | None


@dataclass(frozen=True, slots=True)
class CustomField:
    """A field of a case type. ``choices`` is empty unless the type is choice or multi_choice."""

    id: int
    key: str
    label: str
    type: FieldType
    choices: tuple[str, ...]


def encode(field: CustomField, value: Any) -> Stored:
    """The stored form of a JSON value; :class:`Problem` 422 with the field if it does not fit the type."""
    if value is None:
        return None
    match field.type:
        case "text" | "long_text" if isinstance(value, str) and len(value) <= TEXT_LIMITS[field.type]:
            return value
        case "reference" if isinstance(value, str) and len(value) <= TEXT_LIMITS["reference"]:
            return value
        case "number" | "reference" if _is_number(value) and (field.type == "number" or isinstance(value, int)):
            return value  # type: ignore[no-any-return]
        case "checkbox" if isinstance(value, bool):
            return int(value)
        case "choice" if isinstance(value, str) and value in field.choices:
            return value
        case "date" if isinstance(value, str) and _is_date(value):
            return value
        case "multi_choice" if isinstance(value, list) and _are_choices(value, field.choices):
            return orjson.dumps(value).decode()
    raise Problem(422, "wrong_type", f"{field.key}: expected {_expected(field)}", field=field.key)


def decode(field_type: FieldType, stored: Stored) -> Any:
    """The JSON value of a stored form."""
    if stored is None:
        return None
    if field_type == "checkbox":
        return bool(stored)
    if field_type == "multi_choice":
        return orjson.loads(str(stored))
    return stored


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= _NUMBER_LIMIT  # false for NaN and the infinities too


def _is_date(value: str) -> bool:
    try:
        return len(value) == len("2024-01-31") and bool(date.fromisoformat(value))
    except ValueError:
        return False


def _are_choices(values: list[Any], choices: tuple[str, ...]) -> bool:
    return all(isinstance(v, str) and v in choices for v in values) and len(set(values)) == len(values)


def _expected(field: CustomField) -> str:
    match field.type:
        case "number":
            return f"a finite number of at most {_NUMBER_LIMIT:.0e}, or null"
        case "checkbox":
            return "true, false or null"
        case "date":
            return "a date like 2024-01-31, or null"
        case "choice":
            return f"one of its {len(field.choices)} choices, or null"
        case "multi_choice":
            return f"a list of different ones of its {len(field.choices)} choices, or null"
        case "reference":
            return "the id of a record (a text of at most 200 characters, or an integer), or null"
        case _:
            return f"a text of at most {TEXT_LIMITS[field.type]} characters, or null"
