"""Can this target be driven with this scenario? Asked by reads alone, beside the login that the mapping declares.

Nothing is made, changed or removed: whatever the mapping would do by another method is not asked, and said.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from scenarios.errors import Aborted, InputError
from scenarios.fields import CustomField, define_fields
from scenarios.model import Operation, Scenario, Tenant
from scenarios.tokens import save_id
from targets.asking import Asking
from targets.binding import Binding
from targets.call import Call
from targets.clock import Clock
from targets.control import ControlClient
from targets.credentials import Credentials
from targets.extension import bind
from targets.forms import compile_form
from targets.http import Request, Response
from targets.inventory import Inventory, TenantInventory
from targets.model import Target
from targets.provision_mapping import Step
from targets.provisioning import SEED_KEY
from targets.request_mapping import RequestMapping
from targets.trials import LOOKUPS, Answer, Trials
from targets.wanted import case_type_of, is_as_wanted

__all__ = ["Answer", "ask"]

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
        self._remote: dict[str, str] = {}  # what the target calls the tenants that are there
        self._fields: dict[str, dict[str, str]] = {}
        self._cases: dict[str, tuple[str, ...]] = {}

    def all(self) -> Iterator[Answer]:
        """Every question in order; without a connection or a login the rest is not worth asking."""
        for name, question in (("reachable", self._reachable), ("credentials", self._accepted)):
            answer = self._asked(name, question)
            yield answer
            if answer.word == "no":
                return
        yield self._asked("tenants", self._tenants)
        for cohort in self._scenario.cohorts:
            yield self._asked("custom fields", self._custom_fields, cohort)
        yield self._asked("cases", self._cases_there)
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

    # -- what is there ---------------------------------------------------------------------------

    def _tenants(self) -> Answer:
        keys = [tenant.key for tenant in self._scenario.tenants]
        step = self._target.provision.tenants
        if step is None:
            self._remote = {key: key for key in keys}
            return Answer("tenants", "open", "the mapping does not say how they are found; it uses our keys")
        there = self._asking.list_all(step.find, {})
        self._remote = {key: there[key][0] for key in keys if key in there}
        return self._counted("tenants", "", [key for key in keys if key not in there], len(keys), step)

    def _custom_fields(self, cohort: str) -> Answer:
        wanted = self._scenario.cohorts[cohort].custom_fields
        tenants = [t for t in self._scenario.tenants if t.cohort == cohort and t.key in self._remote]
        provision = self._target.provision
        where = f"{cohort}, {wanted} fields: "
        if not tenants:
            return Answer("custom fields", "open", f"{where}none of the tenants is there yet")
        if provision.fields:
            return self._fields_found(provision.fields, tenants, where, wanted)
        for tenant in tenants:
            self._fields[tenant.key] = {field.key: field.key for field in self._defined(tenant)}
        if provision.case_types:
            return self._case_types_found(provision.case_types, tenants, where)
        return Answer("custom fields", "open", f"{where}the mapping does not say how they are found")

    def _fields_found(self, step: Step, tenants: list[Tenant], where: str, wanted: int) -> Answer:
        most = ("", 0)
        for tenant in tenants:
            there = self._asking.list_all(step.find, self._context(tenant))
            keys = [field.key for field in self._defined(tenant)]
            self._fields[tenant.key] = {key: there[key][0] for key in keys if key in there}
            most = max(most, (tenant.key, sum(key not in there for key in keys)), key=lambda one: one[1])
        key, missing = most
        if not missing:
            return Answer("custom fields", "ok", f"{where}there in {_times(len(tenants), 'tenant')}")
        said = f"{where}{wanted - missing} of {wanted} are there in {key}"
        if step.create:
            return Answer("custom fields", "ok", f"{said}; a run makes the others")
        return Answer("custom fields", "no", said, f"{self._prepare()}; or lower custom_fields of the cohort")

    def _case_types_found(self, step: Step, tenants: list[Tenant], where: str) -> Answer:
        absent: list[str] = []
        for tenant in tenants:
            context = self._context(tenant)
            there = self._asking.list_all(step.find, context)
            for number in range(tenant.case_types):
                case_type = case_type_of(tenant, number, self._defined(tenant))
                name = f"{case_type['key']} of {tenant.key}"
                if case_type["key"] not in there:
                    absent.append(name)
                elif not is_as_wanted(
                    self._asking, step, {**context, "case_type": case_type}, there[case_type["key"]][1]
                ):
                    said = f"{where}{name} is there with other fields or scripts"
                    if step.update:
                        return Answer("custom fields", "ok", f"{said}; a run changes it, if no case is in the way")
                    return Answer("custom fields", "no", said, "clean up, or give the scenario another name")
        if absent and step.create is None:
            return Answer("custom fields", "no", f"{where}there is no {absent[0]}", self._prepare())
        if absent:
            return Answer("custom fields", "ok", f"{where}{_times(len(absent), 'case type')} to be made by a run")
        return Answer("custom fields", "ok", f"{where}there in {_times(len(tenants), 'tenant')}")

    def _cases_there(self) -> Answer:
        step = self._target.provision.cases
        if step is None:
            return Answer("cases", "no", "the mapping does not say how they are found", "see provision.cases")
        wanted = missing = 0
        short: list[str] = []
        for tenant in self._scenario.tenants:
            there = self._remote.get(tenant.key) is not None
            listed = self._asking.list_all(step.find, self._context(tenant)) if there else {}
            self._cases[tenant.key] = tuple(id_ for id_, _ in listed.values())[: tenant.cases]
            wanted += tenant.cases
            missing += tenant.cases - len(self._cases[tenant.key])
            short += [tenant.key] if len(self._cases[tenant.key]) < tenant.cases else []
        return self._counted("cases", f"short are {_few(short)}", [""] * missing, wanted, step)

    def _counted(self, question: str, which: str, missing: list[str], wanted: int, step: Step) -> Answer:
        said = f"{wanted - len(missing):,} of {wanted:,} are there"
        if not missing:
            return Answer(question, "ok", said)
        if step.create:
            return Answer(question, "ok", f"{said}; a run makes the others")
        return Answer(question, "no", f"{said}; {which or f'missing are {_few(missing)}'}", self._prepare())

    # -- how it answers --------------------------------------------------------------------------

    def _read_operations(self) -> Iterator[Answer]:
        """The reads that a run makes, each tried once, where a tenant has all that they need."""
        firsts = [
            next(t for t in self._scenario.tenants if t.cohort == cohort) for cohort in self._scenario.cohorts
        ]
        ready = [
            tenant
            for tenant in firsts
            if self._cases.get(tenant.key) and len(self._fields.get(tenant.key, ())) == tenant.custom_fields
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
        call = Call(0, save_id(SEED_KEY, 0), tenant, self._cases[tenant.key][0], "")
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
        known = TenantInventory(
            remote={"id": self._remote[tenant.key]}, fields=self._fields[tenant.key], cases=self._cases[tenant.key]
        )
        inventory = Inventory(tenants={tenant.key: known})
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
        some = [tenant for tenant in self._scenario.tenants if tenant.key in self._remote]
        several = "tenant" in compile_form(steps.allowed.request).names
        contexts = [self._context(tenant) for tenant in some] if several else [{}]
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

    def _context(self, tenant: Tenant) -> dict[str, Any]:
        return {"tenant": {"key": tenant.key, "remote": {"id": self._remote.get(tenant.key, "")}}}

    def _defined(self, tenant: Tenant) -> tuple[CustomField, ...]:
        return define_fields(self._scenario, tenant.custom_fields)

    def _prepare(self) -> str:
        return f"prepare it: {self._target.start}" if self._target.start else "make them on the target"


def _times(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
