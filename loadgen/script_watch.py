"""Waiting for the on-save scripts of a save, as the user of ``run_script`` does.

One poller a tenant asks for everyone who waits there, with growing pauses, so that many waiting
saves do not become many look-ups. Polls are verification traffic and never samples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import gevent
from gevent.event import Event

from loadgen.unanswered import Unanswered
from scenarios.model import Tenant
from targets.binding import Binding
from targets.extraction import Unreadable
from targets.http import Request, Response
from targets.lookups import ScriptRun

FIRST_PAUSE_S, PAUSE_GROWTH, LAST_PAUSE_S = 0.025, 1.5, 0.25


@dataclass(slots=True)
class _Waiter:
    token: str
    answered_s: float
    missing: set[str]
    next_s: float
    pause_s: float = FIRST_PAUSE_S
    longest_s: float | None = 0.0  # delay by the target's clock; None once a script came without one
    done_s: float | None = None
    over: Event = field(default_factory=Event)


class ScriptWatch:
    """Answers when the scripts of a save had run. ``send`` raises Unanswered; ``now`` as everywhere."""

    def __init__(self, binding: Binding, send: Callable[[Request], Response], *, now: Callable[[], float]) -> None:
        self._binding = binding
        self._send = send
        self._now = now
        self._waiting: dict[str, dict[str, _Waiter]] = {}

    def wait(self, tenant: Tenant, token: str, answered_s: float, deadline_s: float) -> float | None:
        """When the last script of the save was done, in seconds of the run; None if not in time.

        By the target's own clock where it tells (the acknowledgement plus the delay), else the moment of
        the answer that showed it.
        """
        names = set(self._binding.expected_scripts(tenant))
        if not names:
            return answered_s
        waiter = _Waiter(token, answered_s, names, self._now() + FIRST_PAUSE_S)
        group = self._waiting.setdefault(tenant.key, {})
        if not group:
            gevent.spawn(self._poll, tenant, group)
        group[token] = waiter
        try:
            waiter.over.wait(timeout=max(answered_s + deadline_s - self._now(), 0))
        finally:
            group.pop(token, None)
        done_s = waiter.done_s
        return done_s if done_s is not None and done_s - answered_s <= deadline_s else None

    def _poll(self, tenant: Tenant, group: dict[str, _Waiter]) -> None:
        while True:
            gevent.sleep(max(min((w.next_s for w in group.values()), default=0) - self._now(), 0.001))
            if not group:
                return
            asked = list(group.values())[: self._binding.script_batch]
            try:
                runs = self._binding.script_runs(
                    self._send(self._binding.look_up_scripts(tenant, [w.token for w in asked]))
                )
            except (Unanswered, Unreadable):
                runs = []
            seen_s = self._now()
            for run in runs:
                waiter = group.get(run.token)
                if waiter is not None:
                    self._show(waiter, run, seen_s)
            for waiter in asked:
                waiter.pause_s = min(waiter.pause_s * PAUSE_GROWTH, LAST_PAUSE_S)
                waiter.next_s = seen_s + waiter.pause_s

    @staticmethod
    def _show(waiter: _Waiter, run: ScriptRun, seen_s: float) -> None:
        if run.name not in waiter.missing:
            return
        waiter.missing.remove(run.name)
        if run.delay_s is None or waiter.longest_s is None:
            waiter.longest_s = None
        else:
            waiter.longest_s = max(waiter.longest_s, run.delay_s)
        if not waiter.missing:
            told_s = seen_s if waiter.longest_s is None else waiter.answered_s + waiter.longest_s
            waiter.done_s = min(told_s, seen_s)
            waiter.over.set()
