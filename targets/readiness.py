"""Can this target be driven with this scenario? Asked by reads alone, beside the login that the mapping declares.

Nothing is made, changed or removed: whatever the mapping would do by another method is not asked, and said.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from scenarios.errors import Aborted, InputError
from scenarios.model import Operation, Scenario, Tenant
from scenarios.tokens import save_id
from targets.answer import Answer
from targets.asking import Asking
from targets.binding import Binding
from targets.call import Call
from targets.clock import Clock
from targets.control import ControlClient
from targets.credentials import Credentials
from targets.extension import bind
from targets.forms import compile_form
from targets.http import Request, Response
from targets.inventory import Inventory
from targets.model import Target
from targets.provisioning import SEED_KEY
from targets.request_mapping import RequestMapping
from targets.stock import Stock
from targets.trials import LOOKUPS, Trials

#: A clock that is off by more is a fault.
CLOCK_OFF_S: Final = 5.0
#: An answer to a check is not waited for as long as one to a preparation.
_TIMEOUT_S: Final = 10.0
_READS: Final = ("GET", "HEAD")


class _NotAsked(Exception):
    """It would take something other than a read."""


class _ReadingClient(ControlClient):
    """Sends reads and logins only, and looks at the target's clock."""

    def __init__(self, target: Target, credentials: Credentials, clock: Clock, now: Callable[[], float]) -> None:
        super().__init__(target, credentials, timeout_s=_TIMEOUT_S)
        self._clock = clock
        self._now = now

    def send(self, request: Request) -> Response:
        """The answer to a read. Raises _NotAsked for anything else."""
        if request.method not in _READS:
            raise _NotAsked(f"the mapping asks by {request.method}")
        sent_s = self._now()
        response = super().send(request)
        self._clock.note(response.headers.get("date", ""), sent_s, self._now())
        return response


def ask(
    target: Target, scenario: Scenario, environ: Mapping[str, str], *, now: Callable[[], float] = time.time
) -> Iterator[Answer]:
    """Ask the target, one question after the other. Raises InputError for a secret that is not there.

    ``now`` gives epoch seconds, which the target's clock is compared with.
    """
    credentials = Credentials(target, [tenant.key for tenant in scenario.tenants], environ)
    clock = Clock()
    with _ReadingClient(target, credentials, clock, now) as client:
        yield from _Questions(target, scenario, environ, credentials, client, clock).all()


