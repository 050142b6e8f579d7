"""What any tool can tell of one finished request, and what its outcome is called here."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Final, NamedTuple

S, MS = 1_000_000_000, 1_000_000  # in nanoseconds


class Request(NamedTuple):
    """One request. Times are whole nanoseconds: an epoch in float seconds would lose what a fast answer takes."""

    label: str
    sent_ns: int  # since 1970 in UTC
    took_ns: int
    status: int = 0  # HTTP; 0 where no answer came or none is told
    outcome: str = "ok"  # of analysis.samples.OUTCOMES
    detail: str = ""  # of a closed set; "" for ok
    bytes_out: int = 0
    bytes_in: int = 0


class Judged(NamedTuple):
    """An outcome and its detail."""

    outcome: str
    detail: str


OK: Final = Judged("ok", "")

#: Words in the error texts of Java, Go and Python, tried in this order -> what happened.
_ERRORS: Final = (
    (("timeout", "timed out", "deadline exceeded"), Judged("timeout", "no answer in time")),
    (("refused", "connectexception", "actively refused"), Judged("refused", "connection refused")),
    (
        ("reset", "broken pipe", "eof", "closed", "nohttpresponse", "aborted"),
        Judged("refused", "connection closed"),
    ),
    (("no such host", "unknownhost", "name or service", "lookup", "resolve"), Judged("refused", "host not found")),
    (("malformed", "not http", "protocol"), Judged("invalid", "not http")),
    (("unreachable", "noroute", "dial", "connect"), Judged("refused", "no connection")),
)


@lru_cache(maxsize=1024)
def judge(status: int, *, failed: bool, error: str = "") -> Judged:
    """The outcome of a request of which the tool says whether it ``failed``, perhaps with an error text.

    A status of 400 or more that the tool takes for good (a check expected it) is good. A failed one with a good
    status was answered, and wrong by the tool's own assertion.
    """
    if not failed:
        return OK
    if status >= 400:
        return Judged("http_error", f"http {status}")
    text = error.lower()
    for words, judged in _ERRORS:
        if any(word in text for word in words):
            return judged
    if status:
        return Judged("invalid", "assertion failed" if error else f"unexpected http {status}")
    return Judged("refused", "no answer")


def rfc3339_ns(text: str) -> int:
    """``2026-11-25T16:18:01.722470546+01:00`` in nanoseconds since 1970. Raises ValueError."""
    whole, rest = text[:19], text[19:]
    digits = ""
    if rest[:1] == ".":
        end = next((i for i, mark in enumerate(rest[1:], 1) if not mark.isdigit()), len(rest))
        digits, rest = rest[1:end], rest[end:]
    if not rest:
        raise ValueError(f"{text!r} has no time zone")
    return _second(whole, rest) * S + int(digits[:9].ljust(9, "0"))


@lru_cache(maxsize=1024)
def _second(whole: str, zone: str) -> int:
    return int(datetime.fromisoformat(whole + zone).timestamp())
