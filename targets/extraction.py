"""What is taken out of answers: JSON by JMESPath, and moments in time."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Self

import jmespath
import jmespath.exceptions
import orjson
from pydantic import AfterValidator, Field, model_validator

from scenarios.source import StrictModel
from targets.http import Response


class Unreadable(ValueError):
    """An answer that does not say what the mapping expects of it."""


def _check_expression(text: str) -> str:
    try:
        jmespath.compile(text)
    except jmespath.exceptions.JMESPathError as error:
        reason = str(error).splitlines()[0].rstrip(": ")
        raise ValueError(f"{text!r} is not a JMESPath expression: {reason}") from None
    except RecursionError:
        raise ValueError("the JMESPath expression is nested too deeply") from None
    return text


#: A JMESPath expression (https://jmespath.org), checked when the mapping is loaded.
Expression = Annotated[
    str, Field(description="a JMESPath expression", min_length=1), AfterValidator(_check_expression)
]


class Find(StrictModel):
    """Where something stands in an answer. Text alone is an expression on the body."""

    body: Expression | None = Field(None, description="a JMESPath expression on the body")
    answer: Expression | None = Field(
        None, description="a JMESPath expression on status, headers (names in lower case), links (by rel) and body"
    )
    after: str = Field("", description="of a text that was found: what follows the last of these")
    until: str = Field("", description="of a text that was found: what stands before the first of these")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, given: Any) -> Any:
        return {"body": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.body is None) == (self.answer is None):
            raise ValueError("expected one of body and answer: where is it to be found?")
        return self

    def look(self, response: Response, data: Any = None) -> Any:
        """What stands there, None if nothing does. Raises Unreadable if the answer cannot be read that way.

        ``data`` is the body where it was read already. The status is not looked at.
        """
        if self.answer is not None:
            found = compile_expression(self.answer)(whole(response))
        else:
            found = compile_expression(self.body or "@")(data if data is not None else _load(response.body))
        if isinstance(found, str) and (self.after or self.until):
            found = found.rpartition(self.after)[2] if self.after else found
            found = found.partition(self.until)[0] if self.until else found
        return found

    def holds(self, response: Response, data: Any = None) -> bool:
        """Whether something stands there that is true; what cannot be read is not."""
        try:
            return is_true(self.look(response, data))
        except Unreadable:
            return False

    def text(self, response: Response) -> str:
        """The text or whole number that stands there, as text. Raises Unreadable for anything else."""
        return _as_text(self.look(response), str(self))

    def __str__(self) -> str:
        return self.answer or self.body or ""


def whole(response: Response) -> dict[str, Any]:
    """All of an answer as data; the body is nothing where it is no JSON."""
    try:
        body = _load(response.body)
    except Unreadable:
        body = None
    links = read_links(response.headers.get("link", ""))
    return {"status": response.status, "headers": dict(response.headers), "links": links, "body": body}


def read_links(header: str) -> dict[str, str]:
    """Targets by relation of a Link header (RFC 8288), as they stand there; what cannot be read is left out."""
    found: dict[str, str] = {}
    for target, parameters in re.findall(r"<([^<>]*)>([^<]*)", header):
        relation = re.search(r';\s*rel\s*=\s*"?([^";,]+)"?', parameters, re.IGNORECASE)
        for word in relation[1].split() if relation else []:
            found.setdefault(word.lower(), target)
    return found


@functools.cache
def compile_expression(text: str) -> Callable[[Any], Any]:
    """The expression as a function from data to what it finds, None where it finds nothing.

    A function of the expression that gets the wrong type raises Unreadable.
    """
    search = jmespath.compile(text).search

    def find(data: Any) -> Any:
        try:
            return search(data)
        except (ArithmeticError, AttributeError, RecursionError, TypeError, ValueError) as error:
            # JMESPath's own errors are ValueErrors; its functions let others through, such as ceil of infinity.
            raise Unreadable(f"{text}: {(str(error).splitlines() or ['cannot be found'])[0]}") from None

    return find


def read_json(response: Response) -> Any:
    """The body of a successful answer as data. Raises Unreadable."""
    if not 200 <= response.status < 300:
        raise Unreadable(f"http {response.status}")
    return _load(response.body)


def _load(body: bytes) -> Any:
    try:
        return orjson.loads(body)
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
    return _as_text(compile_expression(expression)(data), expression)


def _as_text(found: object, expression: str) -> str:
    if isinstance(found, bool) or not isinstance(found, str | int):
        raise Unreadable(f"{expression}: found {_kind(found)}; expected text")
    return str(found)


def is_true(found: object) -> bool:
    """Truth as JMESPath has it: null, false and what is empty are false; zero is true."""
    return found is not None and found is not False and found not in ("", [], {})


def seconds_between(data: Any, begun: str | None, ended: str | None) -> float | None:
    """Seconds between two moments that the expressions find; None where one is not told."""
    if begun is None or ended is None:
        return None
    first, last = moment(data, begun), moment(data, ended)
    return None if first is None or last is None else last - first


def moment(data: Any, expression: str | None) -> float | None:
    """Epoch seconds of the moment that the expression finds; None where none is told. Raises Unreadable."""
    return None if expression is None else _moment(compile_expression(expression)(data))


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
