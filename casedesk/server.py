"""How the desk is served: binding, readiness, the moment of a failover, and a clean stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from casedesk.api import build_app
from casedesk.desk import Desk, DeskSettings, open_desk
from casedesk.endpoints import ENDPOINTS
from casedesk.problems import StartError

#: The answer to the failover request itself gets out before the connections drop.
_GRACE_S: Final = 0.05
#: How long a failover refuses new connections.
MOVING_S: Final = 0.5
#: How long a stop waits for requests at work; they no longer wait for disk or writer by then.
_STOP_S: Final = 1
#: A thread that computes gives way this soon to one whose page has arrived (Python's default is 5 ms).
_SWITCH_INTERVAL_S: Final = 0.0005


def serve(settings: DeskSettings, *, ready: Callable[[str], None]) -> None:
    """Serve a desk until SIGINT or SIGTERM; ``ready`` gets the URL when it can be used.

    :class:`DeskError` if the disk profile, the data folder or the port cannot be used.
    """
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    try:
        with _bound(settings.host, settings.port) as listener, open_desk(settings) as desk:
            _Server(desk, ready).run(sockets=[listener])
    finally:
        sys.setswitchinterval(interval_s)


class _Gate:
    """Whether connections are let in: closed for a moment while the system moves."""

    def __init__(self) -> None:
        self.open = True


class _Server(uvicorn.Server):
    """Uvicorn's server that can drop its connections and stops without raising the signal again."""

    def __init__(self, desk: Desk, ready: Callable[[str], None]) -> None:
        gate = _Gate()

        class GatedProtocol(H11Protocol):
            """HTTP/1.1, but hangs up at once while the gate is closed."""

            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                super().connection_made(transport)
                if not gate.open:
                    transport.abort()

        config = uvicorn.Config(
            build_app(desk, ENDPOINTS),
            http=GatedProtocol,
            loop="asyncio",
            ws="none",
            lifespan="off",
            access_log=False,
            log_level="warning",
            timeout_keep_alive=120,
            timeout_graceful_shutdown=_STOP_S,
        )
        super().__init__(config)
        self._desk = desk
        self._ready = ready
        self._gate = gate

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        loop = asyncio.get_running_loop()
        self._desk.drop_connections = lambda: loop.call_soon_threadsafe(self._move, loop)  # type: ignore[assignment]
        host, port = (sockets or [])[0].getsockname()
        self._ready(f"http://{host}:{port}")

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: is the disk's time up?"""
        if self._desk.device.repair_due():
            self._desk.move_host()
        return await super().on_tick(counter)

    def _move(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.call_later(_GRACE_S, self._drop)
        loop.call_later(_GRACE_S + MOVING_S, self._let_in)

    def _drop(self) -> None:
        self._gate.open = False
        for connection in list(self.server_state.connections):
            transport: Any = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()

    def _let_in(self) -> None:
        self._gate.open = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGINT and SIGTERM; unlike Uvicorn's, end by returning, so that all is cleaned up."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self.should_exit = True
        # Not from within a signal handler: the writer's lock may be held by the thread it interrupts.
        threading.Thread(target=self._desk.hurry, daemon=True).start()


@contextlib.contextmanager
def _bound(host: str, port: int) -> Iterator[socket.socket]:
    # The protocol is named because asyncio turns Nagle's algorithm off only where it is: without it
    # every answer on a kept connection waits 40 ms for a delayed acknowledgement.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise StartError(
            f"port {port} on {host} cannot be used: {error.strerror}; choose another, or 0 for any free one"
        ) from error
    with listener:
        yield listener
