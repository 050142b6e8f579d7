"""The verifier: asks the target what really happened, batched, at its own capped rate, beside the load.

Every save's scripts and every mail are looked up by token; a share of the custom saves is read back.
Look-ups of one tenant are gathered until they fill a batch or the oldest has waited long enough, so
that a save costs a fraction of a request. Nothing of this is part of the load's figures.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import gevent
from gevent.pool import Pool

from loadgen.client import Client, Unanswered
from loadgen.effects import CustomSave, Origin, Pending, Sight, classify_values, sights
from loadgen.recorder import Effect, Recorder
from scenarios.fields import Value
from scenarios.model import Operation, Scenario, Tenant
from scenarios.tokens import save_id, seq_of
from targets.binding import Binding, Call, ReadBack
from targets.extraction import Unreadable
from targets.http import Request, Response

#: So many ripe tokens of a tenant are worth a look-up of their own.
ENOUGH = 20
#: Ripe tokens wait for company at most this long, and at most a quarter of their deadline.
PATIENCE_S = 10.0
#: Look-ups open at the same time, so that a slow target does not make verification late as well.
OPEN_AT_ONCE = 8
#: Pauses before a read-back is tried again.
READ_PAUSES_S = (0.0, 0.25, 0.5)

_TICK_S = 0.05
_SHARE_BITS = 1 << 32


@dataclass(slots=True)
class _Group:
    """What is pending for one tenant and kind."""

    kind: str
    tenant: Tenant
    batch: int
    waiting: list[tuple[float, int, Pending]] = field(default_factory=list)  # a heap by time
    ripe: list[Pending] = field(default_factory=list)
    ripe_since_s: float = math.inf

    def ripen(self, now_s: float) -> None:
        """Move what is due from waiting to ripe."""
        while self.waiting and self.waiting[0][0] <= now_s:
            due_s, _, pending = heapq.heappop(self.waiting)
            self.ripe.append(pending)
            self.ripe_since_s = min(self.ripe_since_s, due_s)

    def take(self) -> list[Pending]:
        """As many ripe ones as a look-up may hold."""
        taken, self.ripe = self.ripe[: self.batch], self.ripe[self.batch :]
        self.ripe_since_s = min((p.next_look_s for p in self.ripe), default=math.inf)
        return taken


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
    ) -> None:
        self.requests = 0
        self.reads = 0
        self._scenario = scenario
        self._rules = scenario.verification
        self._binding = binding
        self._client = client
        self._recorder = recorder
        self._run_key = run_key
        self._now = now
        self._broken = broken
        self._scripts = {tenant.key: binding.expected_scripts(tenant) for tenant in scenario.tenants}
        self._tenants = {tenant.key: tenant for tenant in scenario.tenants}
        self._saves: dict[int, CustomSave] = {}
        self._groups: dict[tuple[str, str], _Group] = {}
        self._counter = itertools.count()
        self._pending = 0
        self._lookups = Pool(OPEN_AT_ONCE)
        self._reads_open = Pool()
        self._next_at_s = -math.inf
        self._sweeping = False
        self._over = False
        self._until_s = math.inf
        self._failed_but_saved: set[int] = set()

    @property
    def pending(self) -> int:
        """Effects and read-backs whose outcome is open."""
        return self._pending + len(self._reads_open)

    # what was promised

    def saving(self, call: Call, sent_s: float) -> None:
        """A custom save is about to be sent; its values may turn up in any read from now on."""
        self._saves[call.seq] = CustomSave(call.seq, call.tenant.key, call.case, sent_s)

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
        origin = Origin(call.seq, call.token, call.tenant, operation, outcome, done_s)
        if operation.saves:
            names = self._scripts[call.tenant.key]
            if names:
                self._expect(Pending(origin, "script", names, self._rules.script_deadline_s, self._rules.settle_s))
        elif self._binding.checks_mails:
            tokens = self._binding.mail_tokens(operation, call)
            recipients = self._binding.mail_recipients(operation, call)
            said = answers if len(answers) == len(tokens) else [(outcome, done_s)] * len(tokens)
            for token, recipient, (mail_outcome, mail_s) in zip(tokens, recipients, said, strict=True):
                mail = Origin(call.seq, token, call.tenant, operation, mail_outcome, mail_s)
                deadline_s = self._rules.mail_deadline_s
                self._expect(Pending(mail, "mail", ("",), deadline_s, self._rules.settle_s, recipient))
        if operation is Operation.SAVE_CUSTOM:
            self._answered_custom(call, origin)

    def _answered_custom(self, call: Call, origin: Origin) -> None:
        save = self._saves[call.seq]
        save.done_s, save.acknowledged = origin.done_s, origin.acknowledged
        told = origin.acknowledged or origin.outcome in ("http_error", "conflict")
        if told and self._binding.reads_values and chosen(call.seq, self._rules.read_back_share):
            self._reads_open.spawn(self._guarded, self._read_back, call, origin)

    def _expect(self, pending: Pending) -> None:
        if self._pending >= self._rules.pending_max:
            self._record(pending)
            return
        self._pending += 1
        self._push(pending)

    def _push(self, pending: Pending) -> None:
        key = (pending.kind, pending.origin.tenant.key)
        group = self._groups.get(key)
        if group is None:
            batch = self._binding.script_batch if pending.kind == "script" else self._binding.mail_batch
            group = self._groups[key] = _Group(pending.kind, pending.origin.tenant, batch)
        heapq.heappush(group.waiting, (pending.next_look_s, next(self._counter), pending))

    def _record(self, pending: Pending) -> None:
        for row in pending.rows():
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
            now_s = self._now()
            for group in list(self._groups.values()):
                group.ripen(now_s)
                while self._worth(group, now_s) and now_s >= self._next_at_s and not self._lookups.full():
                    self._next_at_s = max(self._next_at_s, now_s - 1) + 1 / self._rules.rate_per_s
                    self._lookups.spawn(self._guarded, self._look_up, group, group.take())
            gevent.sleep(_TICK_S)

    def sweep(self, limit_s: float) -> None:
        """After the load: look until everything is settled, at most ``limit_s``; the rest is unverified."""
        self._sweeping = True
        for group in self._groups.values():
            for _, _, pending in group.waiting:
                pending.hurry()
            group.waiting = [(p.next_look_s, number, p) for _, number, p in group.waiting]
            heapq.heapify(group.waiting)
        self._until_s = self._now() + limit_s
        while self.pending and self._now() < self._until_s:
            gevent.sleep(_TICK_S)
        self._over = True
        gevent.sleep(2 * _TICK_S)  # what was spawned has begun, so that ending it lets it hand back what it took
        self._lookups.kill()
        self._reads_open.kill()
        for group in self._groups.values():
            for pending in [*(entry[2] for entry in group.waiting), *group.ripe]:
                self._record(pending)
            group.waiting, group.ripe = [], []
        self._pending = 0

    def hasten(self, limit_s: float) -> None:
        """Let a sweep that is under way take no longer than this from now on."""
        self._until_s = min(self._until_s, self._now() + limit_s)

    @property
    def longest_sweep_s(self) -> float:
        """After this time everything that is pending now can be settled."""
        now_s = self._now()
        closes = [
            pending.closes_s
            for group in self._groups.values()
            for pending in [*(entry[2] for entry in group.waiting), *group.ripe]
        ]
        return max(max(closes, default=now_s) - now_s, 0) + self._scenario.load.timeout_s

    def _worth(self, group: _Group, now_s: float) -> bool:
        if not group.ripe:
            return False
        patience_s = 0.0 if self._sweeping else self._patience_s(group.kind)
        return len(group.ripe) >= min(ENOUGH, group.batch) or now_s - group.ripe_since_s >= patience_s

    def _patience_s(self, kind: str) -> float:
        deadline_s = self._rules.script_deadline_s if kind == "script" else self._rules.mail_deadline_s
        return min(PATIENCE_S, deadline_s / 4)

    def _look_up(self, group: _Group, taken: list[Pending]) -> None:
        settled: set[int] = set()
        try:
            asked_s = self._now()
            try:
                found = self._ask(group, [pending.token for pending in taken])
            except (Unanswered, Unreadable):
                for pending in taken:
                    pending.postpone(self._now())
                return
            for pending in taken:
                pending.look(asked_s, self._now(), found.get(pending.token, {}))
                if pending.settled:
                    settled.add(id(pending))
                    self._pending -= 1
                    self._record(pending)
        finally:  # also where the sweep's time is up in the middle of a look-up
            for pending in taken:
                if id(pending) not in settled:
                    self._push(pending)

    def _ask(self, group: _Group, tokens: list[str]) -> Mapping[str, Mapping[str, Sight]]:
        binding = self._binding
        look_up = binding.look_up_scripts if group.kind == "script" else binding.look_up_mails
        response = self.send(look_up(group.tenant, tokens))
        rows: dict[str, list[tuple[str, Sight]]] = {}
        if group.kind == "script":
            for run in binding.script_runs(response):
                rows.setdefault(run.token, []).append((run.name, Sight(1, run.delay_s)))
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

    def _guarded(self, step: Callable[..., None], *args: object) -> None:
        """A mistake of ours or of the mapping must end the run, not just this greenlet."""
        try:
            step(*args)
        except Exception as error:
            self._broken(error)

    # values

    def _read_back(self, call: Call, origin: Origin) -> None:
        read: ReadBack | None = None
        read_s = math.nan
        try:
            for pause_s in READ_PAUSES_S:
                gevent.sleep(pause_s)
                try:
                    self.reads += 1
                    response = self.send(self._binding.read_back(call))
                    read_s = self._now()
                    read = self._binding.values_read(call.tenant, response)
                    break
                except (Unanswered, Unreadable):
                    continue
        finally:  # also where the sweep's time is up
            self._record_values(call, origin, read, read_s)

    def _record_values(self, call: Call, origin: Origin, read: ReadBack | None, read_s: float) -> None:
        due_s = origin.done_s
        if read is None:
            if origin.acknowledged:
                self._recorder.effect(origin.effect("value", "unverified", due_s=due_s))
            return
        number = seq_of(self._run_key, read.token) if read.token else None
        writer = self._saves.get(number) if number is not None else None
        if not origin.acknowledged:
            if number == call.seq:
                row = origin.effect("value", "failed_but_saved", expected=0, seen=1, first_seen_s=read_s)
                self._record_row(row)
            return
        outcome = classify_values(self._saves[call.seq], read.values, writer, self._values_of)
        seen = int(outcome in ("identical", "partial", "superseded"))
        self._recorder.effect(
            origin.effect("value", outcome, seen=seen, due_s=due_s, first_seen_s=read_s if seen else math.nan)
        )

    def _values_of(self, save: CustomSave) -> Mapping[str, Value]:
        token = save_id(self._run_key, save.seq)
        return self._binding.values_saved(self._tenants[save.tenant], save.seq, token)


def chosen(seq: int, share: float) -> bool:
    """Whether the save ``seq`` is in the share that is read back; by a hash, so the same in every run."""
    return ((seq + 1) * 2_654_435_769 % _SHARE_BITS) < share * _SHARE_BITS
