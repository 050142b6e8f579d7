"""A listening socket of gevent's own, whether or not the process is patched."""

from __future__ import annotations

from gevent import socket


def listener_at(host: str, port: int) -> socket.socket:
    """Bound and listening. Raises OSError where it cannot be."""
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen()
    except OSError:
        made.close()
        raise
    return made
