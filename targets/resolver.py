"""What a name leads to, as this machine finds it."""

from __future__ import annotations

import socket
from typing import Final

_AS_NUMBERS: Final = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV


def addresses_of(host: str, port: int) -> list[str]:
    """The IP addresses of a host, in the order in which they are to be tried. Raises OSError where it has none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    # With its zone, without which nothing on the own link (fe80::1%eth0) can be reached.
    return list(dict.fromkeys(socket.getnameinfo(where, _AS_NUMBERS)[0] for *_, where in found))
