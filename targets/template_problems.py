"""Is every template of a mapping well-formed, and is everything there that it asks for? Told with its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from scenarios.errors import Problem
from scenarios.model import Operation
from scenarios.source import Path, Source, dotted
from targets.auth_mapping import Login
from targets.forms import compile_form
from targets.model import Target
from targets.provision_mapping import Removal
from targets.request_mapping import RequestMapping
from targets.scopes import names_of, scope
from targets.templates import Scope, TemplateError, compile_template

#: What may be known of a tenant before anything was asked about it.
_KEY_ONLY = frozenset({"key"})


def template_problems(target: Target, source: Source) -> Iterator[Problem]:
    """Every template that cannot be compiled or uses a name that is not there."""
    for path, request, names in _requests(target):
        yield from _request_problems(path, request, names, source)
    everywhere = scope(frozenset(target.variables))
    for name, text in target.headers.items():
        yield from _text_problems(("headers", name), text, everywhere, source)
    for path, login in _logins(target):
        for name, text in login.send.items():
            here = scope(frozenset(target.variables), "token")
            yield from _text_problems((*path, "send", name), text, here, source)
    for pattern, different in target.tenants.items():
        if different.base_url:
            here = scope(frozenset(target.variables), tenant=_KEY_ONLY)
            yield from _text_problems(("tenants", pattern, "base_url"), different.base_url, here, source)
    for operation, mapping in target.operations.items():
        here = scope(frozenset(target.variables), "tenant", "case", "save", "mail")
        yield from _tree_problems(("operations", operation, "message"), mapping.message, here, source)
    verify = target.verify
    for kind, lookup in (("scripts", verify.scripts), ("mails", verify.mails), ("saves", verify.saves)):
        if lookup and lookup.base_url:
            here = scope(frozenset(target.variables), tenant=_KEY_ONLY)
            yield from _text_problems(("verify", kind, "base_url"), lookup.base_url, here, source)
    if verify.scripts:
        here = scope(frozenset(target.variables), "tenant", "script")
        path = ("verify", "scripts", "expected")
        yield from _text_problems(path, verify.scripts.expected, here, source)
    custom = target.operations.get(Operation.SAVE_CUSTOM)
    cases = target.provision.cases
    bodies: list[tuple[Path, RequestMapping | None]] = [
        (("operations", "save_custom", "request", "body"), custom.request if custom else None),
        (
            ("provision", "cases", "create", "request", "body"),
            cases.create.request if cases and cases.create else None,
        ),
    ]
    for path, filled in bodies:
        reason = target.fields.obstacle(filled.body) if filled else None
        if reason:
            yield source.problem(path, reason)


def batch_problems(target: Target, source: Source) -> Iterator[Problem]:
    """A batch that is neither one request nor many; looked at once all templates are known to be good."""
    batch = target.operations.get(Operation.SEND_BATCH)
    if batch and {"mail", "messages"} <= compile_form(batch.request).names:
        yield source.problem(
            ("operations", "send_batch", "request"),
            "operations.send_batch.request uses both mail and messages; with messages it is one request with all "
            "of them, with mail one request for each",
        )


def _requests(target: Target) -> Iterator[tuple[Path, RequestMapping, Scope]]:
    """Every request of the mapping, where it stands, and the names that it may use."""
    variables = frozenset(target.variables)

    def at(
        path: Path, request: RequestMapping | None, *names: str
    ) -> Iterator[tuple[Path, RequestMapping, Scope]]:
        if request:
            yield path, request, scope(variables, *names)

    def removal(path: Path, steps: Removal | None, *names: str) -> Iterator[tuple[Path, RequestMapping, Scope]]:
        if steps:
            before = ["before"] if steps.precondition else []
            yield from at((*path, "request"), steps.request, *names, *before)
            yield from at((*path, "precondition"), steps.precondition, *names)

    for operation, mapping in target.operations.items():
        path: Path = ("operations", operation)
        names = names_of(operation)
        yield from at((*path, "request"), mapping.request, *names, *(["before"] if mapping.precondition else []))
        yield from at((*path, "precondition"), mapping.precondition, "tenant", "case", "save")
    verify, provision = target.verify, target.provision
    for kind, lookup in (("scripts", verify.scripts), ("mails", verify.mails), ("saves", verify.saves)):
        if lookup:
            yield from at(("verify", kind, "request"), lookup.request, "tenant", "tokens")
    if verify.values:
        yield from at(("verify", "values", "request"), verify.values.request, "tenant", "case")
    if verify.history:
        yield from at(("verify", "history", "request"), verify.history.request, "tenant", "cases", "changes")
    yield from at(("fingerprint", "health"), target.fingerprint.health)
    yield from at(("fingerprint", "request"), target.fingerprint.request)
    for name, fact in target.fingerprint.values.items():
        yield from at(("fingerprint", "values", name, "request"), fact.request)
    for kind, step, listed, made in (
        ("tenants", provision.tenants, [], ["tenant"]),
        ("case_types", provision.case_types, ["tenant"], ["tenant", "case_type"]),
        ("fields", provision.fields, ["tenant"], ["tenant", "field"]),
        ("cases", provision.cases, ["tenant"], ["tenant", "case_type", "values", "save"]),
    ):
        if step:
            path = ("provision", kind)
            yield from at((*path, "find", "request"), step.find.request, *listed, "cursor", "page")
            if step.create:
                yield from at((*path, "create", "request"), step.create.request, *made)
                yield from at((*path, "create", "read"), step.create.read, *made, "made")
            yield from at((*path, "update"), step.update, *made)
    if target.clean_up:
        allowed = target.clean_up.allowed
        yield from at(("clean_up", "allowed", "request"), allowed.request if allowed else None, "tenant")
        yield from removal(("clean_up", "tenant"), target.clean_up.tenant, "tenant")
        yield from removal(("clean_up", "case_type"), target.clean_up.case_type, "tenant", "id")
        yield from removal(("clean_up", "field"), target.clean_up.field, "tenant", "id")
        yield from removal(("clean_up", "case"), target.clean_up.case, "tenant", "case")
        for kind, remains in (target.clean_up.remains or {}).items():
            path = ("clean_up", "remains", kind)
            names = ("tenant", "run", *(["id"] if remains.find else []))
            if remains.find:
                yield from at((*path, "find", "request"), remains.find.request, "tenant", "run", "cursor", "page")
            yield from removal(path, remains, *names)
    for path, login in _logins(target):
        members = {"secret": frozenset(login.secrets)} | ({"tenant": _KEY_ONLY} if path[0] == "tenants" else {})
        yield (*path, "request"), login.request, scope(variables, **members)


def _logins(target: Target) -> Iterator[tuple[Path, Login]]:
    """Every login that is written out."""
    if target.auth.login:
        yield ("auth", "login"), target.auth.login
    for pattern, mapping in target.tenants.items():
        if mapping.auth and mapping.auth.login:
            yield ("tenants", pattern, "auth", "login"), mapping.auth.login


def _request_problems(path: Path, request: RequestMapping, names: Scope, source: Source) -> Iterator[Problem]:
    yield from _text_problems((*path, "path"), request.path, names, source)
    if re.search(r"[^\x21-\x7e]", re.sub(r"\{\{.*?\}\}", "", request.path)):
        yield source.problem(
            (*path, "path"), f"{dotted((*path, 'path'))}: expected no blanks and ASCII only; write %20"
        )
    for part in ("query", "headers", "body", "form"):
        yield from _tree_problems((*path, part), getattr(request, part), names, source)


def _tree_problems(path: Path, data: Any, names: Scope, source: Source) -> Iterator[Problem]:
    if isinstance(data, str):
        yield from _text_problems(path, data, names, source)
    elif isinstance(data, dict):
        for key, value in data.items():
            yield from _tree_problems((*path, key), value, names, source)
    elif isinstance(data, list):
        for number, value in enumerate(data):
            yield from _tree_problems((*path, number), value, names, source)


def _text_problems(path: Path, text: str, names: Scope, source: Source) -> Iterator[Problem]:
    try:
        compile_template(text, names)
    except TemplateError as error:
        yield source.problem(path, f"{dotted(path)}: {error}")