class _Questions:
    """One round of questions; what an answer brings to light serves the next."""

    def __init__(
        self,
        target: Target,
        scenario: Scenario,
        environ: Mapping[str, str],
        credentials: Credentials,
        client: _ReadingClient,
        clock: Clock,
    ) -> None:
        self._target = target
        self._scenario = scenario
        self._environ = environ
        self._credentials = credentials
        self._client = client
        self._clock = clock
        self._asking = Asking(target, credentials, client)
        self._stock = Stock(target, scenario, self._asking)

    def all(self) -> Iterator[Answer]:
        """Every question in order; without a connection or a login the rest is not worth asking."""
        for name, question in (("reachable", self._reachable), ("credentials", self._accepted)):
            answer = self._asked(name, question)
            yield answer
            if answer.word == "no":
                return
        yield self._asked("tenants", self._stock.tenants)
        for cohort in self._scenario.cohorts:
            yield self._asked("custom fields", self._stock.custom_fields, cohort)
        yield self._asked("cases", self._stock.cases)
        yield from self._read_operations()
        yield self._asked("clean up", self._may_clean_up)
        yield self._asked("clock", self._clock_agrees)

    @staticmethod
    def _asked(name: str, question: Callable[..., Answer], *about: object) -> Answer:
        try:
            return question(*about)
        except _NotAsked as reason:
            return Answer(name, "open", f"not asked: {reason}, and only reads are sent")
        except Aborted as error:
            return Answer(name, "no", str(error))

    # -- the way there ---------------------------------------------------------------------------

    def _reachable(self) -> Answer:
        """Unsigned, so that it is not the credentials that are told of here."""
        health = self._target.fingerprint.health or self._target.fingerprint.request
        context = {"base_url": self._target.base_url, "variables": self._target.variables}
        mapping = health or RequestMapping(method="GET", path="/")
        request = compile_form(mapping, self._target.headers).fill(context)
        begun_s = time.monotonic()
        status = self._client.send(request).status
        took_ms = (time.monotonic() - begun_s) * 1000
        said = f"{request.url}: http {status} in {took_ms:.0f} ms"
        if health is None or 200 <= status < 300 or status in (401, 403):
            return Answer("reachable", "ok", said)
        return Answer("reachable", "no", said, "see whether the target is well, and whether base_url is right")

    def _accepted(self) -> Answer:
        auths = [self._target.auth, *(one.auth for one in self._target.tenants.values() if one.auth)]
        if not any(auth.basic or auth.header or auth.token for auth in auths):
            return Answer("credentials", "ok", "the mapping sends none")
        try:
            self._client.log_in()
        except Aborted as error:
            return Answer(
                "credentials", "no", str(error), "see auth in the mapping, and its environment variables"
            )
        fingerprint, provision = self._target.fingerprint, self._target.provision
        listing = provision.tenants.find.request if provision.tenants else None
        mapping = fingerprint.request or fingerprint.health or listing
        if mapping is None:
            return Answer("credentials", "open", "the mapping has no read that belongs to no tenant")
        request = self._asking.fill(mapping, {"cursor": None, "page": 1})
        status = self._client.send(request).status
        said = f"{request.method} {mapping.path}: http {status}"
        if status in (401, 403):
            return Answer(
                "credentials", "no", said, "see auth in the mapping, and what the account behind it is allowed"
            )
        return Answer("credentials", "ok", said)

    # -- how it answers --------------------------------------------------------------------------

    def _read_operations(self) -> Iterator[Answer]:
        """The reads that a run makes, each tried once, where a tenant has all that they need."""
        firsts = [
            next(t for t in self._scenario.tenants if t.cohort == cohort) for cohort in self._scenario.cohorts
        ]
        ready = [
            tenant
            for tenant in firsts
            if (known := self._stock.known(tenant)).cases and len(known.fields) == tenant.custom_fields
        ]
        if not ready:
            yield Answer("reads", "open", "no tenant has all that it takes to try them")
            return
        tenant = max(ready, key=lambda one: one.custom_fields)
        try:
            binding = self._bind(tenant)
        except InputError as error:
            yield Answer("reads", "no", str(error))
            return
        call = Call(0, save_id(SEED_KEY, 0), tenant, self._stock.known(tenant).cases[0], "")
        trials = Trials(self._target, binding, self._client, call)
        for operation in Operation:
            if binding.supports(operation):
                yield from self._read_of(operation, trials)
        for lookup in LOOKUPS:
            if getattr(self._target.verify, lookup):
                yield self._asked(f"verify {lookup}", trials.look_up, lookup)

    def _bind(self, tenant: Tenant) -> Binding:
        """The requests of the first tenant of a cohort alone."""
        cohort = self._scenario.cohorts[tenant.cohort].model_copy(update={"tenants": 1})
        alone = self._scenario.model_copy(update={"cohorts": {tenant.cohort: cohort}})
        inventory = Inventory(tenants={tenant.key: self._stock.known(tenant)})
        return bind(self._target, alone, inventory, self._environ, credentials=self._credentials)

    def _read_of(self, operation: Operation, trials: Trials) -> Iterator[Answer]:
        """The operation itself if it is a read, or the read before it."""
        if operation is Operation.READ_CASE:
            yield self._asked(operation, trials.read)
            return
        before = trials.binding.precondition(operation, trials.call)
        if before is not None and operation is not Operation.RUN_SCRIPT:
            yield self._asked(operation, trials.prepare, operation, before)

    # -- the rest --------------------------------------------------------------------------------

    def _may_clean_up(self) -> Answer:
        steps = self._target.clean_up
        if steps is None:
            return Answer("clean up", "open", "the mapping has none: what a run makes stays there")
        if steps.allowed is None:
            return Answer("clean up", "open", "the mapping has no read that tells (clean_up.allowed)")
        some = [tenant for tenant in self._scenario.tenants if self._stock.has(tenant)]
        several = "tenant" in compile_form(steps.allowed.request).names
        contexts = [self._stock.context(tenant) for tenant in some] if several else [{}]
        for context in contexts:
            request = self._asking.fill(steps.allowed.request, context)
            response = self._client.send(request)
            if not (response.status < 300 and steps.allowed.condition.holds(response)):
                what = f"{steps.allowed.condition}: found nothing that allows it"
                error = self._client.complaints.unfit(request, response, what, steps.allowed, "condition")
                return Answer("clean up", "no", str(error), "give the account the right to remove, or use another")
        return Answer("clean up", "ok", "these credentials may remove what a run makes")

    def _clock_agrees(self) -> Answer:
        clock = self._clock
        if not clock.told:
            return Answer("clock", "open", "the answers have no Date")
        if not clock.consistent:
            return Answer("clock", "open", "the answers have Dates of several clocks, or old ones")
        off_s = clock.least_s
        if abs(off_s) <= CLOCK_OFF_S:
            return Answer(
                "clock", "ok", f"{clock.low_s:+.1f} to {clock.high_s:+.1f} s from ours, by the Date header"
            )
        return Answer(
            "clock",
            "no",
            f"{abs(off_s):,.0f} s {'ahead of' if off_s > 0 else 'behind'} ours, by the Date header",
            "let both hosts keep time by NTP: logs, tokens and Retry-After are read by it",
        )
