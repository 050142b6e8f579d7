"""Logins beside the load: a token is fetched before it is needed, and never on the measured path.

What a token that ended too soon costs is a finding: the answers are 401 and stay that. The requests
that are made after the renewal carry the new token.
"""

from __future__ import annotations

from collections.abc import Callable

import gevent

from loadgen.unanswered import Unanswered
from scenarios.errors import Aborted, Unauthorised
from targets.credentials import LOGIN_REFUSED, Credentials, Token
from targets.extraction import Unreadable
from targets.http import Request, Response

#: How often it is looked whether a token is to be renewed, and how soon a failed login is tried again.
LOOK_EVERY_S = 1.0


class Logins:
    """Keeps the tokens of a run fresh. ``send`` raises Unanswered; ``broken`` hears of mistakes of ours."""

    def __init__(
        self, credentials: Credentials, send: Callable[[Request], Response], broken: Callable[[Exception], None]
    ) -> None:
        self.failed = 0
        self._credentials = credentials
        self._send = send
        self._broken = broken
        self._under_way: set[int] = set()

    def log_in(self) -> None:
        """Fetch every token that is due. Raises Aborted, without the answer: a secret may stand in it."""
        for token in self._credentials.due():
            kind = Aborted
            try:
                response = self._send(token.request)
                kind = Unauthorised if response.status in LOGIN_REFUSED else Aborted
                token.accept(response)
            except (Unanswered, Unreadable) as error:
                where = token.request.url.partition("?")[0]
                raise kind(
                    f"{token.request.method} {where}: cannot log in before the first request: {error}; "
                    "look at auth in the mapping and at the secret that it names"
                ) from None

    def run(self) -> None:
        """Renew what is due, every second, for ever; its own greenlet. One slow login holds up no other."""
        while True:
            for token in self._credentials.due():
                if id(token) not in self._under_way:
                    self._under_way.add(id(token))
                    gevent.spawn(self._renew, token)
            gevent.sleep(LOOK_EVERY_S)

    def _renew(self, token: Token) -> None:
        try:
            token.accept(self._send(token.request))
        except (Unanswered, Unreadable):
            self.failed += 1  # it stays due, and is tried again at the next look
        except Exception as error:
            self._broken(error)
        finally:
            self._under_way.discard(id(token))
