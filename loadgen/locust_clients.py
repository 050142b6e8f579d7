"""Locust's own clients behind the interface of the measured one.

For who wants to see what the client does to the figures, or needs what only they have. They obey the same rules
(no redirect followed, nothing retried, no cookie kept, one deadline for a whole request) and cost more, above all
``requests``. Importing this imports Locust, which patches the process.

Two rules they cannot keep. They look up names by themselves, so that they are not opened for a target that lists
``networks`` (``chosen.refuse_blind``). And of the fast one, geventhttpclient repeats a read whose connection was
closed, up to once more than there are connections. What writes it never repeats.
"""

from __future__ import annotations

from collections.abc import Callable
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import gevent
from geventhttpclient.response import HTTPParseError
from locust.contrib.fasthttp import LocustUserAgent
from requests import Session
from requests.adapters import HTTPAdapter
from requests.exceptions import ContentDecodingError, RequestException
from urllib3.exceptions import HTTPError

from loadgen.answers import BODY_MAX
from loadgen.client import unpacked
from loadgen.unanswered import Unanswered, unanswered
from targets.hosts import LOOPBACK, AllowedHosts
from targets.http import Request, Response

_BLOCK = 64 * 1024
#: How requests and urllib3 word what the parser of the measured client words its own way.
_CUT_OFF = ("IncompleteRead", "Remote end closed", "ended prematurely")


class FastClient:
    """FastHttpUser's user agent."""

    def __init__(self, *, timeout_s: float, connections: int, hosts: AllowedHosts = LOOPBACK) -> None:
        self._timeout_s = timeout_s
        self._hosts = hosts
        none: Any = None  # the deadline is ours
        self._agent = _Agent(
            concurrency=connections, connection_timeout=none, network_timeout=none, max_retries=0, max_redirects=0
        )

    def send(self, request: Request) -> Response:
        """The answer, whatever its status. Raises Unanswered, and Refused for a host that is not allowed."""
        self._hosts.refuse_url(request.url)

        def ask() -> Response:
            found = self._agent.urlopen(
                request.url, method=request.method, headers=dict(request.headers), payload=request.body
            )
            packed = _answer(found.status_code, found.headers, iter(lambda: found.read(_BLOCK), b""))
            return Response(packed.status, packed.headers, unpacked(packed.headers, packed.body))

        return _in_time(self._timeout_s, ask)

    def close(self) -> None:
        """Close every connection that is not in use."""
        self._agent.close()


class _Agent(LocustUserAgent):
    """Every status is an answer, none is followed, and an error is raised as it is."""

    redirect_response_codes = frozenset()

    def _verify_status(self, status_code: int, url: object = None) -> None:
        return

    def _handle_error(self, e: BaseException, url: object = None) -> BaseException:
        raise e


class RequestsClient:
    """The session of ``requests`` that is HttpUser's."""

    def __init__(self, *, timeout_s: float, connections: int, hosts: AllowedHosts = LOOPBACK) -> None:
        self._timeout_s = timeout_s
        self._hosts = hosts
        self._session = Session()
        self._session.trust_env = False
        self._session.headers.clear()
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("http://", "https://"):
            self._session.mount(
                scheme, HTTPAdapter(pool_connections=16, pool_maxsize=connections, pool_block=True)
            )

    def send(self, request: Request) -> Response:
        """The answer, whatever its status. Raises Unanswered, and Refused for a host that is not allowed."""
        self._hosts.refuse_url(request.url)

        def ask() -> Response:
            with self._session.request(
                request.method,
                request.url,
                headers=dict(request.headers),
                data=request.body,
                allow_redirects=False,
                stream=True,
            ) as found:
                if not found.headers.get("Content-Length", "0").isdecimal():  # else taken for: until it closes
                    raise Unanswered("invalid", "not http")
                return _answer(found.status_code, found.headers, found.iter_content(_BLOCK))

        return _in_time(self._timeout_s, ask)

    def close(self) -> None:
        """Close every connection that is not in use."""
        self._session.close()


def _answer(status: int, headers: Any, parts: Any) -> Response:
    body = bytearray()
    for part in parts:
        body += part
        if len(body) > BODY_MAX:
            raise Unanswered("invalid", "body too large")
    return Response(status, {name.lower(): value for name, value in headers.items()}, bytes(body))


def _in_time(timeout_s: float, ask: Callable[[], Response]) -> Response:
    timeout = gevent.Timeout.start_new(timeout_s)
    try:
        return ask()
    except gevent.Timeout as fired:
        if fired is not timeout:
            raise
        raise Unanswered("timeout", "no answer in time") from None
    except (RequestException, HTTPError) as error:
        raise _told(error) from None
    except (HTTPParseError, OSError) as error:
        raise unanswered(error) from None
    finally:
        timeout.close()


def _told(error: BaseException) -> Unanswered:
    """What requests says, by the first cause in it that the measured client knows."""
    if isinstance(error, ContentDecodingError):
        return Unanswered("invalid", "not gzip")
    if any(word in str(error) for word in _CUT_OFF):
        return Unanswered("refused", "connection closed")
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and not isinstance(cause, RequestException):
            return unanswered(cause)
        cause = _cause_of(cause)
    return Unanswered("invalid", "not http")


def _cause_of(error: BaseException) -> BaseException | None:
    if error.__context__ is not None:
        return error.__context__
    inside = [one for one in error.args if isinstance(one, BaseException)]
    reason = getattr(inside[0] if inside else error, "reason", None)
    return reason if isinstance(reason, BaseException) else inside[0] if inside else None
