"""The connections to one origin: kept open and used again, so many at most, and only to allowed addresses."""

from __future__ import annotations

import select
import socket

import gevent.socket
from gevent.lock import BoundedSemaphore
from gevent.monkey import get_original

from targets.hosts import AllowedHosts
from targets.trust import tls_context

_poll = get_original("select", "poll")
_HEARD = select.POLLIN | select.POLLHUP | select.POLLERR | select.POLLNVAL


class Connection:
    """One connection that can be used again."""

    __slots__ = ("_poll", "sock")

    def __init__(self, sock: gevent.socket.socket) -> None:
        self.sock = sock
        self._poll = _poll()  # and not select, which knows no descriptor beyond 1,023
        self._poll.register(sock.fileno(), _HEARD)

    @property
    def is_alive(self) -> bool:
        """An idle connection has nothing to say; one that does was closed by the other side."""
        return not self._poll.poll(0)


class Connections:
    """Whoever takes one gives it back, or gives it up."""

    def __init__(self, host: str, port: int, *, most: int, secure: bool, hosts: AllowedHosts) -> None:
        self._host = host
        self._port = port
        self._hosts = hosts
        self._tls = tls_context() if secure else None
        self._places = BoundedSemaphore(most)
        self._idle: list[Connection] = []
        self._closed = False

    def take(self) -> Connection:
        """The one that was used last, so that few are kept busy, or a new one; waits while all are taken."""
        self._places.acquire()
        while self._idle:
            connection = self._idle.pop()
            if connection.is_alive:
                return connection
            connection.sock.close()
        try:
            return Connection(self._connect())
        except BaseException:
            self._places.release()
            raise

    def give_back(self, connection: Connection) -> None:
        """It can carry the next request."""
        if self._closed:
            connection.sock.close()
        else:
            self._idle.append(connection)
        self._places.release()

    def give_up(self, connection: Connection) -> None:
        """Nobody knows what would come on it next."""
        connection.sock.close()
        self._places.release()

    def close(self) -> None:
        """Close what is idle, and each of the others when it comes back."""
        self._closed = True
        while self._idle:
            self._idle.pop().sock.close()

    def _connect(self) -> gevent.socket.socket:
        """To the first address that takes it, each time looked up and looked at anew."""
        found = gevent.socket.getaddrinfo(self._host, self._port, 0, socket.SOCK_STREAM, socket.SOL_TCP)
        self._hosts.refuse_elsewhere(self._host, (where[0] for *_, where in found))
        failed: OSError | None = None
        for family, kind, protocol, _, where in found:
            try:
                return self._connect_to(family, kind, protocol, where)
            except OSError as error:
                failed = failed or error
        raise failed or OSError(f"{self._host} leads nowhere")

    def _connect_to(
        self, family: int, kind: int, protocol: int, where: tuple[object, ...]
    ) -> gevent.socket.socket:
        sock = gevent.socket.socket(family, kind, protocol)
        try:
            sock.connect(where)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return self._tls.wrap_socket(sock, server_hostname=self._host) if self._tls else sock
        except BaseException:
            sock.close()
            raise
