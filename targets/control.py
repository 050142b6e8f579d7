"""The control client: everything that is asked of a target outside the measured path.

Redirects are never followed, and nothing is sent to a host or an address that is not one of the target's
(``targets.hosts``). Reads are tried a few times; writes only where the target itself says "later" (429
or 503 with Retry-After), so that nothing is made twice. What the target allows at most (its quotas) is kept.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import httpx
import orjson

from scenarios.errors import Aborted
from targets.complaints import Complaints
from targets.credentials import Credentials
from targets.deadlines import Deadline, DeadlineTransport
from targets.extraction import Unreadable, read_json
from targets.forms import compile_form
from targets.http import Request, Response
from targets.model import Target
from targets.own_faults import own_fault
from targets.request_mapping import RequestMapping
from targets.trust import advice_of, shared_tls_context, tls_fault

TIMEOUT_S: Final = 30.0
#: An answer of more bytes is cut off, on the measured path as well.
BODY_MAX: Final = 32 * 1024 * 1024
ATTEMPTS: Final = 4
#: Longest single wait that a Retry-After can ask for; one that asks for more is an error.
RETRY_AFTER_MAX_S: Final = 60.0
#: A fact of the fingerprint is cut off here; it is made to be read in a table.
FACT_MAX: Final = 200
_BACK_OFF_S: Final = 0.2
_SUCCESS: Final = frozenset(range(200, 300))


class ControlClient:
    """Sends requests one at a time, from any thread. Raises Aborted where the target does not play its part."""

    def __init__(
        self,
        target: Target,
        credentials: Credentials | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._target = target
        self._hosts = target.allowed_hosts
        self._timeout_s = timeout_s
        self._credentials = credentials
        self.complaints = Complaints(target, credentials)
        self._logging_in = threading.Lock()
        self._pacing = threading.Lock()
        self._next_s = -float("inf")
        general = [q for q in target.limits if q.per != "record" and not q.operations]
        self._interval_s = max((q.in_s / q.requests for q in general), default=0.0)
        self._sleep = sleep
        # No proxy and no .netrc: the measured client uses neither, and both must reach the same system.
        self._deadline = Deadline()
        self._client = httpx.Client(
            timeout=timeout_s,
            follow_redirects=False,
            trust_env=False,
            transport=DeadlineTransport(self._deadline, shared_tls_context(), self._hosts),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def log_in(self) -> None:
        """Fetch every token that is due. Raises Aborted, without the values of the answer."""
        if self._credentials is None:
            return
        with self._logging_in:
            for token in self._credentials.due():
                response = self._send_patiently(token.request)
                try:
                    token.accept(response)
                except Unreadable as error:
                    raise self.complaints.no_token(token, response, error) from None

    def send(self, request: Request) -> Response:
        """The answer, whatever its status, after the retries that are allowed.

        A 401 says that nothing was done: after a renewal of its token even a write is sent once more.
        """
        response = self._send_patiently(request)
        if self._credentials is not None and response.status == 401:
            self._credentials.answered(request, response)
            self.log_in()
            again = self._credentials.signed_again(request)
            if again is not None:
                return self._send_patiently(again)
        return response

    def _send_patiently(self, request: Request) -> Response:
        last = ATTEMPTS - 1
        for attempt in range(ATTEMPTS):
            self._keep_pace()
            try:
                response = self._send_once(request)
            except httpx.ConnectError as error:
                raise self._gone(request, error) from None
            except httpx.HTTPError as error:
                if request.method != "GET" or attempt == last:
                    raise self.complaints.given_up(request, self._reason(error)) from None
                self._sleep(_BACK_OFF_S * 2**attempt)
                continue
            wait_s = _wait_before_retry(request, response, attempt)
            if wait_s is None or attempt == last:
                return response
            if wait_s > RETRY_AFTER_MAX_S:
                raise self.complaints.given_up(
                    request,
                    f"http {response.status}, come back in {wait_s:.0f} s; "
                    f"at most {RETRY_AFTER_MAX_S:.0f} s are waited",
                )
            self._sleep(wait_s)
        raise AssertionError("unreachable")

    def expect(self, request: Request, statuses: Collection[int] = _SUCCESS) -> Response:
        """The answer if its status is one of those; any other is Aborted, with the beginning of the answer."""
        response = self.send(request)
        if response.status not in statuses:
            raise self.complaints.unexpected(request, response)
        return response

    def read(self, request: Request) -> Any:
        """The JSON of a successful answer."""
        return self.readable(request, self.expect(request))

    def readable(self, request: Request, response: Response) -> Any:
        """The JSON of an answer to the request; Aborted with the beginning of it if it is none."""
        try:
            return read_json(response)
        except Unreadable:
            raise self.complaints.unexpected(request, response) from None

    def _keep_pace(self) -> None:
        """Wait for this request's turn under the strictest quota, as if all that is sent were of one tenant."""
        if self._interval_s:
            with self._pacing:
                now_s = time.monotonic()
                turn_s = max(self._next_s, now_s)
                self._next_s = turn_s + self._interval_s
            self._sleep(turn_s - now_s)

    def _reason(self, error: httpx.HTTPError) -> str:
        if isinstance(error, httpx.ConnectError) and "refused" in str(error).lower():
            return "connection refused"
        if isinstance(error, httpx.TimeoutException):
            return f"no answer within {self._timeout_s:g} s"
        return str(error) or type(error).__name__

    def pause(self, wait_s: float) -> None:
        """Wait, as between two looks at a job."""
        self._sleep(wait_s)

    def _send_once(self, request: Request) -> Response:
        """One answer, read as it comes: neither a body without end nor one that drips is waited for."""
        self._deadline.until_s = time.monotonic() + self._timeout_s
        # Not compressed, like the measured path; a few bytes cannot unfold to many.
        headers = {"Accept-Encoding": "identity", **request.headers}
        url = httpx.URL(request.url)  # asked of what is sent, not of a second reading of the text
        self._hosts.refuse_others(url.host, url.port or (443 if url.scheme == "https" else 80))
        with self._client.stream(request.method, url, headers=headers, content=request.body) as answer:
            body = bytearray()
            try:
                for part in answer.iter_raw():
                    body += part
                    if len(body) > BODY_MAX:
                        raise self._endless(request, f"with {BODY_MAX >> 20} MiB")
            except httpx.ReadTimeout:
                raise self._endless(request, f"after {self._timeout_s:g} s") from None
        return Response(answer.status_code, {k.lower(): v for k, v in answer.headers.items()}, bytes(body))

    def _endless(self, request: Request, when: str) -> Aborted:
        return self.complaints.given_up(request, f"the answer does not end ({when} it was cut off)")

    def _gone(self, request: Request, error: httpx.ConnectError) -> Aborted:
        target = self._target
        start = f"start it ({target.start})" if target.start else "start it"
        parts = urlsplit(request.url)
        here = request.url.startswith(target.base_url)
        where = target.base_url if here else f"{parts.scheme}://{parts.netloc}"
        if lacking := own_fault(error):
            return Aborted(f"no connection to {where} could be opened: {lacking}")
        if fault := tls_fault(error):
            return Aborted(f"the target {target.name} is not believed at {where}: {advice_of(fault)}")
        reason = self._reason(error)
        return Aborted(f"the target {target.name} does not answer at {where}: {reason}; {start} or set base_url")


