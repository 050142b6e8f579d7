"""Where a command listens: ``HOST:PORT`` on the command line, who may come there, and the socket for it."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Iterator
from dataclasses import dataclass

from loadgen.admission import OWN_NAMES
from scenarios.errors import InputError


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port; port 0 is any that is free."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def names(self) -> frozenset[str] | None:
        """By which names it may be called; None for any. On loopback a page elsewhere could call it by its own."""
        return OWN_NAMES | {self.host} if self.is_loopback else None

    def url(self, listener: socket.socket) -> str:
        """The address of a socket that is bound to it."""
        host, port = listener.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def parse_address(text: str) -> Address:
    """The address that ``127.0.0.1:8711``, ``:8711`` (loopback) or ``[::1]:8711`` names. Raises ValueError."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
    if not colon or not port.isascii() or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"{text!r} is no address; write 127.0.0.1:8711")
    return Address(host or "127.0.0.1", int(port))


def refuse_unguarded(address: Address, token_env: str) -> None:
    """Raises InputError for an address that others can reach, where no variable with a token is named."""
    if not token_env and not address.is_loopback:
        raise InputError(
            f"--listen: {address.host} can be reached from elsewhere; name the variable that holds the "
            "token which askers need with --token-env, or listen on 127.0.0.1"
        )


@contextlib.contextmanager
def bound(address: Address) -> Iterator[socket.socket]:
    """A socket bound to the address. Raises InputError where it cannot be."""
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise InputError(f"--listen: {address.host} is no address of this machine: {error.strerror}") from None
    with listener:
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(where)
        except OSError as error:
            raise InputError(
                f"--listen: {address.host}:{address.port} cannot be used: {error.strerror}; "
                "choose another port, or 0 for any that is free"
            ) from None
        yield listener
