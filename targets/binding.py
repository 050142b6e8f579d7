"""A mapping bound to a scenario and to what provisioning found: arrivals become requests, answers outcomes.

No I/O here: the measured client, the verifier and the control client send what this makes and hand
back what came. Everything that can be known beforehand is compiled or encoded when the binding is
made, so that a request costs microseconds.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from scenarios.errors import InputError
from scenarios.fields import SavedValues, Value, standard_values
from scenarios.model import Operation, Scenario, Tenant
from targets.credentials import Credentials
from targets.extraction import (
    Unreadable,
    compile_expression,
    find_items,
    find_text,
    moment,
    read_json,
    seconds_between,
)
from targets.forms import Form, Place, compile_form
from targets.http import Request, Response
from targets.inventory import Inventory, TenantInventory
from targets.judgement import Judge, Judgement
from targets.lookup_mapping import Items
from targets.model import OperationMapping, Target
from targets.request_mapping import RequestMapping, check_base_url
from targets.saves import EncodedSaves, written_keys
from targets.templates import TemplateError, compile_template, compile_tree

#: Recipients of the mails: ``user-0@...`` to ``user-999@...``.
RECIPIENTS: Final = 1000


@dataclass(frozen=True, slots=True)
class Call:
    """One arrival, ready to be put into requests. ``case`` is the remote id, ``token`` the save id."""

    seq: int
    token: str
    tenant: Tenant
    case: str
    traceparent: str
    batch_size: int = 1


@dataclass(frozen=True, slots=True)
class ScriptRun:
    """One run of an on-save script, by the target's own clock; None where it does not tell."""

    token: str
    name: str
    delay_s: float | None
    ended_at: float | None = None  # epoch seconds


@dataclass(frozen=True, slots=True)
class MailSeen:
    """A mail that was delivered, ``count`` times. ``delay_s`` is by the target's own clock."""

    token: str
    recipient: str
    count: int
    delay_s: float | None


@dataclass(frozen=True, slots=True)
class ReadBack:
    """A case as it was read: the token in its first custom field, and the values of all that it has, by key."""

    token: str | None
    values: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Change:
    """What a save changed in one field. ``before`` is None where it had no value."""

    token: str
    case: str
    key: str  # of a custom field, else ""
    before: Value | None


@dataclass(frozen=True, slots=True)
class SaveFound:
    """A case that a save has reached."""

    token: str
    case: str


