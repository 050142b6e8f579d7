"""What a request that got no usable answer is called: names and details of a closed set."""

from __future__ import annotations

import socket
import ssl

from geventhttpclient.response import HTTPConnectionClosed, HTTPParseError

from scenarios.errors import Aborted
from targets.own_faults import own_fault
from targets.trust import complaint_of

#: How the parser words an answer that ends too soon.
_CUT_OFF = ("connection closed", "Incomplete response")


class Unanswered(Exception):
    """No usable answer. ``outcome`` is timeout, refused or invalid; ``detail`` is one of a closed set."""

    def __init__(self, outcome: str, detail: str) -> None:
        super().__init__(detail)
        self.outcome = outcome
        self.detail = detail


def unanswered(error: HTTPParseError | OSError) -> Unanswered:
    """The outcome and the detail for what went wrong on a connection.

    Raises Aborted where it went wrong on this side: the target must not be blamed for that.
    """
    if fault := own_fault(error):
        raise Aborted(f"the load generator could open no connection: {fault}")
    if isinstance(error, OSError):
        return Unanswered("refused", _detail_of(error))
    if isinstance(error, HTTPConnectionClosed) or any(word in str(error) for word in _CUT_OFF):
        return Unanswered("refused", "connection closed")
    return Unanswered("invalid", "not http")


def _detail_of(error: OSError) -> str:
    match error:
        case ConnectionRefusedError():
            return "connection refused"
        case ConnectionResetError() | BrokenPipeError():
            return "connection reset"
        case socket.gaierror():
            return "host not found"
        case ssl.SSLError():
            return complaint_of(error)
        case _:
            return "network error"
