"""What a mapping says of how requests are authorised, for all tenants or for some."""

from __future__ import annotations

from typing import Any, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from scenarios.source import StrictModel
from targets.extraction import Find
from targets.request_mapping import BaseUrl, EnvironmentName, RequestMapping


class Basic(StrictModel):
    """HTTP basic authentication."""

    user: str = Field(min_length=1)
    password_env: EnvironmentName = Field(description="the environment variable that holds the password")


class HeaderKey(StrictModel):
    """A header that carries a key."""

    name: str = Field(pattern=r"^[A-Za-z0-9-]+$")
    value_env: EnvironmentName = Field(description="the environment variable that holds the whole value")


class Login(StrictModel):
    """A request whose answer holds a token, and what every other request then sends.

    The token is fetched beforehand, again before it expires, and after an answer of 401.
    """

    request: RequestMapping
    base_url: BaseUrl | None = Field(
        None, description="where to log in, if not at the base_url that the auth stands beside"
    )
    secrets: dict[str, EnvironmentName] = Field(
        {}, description="names for `secret.NAME` in the request, to environment variables"
    )
    token: Find = Field(description="finds the token in the answer")
    expires_in: Find | None = Field(None, description="finds in the answer how many seconds the token is good for")
    send: dict[str, str] = Field(
        {"Authorization": "Bearer {{ token }}"}, min_length=1, description="the headers that carry the token"
    )


class OAuth2(StrictModel):
    """OAuth 2 with client credentials (RFC 6749, 4.4), the secret in the body."""

    token_url: str = Field(pattern=r"^(/|https?://[^/?#@]+/)", description="a path after base_url, or a whole URL")
    client_id: str = Field(min_length=1)
    client_secret_env: EnvironmentName = Field(description="the environment variable that holds the secret")
    scope: str = Field("", description="what is asked for")

    @property
    def login(self) -> Login:
        """The same in the words of a login."""
        parts = urlsplit(self.token_url)
        form = {
            "grant_type": "client_credentials",
            "client_id": self.client_id,
            "client_secret": "{{ secret.client }}",
            **({"scope": self.scope} if self.scope else {}),
        }
        return Login(
            request=RequestMapping(method="POST", path=parts._replace(scheme="", netloc="").geturl(), form=form),
            base_url=f"{parts.scheme}://{parts.netloc}" if parts.netloc else None,
            secrets={"client": self.client_secret_env},
            token=Find(body="access_token"),
            expires_in=Find(body="expires_in"),
        )


class Auth(StrictModel):
    """How requests are authorised; ``none`` if they need not be."""

    basic: Basic | None = None
    header: HeaderKey | None = None
    login: Login | None = None
    oauth2: OAuth2 | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_none(cls, given: Any) -> Any:
        return {} if given == "none" else given

    @model_validator(mode="after")
    def _at_most_one(self) -> Self:
        given = [name for name in ("basic", "header", "login", "oauth2") if getattr(self, name)]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} are given; keep one of them")
        return self

    @property
    def token(self) -> Login | None:
        """How a token is fetched, if requests carry one."""
        return self.oauth2.login if self.oauth2 else self.login


class TenantMapping(StrictModel):
    """What is different for some tenants."""

    base_url: str | None = Field(
        None, description="where their requests go; may use `tenant.key`, `variables` and the `base_url` of all"
    )
    auth: Auth | None = Field(None, description="what authorises their requests, logged in at their base_url")
