"""What a target file may say: the declarative mapping of savepath's operations onto a system's HTTP API."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from scenarios.model import Operation
from scenarios.source import StrictModel
from targets.extraction import Expression
from targets.fieldsets import FieldsMapping

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
Variable = str | int | float | bool
Status = Annotated[int, Field(ge=100, le=599)]


class Basic(StrictModel):
    """HTTP basic authentication."""

    user: str = Field(min_length=1)
    password_env: EnvironmentName = Field(description="the environment variable that holds the password")


class HeaderKey(StrictModel):
    """A header that carries a key."""

    name: str = Field(pattern=r"^[A-Za-z0-9-]+$")
    value_env: EnvironmentName = Field(description="the environment variable that holds the whole value")


class Auth(StrictModel):
    """How requests are authorised; ``none`` if they need not be."""

    basic: Basic | None = None
    header: HeaderKey | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_none(cls, given: Any) -> Any:
        return {} if given == "none" else given

    @model_validator(mode="after")
    def _at_most_one(self) -> Auth:
        if self.basic and self.header:
            raise ValueError("both basic and header are given; keep one of them")
        return self


class RequestMapping(StrictModel):
    """One request. Written ``GET /cases/{{ case }}`` where it has neither body nor headers."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str = Field(pattern=r"^/", description="a path after base_url; values in it are percent-encoded")
    query: dict[str, Any] = Field({}, description="a list repeats its parameter, nothing leaves it out")
    headers: dict[str, str] = Field({}, description="headers of this request")
    body: Any = Field(None, description="JSON of any shape, with templates in its texts")

    @model_validator(mode="before")
    @classmethod
    def _from_line(cls, given: Any) -> Any:
        if not isinstance(given, str):
            return given
        match = _SHORT_REQUEST.fullmatch(given.strip())
        if match is None:
            raise ValueError(f"{given!r} is not a request; expected METHOD /path, like GET /cases/{{{{ case }}}}")
        return {"method": match[1], "path": match[2]}


class Success(StrictModel):
    """What a good answer is: its status, that it is JSON (where it has a body), and a condition on it."""

    statuses: tuple[Status, ...] = Field((), description="statuses of success; 200 to 299 if none is named")
    json_body: bool = Field(True, description="a body that is not JSON (a login page, say) is invalid")
    condition: Expression | None = Field(None, description="must find something other than null, false or empty")


class OperationMapping(StrictModel):
    """One operation: what is sent, what a good answer is, what a conflict is, what is read before."""

    request: RequestMapping
    success: Success = Success()
    conflict: tuple[Status, ...] = Field((412,), description="statuses that say: someone else saved in between")
    precondition: RequestMapping | None = Field(
        None, description="read before, outside the measured time; its answer is `before`"
    )
    message: dict[str, str] = Field(
        {key: f"{{{{ mail.{key} }}}}" for key in ("to", "subject", "body", "token")},
        description="one of the `messages` of a batch",
    )


class Items(StrictModel):
    """A lookup of what became of many tokens at once."""

    request: RequestMapping
    batch: int = Field(50, ge=1, le=1000, description="tokens in one lookup at most")
    items: Expression = Field("@", description="finds the list of results in the answer")
    token: Expression = Field("token", description="finds the token in a result")
    begun: Expression | None = Field(None, description="finds when it was due to begin, by the target's clock")
    ended: Expression | None = Field(None, description="finds when it was done, by the same clock")


class ScriptsLookup(Items):
    """Where the log of on-save scripts is read."""

    name: Expression = Field("name", description="finds the name of the script in a result")
    expected: str = Field("script-{{ script.number }}", description="the name of script number 1, 2, ...")


class MailsLookup(Items):
    """Where it is read which mails were delivered."""

    recipient: Expression = Field("to", description="finds the recipient in a result")
    count: Expression | None = Field(None, description="finds how often it was delivered; once if not given")


