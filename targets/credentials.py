"""Where a tenant's requests go and what authorises them: secrets out of the environment, tokens out of logins.

Nothing is sent here. A token is fetched by whoever has a connection::

    for token in credentials.due():
        token.accept(client.send(token.request))

The control client does so by itself. The load generator does it beside the measured path, with
``binding.credentials``: once before the first arrival and then every second (``due`` is cheap, and empty where
nothing is to be done); where ``accept`` raises Unreadable, it tries again a second later. It hands every
answer (of operations, preconditions and look-ups) with its request to ``answered``, which takes note of a 401.
That answer stays what it was (``http_error``, "http 401") and nothing is sent again; the requests that are made
after the renewal carry the new token.
"""

from __future__ import annotations

import base64
import html
import json
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Final
from urllib.parse import quote, quote_plus

import orjson

from scenarios.errors import InputError
from targets.auth_mapping import Auth, Login
from targets.environment import secret_of
from targets.extraction import Unreadable
from targets.forms import compile_form
from targets.http import Request, Response
from targets.model import Target
from targets.request_mapping import check_base_url
from targets.templates import TemplateError, compile_template

#: A token is renewed so long before it expires, or when a fifth of its time is left if that is later.
AHEAD_S: Final = 30.0
#: How a request is told that its credentials are no good, and how a login is (OAuth 2 says 400: RFC 6749, 5.2).
REFUSED: Final = 401
LOGIN_REFUSED: Final = frozenset({400, 401, 403})
#: So many characters of a secret do not come together by chance.
TELLING: Final = 8


class Token:
    """A token of one login: the request that fetches it, and the headers that carry it (none until then)."""

    def __init__(self, login: Login, request: Request, now: Callable[[], float]) -> None:
        self.login = login
        self.request = request
        self.headers: Mapping[str, str] = {}
        self._send = {name: compile_template(text) for name, text in login.send.items()}
        self._now = now
        self._renew_at_s = -float("inf")
        self._sent: deque[Mapping[str, str]] = deque(maxlen=4)  # what may still be under way
        self.secrets: set[str] = set()  # every token so far, and its forms: a target may repeat an old one

    @property
    def due(self) -> bool:
        """Whether it is to be fetched now: it never was, was refused, or expires soon."""
        return self._now() >= self._renew_at_s

    def accept(self, response: Response) -> None:
        """Take the token out of the answer. Raises Unreadable, without repeating what may be a secret."""
        if not 200 <= response.status < 300:
            raise Unreadable(f"the login was answered with http {response.status}")
        token = self.login.token.text(response)
        self.secrets |= {*_forms_of(token)}
        if not token or not token.isascii() or not token.isprintable():
            raise Unreadable(f"{self.login.token}: what the login gave cannot stand in a header")
        self.headers = {name: template.text({"token": token}) for name, template in self._send.items()}
        self._sent.append(self.headers)
        lasts_s = self._lasts_s(response)
        self._renew_at_s = self._now() + max(0.8 * lasts_s, lasts_s - AHEAD_S)

    def refuse(self, request: Request) -> bool:
        """Take note that the target refused a request; whether it carried this very token, now to be renewed."""
        if not self.headers or not _carries(request, self.headers):
            return False
        self._renew_at_s = -float("inf")
        return True

    def carried_by(self, request: Request) -> bool:
        """Whether the request was signed by this login, with this token or one of the few before it."""
        return any(_carries(request, headers) for headers in self._sent)

    def _lasts_s(self, response: Response) -> float:
        found = self.login.expires_in.look(response) if self.login.expires_in else None
        try:
            lasts_s = float(found) if isinstance(found, int | float | str) else float("inf")
        except ValueError:
            raise Unreadable(f"{self.login.expires_in}: expected a number of seconds") from None
        return lasts_s if lasts_s > 0 else float("inf")  # only a 401 will tell


def _carries(request: Request, headers: Mapping[str, str]) -> bool:
    return all(request.headers.get(name) == value for name, value in headers.items())


def _forms_of(secret: str) -> Iterator[str]:
    """A secret as it is, and as it looks in a URL, in JSON, on a page and in Base64, where a target repeats it."""
    yield from (secret, quote(secret, safe=""), quote(secret), quote_plus(secret))
    yield from (orjson.dumps(secret).decode()[1:-1], json.dumps(secret)[1:-1])
    yield from (html.escape(secret), html.escape(secret, quote=False))
    yield base64.b64encode(secret.encode()).decode("ascii")


@dataclass(frozen=True, slots=True)
class _Way:
    """To where and as whom."""

    base_url: str
    headers: Mapping[str, str]
    token: Token | None


