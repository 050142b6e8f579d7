"""The control client: everything that is asked of a target outside the measured path.

Redirects are never followed. Reads are tried a few times; writes only where the target itself says
"later" (429 or 503 with Retry-After), so that nothing is made twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Final, Self

import httpx
import orjson

from scenarios.errors import Aborted
from targets.credentials import authorise
from targets.extraction import Unreadable, compile_expression, read_json
from targets.forms import compile_form
from targets.http import Request, Response
from targets.model import Target

TIMEOUT_S: Final = 30.0
ATTEMPTS: Final = 4
#: Longest single wait that a Retry-After can ask for; one that asks for more is an error.
RETRY_AFTER_MAX_S: Final = 60.0
_BACK_OFF_S: Final = 0.2
_SUCCESS: Final = frozenset(range(200, 300))


class ControlClient:
    """Sends requests one at a time, from any thread. Raises Aborted where the target does not play its part."""

    def __init__(self, target: Target, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._target = target
        self._sleep = sleep
        # No proxy and no .netrc: the measured client uses neither, and both must reach the same system.
        self._client = httpx.Client(timeout=TIMEOUT_S, follow_redirects=False, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def send(self, request: Request) -> Response:
        """The answer, whatever its status, after the retries that are allowed."""
        last = ATTEMPTS - 1
        for attempt in range(ATTEMPTS):
            try:
                response = self._send_once(request)
            except httpx.ConnectError as error:
                raise self._gone(_reason(error)) from None
            except httpx.HTTPError as error:
                if request.method != "GET" or attempt == last:
                    raise Aborted(f"{request.method} {request.url}: {_reason(error)}") from None
                self._sleep(_BACK_OFF_S * 2**attempt)
                continue
            wait_s = _wait_before_retry(request, response, attempt)
            if wait_s is None or attempt == last:
                return response
            if wait_s > RETRY_AFTER_MAX_S:
                raise Aborted(
                    f"{request.method} {request.url}: http {response.status}, come back in {wait_s:.0f} s; "
                    f"at most {RETRY_AFTER_MAX_S:.0f} s are waited"
                )
            self._sleep(wait_s)
        raise AssertionError("unreachable")

    def expect(self, request: Request, statuses: Collection[int] = _SUCCESS) -> Response:
        """The answer if its status is one of those; any other is Aborted, with the beginning of the answer."""
        response = self.send(request)
        if response.status not in statuses:
            raise _unexpected(request, response)
        return response

    def read(self, request: Request) -> Any:
        """The JSON of a successful answer."""
        response = self.expect(request)
        try:
            return read_json(response)
        except Unreadable:
            raise _unexpected(request, response) from None

    def _send_once(self, request: Request) -> Response:
        answer = self._client.request(
            request.method, request.url, headers=dict(request.headers), content=request.body
        )
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Response(answer.status_code, headers, answer.content)

    def _gone(self, reason: str) -> Aborted:
        target = self._target
        start = f"start it ({target.start})" if target.start else "start it"
        return Aborted(
            f"the target {target.name} does not answer at {target.base_url}: {reason}; {start} or set base_url"
        )


def preflight(target: Target, environ: Mapping[str, str]) -> dict[str, str]:
    """Check that the target is there and well; what identifies it (versions, settings) as text, by name.

    InputError for a missing secret, Aborted if the target is not there or answers something else.
    """
    context = {"base_url": target.base_url, "variables": target.variables}
    authorisation = authorise(target, environ)
    fingerprint = target.fingerprint
    with ControlClient(target) as client:
        if fingerprint.health:
            client.expect(compile_form(fingerprint.health, target.headers, authorisation).fill(context))
        if fingerprint.request is None:
            return {}
        request = compile_form(fingerprint.request, target.headers, authorisation).fill(context)
        data = client.read(request)
    found = {name: compile_expression(text)(data) for name, text in fingerprint.values.items()}
    return {
        name: value if isinstance(value, str) else orjson.dumps(value).decode() for name, value in found.items()
    }


def _wait_before_retry(request: Request, response: Response, attempt: int) -> float | None:
    """How long to wait before the request may be sent again; None if it must not be, or need not be."""
    if response.status in (429, 503) and "retry-after" in response.headers:
        return _retry_after_s(response.headers["retry-after"])
    if request.method == "GET" and response.status in (429, 502, 503, 504):
        return float(_BACK_OFF_S * 2**attempt)
    return None


def _retry_after_s(text: str) -> float | None:
    """Seconds until the moment that a Retry-After names (RFC 9110, 10.2.3); None if it names none."""
    if text.strip().isdecimal():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (moment.astimezone(UTC) - datetime.now(UTC)).total_seconds())


def _unexpected(request: Request, response: Response) -> Aborted:
    said = response.body[:200].decode("utf-8", "replace").strip()
    kind = response.headers.get("content-type", "no content type").split(";")[0]
    what = "not JSON" if 200 <= response.status < 300 else "unexpected"
    where = response.headers.get("location")
    leads = f" leads to {where}" if where else ""
    return Aborted(f"{request.method} {request.url}: http {response.status} {what} ({kind}){leads}: {said!r}")


def _reason(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.ConnectError) and "refused" in str(error).lower():
        return "connection refused"
    if isinstance(error, httpx.TimeoutException):
        return f"no answer within {TIMEOUT_S:.0f} s"
    return str(error) or type(error).__name__
