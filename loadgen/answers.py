"""An answer as it comes in over a connection: read by llhttp, within bounds, names of headers in lower case.

The parser is geventhttpclient's. Its classes of responses are not used: they keep the spelling, the order and the
lines of headers, and copy what they hand out, at a fifth of the cost of a request.
"""

from __future__ import annotations

from typing import Final

import gevent.socket
from geventhttpclient._parser import HTTPResponseParser
from geventhttpclient.response import HTTPConnectionClosed, HTTPParseError

from loadgen.unanswered import Unanswered

BODY_MAX: Final = 32 * 1024 * 1024
HEADERS_MAX: Final = 1024 * 1024
_BLOCK: Final = 64 * 1024


def read_answer(sock: gevent.socket.socket, *, has_body: bool = True) -> Answer:
    """The next answer on a connection, whole. Raises Unanswered, HTTPParseError or OSError where none comes.

    ``has_body``: whether it may have one; the answer to HEAD has none, whatever length it tells.
    """
    answer, heard = Answer(has_body=has_body), 0
    while not answer.is_whole:
        data = sock.recv(_BLOCK)
        answer.feed(data)  # nothing is the end of the connection, with which some answers end
        if not data and not answer.is_whole:
            raise HTTPConnectionClosed("connection closed")
        heard += len(data)
        if heard > HEADERS_MAX and not answer.has_headers:
            raise Unanswered("invalid", "headers too large")
        if answer.size > BODY_MAX:
            raise Unanswered("invalid", "body too large")
    return answer


class Answer(HTTPResponseParser):
    """What was found of an answer so far. llhttp calls the methods whose names begin with ``_on``."""

    def __init__(self, *, has_body: bool = True) -> None:
        super().__init__()
        self._ends_with_headers = not has_body
        self.status = 0
        self.headers: dict[str, str] = {}  # of several with one name the last
        self.has_headers = False  # all of them
        self.is_whole = False
        self.size = 0  # of the body
        self._parts: list[bytearray] = []
        self._name = self._value = ""
        self._in_value = False

    @property
    def body(self) -> bytes:
        """As it was sent, packed or not."""
        return b"".join(self._parts)

    def _on_message_begin(self) -> None:
        if self.is_whole:
            raise HTTPParseError("more than one answer to one request")

    def _on_status(self, text: str) -> None:
        """The words behind the status say nothing that it does not."""

    def _on_header_field(self, text: str) -> None:
        """A name, or more of it."""
        if self._in_value:
            self._end_header()
        self._name += text

    def _on_header_value(self, text: str) -> None:
        """A value, or more of it."""
        self._value += text
        self._in_value = True

    def _end_header(self) -> None:
        if not self.has_headers:  # what follows the body is no header
            self.headers[self._name.lower()] = self._value
        self._name = self._value = ""
        self._in_value = False

    def _on_headers_complete(self) -> bool:
        if self._in_value:
            self._end_header()
        self.has_headers = True
        return self._ends_with_headers

    def _on_body(self, data: bytearray) -> None:
        self._parts.append(data)
        self.size += len(data)

    def _on_message_complete(self) -> None:
        self.status = self.get_code()
        self.is_whole = self.status >= 200
        if not self.is_whole:  # an interim answer (100 Continue), after which the true one comes
            self.headers = {}
            self.has_headers = False
