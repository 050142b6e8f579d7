"""The measured client: sends one request over a kept-open connection and never does anything else.

It stands on geventhttpclient's connection pool and parser. No redirect is followed, nothing is
retried (a repeated write would be a second save), and an answer that did not come whole in time has
one of a closed set of names.
"""

from __future__ import annotations

import select
import socket
import ssl
import zlib
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

import gevent
import gevent.socket
from gevent.monkey import get_original
from geventhttpclient.connectionpool import ConnectionPool, SSLConnectionPool
from geventhttpclient.response import HTTPConnectionClosed, HTTPParseError, HTTPSocketPoolResponse

from scenarios.errors import Aborted
from targets.hosts import LOOPBACK, AllowedHosts
from targets.http import Request, Response
from targets.own_faults import own_fault
from targets.trust import complaint_of, tls_context

BODY_MAX = 32 * 1024 * 1024
HEADERS_MAX = 1024 * 1024
_BLOCK = 64 * 1024

#: How the parser words an answer that ends too soon.
_CUT_OFF = ("connection closed", "Incomplete response")

_poll = get_original("select", "poll")
_HEARD = select.POLLIN | select.POLLHUP | select.POLLERR | select.POLLNVAL


class Unanswered(Exception):
    """No usable answer. ``outcome`` is timeout, refused or invalid; ``detail`` is one of a closed set."""

    def __init__(self, outcome: str, detail: str) -> None:
        super().__init__(detail)
        self.outcome = outcome
        self.detail = detail


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
        self._timeout_s = timeout_s
        self._hosts = hosts
        self._connections = connections
        self._pools: dict[str, tuple[ConnectionPool, str]] = {}

    def send(self, request: Request) -> Response:
        """The answer, whatever its status. Raises Unanswered, and Refused for a host that is not allowed."""
        url = request.url
        cut = url.find("/", 8)
        origin, path = (url[:cut], url[cut:]) if cut > 0 else (url, "/")
        try:
            pool, host = self._pools[origin]
        except KeyError:
            pool, host = self._pools[origin] = self._open(origin)
        message = _head(request, path, host)
        if request.body:
            message += request.body
        timeout = gevent.Timeout.start_new(self._timeout_s)
        try:
            return self._exchange(pool, request.method, message)
        except gevent.Timeout as fired:
            if fired is not timeout:
                raise
            raise Unanswered("timeout", "no answer in time") from None
        except (HTTPParseError, OSError) as error:
            raise unanswered(error) from None
        finally:
            timeout.close()

    def close(self) -> None:
        """Close every connection that is not in use."""
        for pool, _ in self._pools.values():
            pool.close()

    @staticmethod
    def _exchange(pool: ConnectionPool, method: str, message: bytes) -> Response:
        sock = pool.get_socket()
        try:
            sock.sendall(message)
        except BaseException:
            pool.release_socket(sock)
            raise
        response = _Answer(sock, pool, block_size=_BLOCK, method=method)
        parts, size = [], 0
        while part := response.read(_BLOCK):
            parts.append(part)
            size += len(part)
            if size > BODY_MAX:
                response.release()
                raise Unanswered("invalid", "body too large")
        headers = {name.lower(): value for name, value in response.items()}
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        return Response(response.get_code(), headers, unpacked(headers, body))

    def _open(self, origin: str) -> tuple[ConnectionPool, str]:
        parts = urlsplit(origin)
        secure = parts.scheme == "https"
        host, port = parts.hostname or "", parts.port or (443 if secure else 80)
        self._hosts.refuse_others(host, port)
        kind = _SecurePool if secure else _PlainPool
        # The request's own deadline covers connecting and reading: a second timer per receive would only cost.
        none: Any = None  # the library hands it to settimeout, which takes it; its annotation does not
        times = {"connection_timeout": none, "network_timeout": none}
        pool = kind(host, port, host, port, hosts=self._hosts, size=self._connections, **times)
        return pool, parts.netloc.rpartition("@")[2]


class _Answer(HTTPSocketPoolResponse):
    """The library's response, which gives up on headers that do not end."""

    _heard = 0  # bytes until the headers were complete, and what came with the last of them

    def feed(self, data: str | bytes) -> None:
        if not self.headers_complete:
            self._heard += len(data)
            if self._heard > HEADERS_MAX:
                raise Unanswered("invalid", "headers too large")
        super().feed(data)


class _PlainPool(ConnectionPool):
    """The library's pool, with a check for dead connections that has no limit on file descriptors.

    Before each new connection it asks ``hosts`` about the addresses that it is about to try.
    """

    def __init__(
        self, host: str, port: int, request_host: str, request_port: int, *, hosts: AllowedHosts, **how: Any
    ) -> None:
        super().__init__(host, port, request_host, request_port, **how)
        self._host = host
        self._hosts = hosts

    def _resolve(self) -> Any:
        found = super()._resolve()
        self._hosts.refuse_elsewhere(self._host, (where[0] for *_, where in found))
        return found

    def after_connect(self, sock: gevent.socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _is_socket_alive(self, sock: gevent.socket.socket | None) -> bool:
        """An idle connection has nothing to say; one that does was closed by the other side."""
        if sock is None or sock.fileno() < 0:
            return False
        poll = _poll()
        poll.register(sock.fileno(), _HEARD)
        return not poll.poll(0)


class _SecurePool(_PlainPool, SSLConnectionPool):
    """The same over TLS, certificates checked."""

    def __init__(self, host: str, port: int, request_host: str, request_port: int, **how: Any) -> None:
        super().__init__(host, port, request_host, request_port, ssl_context_factory=tls_context, **how)


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
