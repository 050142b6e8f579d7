"""The verifier: asks the target what really happened, batched, at its own capped rate, beside the load.

Every save's scripts and every mail are looked up by token, those of one tenant together
(``loadgen.gathering``), so that a save costs a fraction of a request; the values of a share of the custom
saves are looked after by ``loadgen.value_watch``. Nothing of this is part of the load's figures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence

import gevent
from gevent.pool import Pool

from loadgen.client import Client
from loadgen.effects import SLACK_S, Origin, Pending, Sight, sights
from loadgen.gathering import Gathering
from loadgen.pace import Pace
from loadgen.recorder import Effect, Recorder
from loadgen.script_order import ScriptOrder
from loadgen.seqs import Seqs
from loadgen.unanswered import Unanswered
from loadgen.value_watch import ValueWatch
from scenarios.model import Operation, Scenario
from targets.binding import Binding
from targets.call import Call
from targets.extraction import Unreadable
from targets.http import Request, Response

#: What is ripe waits for company at most this long, and at most half of its deadline.
PATIENCE_S = 20.0
#: Look-ups open at the same time, so that a slow target does not make verification late as well.
OPEN_AT_ONCE = 8

_TICK_S = 0.05


class Verifier:
    """Looks after the effects of one run. ``now`` gives seconds since the start of the measured window."""

    def __init__(
        self,
        scenario: Scenario,
        binding: Binding,
        client: Client,
        recorder: Recorder,
        *,
        run_key: str,
        now: Callable[[], float],
        broken: Callable[[Exception], None],
        own: Seqs | None = None,
    ) -> None:
        self.requests = 0
        self.polls = 0  # of them, those of users who wait for their scripts
        self._scenario = scenario
        self._rules = scenario.verification
        self._binding = binding
        self._client = client
        self._recorder = recorder
        self._now = now
        self._broken = broken
        self._scripts = {tenant.key: binding.expected_scripts(tenant) for tenant in scenario.tenants}
        self._gatherings: dict[tuple[str, str], Gathering] = {}
        self._pending = 0
        self._lookups = Pool(OPEN_AT_ONCE)
        self._pace = Pace(self._rules.rate_per_s)
        self._order = ScriptOrder(self._record) if binding.scripts_in_order else None
        self._sweeping = False
        self._over = False
        self._until_s = math.inf
        self._failed_but_saved = Seqs()
        self._values = ValueWatch(
            scenario,
            binding,
            self.send,
            self._record_row,
            self._pace,
            run_key=run_key,
            now=now,
            guarded=self._guarded,
            own=own,
        )

    @property
    def pending(self) -> int:
        """Effects whose outcome is open."""
        return self._pending + self._values.pending

    @property
    def reads(self) -> int:
        """Cases that were read back."""
        return self._values.reads

    @property
    def strays(self) -> tuple[int, ...]:
        """Saves of other workers whose values were seen in a case of this one."""
        return self._values.strays

    # what was promised

    def saving(self, operation: Operation, call: Call, sent_s: float) -> None:
        """A save is about to be sent."""
        self._values.saving(call, sent_s, custom=operation is Operation.SAVE_CUSTOM)
        if self._order and self._scripts[call.tenant.key]:
            self._order.sent(call, sent_s)

    def inherit(self, operation: Operation, call: Call) -> None:
        """A worker that is lost may have sent this save, of which nothing is judged; its case is ours now."""
        self._values.inherit(call, custom=operation is Operation.SAVE_CUSTOM)

    def answered(
        self,
        operation: Operation,
        call: Call,
        outcome: str,
        done_s: float,
        answers: Sequence[tuple[str, float]] = (),
    ) -> None:
        """An arrival is done: take up what it promised. Never blocks.

        ``answers`` are outcome and time of each of its requests: where every mail of a batch had one of
        its own, a mail is held to that and not to what became of the others.
        """
        if operation is Operation.READ_CASE:
            return
        origin = Origin(call.seq, call.token, call.tenant, operation, outcome, done_s, call.case)
        if operation.saves:
            names = self._scripts[call.tenant.key]
            if names:
                if self._order:
                    self._order.answered(origin)
                self._expect(Pending(origin, "script", names, self._rules.script_deadline_s, self._rules.settle_s))
            self._values.answered(call, origin)
        elif self._binding.checks_mails:
            tokens = self._binding.mail_tokens(operation, call)
            recipients = self._binding.mail_recipients(operation, call)
            said = answers if len(answers) == len(tokens) else [(outcome, done_s)] * len(tokens)
            for token, recipient, (mail_outcome, mail_s) in zip(tokens, recipients, said, strict=True):
                mail = Origin(call.seq, token, call.tenant, operation, mail_outcome, mail_s)
                deadline_s = self._rules.mail_deadline_s
                self._expect(Pending(mail, "mail", ("",), deadline_s, self._rules.settle_s, recipient))

    def _expect(self, pending: Pending) -> None:
        if self._pending >= self._rules.pending_max:
            if self._order:
                self._order.forget(pending)
            self._record(pending)
            return
        self._pending += 1
        self._push(pending)

    def _push(self, pending: Pending) -> None:
        if self._sweeping:
            pending.hurry()
        kind, tenant = pending.kind, pending.origin.tenant
        gathering = self._gatherings.get((kind, tenant.key))
        if gathering is None:
            batch = self._binding.script_batch if kind == "script" else self._binding.mail_batch
            gathering = Gathering(kind, tenant, batch, self._patience_s(kind))
            self._gatherings[kind, tenant.key] = gathering
        gathering.add(pending)

    def _record(self, pending: Pending, overtaken: Collection[str] = ()) -> None:
        for row in pending.rows(overtaken):
            self._record_row(row)

    def _record_row(self, row: Effect) -> None:
        """Record a row; a failed save that was saved after all is told once, by its scripts or its values."""
        if row.outcome == "failed_but_saved":
            if row.seq in self._failed_but_saved:
                return
            self._failed_but_saved.add(row.seq)
        self._recorder.effect(row)

    # scripts and mails

    def run(self) -> None:
        """Look up what is ripe until ``sweep`` is through; its own greenlet."""
        while not self._over:
            self.look()
            gevent.sleep(_TICK_S)

    def look(self) -> None:
        """Begin to look up what is ripe by now."""
        now_s = self._now()
        for gathering in list(self._gatherings.values()):
            gathering.ripen(now_s)
            while (
                gathering.is_worth_a_look(now_s, sweeping=self._sweeping)
                and self._pace.is_free(now_s)
                and not self._lookups.full()
            ):
                self._pace.take(now_s)
                self._lookups.spawn(self._guarded, self._look_up, gathering, gathering.take())

    def sweep(self, limit_s: float) -> None:
        """After the load: look until everything is settled, at most ``limit_s``; the rest is unverified."""
        self._sweeping = True
        for gathering in self._gatherings.values():
            gathering.hurry()
        self._until_s = self._now() + limit_s
        values = gevent.spawn(self._guarded, self._values.sweep)
        gevent.sleep(0)  # it has begun, so that ending it ends what it began
        while (self._pending or not values.dead) and self._now() < self._until_s:
            gevent.sleep(_TICK_S)
        self._over = True
        gevent.sleep(2 * _TICK_S)  # what was spawned has begun, so that ending it lets it hand back what it took
        self._lookups.kill()
        values.kill()
        self._values.give_up()
        if self._order:
            self._order.close()
        for gathering in self._gatherings.values():
            for pending in gathering.pending:
                self._record(pending)
            gathering.clear()
        self._pending = 0

    def hasten(self, limit_s: float) -> None:
        """Let a sweep that is under way take no longer than this from now on."""
        self._until_s = min(self._until_s, self._now() + limit_s)

    @property
    def longest_sweep_s(self) -> float:
        """After this time everything that is pending now can be settled."""
        now_s = self._now()
        closes = [one.closes_s for gathering in self._gatherings.values() for one in gathering.pending]
        values_s = self._values.requests_left / self._rules.rate_per_s
        return max(max(closes, default=now_s) - now_s, values_s, 0) + self._scenario.load.timeout_s

    def _patience_s(self, kind: str) -> float:
        """How long what is ripe waits for company while the load lasts."""
        scripts = kind == "script"
        deadline_s = self._rules.script_deadline_s if scripts else self._rules.mail_deadline_s
        if self._binding.scripts_timed if scripts else self._binding.mails_timed:
            return min(PATIENCE_S, deadline_s / 2)
        # Without a clock of the target, late is what a look before the deadline did not show.
        return min(PATIENCE_S, deadline_s / 2, max(deadline_s - self._rules.settle_s - SLACK_S, 0))

    def _look_up(self, gathering: Gathering, taken: list[Pending]) -> None:
        settled: set[int] = set()
        try:
            asked_s = self._now()
            try:
                found = self._ask(gathering, [pending.token for pending in taken])
            except (Unanswered, Unreadable):
                for pending in taken:
                    pending.postpone(self._now())
                return
            for pending in taken:
                pending.look(asked_s, self._now(), found.get(pending.token, {}))
                if pending.settled:
                    settled.add(id(pending))
                    self._pending -= 1
                    if self._order:
                        self._order.settled(pending)
                    else:
                        self._record(pending)
        finally:  # also where the sweep's time is up in the middle of a look-up
            for pending in taken:
                if id(pending) not in settled:
                    self._push(pending)

    def _ask(self, gathering: Gathering, tokens: list[str]) -> Mapping[str, Mapping[str, Sight]]:
        binding = self._binding
        look_up = binding.look_up_scripts if gathering.kind == "script" else binding.look_up_mails
        response = self.send(look_up(gathering.tenant, tokens))
        rows: dict[str, list[tuple[str, Sight]]] = {}
        if gathering.kind == "script":
            for run in binding.script_runs(response):
                sight = Sight(1, run.delay_s, ended_at=run.ended_at)
                rows.setdefault(run.token, []).append((run.name, sight))
        else:
            for mail in binding.mails_seen(response):
                rows.setdefault(mail.token, []).append(("", Sight(mail.count, mail.delay_s, mail.recipient)))
        return {token: sights(pairs) for token, pairs in rows.items()}

    def send(self, request: Request) -> Response:
        """One verification request, counted. Raises Unanswered, also for an answer other than 2xx."""
        self.requests += 1
        response = self._client.send(request)
        self._binding.credentials.answered(request, response)
        if not 200 <= response.status < 300:
            raise Unanswered("http_error", f"http {response.status}")
        return response

    def poll(self, request: Request) -> Response:
        """The same for a user who waits for the scripts of a save; in turn where the target has quotas."""
        if self._binding.is_limited:
            gevent.sleep(self._pace.take(self._now()))
        self.polls += 1
        return self.send(request)

    def _guarded(self, step: Callable[..., None], *args: object) -> None:
        """A mistake of ours or of the mapping must end the run, not just this greenlet."""
        try:
            step(*args)
        except Exception as error:
            self._broken(error)
