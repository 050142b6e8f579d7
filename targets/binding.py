"""A mapping bound to a scenario and to what provisioning found: arrivals become requests, answers outcomes.

No I/O here: the measured client, the verifier and the control client send what this makes and hand
back what came. Everything that can be known beforehand is compiled or encoded when the binding is
made, so that a request costs microseconds.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson

from scenarios.errors import InputError
from scenarios.fields import Value, standard_values
from scenarios.model import Operation, Scenario, Tenant
from targets.call import Call
from targets.credentials import Credentials
from targets.extraction import Unreadable
from targets.forms import Form, Place, compile_form
from targets.http import Request, Response
from targets.inventory import Inventory
from targets.judgement import Judge, Judgement
from targets.lookup_mapping import Items
from targets.lookups import (
    Change,
    MailSeen,
    ReadBack,
    SaveFound,
    ScriptRun,
    read_changes,
    read_mails,
    read_saves,
    read_script_runs,
    read_values,
)
from targets.mails import describe_mail, mail_tokens, recipient
from targets.model import Target
from targets.request_mapping import RequestMapping, check_base_url
from targets.templates import TemplateError, compile_template, compile_tree
from targets.tenant_saves import TenantSaves, known_tenant

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Operation:
    """An operation, compiled."""

    request: Form
    precondition: Form | None
    judge: Judge


@dataclass(frozen=True, slots=True)
class _Lookup:
    """A lookup, compiled; ``elsewhere`` are the addresses by tenant if it does not go to the target."""

    form: Form
    elsewhere: Mapping[str, str]


class Binding:
    """All requests of one scenario on one target.

    Raises InputError if a secret is missing from ``environ``, if the inventory lacks a tenant, its
    fields or its cases, or if a template asks for something that is not there.

    ``credentials`` sign every request; whoever sends keeps their tokens fresh (``targets.credentials``).
    """

    def __init__(
        self,
        target: Target,
        scenario: Scenario,
        inventory: Inventory,
        environ: Mapping[str, str],
        *,
        credentials: Credentials | None = None,
    ) -> None:
        if target.python and type(self) is Binding:
            raise ValueError(f"the mapping names {target.python}; make its binding with targets.extension.bind")
        self._target = target
        self._scenario = scenario
        self._inventory = inventory
        tenants = scenario.tenants
        self.credentials = credentials or Credentials(target, [tenant.key for tenant in tenants], environ)
        self._contexts: dict[str, dict[str, Any]] = {
            tenant.key: {
                "base_url": self.credentials.base_url_for(tenant.key),
                "variables": target.variables,
                "tenant": {"key": tenant.key, "remote": known_tenant(tenant, inventory).remote},
            }
            for tenant in tenants
        }
        self._operations = {op: self._compile_operation(op) for op in Operation if target.supports(op)}
        verify = target.verify
        self._scripts = self._compile_lookup(verify.scripts) if verify.scripts else None
        self._mails = self._compile_lookup(verify.mails) if verify.mails else None
        self._values = self._compile(verify.values.request) if verify.values else None
        self._saves = self._compile_lookup(verify.saves) if verify.saves else None
        self._history = self._compile(verify.history.request) if verify.history else None
        self.script_batch = verify.scripts.batch if verify.scripts else 0
        self.mail_batch = verify.mails.batch if verify.mails else 0
        self.save_batch = verify.saves.batch if verify.saves else 0
        self.history_batch = verify.history.batch if verify.history else 0
        self.scripts_timed = bool(verify.scripts and verify.scripts.begun and verify.scripts.ended)
        self.mails_timed = bool(verify.mails and verify.mails.begun and verify.mails.ended)
        self.checks_mails = verify.mails is not None
        self.reads_values = verify.values is not None
        self.reads_histories = verify.history is not None
        self.cuts_histories = self._history is not None and "changes" in self._history.names
        self.finds_saves = verify.saves is not None
        self.is_limited = bool(target.limits)
        self.scripts_in_order = verify.scripts is not None and verify.scripts.in_order
        self._expected = compile_template(verify.scripts.expected) if verify.scripts else None
        batch = target.operations.get(Operation.SEND_BATCH)
        self._message = compile_tree(batch.message) if batch else None
        self._saves_of = TenantSaves(scenario, inventory, target.fields)
        self._try_all()

    # -- the measured path ---------------------------------------------------------------------

    def supports(self, operation: Operation) -> bool:
        """Whether the target can do the operation at all."""
        return operation in self._operations

    def precondition(self, operation: Operation, call: Call) -> Request | None:
        """What is read before, outside the measured time; None if nothing is."""
        form = self._operations[operation].precondition
        if form is None:
            return None
        return self._fill(form, call.tenant, self._context(form, operation, call), call=call)

    def request(self, operation: Operation, call: Call, *, before: Response | None = None) -> Request:
        """The request of an arrival that takes one; ``before`` is the answer to the precondition.

        Raises Unreadable if that answer has not what the request needs, as after a failed read, and
        ValueError for an arrival that takes several.
        """
        several = self.requests(operation, call, before=before)
        if len(several) > 1:
            raise ValueError(f"{operation} takes {len(several)} requests here; ask for them with requests()")
        return several[0]

    def requests(self, operation: Operation, call: Call, *, before: Response | None = None) -> tuple[Request, ...]:
        """All requests of an arrival, to be sent one after the other, all of them whatever is answered.

        It is one, except for a batch of mails on a target that takes one mail at a time. Each answer
        is judged by itself, and the arrival is as bad as the first that is not ok. Raises Unreadable as
        ``request`` does.
        """
        form = self._operations[operation].request
        context = self._context(form, operation, call)
        if before is not None:
            context["before"] = _as_context(before, "before" in form.names)
        if operation is Operation.SEND_BATCH and "mail" in form.names:
            tokens = enumerate(self.mail_tokens(operation, call))
            mails = [{**context, "mail": self._mail(call, number, token)} for number, token in tokens]
            return tuple(self._request(form, operation, call, mail, before) for mail in mails)
        return (self._request(form, operation, call, context, before),)

    def _request(
        self, form: Form, operation: Operation, call: Call, context: dict[str, Any], before: Response | None
    ) -> Request:
        place = None
        if operation is Operation.SAVE_CUSTOM:
            members = self._saves_of.encoded(call.tenant).members(call.seq, call.token)
            place = functools.partial(self._target.fields.place, members=members)
        try:
            return self._fill(form, call.tenant, context, place, call=call)
        except TemplateError as error:
            status = f" (the read before answered http {before.status})" if before else ""
            raise Unreadable(f"{error}{status}") from None

    def judge(self, operation: Operation, response: Response) -> Judgement:
        """What the answer means."""
        return self._operations[operation].judge(response)

    # -- the truth behind the answers ----------------------------------------------------------

    def expected_scripts(self, tenant: Tenant) -> tuple[str, ...]:
        """The names of the scripts that one save must run; none if the mapping cannot look scripts up."""
        if self._expected is None:
            return ()
        return tuple(
            self._expected.text({**self._contexts[tenant.key], "script": {"number": number}})
            for number in range(1, tenant.scripts_on_save + 1)
        )

    def look_up_scripts(self, tenant: Tenant, tokens: Sequence[str]) -> Request:
        """The request that tells the script runs of up to ``script_batch`` tokens."""
        return self._lookup(self._scripts, tenant, tokens)

    def script_runs(self, response: Response) -> list[ScriptRun]:
        """Every run in the answer. Raises Unreadable."""
        lookup = _given(self._target.verify.scripts, "the mapping does not look scripts up")
        return read_script_runs(lookup, response)

    def look_up_mails(self, tenant: Tenant, tokens: Sequence[str]) -> Request:
        """The request that tells what became of up to ``mail_batch`` mails."""
        return self._lookup(self._mails, tenant, tokens)

    def mails_seen(self, response: Response) -> list[MailSeen]:
        """Every mail in the answer that was delivered; one that still waits is not listed. Raises Unreadable."""
        return read_mails(_given(self._target.verify.mails, "the mapping does not look mails up"), response)

    def mail_tokens(self, operation: Operation, call: Call) -> tuple[str, ...]:
        """The token of each mail that the operation sends: the save id, with a number behind it in a batch."""
        return mail_tokens(operation, call)

    def mail_recipients(self, operation: Operation, call: Call) -> tuple[str, ...]:
        """To whom each of those mails goes, in the same order."""
        number_of_mails = len(self.mail_tokens(operation, call))
        return tuple(recipient(call, number, self._mail_domain) for number in range(number_of_mails))

    def read_back(self, tenant: Tenant, case: str) -> Request:
        """The request that tells the values of the case."""
        form = _given(self._values, "the mapping does not read values back")
        return self._fill(form, tenant, {**self._contexts[tenant.key], "case": case})

    def values_read(self, tenant: Tenant, response: Response) -> ReadBack:
        """What the case holds. Raises Unreadable."""
        lookup = _given(self._target.verify.values, "the mapping does not read values back")
        values = read_values(lookup, response, self._saves_of.encoded(tenant))
        return ReadBack(self.token_in(tenant, values), values)

    def token_in(self, tenant: Tenant, values: Mapping[str, Value]) -> str | None:
        """The token that stands in the values of a case, in the first of its custom fields."""
        return self._saves_of.token_in(tenant, values)

    def look_up_history(self, tenant: Tenant, cases: Sequence[str], changes: int) -> Request:
        """The request that tells the newest ``changes`` changes of each of up to ``history_batch`` cases.

        A mapping that does not use the number asks for all there are (``cuts_histories``).
        """
        form = _given(self._history, "the mapping does not read histories")
        context = {**self._contexts[tenant.key], "cases": list(cases), "changes": changes}
        return self._fill(form, tenant, context)

    def changes(self, tenant: Tenant, cases: Sequence[str], response: Response) -> list[Change]:
        """The changes in the answer about these cases, oldest first. Raises Unreadable."""
        lookup = _given(self._target.verify.history, "the mapping does not read histories")
        return read_changes(lookup, response, self._saves_of.encoded(tenant), cases)

    def look_up_saves(self, tenant: Tenant, tokens: Sequence[str]) -> Request:
        """The request that tells which of the tenant's cases up to ``save_batch`` saves have reached."""
        return self._lookup(self._saves, tenant, tokens)

    def saves_found(self, response: Response) -> list[SaveFound]:
        """Every save in the answer. Raises Unreadable."""
        return read_saves(_given(self._target.verify.saves, "the mapping does not look saves up"), response)

    def values_saved(self, tenant: Tenant, seq: int, token: str) -> Mapping[str, Value]:
        """What save ``seq`` with that token wrote into the tenant's custom fields, by key."""
        return self._saves_of.written(tenant, seq, token)

    # -- inside --------------------------------------------------------------------------------

    def _compile(self, mapping: RequestMapping) -> Form:
        return compile_form(mapping, self._target.headers)

    def _fill(
        self,
        form: Form,
        tenant: Tenant,
        context: Mapping[str, Any],
        place: Place | None = None,
        *,
        call: Call | None = None,
    ) -> Request:
        """The request, signed; as part of a call it carries its trace id."""
        authorisation = self.credentials.headers_for(tenant.key)
        traceparent = call.traceparent if call else None
        return form.fill(context, place, authorisation=authorisation, traceparent=traceparent)

    def _compile_operation(self, operation: Operation) -> _Operation:
        mapping = self._target.mapping_of(operation)
        assert mapping is not None  # noqa: S101  # it is supported
        before = self._compile(mapping.precondition) if mapping.precondition else None
        return _Operation(self._compile(mapping.request), before, Judge(mapping))

    def _context(self, form: Form, operation: Operation, call: Call) -> dict[str, Any]:
        context = {
            **self._contexts[call.tenant.key],
            "case": call.case,
            "save": {"id": call.token, "seq": call.seq},
        }
        names = form.names
        if "values" in names:
            context["values"] = standard_values(call.seq)
        if "mail" in names:
            context["mail"] = self._mail(call, 0, call.token)
        if "messages" in names:
            context["messages"] = self._messages(operation, call, context)
        return context

    def _messages(self, operation: Operation, call: Call, context: dict[str, Any]) -> list[Any]:
        assert self._message is not None  # noqa: S101  # only a batch has messages
        return [
            self._message.render({**context, "mail": self._mail(call, number, token)})
            for number, token in enumerate(self.mail_tokens(operation, call))
        ]

    def _mail(self, call: Call, number: int, token: str) -> dict[str, str]:
        return describe_mail(call, number, token, self._mail_domain)

    @property
    def _mail_domain(self) -> str:
        return str(self._target.variables["recipient_domain"])

    def _compile_lookup(self, lookup: Items) -> _Lookup:
        """A lookup; one that goes elsewhere takes neither the target's headers nor its credentials along."""
        if lookup.base_url is None:
            return _Lookup(self._compile(lookup.request), {})
        template = compile_template(lookup.base_url)
        try:
            addresses = {key: check_base_url(template.text(self._contexts[key])) for key in self._contexts}
        except (TemplateError, ValueError) as error:
            raise InputError(f"the target {self._target.name}: base_url of a lookup: {error}") from None
        return _Lookup(compile_form(lookup.request), addresses)

    def _lookup(self, lookup: _Lookup | None, tenant: Tenant, tokens: Sequence[str]) -> Request:
        found = _given(lookup, "the mapping has no such lookup")
        context = {**self._contexts[tenant.key], "tokens": list(tokens)}
        if found.elsewhere:
            return found.form.fill({**context, "base_url": found.elsewhere[tenant.key]})
        return self._fill(found.form, tenant, context)

    def _try_all(self) -> None:
        """Fill every request in once per tenant, so that what is missing is known before the run."""
        for tenant in self._scenario.tenants:
            self._saves_of.encoded(tenant)
            call = Call(0, "sp-0", tenant, self._inventory.tenants[tenant.key].cases[0], "", 1)
            for operation, compiled in self._operations.items():
                try:
                    self.precondition(operation, call)
                    if compiled.precondition is None:
                        self.request(operation, call)
                except (TemplateError, Unreadable) as error:
                    raise InputError(
                        f"the target {self._target.name}: operations.{operation} cannot be filled in for "
                        f"{tenant.key}: {error}"
                    ) from None


def _as_context(before: Response, parse: bool) -> dict[str, Any]:
    body = None
    if parse:
        try:
            body = orjson.loads(before.body)
        except orjson.JSONDecodeError:
            body = None
    return {"status": before.status, "headers": before.headers, "body": body}


def _given(part: T | None, otherwise: str) -> T:
    """A part that a mapping may leave out. Raises Unreadable where it did: there is nothing to ask, or to read."""
    if part is None:
        raise Unreadable(otherwise)
    return part
