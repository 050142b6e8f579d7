"""Secrets that stand in the file of a mapping: found by their name or their form, told without being repeated.

By name: a key like ``password``, ``apiKey`` or ``X-Auth-Token`` with a literal value, in what is sent (headers,
query, body, form) and among the variables. By form: what is a key or a token whatever it is called, such as
``Bearer ...``, a private key, a password in a URL. What a template fills in is none; nor is an expression that
finds a token.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from scenarios.errors import Problem
from scenarios.source import Path, Source, dotted

#: How a key, a header or a value of a query is called that holds one.
SECRET_NAME: Final = re.compile(
    r"(password|passwd|passphrase|secret|token|(api|access|private)[_-]?key|credentials?|authorization|cookie)$",
    re.IGNORECASE,
)
_IN_QUERY: Final = re.compile(r"[?&]([A-Za-z0-9_.-]+)=[^&{}\s]")
_FORM: Final = re.compile(
    r"^(?:Bearer|Basic) +(?=\S*\d)[A-Za-z0-9+/._~=-]{8,}$|\bgh[pousr]_[A-Za-z0-9]{20}|"
    r"\bxox[abpr]-[A-Za-z0-9-]{10}|\bAKIA[0-9A-Z]{16}\b|\bsk_live_\w{10}|-----BEGIN [A-Z ]*PRIVATE KEY|"
    r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{5}|://[^/\s:@{}]+:[^/\s@{}]+@"
)
#: Where values stand that are sent as they are.
_SENT: Final = frozenset({"headers", "query", "body", "form", "send", "message"})
#: Headers that hold nothing but a secret, so that even a template in them is a mistake.
_HEADERS: Final = ("authorization", "proxy-authorization", "cookie", "x-api-key")
_OF_AUTH: Final = {
    ("basic", "password"): "password_env: NAME",
    ("header", "value"): "value_env: NAME",
    ("oauth2", "client_secret"): "client_secret_env: NAME",
}


def literal_secrets(source: Source) -> list[Problem]:
    """Each secret in the document, with what to write in its place."""
    found = dict(_by_name(source))
    by_form = {
        path: source.problem(path, _told(path, "name it under auth, or under secrets of a login"))
        for path in source.values
        if path not in found and _has_form(_at(source.data, path))
    }
    return [*found.values(), *by_form.values()]


def _by_name(source: Source) -> Iterator[tuple[Path, Problem]]:
    for path in source.keys:
        remedy = _remedy(path, _at(source.data, path))
        if remedy:
            yield path, source.problem(path, _told(path, remedy), at_key=True)


def _remedy(path: Path, value: Any) -> str:
    """What to write instead, if a secret stands there by its name."""
    *above, last = path
    name = str(last)
    if "auth" in (path[0], *path[2:3]) and path[0] in ("auth", "tenants") and "secrets" not in path:
        of_auth = _OF_AUTH.get((str(above[-1]), name)) if len(path) > 2 else None
        if of_auth:
            return of_auth
    if "headers" in above and name.lower() in _HEADERS:
        return f"use auth: {{header: {{name: {name}, value_env: NAME}}}}"
    if above == ["variables"] and SECRET_NAME.search(name):
        return "a variable is set on the command line, where everyone reads it; name it under auth"
    if not _SENT.intersection(map(str, above)) or not SECRET_NAME.search(name) or not _is_literal(value):
        return ""
    if "login" in path:
        return "secrets: {it: NAME}, and write {{ secret.it }} here"
    return "name it under auth; what only looks like one is written as a template, \"{{ 'none' }}\""


def _told(path: Path, remedy: str) -> str:
    return (
        f"{dotted(path)}: a secret must not stand in a file; put it into an environment variable "
        f"and name that: {remedy}"
    )


def _is_literal(value: Any) -> bool:
    """Whether it stands there as it is, and is something."""
    if isinstance(value, str):
        return bool(value) and "{{" not in value
    return isinstance(value, int | float) and not isinstance(value, bool)


def _has_form(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    return bool(_FORM.search(value)) or any(SECRET_NAME.search(name) for name in _IN_QUERY.findall(value))


def _at(data: Any, path: Path) -> Any:
    """What stands at a path of a document."""
    for part in path:
        data = data[part]
    return data