class Credentials:
    """Addresses and credentials of all tenants of a run, and of what belongs to none (tenant None).

    Raises InputError for a secret that is not in the environment, by the name of its variable.
    ``now`` gives seconds that never go back.
    """

    def __init__(
        self,
        target: Target,
        tenants: Iterable[str],
        environ: Mapping[str, str],
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._target = target
        self._environ = environ
        self._now = now
        self._tokens: dict[tuple[object, ...], Token] = {}
        self._secrets: set[str] = set()
        self._names: set[str] = set()
        common = self._way("auth", target.auth, target.base_url, None)
        self._ways: dict[str | None, _Way] = {None: common}
        for tenant in tenants:
            self._ways[tenant] = self._way_of(tenant, common)

    @property
    def names(self) -> frozenset[str]:
        """The variables that hold the secrets."""
        return frozenset(self._names)

    def base_url_for(self, tenant: str | None) -> str:
        """Where the tenant's requests go."""
        return self._ways[tenant].base_url

    def headers_for(self, tenant: str | None) -> Mapping[str, str]:
        """What authorises a request; empty while the token for it was not fetched yet."""
        way = self._ways[tenant]
        return way.token.headers if way.token else way.headers

    def due(self) -> list[Token]:
        """The tokens that are to be fetched now."""
        return [token for token in self._tokens.values() if token.due]

    def masked(self, text: str) -> str:
        """The text with three stars for every secret and token in it, so that it can be shown."""
        for secret in sorted(self._known - {""}, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text

    def are_in(self, text: str) -> bool:
        """Whether a secret or a token stands in the text; one that is short may stand there by chance."""
        return any(len(secret) >= TELLING and secret in text for secret in self._known)

    @property
    def _known(self) -> set[str]:
        return self._secrets.union(*(login.secrets for login in self._tokens.values()))

    def answered(self, request: Request, response: Response) -> bool:
        """Take note of an answer; whether it says that a token is to be renewed. Cheap unless it is a 401."""
        return response.status == REFUSED and any(token.refuse(request) for token in self._tokens.values())

    def signed_again(self, request: Request) -> Request | None:
        """The request with the token that there is now; None if it has that already, or never had one."""
        for token in self._tokens.values():
            if token.carried_by(request) and not _carries(request, token.headers):
                return request._replace(headers={**request.headers, **token.headers})
        return None

    def _way_of(self, tenant: str, common: _Way) -> _Way:
        pattern = next((one for one in self._target.tenants if fnmatchcase(tenant, one)), None)
        if pattern is None:
            return common
        mapping = self._target.tenants[pattern]
        where = f"tenants.{pattern}"
        base_url = self._base_url(mapping.base_url, tenant, f"{where}.base_url")
        if mapping.auth is None:
            return replace(common, base_url=base_url)
        return self._way(f"{where}.auth", mapping.auth, base_url, tenant)

    def _base_url(self, text: str | None, tenant: str, where: str) -> str:
        if text is None:
            return self._target.base_url
        try:
            return check_base_url(compile_template(text).text(self._context(self._target.base_url, tenant)))
        except (TemplateError, ValueError) as error:
            raise InputError(f"the target {self._target.name}: {where} of {tenant}: {error}") from None

    def _context(self, base_url: str, tenant: str | None) -> dict[str, object]:
        context: dict[str, object] = {"base_url": base_url, "variables": self._target.variables}
        return context if tenant is None else {**context, "tenant": {"key": tenant}}

    def _way(self, where: str, auth: Auth, base_url: str, tenant: str | None) -> _Way:
        login = auth.token
        if login is not None:
            return _Way(base_url, {}, self._token(where, login, base_url, tenant))
        return _Way(base_url, self._fixed(where, auth), None)

    def _fixed(self, where: str, auth: Auth) -> dict[str, str]:
        """The headers of credentials that are never renewed."""
        if auth.basic:
            password = self._secret(auth.basic.password_env, f"{where}.basic.password_env")
            pair = base64.b64encode(f"{auth.basic.user}:{password}".encode()).decode("ascii")
            self._secrets.add(pair)
            return {"Authorization": f"Basic {pair}"}
        if auth.header:
            value = self._secret(auth.header.value_env, f"{where}.header.value_env")
            if not value.isascii():
                raise InputError(f"the secret {auth.header.value_env} is not ASCII; it cannot stand in a header")
            return {auth.header.name: value}
        return {}

    def _token(self, where: str, login: Login, base_url: str, tenant: str | None) -> Token:
        """The token of the login; tenants whose login is the same request share it."""
        secret = {name: self._secret(env, f"{where}: {name}") for name, env in login.secrets.items()}
        context = {**self._context(login.base_url or base_url, tenant), "secret": secret}
        try:
            request = compile_form(login.request, self._target.headers).fill(context)
        except TemplateError as error:
            raise InputError(f"the target {self._target.name}: {where} cannot be filled in: {error}") from None
        key = (request.method, request.url, request.body, *sorted(request.headers.items()))
        return self._tokens.setdefault(key, Token(login, request, self._now))

    def _secret(self, name: str, where: str) -> str:
        """A secret from the environment, or from the file that the environment names (``NAME_FILE``)."""
        secret = secret_of(self._environ, name)
        if not secret:
            raise InputError(
                f"the environment variable {name} is not set; the target {self._target.name} needs it ({where}); "
                f"export {name}=... (or {name}_FILE=, a file that holds it)"
            )
        self._names.add(name)
        self._secrets |= {form for one in (secret, secret.split()[-1]) for form in _forms_of(one)}
        return secret
