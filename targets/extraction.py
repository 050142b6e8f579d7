"""What is taken out of answers: JSON by JMESPath, and moments in time."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import jmespath
import jmespath.exceptions
import orjson
from pydantic import AfterValidator, Field

from targets.http import Response


class Unreadable(ValueError):
    """An answer that does not say what the mapping expects of it."""


def _check_expression(text: str) -> str:
    try:
        jmespath.compile(text)
    except jmespath.exceptions.JMESPathError as error:
        reason = str(error).splitlines()[0].rstrip(": ")
        raise ValueError(f"{text!r} is not a JMESPath expression: {reason}") from None
    return text


#: A JMESPath expression (https://jmespath.org), checked when the mapping is loaded.
Expression = Annotated[
    str, Field(description="a JMESPath expression", min_length=1), AfterValidator(_check_expression)
]


@functools.cache
def compile_expression(text: str) -> Callable[[Any], Any]:
    """The expression as a function from data to what it finds, None where it finds nothing.

    A function of the expression that gets the wrong type raises Unreadable.
    """
    search = jmespath.compile(text).search

    def find(data: Any) -> Any:
        try:
            return search(data)
        except jmespath.exceptions.JMESPathError as error:
            raise Unreadable(f"{text}: {str(error).splitlines()[0]}") from None

    return find


def read_json(response: Response) -> Any:
    """The body of a successful answer as data. Raises Unreadable."""
    if not 200 <= response.status < 300:
        raise Unreadable(f"http {response.status}")
    try:
        return orjson.loads(response.body)
    except orjson.JSONDecodeError:
        raise Unreadable("not json") from None


def find_items(data: Any, expression: str) -> list[Any]:
    """The list that the expression finds; Unreadable if it finds something else."""
    found = compile_expression(expression)(data)
    if not isinstance(found, list):
        raise Unreadable(f"{expression}: found {_kind(found)}; expected a list")
    return found


def find_text(data: Any, expression: str) -> str:
    """The text or whole number that the expression finds, as text; Unreadable if it finds something else."""
    found = compile_expression(expression)(data)
    if isinstance(found, bool) or not isinstance(found, str | int):
        raise Unreadable(f"{expression}: found {_kind(found)}; expected text")
    return str(found)


def seconds_between(data: Any, begun: str | None, ended: str | None) -> float | None:
    """Seconds between two moments that the expressions find; None where one is not told."""
    if begun is None or ended is None:
        return None
    first, last = (_moment(compile_expression(text)(data)) for text in (begun, ended))
    return None if first is None or last is None else last - first


def _moment(found: object) -> float | None:
    """Epoch seconds of a number or of ISO 8601 text (UTC unless it says otherwise)."""
    if found is None:
        return None
    if isinstance(found, int | float) and not isinstance(found, bool):
        return float(found)
    if isinstance(found, str):
        try:
            moment = datetime.fromisoformat(found)
        except ValueError:
            pass
        else:
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    raise Unreadable(f"found {_kind(found)}; expected a time (epoch seconds or ISO 8601)")


def _kind(found: object) -> str:
    names = {type(None): "nothing", dict: "a mapping", list: "a list", str: "text", bool: "true or false"}
    return names.get(type(found), "a number")
