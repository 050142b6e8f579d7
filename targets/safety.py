"""Whether a plan may be driven at all: asked before the first packet, of every address that the mapping names.

Where the mapping lists networks, its hosts are looked up for that; nothing is sent to what they lead to.

A target is taken for production when its environment, its name, its file or one of its hosts says so. It is then
driven only with a flag, at most as fast as the mapping says, and in the tenants that it lists as made for tests.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePath
from typing import Final
from urllib.parse import urlsplit

from scenarios.errors import Refused
from scenarios.source import Path, dotted
from targets.auth_mapping import Auth
from targets.model import Target
from targets.resolver import addresses_of
from targets.templates import TemplateError, compile_template

#: ``prod``, ``production``, ``prd``, also with a number, as a word of its own: not products, not non-prod.
_PRODUCTION: Final = re.compile(
    r"(?<![a-z0-9])(?<!non-)(?<!not-)(?<!pre-)(?:production|prod|prd)\d*(?![a-z0-9])", re.IGNORECASE
)
_ENVIRONMENT: Final = "live"


def refuse_unsafe(target: Target, tenants: Sequence[str], *, production: bool) -> None:
    """Raises Refused with every reason why nothing must be sent to the target for these tenants.

    ``production``: whoever runs it has said that production is meant.
    """
    addresses = list(dict.fromkeys(_addresses(target, tenants)))
    reasons = [*_astray(target, addresses), *_elsewhere(target, addresses)]
    reasons += _unguarded(target, tenants, addresses, meant=production)
    if reasons:
        raise Refused("\n".join(reasons))


def _astray(target: Target, addresses: Iterable[tuple[Path, str]]) -> Iterator[str]:
    """Addresses of the mapping itself at hosts that are not allowed."""
    for path, url in addresses:
        host, port = _host_of(url)
        if not target.allowed_hosts.allow(host, port):
            yield (
                f"{_place(target, path)}: {url} is not at one of the hosts of the target "
                f"({', '.join(target.allowed_hosts.patterns)}); list {host} under hosts if that is meant"
            )


def _elsewhere(target: Target, addresses: Iterable[tuple[Path, str]]) -> Iterator[str]:
    """Hosts of the mapping that lead out of its networks now. Who opens a connection asks again."""
    hosts = target.allowed_hosts
    if not hosts.networks:
        return
    asked = set()
    for path, url in addresses:
        host, port = _host_of(url)
        if host in asked or not hosts.allow(host, port):
            continue
        asked.add(host)
        try:
            hosts.refuse_elsewhere(host, addresses_of(host, port))
        except Refused as reason:
            yield f"{_place(target, path)}: {reason}"
        except (OSError, UnicodeError):
            return  # nobody answers for names here, and each further one may take half a minute to say so


def _unguarded(
    target: Target, tenants: Iterable[str], addresses: Iterable[tuple[Path, str]], *, meant: bool
) -> Iterator[str]:
    """What production takes and is not there."""
    sign = sign_of_production(target, addresses)
    if not sign:
        return
    if not meant:
        yield f"{target.name} is production ({sign}); if it is meant to be driven, say so with --production"
    guards = target.production
    if guards is None:
        yield (
            f"{target.name} is production ({sign}) and its mapping does not say how it may be driven; add "
            "production: {rate_max_per_s: 5, tenants: [loadtest-*]}, with the tenants that are there for tests"
        )
        return
    others = [key for key in tenants if not any(fnmatchcase(key, one) for one in guards.tenants)]
    if others:
        more = f" and {len(others) - 3} more" if len(others) > 3 else ""
        yield (
            f"{target.name} is production ({sign}) and {', '.join(others[:3])}{more} are not test tenants there "
            f"(production.tenants: {', '.join(guards.tenants)}); tenants are named after the scenario"
        )


def sign_of_production(target: Target, addresses: Iterable[tuple[Path, str]]) -> str:
    """What says that the target is production; empty if nothing does."""
    if target.environment == _ENVIRONMENT or _PRODUCTION.search(target.environment):
        return f"environment: {target.environment}"
    file = PurePath(target.source.file).name if target.source else ""
    said = [("name", target.name), ("file", file), *(("host", one) for one in target.hosts)]
    said += [("host", _host_of(url)[0]) for _, url in addresses]
    return next((f"{what} {text}" for what, text in said if _PRODUCTION.search(text)), "")


def _addresses(target: Target, tenants: Iterable[str]) -> Iterator[tuple[Path, str]]:
    """Where the mapping itself sends requests to, for these tenants, and where that stands in it."""
    yield ("base_url",), target.base_url
    yield from _logins(("auth",), target.auth)
    verify = target.verify
    lookups = {"scripts": verify.scripts, "mails": verify.mails, "saves": verify.saves}
    for tenant in tenants:
        base_url = target.base_url
        pattern = next((one for one in target.tenants if fnmatchcase(tenant, one)), None)
        if pattern is not None:
            different = target.tenants[pattern]
            for base_url in _filled(target, different.base_url, target.base_url, tenant):
                yield ("tenants", pattern, "base_url"), base_url
            if different.auth:
                yield from _logins(("tenants", pattern, "auth"), different.auth)
        for kind, lookup in lookups.items():
            for url in _filled(target, lookup.base_url if lookup else None, base_url, tenant):
                yield ("verify", kind, "base_url"), url


def _logins(path: Path, auth: Auth) -> Iterator[tuple[Path, str]]:
    login = auth.token
    if login and login.base_url:
        yield (*path, "oauth2", "token_url") if auth.oauth2 else (*path, "login", "base_url"), login.base_url


def _filled(target: Target, text: str | None, base_url: str, tenant: str) -> Iterator[str]:
    """The address of a tenant; none where it cannot be filled in, which is told when requests are made."""
    if text is None:
        return
    context = {"base_url": base_url, "variables": target.variables, "tenant": {"key": tenant, "remote": {}}}
    try:
        url = compile_template(text).text(context)
    except TemplateError:
        return
    if _host_of(url)[0]:
        yield url


def _host_of(url: str) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return "", 0


def _place(target: Target, path: Path) -> str:
    name = dotted(path)
    return str(target.source.problem(path, name)) if target.source else name
