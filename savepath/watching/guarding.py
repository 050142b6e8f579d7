"""The guard before a service: who may ask, and by which name it may be called."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from loadgen.admission import Door, is_called, said_in

#: Asked by machines that cannot know the token; its answers tell nothing of the target.
OPEN: Final = ("/healthz",)
HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
CHALLENGE: Final = {"WWW-Authenticate": 'Basic realm="savepath"'}


class Guard:
    """Lets a request through that carries the token of the door, as Bearer or as the password of Basic.

    Without a door everybody may ask, but only by one of ``names``: else a page of another site, whose name was
    made to lead here, could read the answers in somebody's browser (DNS rebinding).
    """

    def __init__(self, app: ASGIApp, *, door: Door | None, names: Collection[str] | None) -> None:
        self._app, self._door, self._names = app, door, names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, let through or refused."""
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)
        refused = None
        if self._door and scope["path"] not in OPEN:
            refused = _turned_away(self._door, headers, scope["client"])
        elif not self._door and self._names is not None and not is_called(headers.get("host", ""), self._names):
            refused = PlainTextResponse("not by this name\n", 421)
        await (refused or self._app)(scope, receive, _with_headers(send))


def _turned_away(door: Door, headers: Headers, client: tuple[str, int] | None) -> PlainTextResponse | None:
    away = door.turned_away(said_in(headers.get("authorization", "")), client[0] if client else "")
    if away is None:
        return None
    if away.wait_s:
        later = {"Retry-After": str(math.ceil(away.wait_s))}
        return PlainTextResponse("too many wrong tokens came from there\n", 429, later)
    return PlainTextResponse("the token is missing or wrong\n", 401, CHALLENGE)


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(HEADERS)
        await send(message)

    return sending
