"""Connections to allowed addresses, on which nothing is waited for beyond a deadline, however the answer drips.

A timeout of httpx is one of each read: a target that sends a byte of its headers now and then holds a request for
ever. Here what is left until the deadline bounds every single wait, so that all of them together end with it.
"""

from __future__ import annotations

import math
import ssl
import threading
import time
from collections.abc import Iterable
from typing import Any, Final

import httpcore
import httpx

from targets.hosts import AllowedHosts
from targets.resolver import addresses_of

#: Targets hang up on connections that idle; this is before most of them do.
KEPT_S: Final = 5.0


class Deadline(threading.local):
    """When the request that a thread is about has to be over, of a clock that never goes back."""

    until_s = math.inf

    def left_s(self, timeout_s: float | None) -> float | None:
        """How long may be waited now; raises httpcore's ReadTimeout where that is over."""
        if self.until_s == math.inf:
            return timeout_s
        left_s = self.until_s - time.monotonic()
        if left_s <= 0:
            raise httpcore.ReadTimeout("the deadline of the request has passed")
        return left_s if timeout_s is None else min(left_s, timeout_s)


class DeadlineTransport(httpx.HTTPTransport):
    """httpx's own transport, but for the connections that it makes."""

    def __init__(self, deadline: Deadline, context: ssl.SSLContext, hosts: AllowedHosts) -> None:
        super().__init__(verify=context, trust_env=False)
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            max_connections=None,
            keepalive_expiry=KEPT_S,
            network_backend=_Backend(deadline, hosts),
        )


class _Backend(httpcore.NetworkBackend):
    def __init__(self, deadline: Deadline, hosts: AllowedHosts) -> None:
        self._deadline = deadline
        self._hosts = hosts
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        self._deadline.left_s(timeout)
        try:
            addresses = addresses_of(host, port)
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        self._hosts.refuse_elsewhere(host, addresses)
        # To what was looked at, not to the name: asked once more, it could lead elsewhere.
        last = len(addresses) - 1
        for at, address in enumerate(addresses):
            left_s = self._deadline.left_s(timeout)
            try:
                plain = self._plain.connect_tcp(address, port, left_s, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if at == last:
                    raise
            else:
                return _Stream(plain, self._deadline)
        raise AssertionError("unreachable")


class _Stream(httpcore.NetworkStream):
    def __init__(self, plain: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._plain = plain
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._plain.read(max_bytes, self._deadline.left_s(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._plain.write(buffer, self._deadline.left_s(timeout))

    def close(self) -> None:
        self._plain.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        timeout = self._deadline.left_s(timeout)
        return _Stream(self._plain.start_tls(ssl_context, server_hostname, timeout), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._plain.get_extra_info(info)
