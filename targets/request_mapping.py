"""What a mapping says of one request, and of where requests go."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from scenarios.source import StrictModel

_SHORT_REQUEST = re.compile(r"([A-Z]+) +(/\S.*|/)", re.DOTALL)


def _check_environment_name(name: str) -> str:
    if not re.fullmatch(r"[A-Z_][A-Z0-9_]*", name):
        # The text is not repeated: it may be the secret itself.
        raise ValueError(
            "expected the NAME of an environment variable, in capitals; the secret itself stays there"
        )
    return name


EnvironmentName = Annotated[
    str, Field(description="the name of an environment variable"), AfterValidator(_check_environment_name)
]


def check_base_url(url: str) -> str:
    """The URL without a slash at its end. Raises ValueError for one that is none, or that holds a password."""
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        (parts.hostname or "").encode("idna")  # as who looks it up does: no part is empty or of over 63 characters
    except ValueError:
        valid = False
    if not valid or parts.query or parts.fragment or re.search(r"[^\x21-\x7e]", url):
        raise ValueError(f"{url!r} is not a base URL; expected http://host:port or https://host")
    if "@" in parts.netloc:
        raise ValueError("a user or password must not stand in the URL; use auth with an environment variable")
    return url.rstrip("/")


BaseUrl = Annotated[
    str, Field(description="http://host:port, with a path if the API has one"), AfterValidator(check_base_url)
]


class RequestMapping(StrictModel):
    """One request. Written ``GET /cases/{{ case }}`` where it has neither body nor headers."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str = Field(pattern=r"^/", description="a path after base_url; values in it are percent-encoded")
    query: dict[str, Any] = Field({}, description="a list repeats its parameter, nothing leaves it out")
    headers: dict[str, str] = Field({}, description="headers of this request")
    body: Any = Field(None, description="JSON of any shape, with templates in its texts")
    form: dict[str, str] | None = Field(None, description="a body as an HTML form sends it, in place of JSON")

    @model_validator(mode="after")
    def _one_body(self) -> Self:
        if self.body is not None and self.form is not None:
            raise ValueError("both body and form are given; keep one of them")
        return self

    @model_validator(mode="before")
    @classmethod
    def _from_line(cls, given: Any) -> Any:
        if not isinstance(given, str):
            return given
        match = _SHORT_REQUEST.fullmatch(given.strip())
        if match is None:
            raise ValueError(f"{given!r} is not a request; expected METHOD /path, like GET /cases/{{{{ case }}}}")
        return {"method": match[1], "path": match[2]}
