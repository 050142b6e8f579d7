"""The measured client: sends one request over a kept-open connection and never does anything else.

It stands on gevent's sockets and llhttp. No redirect is followed, nothing is retried (a repeated write would be a
second save), and an answer that did not come whole in time has one of a closed set of names.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Protocol
from urllib.parse import urlsplit

from geventhttpclient.response import HTTPParseError

from loadgen.answers import BODY_MAX, read_answer
from loadgen.connections import Connections
from loadgen.time_limit import TimeIsUp, TimeLimit
from loadgen.unanswered import Unanswered, unanswered
from targets.hosts import LOOPBACK, AllowedHosts
from targets.http import Request, Response


class Sender(Protocol):
    """Sends one request at a time for each of many greenlets: the measured client, or one of Locust's own."""

    def send(self, request: Request) -> Response:
        """The answer, whatever its status. Raises Unanswered."""

    def close(self) -> None:
        """Close every connection that is not in use."""


class Client:
    """Connections to any number of origins, at most ``connections`` open to each.

    ``timeout_s`` bounds a whole request: waiting for a connection, connecting, sending, the last byte. A host
    that is not one of ``hosts``, or leads to an address that they do not allow, is never connected to.
    """

    def __init__(self, *, timeout_s: float, connections: int, hosts: AllowedHosts = LOOPBACK) -> None:
        self._limit = TimeLimit(timeout_s)
        self._hosts = hosts
        self._connections = connections
        self._origins: dict[str, tuple[Connections, str]] = {}

    def send(self, request: Request) -> Response:
        """The answer, whatever its status. Raises Unanswered, and Refused for a host that is not allowed."""
        url = request.url
        cut = url.find("/", 8)
        origin, path = (url[:cut], url[cut:]) if cut > 0 else (url, "/")
        try:
            connections, host = self._origins[origin]
        except KeyError:
            connections, host = self._origins[origin] = self._open(origin)
        message = _head(request, path, host)
        if request.body:
            message += request.body
        begun = self._limit.begin()
        try:
            return _exchange(connections, message, has_body=request.method != "HEAD")
        except TimeIsUp:
            raise Unanswered("timeout", "no answer in time") from None
        except (HTTPParseError, OSError) as error:
            raise unanswered(error) from None
        finally:
            begun.greenlet = None

    def close(self) -> None:
        """Close every connection that is not in use."""
        for connections, _ in self._origins.values():
            connections.close()

    def _open(self, origin: str) -> tuple[Connections, str]:
        parts = urlsplit(origin)
        secure = parts.scheme == "https"
        host, port = parts.hostname or "", parts.port or (443 if secure else 80)
        self._hosts.refuse_others(host, port)
        opened = Connections(host, port, most=self._connections, secure=secure, hosts=self._hosts)
        return opened, parts.netloc.rpartition("@")[2]


def _exchange(connections: Connections, message: bytes, *, has_body: bool) -> Response:
    connection = connections.take()
    try:
        sent = connection.sock.send(message)
        if sent < len(message):  # sendall asks the system for the size of its buffer before each request
            connection.sock.sendall(message[sent:])
        answer = read_answer(connection.sock, has_body=has_body)
        usable = answer.should_keep_alive()
    except BaseException:
        connections.give_up(connection)
        raise
    if usable:
        connections.give_back(connection)
    else:
        connections.give_up(connection)
    return Response(answer.status, answer.headers, unpacked(answer.headers, answer.body))


def _head(request: Request, path: str, host: str) -> bytes:
    """Request line and headers. Raises ValueError for a line break smuggled in by a template."""
    lines = [f"{request.method} {path} HTTP/1.1\r\nHost: {host}"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    if request.body or request.method in ("POST", "PUT", "PATCH"):
        lines.append(f"Content-Length: {len(request.body or b'')}")
    head = "\r\n".join(lines)
    if head.count("\n") != len(lines) or head.count("\r") != len(lines):
        raise ValueError(f"a line break in the path or a header of {request.method} {request.url}")
    return (head + "\r\n\r\n").encode("latin-1")


def unpacked(headers: Mapping[str, str], body: bytes) -> bytes:
    """The body of an answer that came packed because a mapping asked for it (``Accept-Encoding: gzip``)."""
    if headers.get("content-encoding") != "gzip" or not body:
        return body
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        found = unpacker.decompress(body, BODY_MAX)
    except zlib.error:
        raise Unanswered("invalid", "not gzip") from None
    if unpacker.unconsumed_tail:
        raise Unanswered("invalid", "body too large")
    return found
