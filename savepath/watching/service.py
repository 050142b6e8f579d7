"""The service beside a watch: its status page, ``/status.json``, ``/metrics`` and ``/healthz``.

It reads the state folder and changes nothing. Away from loopback it answers only those who know the token.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from loadgen.admission import Door
from reports import status as page
from savepath import __version__
from savepath.listening import Address, bound
from savepath.watching.guarding import Guard
from savepath.watching.history import History
from savepath.watching.journal import UNREADABLE
from savepath.watching.metrics import exposition
from savepath.watching.status import Status, most_silent_s, status_of
from savepath.watching.view import watched_of
from scenarios.errors import InputError

#: The page reads itself again so often at least, and once a block where blocks are shorter.
REFRESH_MOST_S: Final = 60.0
_STOP_S: Final = 3.0


class _Front:
    """The answers, one at a time: they share what was read of the journal."""

    def __init__(self, state: Path) -> None:
        self._history = History(state)
        self._one = threading.Lock()
        self._drawn: tuple[object, str] = (None, "")

    def page(self, request: Request) -> Response:
        """The status page. Drawing takes a second of a core, so it is drawn again only where it changed."""
        with self._one:
            status, now_s = self._read()
            told = status.model_dump(exclude={"answered_s"}), int(now_s // 60)
            if self._drawn[0] != told:
                refresh_s = min(status.block_s, REFRESH_MOST_S)
                watched = watched_of(self._history, now_s)
                self._drawn = told, page.render(watched, version=__version__, refresh_s=refresh_s)
            return HTMLResponse(self._drawn[1])

    def json(self, request: Request) -> Response:
        """What the gate asks for."""
        with self._one:
            status, _ = self._read()
        return Response(status.model_dump_json(by_alias=True), media_type="application/json")

    def metrics(self, request: Request) -> Response:
        """For Prometheus."""
        with self._one:
            status, _ = self._read()
            return Response(exposition(self._history, status), media_type=CONTENT_TYPE_LATEST)

    def health(self, request: Request) -> Response:
        """Whether the watch is alive; says nothing of the target, so that it needs no token."""
        with self._one:
            status, now_s = self._read()
        since_s = now_s - (status.decided.written_s if status.decided else status.begun_s)
        if not status.ended and since_s > most_silent_s(status.block_s):
            return PlainTextResponse(f"silent for {since_s / 60:.0f} min\n", 503)
        return PlainTextResponse("ok\n")

    def _read(self) -> tuple[Status, float]:
        now_s = time.time()
        self._history.read_on()
        return status_of(self._history, now_s), now_s


@contextlib.contextmanager
def serving(state: Path, address: Address, token: str) -> Iterator[str]:
    """Answer beside the block, on a thread of its own; yields the URL. Raises InputError for a taken port."""
    with bound(address) as listener:
        app = Guard(build_app(state), door=Door(token) if token else None, names=address.names)
        config = uvicorn.Config(
            app, loop="asyncio", ws="none", lifespan="off", access_log=False, log_level="error", log_config=None,
            server_header=False, timeout_keep_alive=5, limit_concurrency=64, timeout_graceful_shutdown=1,
        )  # fmt: skip
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="status", daemon=True)
        thread.start()
        try:
            yield address.url(listener)
        finally:
            server.should_exit = True
            thread.join(_STOP_S)


def build_app(state: Path) -> Starlette:
    """The routes, without the guard before them."""
    front = _Front(state)
    routes = {"/": front.page, "/status.json": front.json, "/metrics": front.metrics, "/healthz": front.health}
    return Starlette(
        routes=[Route(path, answer) for path, answer in routes.items()],
        exception_handlers=dict.fromkeys((InputError, *UNREADABLE), _unreadable),
    )


def _unreadable(request: Request, error: Exception) -> Response:
    """A state folder that cannot be read is told, and is no 200: the gate then holds."""
    return PlainTextResponse(f"HOLD: {error}\n", 503)