class ValuesLookup(StrictModel):
    """Where a case is read back."""

    request: RequestMapping
    fields: Expression = Field("@", description="finds the custom fields in the answer, in their shape")


class Verify(StrictModel):
    """How the truth behind the answers is looked up; what is left out is not checked, and it is said."""

    scripts: ScriptsLookup | None = None
    values: ValuesLookup | None = None
    mails: MailsLookup | None = None


class Fingerprint(StrictModel):
    """What identifies the system under test, so that two runs are known to be comparable."""

    health: RequestMapping | None = Field(None, description="must succeed before anything else is sent")
    request: RequestMapping | None = Field(None, description="the answer in which the values are found")
    values: dict[str, Expression] = Field({}, description="a mapping of names to where their values are found")


class Listing(StrictModel):
    """A list of what is there already."""

    request: RequestMapping
    items: Expression = Field("@", description="finds the list in the answer")
    key: Expression = Field("@", description="finds in an item the key that savepath gave it")
    id: Expression | None = Field(
        None, description="finds in an item what the target calls it; the key if not given"
    )
    next: Expression | None = Field(None, description="finds the `cursor` of the next page; nothing on the last")


class Creation(StrictModel):
    """A request that makes one thing."""

    request: RequestMapping
    id: Expression | None = Field(
        None, description="finds in the answer what the target calls it; the key if not given"
    )


class Step(StrictModel):
    """Things that a run needs on the target: found, or else created."""

    find: Listing
    create: Creation | None = Field(
        None, description="left out where people make them; what is missing is then named"
    )
    update: RequestMapping | None = Field(
        None, description="sent where what was found differs from what would be created"
    )


class Provision(StrictModel):
    """How the tenants, case types, custom fields and cases of a scenario come to be on the target."""

    tenants: Step | None = None
    case_types: Step | None = None
    fields: Listing | None = Field(None, description="finds the custom fields of a tenant; missing ones are named")
    cases: Step | None = None


class Target(StrictModel):
    """A system under load: where it is, what it is asked, how its answers are read."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,39}$", description="lower-case letters, digits and dashes")
    about: str = Field("", description="one sentence for people")
    start: str = Field("", description="how to start it, for people")
    environment: str = Field("local", pattern=r"^[a-z][a-z0-9-]{0,19}$", description="local, test, staging, ...")
    base_url: BaseUrl
    variables: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")], Variable] = Field(
        {}, description="values that --set can change, `variables.NAME` in templates"
    )
    headers: dict[str, str] = Field({}, description="headers of every request")
    auth: Auth = Auth()
    fingerprint: Fingerprint = Fingerprint()
    operations: dict[Operation, OperationMapping] = Field(
        min_length=1, description="a mapping of operations to requests"
    )
    fields: FieldsMapping = FieldsMapping()
    verify: Verify = Verify()
    provision: Provision = Provision()
    warm_up: int = Field(2, ge=0, le=100, description="reads per tenant before a run")
    clean_up: RequestMapping | None = Field(None, description="removes one tenant of a scenario with all it has")

    @model_validator(mode="before")
    @classmethod
    def _with_recipients(cls, given: Any) -> Any:
        # Reserved for tests (RFC 2606): a mail that does leave the system reaches nobody.
        if isinstance(given, dict) and isinstance(given.get("variables", {}), dict):
            return {**given, "variables": {"recipient_domain": "savepath.test", **given.get("variables", {})}}
        return given

    def mapping_of(self, operation: Operation) -> OperationMapping | None:
        """The mapping of an operation; ``run_script`` is ``save_standard`` unless it has one of its own."""
        own = self.operations.get(operation)
        return own or (self.operations.get(Operation.SAVE_STANDARD) if operation is Operation.RUN_SCRIPT else None)

    def supports(self, operation: Operation) -> bool:
        """Whether the operation can be done: awaiting scripts takes a place to look them up."""
        awaitable = operation is not Operation.RUN_SCRIPT or self.verify.scripts is not None
        return awaitable and self.mapping_of(operation) is not None
