"""A request and a response as plain values, the same for the measured client and for the control client.

Tuples with names, as one of each is made for every arrival: a frozen dataclass takes three times as long to make.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


class Request(NamedTuple):
    """What to send. ``url`` is absolute; ``body`` is already encoded."""

    method: str
    url: str
    headers: Mapping[str, str] = _NO_HEADERS
    body: bytes | None = None


class Response(NamedTuple):
    """What came back. Names of headers are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
