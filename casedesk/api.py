"""How a request is served: it becomes a call, and its answer a response; threads, errors, the API key.

Reads and writes have threads of their own (``_LANES``), so that any number of saves that
wait for the writer leaves the reads alone. Errors are JSON with a word in ``error``.
"""

from __future__ import annotations

import hmac
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import anyio
import anyio.to_thread
import apsw
import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from casedesk.bodies import BODY_LIMIT
from casedesk.call import Call
from casedesk.desk import Desk
from casedesk.problems import Problem

Lane = Literal["loop", "read", "write"]
#: Threads per lane. Saves that find no thread wait for one; their deadline runs meanwhile.
_LANES: Final = {"read": 32, "write": 96}
_log = logging.getLogger("casedesk")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler says: a status and a value that becomes JSON (None: no body)."""

    status: int
    value: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One route: where, on which threads, and by whom it is answered."""

    method: str
    path: str
    lane: Lane
    handle: Callable[[Call], Answer]


def build_app(desk: Desk, endpoints: Sequence[Endpoint]) -> Starlette:
    """The ASGI application of a desk."""
    limiters = {lane: anyio.CapacityLimiter(threads) for lane, threads in _LANES.items()}

    def route(endpoint: Endpoint) -> Route:
        async def answer(request: Request) -> Response:
            deadline = time.monotonic() + desk.settings.deadline_s
            _check_key(desk, request)
            body = await _read_limited(request)
            call = Call(desk, request.path_params, request.query_params, request.headers, body, deadline)
            if endpoint.lane == "loop":
                return _respond(endpoint.handle, call)
            return await anyio.to_thread.run_sync(_respond, endpoint.handle, call, limiter=limiters[endpoint.lane])

        return Route(endpoint.path, answer, methods=[endpoint.method])

    handlers: dict[Any, Callable[[Request, Exception], Awaitable[Response]]] = {
        Problem: _on_problem,
        HTTPException: _on_http_exception,
        Exception: _on_bug,
    }
    return Starlette(routes=[route(e) for e in endpoints], exception_handlers=handlers)


def _respond(handle: Callable[[Call], Answer], call: Call) -> Response:
    """Run the handler and make its answer a response, on the thread of the handler."""
    try:
        return _response(handle(call))
    except Problem as problem:
        return _response(Answer(problem.status, problem.body()))
    except apsw.BusyError:
        return _response(Answer(503, {"error": "busy", "status": 503, "detail": "the database is busy"}))


def _response(answer: Answer) -> Response:
    if answer.value is None:
        return Response(status_code=answer.status, headers=answer.headers)
    kind = "application/json" if answer.status < 400 else "application/problem+json"
    return Response(orjson.dumps(answer.value), answer.status, answer.headers, kind)


async def _read_limited(request: Request) -> bytes:
    chunks: list[bytes] = []
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > BODY_LIMIT:
                raise Problem(413, "too_large", f"the body is larger than {BODY_LIMIT} bytes")
            chunks.append(chunk)
    except ClientDisconnect as gone:
        raise Problem(400, "disconnected", "the client left before the body was complete") from gone
    return b"".join(chunks)


def _check_key(desk: Desk, request: Request) -> None:
    key = desk.settings.api_key
    if key is None or request.url.path == "/health":
        return
    if not hmac.compare_digest(request.headers.get("x-api-key", "").encode(), key.encode()):
        raise Problem(401, "unauthorized", "the header X-Api-Key is missing or wrong")


async def _on_problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101  # registered for this type only
    return _response(Answer(error.status, error.body()))


async def _on_http_exception(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    word = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "bad_request")
    body = {"error": word, "status": error.status_code, "detail": error.detail}
    return _response(Answer(error.status_code, body, dict(error.headers or {})))


async def _on_bug(request: Request, error: Exception) -> Response:
    _log.error("%s %s: %r", request.method, request.url.path, error, exc_info=error)
    return _response(Answer(500, {"error": "internal", "status": 500, "detail": "a bug in casedesk; see its log"}))