def preflight(target: Target, environ: Mapping[str, str]) -> dict[str, str]:
    """Check that the target is there and well; what identifies it (versions, settings) as text, by name.

    InputError for a missing secret, Aborted if the target is not there or answers something else.
    """
    context = {"base_url": target.base_url, "variables": target.variables}
    credentials = Credentials(target, (), environ)
    fingerprint = target.fingerprint

    def fill(mapping: RequestMapping) -> Request:
        client.log_in()
        return compile_form(mapping, target.headers).fill(context, authorisation=credentials.headers_for(None))

    def told(value: Any) -> str:
        text = value if isinstance(value, str) else orjson.dumps(value).decode()
        return client.complaints.masked(text)[:FACT_MAX]  # it is kept with the run, and shown

    with ControlClient(target, credentials) as client:
        if fingerprint.health:
            client.expect(fill(fingerprint.health))
        answers: dict[str, tuple[Request, Response]] = {}
        found: dict[str, str] = {}
        for name, fact in fingerprint.values.items():
            mapping = fact.request or fingerprint.request
            assert mapping is not None  # noqa: S101 (the model has looked)
            key = mapping.model_dump_json()
            if key not in answers:
                request = fill(mapping)
                answers[key] = request, client.expect(request)
            request, response = answers[key]
            data = client.readable(request, response) if fact.find.answer is None else None
            with client.complaints.reading(request, response, fingerprint, "values", name):
                found[name] = told(fact.find.look(response, data))
    return found


def _wait_before_retry(request: Request, response: Response, attempt: int) -> float | None:
    """How long to wait before the request may be sent again; None if it must not be, or need not be."""
    asked_s = retry_after_s(response)
    if response.status in (429, 503) and asked_s is not None:
        return asked_s
    if request.method == "GET" and response.status in (429, 502, 503, 504):
        return float(_BACK_OFF_S * 2**attempt)
    return None


def retry_after_s(response: Response) -> float | None:
    """Seconds until the moment that Retry-After names (RFC 9110, 10.2.3), 0 or more; None if it names none."""
    text = response.headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(0.0, (moment - datetime.now(UTC)).total_seconds())
    except (ValueError, OverflowError):
        return None