@dataclass(frozen=True, slots=True)
class _Operation:
    """An operation, compiled."""

    mapping: OperationMapping
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
                "tenant": {"key": tenant.key, "remote": _found(tenant, inventory).remote},
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
        # One SavedValues per number of fields; one EncodedSaves per set of remote names.
        self._saved = functools.cache(lambda number: SavedValues(scenario, number))
        self._encoded = functools.cache(self._encode)
        self._encoded_by_tenant: dict[str, EncodedSaves] = {}
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
            members = self._encoded_for(call.tenant).members(call.seq, call.token)
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
        lookup = self._target.verify.scripts
        if lookup is None:
            raise Unreadable("the mapping does not look scripts up")
        return [
            ScriptRun(
                find_text(item, lookup.token),
                find_text(item, lookup.name),
                seconds_between(item, lookup.begun, lookup.ended),
                moment(item, lookup.ended),
            )
            for item in find_items(read_json(response), lookup.items)
        ]

    def look_up_mails(self, tenant: Tenant, tokens: Sequence[str]) -> Request:
        """The request that tells what became of up to ``mail_batch`` mails."""
        return self._lookup(self._mails, tenant, tokens)

    def mails_seen(self, response: Response) -> list[MailSeen]:
        """Every mail in the answer that was delivered; one that still waits is not listed. Raises Unreadable."""
        lookup = self._target.verify.mails
        if lookup is None:
            raise Unreadable("the mapping does not look mails up")
        seen = []
        for item in find_items(read_json(response), lookup.items):
            count = compile_expression(lookup.count)(item) if lookup.count else 1
            if not isinstance(count, int):
                raise Unreadable(f"{lookup.count}: expected a whole number")
            if count:
                delay_s = seconds_between(item, lookup.begun, lookup.ended)
                token, recipient = find_text(item, lookup.token), find_text(item, lookup.recipient)
                seen.append(MailSeen(token, recipient, count, delay_s))
        return seen

    def mail_tokens(self, operation: Operation, call: Call) -> tuple[str, ...]:
        """The token of each mail that the operation sends: the save id, with a number behind it in a batch."""
        if operation is Operation.SEND_EMAIL:
            return (call.token,)
        if operation is Operation.SEND_BATCH:
            return tuple(f"{call.token}-{number}" for number in range(call.batch_size))
        return ()

    def mail_recipients(self, operation: Operation, call: Call) -> tuple[str, ...]:
        """To whom each of those mails goes, in the same order."""
        number_of_mails = len(self.mail_tokens(operation, call))
        return tuple(self._recipient(call.seq + number) for number in range(number_of_mails))

    def read_back(self, tenant: Tenant, case: str) -> Request:
        """The request that tells the values of the case."""
        if self._values is None:
            raise Unreadable("the mapping does not read values back")
        return self._fill(self._values, tenant, {**self._contexts[tenant.key], "case": case})

    def values_read(self, tenant: Tenant, response: Response) -> ReadBack:
        """What the case holds. Raises Unreadable."""
        lookup = self._target.verify.values
        if lookup is None:
            raise Unreadable("the mapping does not read values back")
        found = compile_expression(lookup.fields)(read_json(response))
        values = self._encoded_for(tenant).read(found, lookup.shape)
        return ReadBack(self.token_in(tenant, values), values)

    def token_in(self, tenant: Tenant, values: Mapping[str, Value]) -> str | None:
        """The token that stands in the values of a case, in the first of its custom fields."""
        fields = self._saved(tenant.custom_fields).fields
        token = values.get(fields[0].key) if fields else None
        return token if isinstance(token, str) else None

    def look_up_history(self, tenant: Tenant, cases: Sequence[str], changes: int) -> Request:
        """The request that tells the newest ``changes`` changes of each of up to ``history_batch`` cases.

        A mapping that does not use the number asks for all there are (``cuts_histories``).
        """
        if self._history is None:
            raise Unreadable("the mapping does not read histories")
        return self._fill(
            self._history, tenant, {**self._contexts[tenant.key], "cases": list(cases), "changes": changes}
        )

    def changes(self, tenant: Tenant, cases: Sequence[str], response: Response) -> list[Change]:
        """The changes in the answer about these cases, oldest first. Raises Unreadable."""
        lookup = self._target.verify.history
        if lookup is None:
            raise Unreadable("the mapping does not read histories")
        encoded = self._encoded_for(tenant)
        token_of, before = compile_expression(lookup.token), compile_expression(lookup.before)
        found = []
        for item in find_items(read_json(response), lookup.items):
            key = encoded.field(find_text(item, lookup.field)) or ""
            case = find_text(item, lookup.case) if lookup.case else cases[0]
            token = token_of(item)
            token = token if isinstance(token, str) else ""  # somebody else's change
            found.append(Change(token, case, key, encoded.value(key, before(item)) if key else None))
        return found

    def look_up_saves(self, tenant: Tenant, tokens: Sequence[str]) -> Request:
        """The request that tells which of the tenant's cases up to ``save_batch`` saves have reached."""
        return self._lookup(self._saves, tenant, tokens)

    def saves_found(self, response: Response) -> list[SaveFound]:
        """Every save in the answer. Raises Unreadable."""
        lookup = self._target.verify.saves
        if lookup is None:
            raise Unreadable("the mapping does not look saves up")
        return [
            SaveFound(find_text(item, lookup.token), find_text(item, lookup.case))
            for item in find_items(read_json(response), lookup.items)
        ]

    def values_saved(self, tenant: Tenant, seq: int, token: str) -> Mapping[str, Value]:
        """What save ``seq`` with that token wrote into the tenant's custom fields, by key."""
        saved = self._saved(tenant.custom_fields)
        values = saved.of(seq, token)
        keys = written_keys(saved, self._target.fields.per_save, seq)
        return values if keys is None else {key: values[key] for key in keys}

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
        return _Operation(mapping, self._compile(mapping.request), before, Judge(mapping))

    def _context(self, form: Form, operation: Operation, call: Call) -> dict[str, Any]:
        context = {
            **self._contexts[call.tenant.key],
            "case": call.case,
            "save": {"id": call.token, "seq": call.seq},
        }
        names = form.names
        if "values" in names:
            context["values"] = describe(call.seq)
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
        values = standard_values(call.seq + number)
        return {
            "to": self._recipient(call.seq + number),
            "subject": values.title,
            "body": values.description,
            "token": token,
        }

    def _recipient(self, number: int) -> str:
        return f"user-{number % RECIPIENTS}@{self._target.variables['recipient_domain']}"

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
        if lookup is None:
            raise Unreadable("the mapping has no such lookup")
        context = {**self._contexts[tenant.key], "tokens": list(tokens)}
        if lookup.elsewhere:
            return lookup.form.fill({**context, "base_url": lookup.elsewhere[tenant.key]})
        return self._fill(lookup.form, tenant, context)

    def _encode(self, number: int, names: tuple[str, ...]) -> EncodedSaves:
        saved = self._saved(number)
        by_key = dict(zip((field.key for field in saved.fields), names, strict=True))
        return EncodedSaves(self._target.fields, saved, by_key)

    def _encoded_for(self, tenant: Tenant) -> EncodedSaves:
        found = self._encoded_by_tenant.get(tenant.key)
        if found is None:
            remote = _found(tenant, self._inventory).fields
            keys = [field.key for field in self._saved(tenant.custom_fields).fields]
            missing = [key for key in keys if key not in remote]
            if missing:
                raise InputError(
                    f"the inventory of {tenant.key} has no remote name for {_some(missing)}; provision it again"
                )
            found = self._encoded(tenant.custom_fields, tuple(remote[key] for key in keys))
            self._encoded_by_tenant[tenant.key] = found
        return found

    def _try_all(self) -> None:
        """Fill every request in once per tenant, so that what is missing is known before the run."""
        for tenant in self._scenario.tenants:
            self._encoded_for(tenant)
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


def describe(seq: int) -> dict[str, str]:
    """The standard values of save ``seq``, as templates see them."""
    values = standard_values(seq)
    return {
        "title": values.title,
        "description": values.description,
        "priority": values.priority,
        "status": values.status,
    }


def _as_context(before: Response, parse: bool) -> dict[str, Any]:
    body = None
    if parse:
        try:
            body = orjson.loads(before.body)
        except orjson.JSONDecodeError:
            body = None
    return {"status": before.status, "headers": before.headers, "body": body}


def _found(tenant: Tenant, inventory: Inventory) -> TenantInventory:
    found = inventory.tenants.get(tenant.key)
    if found is None:
        raise InputError(f"the inventory has no tenant {tenant.key}; provision the scenario again")
    if not found.cases:
        raise InputError(f"the inventory has no cases of {tenant.key}; provision the scenario again")
    return found


def _some(names: Sequence[str]) -> str:
    """The first few of many names."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
