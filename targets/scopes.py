"""Which names a template may use, by the place where it stands in a mapping."""

from __future__ import annotations

from typing import Final

from scenarios.model import Operation
from targets.templates import Scope

#: What may stand after the dot; None where anything may (it is known only at the run).
_MEMBERS: Final[dict[str, frozenset[str] | None]] = {
    "base_url": frozenset(),
    "tenant": frozenset({"key", "remote"}),
    "case": frozenset(),
    "case_type": frozenset({"key", "name", "scripts_on_save", "fields"}),
    "save": frozenset({"id", "seq"}),
    "values": frozenset({"title", "description", "priority", "status"}),
    "mail": frozenset({"to", "subject", "body", "token"}),
    "messages": frozenset(),
    "script": frozenset({"number"}),
    "tokens": frozenset(),
    "cases": frozenset(),
    "changes": frozenset(),
    "cursor": frozenset(),
    "before": frozenset({"status", "headers", "body"}),
    "token": frozenset(),
    "page": frozenset(),
    "field": frozenset({"key", "label", "type", "choices"}),
    "made": frozenset({"status", "headers", "body"}),
    "id": frozenset(),
    "run": frozenset({"key", "prefix"}),
}


def scope(variables: frozenset[str], *names: str, **members: frozenset[str]) -> Scope:
    """The names given, and those that stand everywhere: ``base_url`` and the mapping's own variables.

    ``members`` are names with what is in them here, where that is not the same everywhere.
    """
    return {"variables": variables, **{name: _MEMBERS[name] for name in ("base_url", *names)}, **members}


def names_of(operation: Operation) -> tuple[str, ...]:
    """The names that the request of an operation may use."""
    if operation.saves:
        return ("tenant", "case", "save", "values")
    if operation is Operation.SEND_EMAIL:
        return ("tenant", "case", "save", "mail")
    if operation is Operation.SEND_BATCH:
        # One request with all `messages`, or as many requests as there are mails.
        return ("tenant", "case", "save", "messages", "mail")
    return ("tenant", "case", "save")
