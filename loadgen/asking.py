"""Asks the target about what was saved: at the pace of the verification, and again where no answer can be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import gevent

from loadgen.pace import Pace
from loadgen.unanswered import Unanswered
from scenarios.model import Tenant
from targets.binding import Binding
from targets.extraction import Unreadable
from targets.http import Request, Response
from targets.lookups import ReadBack

#: Pauses before a request is tried again.
PAUSES_S = (0.0, 0.25, 0.5)

Found = TypeVar("Found")


class Asking:
    """``send`` raises Unanswered. ``reads`` counts the cases that were read back."""

    def __init__(
        self, binding: Binding, send: Callable[[Request], Response], pace: Pace, now: Callable[[], float]
    ) -> None:
        self.reads = 0
        self._binding = binding
        self._send = send
        self._pace = pace
        self._now = now

    def await_turn(self) -> None:
        """Wait until the pace allows another request."""
        gevent.sleep(self._pace.take(self._now()))

    def read_case(self, tenant: Tenant, case: str) -> ReadBack | None:
        """What a case holds; None where nobody can tell."""

        def read(response: Response) -> ReadBack:
            return self._binding.values_read(tenant, response)

        self.reads += 1
        return self.ask(self._binding.read_back(tenant, case), read)

    def ask(self, request: Request, read: Callable[[Response], Found]) -> Found | None:
        """What the answer says; None where none came that can be read, however often it was tried."""
        for pause_s in PAUSES_S:
            gevent.sleep(pause_s)
            try:
                return read(self._send(request))
            except (Unanswered, Unreadable):
                continue
        return None
