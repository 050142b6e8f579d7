"""What a target file may say: the declarative mapping of savepath's operations onto a system's HTTP API."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, PrivateAttr, model_validator

from scenarios.model import Operation
from scenarios.source import Source, StrictModel
from targets.extraction import Expression, Find
from targets.fieldsets import FieldsMapping, Shape
from targets.hosts import AllowedHosts, is_near

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
#: What an environment is called.
ENVIRONMENT: Final = r"^[a-z][a-z0-9-]{0,19}$"
#: Reserved for tests (RFC 2606): a mail that does leave the system reaches nobody.
RESERVED_DOMAINS: Final = ("*.test", "*.example", "*.invalid")
#: Names of what must never be written down.
SECRET: Final = re.compile(r"pass(word|wd|phrase)?$|secret|api_?key|private_?key", re.IGNORECASE)
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


class Success(StrictModel):
    """What a good answer is: its status, that it is JSON (where it has a body), and a condition on it."""

    statuses: tuple[Status, ...] = Field((), description="statuses of success; 200 to 299 if none is named")
    json_body: bool = Field(True, description="a body that is not JSON (a login page, say) is invalid")
    condition: Find | None = Field(None, description="must find something other than null, false or empty")
    items: Expression | None = Field(
        None, description="finds the list of single results in the body of a composite answer (207, say)"
    )
    each: Expression | None = Field(None, description="must find something so in each of those items")

    @model_validator(mode="after")
    def _items_are_judged(self) -> Self:
        if (self.items is None) != (self.each is None):
            raise ValueError("items and each belong together: the list of results, and the condition on each")
        return self


class Conflict(StrictModel):
    """What a conflict is: someone else saved in between. A list alone is a list of statuses."""

    statuses: tuple[Status, ...] = Field((412,), description="statuses that say so")
    condition: Find | None = Field(
        None, description="finds something in an answer that says so, whatever its status"
    )

    @model_validator(mode="before")
    @classmethod
    def _from_list(cls, given: Any) -> Any:
        return {"statuses": given} if isinstance(given, list | tuple) else given


class OperationMapping(StrictModel):
    """One operation: what is sent, what a good answer is, what a conflict is, what is read before."""

    request: RequestMapping
    success: Success = Success()
    conflict: Conflict = Conflict()
    precondition: RequestMapping | None = Field(
        None, description="read before, outside the measured time; its answer is `before`"
    )
    message: dict[str, Any] = Field(
        {key: f"{{{{ mail.{key} }}}}" for key in ("to", "subject", "body", "token")},
        description="one of the `messages` of a batch",
    )


#: How mails are looked up at savepath's own SMTP sink.
_SINK: Final = {
    "base_url": "{{ variables.mail_sink }}",
    "request": "GET /mails?tokens={{ tokens | join(',') }}",
    "items": "mails",
    "count": "deliveries",
    "batch": 100,
}


class Items(StrictModel):
    """A lookup of what became of many tokens at once."""

    request: RequestMapping
    base_url: str | None = Field(
        None,
        description="where it is looked up, if not at the target itself; nothing of the target's auth goes there",
    )
    batch: int = Field(50, ge=1, le=1000, description="tokens in one lookup at most")
    items: Expression = Field("@", description="finds the list of results in the answer")
    token: Expression = Field("token", description="finds the token in a result")
    begun: Expression | None = Field(None, description="finds when it was due to begin, by the target's clock")
    ended: Expression | None = Field(None, description="finds when it was done, by the same clock")


class ScriptsLookup(Items):
    """Where the log of on-save scripts is read."""

    name: Expression = Field("name", description="finds the name of the script in a result")
    expected: str = Field("script-{{ script.number }}", description="the name of script number 1, 2, ...")
    in_order: bool = Field(
        False,
        description="the target promises to run scripts one after another: those of a save by their numbers, and "
        "those of a case save by save; held against `ended`",
    )

    @model_validator(mode="after")
    def _order_needs_a_clock(self) -> Self:
        if self.in_order and self.ended is None:
            raise ValueError("in_order is held against `ended`, the moment at which a script was done; name it")
        return self


class MailsLookup(Items):
    """Where it is read which mails were delivered; ``sink`` stands for savepath's own (``targets.mail_sink``)."""

    recipient: Expression = Field("to", description="finds the recipient in a result")
    count: Expression | None = Field(None, description="finds how often it was delivered; once if not given")

    @model_validator(mode="before")
    @classmethod
    def _from_sink(cls, given: Any) -> Any:
        return dict(_SINK) if given == "sink" else given


class ValuesLookup(StrictModel):
    """Where a case is read back."""

    request: RequestMapping
    fields: Expression = Field("@", description="finds the custom fields in the answer")
    shape: Shape | None = Field(None, description="the shape that they have there; that of a save if not given")


class HistoryLookup(StrictModel):
    """Where the changes of cases are told: what each save wrote, whatever was saved after it."""

    request: RequestMapping
    batch: int = Field(1, ge=1, le=200, description="cases in one lookup at most")
    items: Expression = Field("@", description="finds the list of changes in the answer, oldest first")
    token: Expression = Field("token", description="finds in a change the token of the save that made it")
    case: Expression | None = Field(None, description="finds in a change the case; needed where batch is above 1")
    field: Expression = Field("field", description="finds in a change the name or id of the field")
    before: Expression = Field("before", description="finds in a change the value that the field had before")

    @model_validator(mode="after")
    def _cases_are_told_apart(self) -> Self:
        if self.batch > 1 and self.case is None:
            raise ValueError("a lookup of several cases needs `case`: whose change is it?")
        return self


class SavesLookup(Items):
    """Where it is found by token which cases a save has reached, in one tenant at a time."""

    case: Expression = Field("case", description="finds in a result the case that was saved")


class Verify(StrictModel):
    """How the truth behind the answers is looked up; what is left out is not checked, and it is said."""

    scripts: ScriptsLookup | None = None
    values: ValuesLookup | None = None
    history: HistoryLookup | None = None
    saves: SavesLookup | None = None
    mails: MailsLookup | None = None

    @model_validator(mode="after")
    def _history_ends_in_the_present(self) -> Self:
        if self.history and not self.values:
            raise ValueError("history needs values: what a case holds now is where its history ends")
        return self


class Fact(StrictModel):
    """One fact of a fingerprint. Text alone is an expression on the answer that the others are found in."""

    request: RequestMapping | None = Field(None, description="the answer it is found in, if not in that of all")
    find: Find = Field(description="where it stands in the answer")

    @model_validator(mode="before")
    @classmethod
    def _from_find(cls, given: Any) -> Any:
        alone = isinstance(given, str) or (isinstance(given, dict) and not {"request", "find"} & given.keys())
        return {"find": given} if alone else given


class Fingerprint(StrictModel):
    """What identifies the system under test, so that two runs are known to be comparable."""

    health: RequestMapping | None = Field(None, description="must succeed before anything else is sent")
    request: RequestMapping | None = Field(None, description="the answer in which the values are found")
    values: dict[str, Fact] = Field({}, description="a mapping of names to where their values are found")

    @model_validator(mode="after")
    def _facts_can_be_asked(self) -> Self:
        for name, fact in self.values.items():
            if (fact.request or self.request) is None:
                raise ValueError(f"values.{name} has no request, and there is none for all; give one of them")
            if SECRET.search(name):
                raise ValueError(
                    f"values.{name}: a fingerprint is kept with each run and shown; leave secrets out"
                )
        return self


class Listing(StrictModel):
    """A list of what is there already, on one page or many.

    A request with ``page`` in it is sent with 1, 2, ... until a page is empty. Otherwise ``next`` leads
    on: it finds the ``cursor`` of the next page where the request has one in it, else its URL; the Link
    header is followed unless the mapping says something else.
    """

    request: RequestMapping
    items: Expression = Field("@", description="finds the list in the answer")
    key: Expression = Field("@", description="finds in an item the key that savepath gave it")
    id: Expression | None = Field(
        None, description="finds in an item what the target calls it; the key if not given"
    )
    next: Find = Field(
        Find(answer="links.next"),
        description="finds the `cursor` of the next page, or its URL; nothing on the last page",
    )


class Job(StrictModel):
    """How a target works on after its answer (202): its job is asked about until it is done."""

    location: Find = Field(Find(answer="headers.location"), description="finds the URL to ask")
    done: Find = Field(
        Find(answer="status == `200` || status == `201`"), description="finds something once the job is done"
    )
    failed: Find | None = Field(None, description="finds something once the job has failed")
    every_s: float = Field(0.5, gt=0, le=60, description="asked so often, unless the target says Retry-After")
    deadline_s: float = Field(60, gt=0, le=3600, description="a job that takes longer ends the preparation")


class Creation(StrictModel):
    """A request that makes one thing."""

    request: RequestMapping
    job: Job | None = Field(
        None, description="what to do where the answer is 202; the id is then found at its end"
    )
    read: RequestMapping | None = Field(
        None, description="sent afterwards, where the answer does not tell the id (an empty 204); may use `made`"
    )
    id: Find | None = Field(None, description="finds in the answer what the target calls it; the key if not given")


class Step(StrictModel):
    """Things that a run needs on the target: found, or else created."""

    find: Listing
    create: Creation | None = Field(
        None, description="left out where people make them; what is missing is then named"
    )
    update: RequestMapping | None = Field(
        None, description="of a case type: sent where what was found differs from what would be created"
    )

    @model_validator(mode="before")
    @classmethod
    def _from_listing(cls, given: Any) -> Any:
        return {"find": given} if isinstance(given, dict) and "request" in given else given


class Provision(StrictModel):
    """How the tenants, case types, custom fields and cases of a scenario come to be on the target."""

    tenants: Step | None = None
    case_types: Step | None = None
    fields: Step | None = Field(
        None, description="finds the custom fields of a tenant; missing ones are made, or counted and named"
    )
    cases: Step | None = None


class Allowed(StrictModel):
    """A read that tells whether something may be done."""

    request: RequestMapping
    condition: Find = Field(description="finds something in the answer if it may")


class Removal(StrictModel):
    """A request that removes one thing; written alone, or with what has to be read before."""

    request: RequestMapping
    precondition: RequestMapping | None = Field(None, description="read before; its answer is `before`")

    @model_validator(mode="before")
    @classmethod
    def _from_request(cls, given: Any) -> Any:
        return {"request": given} if _is_request(given) else given


class Remains(Removal):
    """What carries the tokens of a run, and its removal: one by one where it can be found, else all at once."""

    find: Listing | None = Field(
        None, description="lists what is there of a run, by `run.prefix`; without it one request removes it all"
    )


class CleanUp(StrictModel):
    """How what savepath made is removed; a request alone is the one that removes a tenant."""

    after: Literal["leave", "remove"] = Field(
        "leave", description="what happens at the end of `savepath run`; `savepath clean` removes at any time"
    )
    allowed: Allowed | None = Field(
        None, description="asked by `plan --check`: whether these credentials may remove what is to be removed"
    )
    tenant: Removal | None = Field(None, description="removes one tenant, with all it has unless cases_first")
    cases_first: bool = Field(
        False, description="cases outlast their tenant there, and are removed before it, like fields and types"
    )
    case_type: Removal | None = Field(None, description="removes one case type")
    field: Removal | None = Field(None, description="removes one custom field")
    case: Removal | None = Field(None, description="removes one case")
    remains: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")], Remains] | None = Field(
        None,
        description="a mapping of what saves and mails leave (mails, script_runs) to its removal in one tenant",
    )

    @model_validator(mode="before")
    @classmethod
    def _from_request(cls, given: Any) -> Any:
        return {"tenant": given} if _is_request(given) else given


def _is_request(given: Any) -> bool:
    return isinstance(given, str) or (isinstance(given, dict) and "method" in given)


class Quota(StrictModel):
    """How many requests a target takes; a plan over it is refused, and preparation keeps its pace."""

    per: Literal["account", "tenant", "record"] = "account"
    requests: int = Field(ge=1, description="so many requests")
    in_s: float = Field(gt=0, le=86_400, description="in any stretch of so many seconds")
    operations: tuple[Operation, ...] = Field(
        (), description="the operations that it is for; all if none is named"
    )


def _check_test_tenants(pattern: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.-]{3}[A-Za-z0-9_.*-]*", pattern):
        raise ValueError(f"{pattern!r} names no test tenants; expected a beginning of their own, like loadtest-*")
    return pattern


class Production(StrictModel):
    """How a target that people work with may be driven, once ``--production`` says that it is meant."""

    rate_max_per_s: float = Field(gt=0, le=1000, description="requests per second at most, verification included")
    tenants: tuple[Annotated[str, AfterValidator(_check_test_tenants)], ...] = Field(
        min_length=1, description="the tenants that are there for tests, by key or pattern, like loadtest-*"
    )

    @property
    def quota(self) -> Quota:
        """The rate as a quota, so that plans are held against it and preparation keeps its pace."""
        if self.rate_max_per_s < 1:
            return Quota(requests=1, in_s=1 / self.rate_max_per_s)
        return Quota(requests=int(self.rate_max_per_s), in_s=1)


class Target(StrictModel):
    """A system under load: where it is, what it is asked, how its answers are read."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,39}$", description="lower-case letters, digits and dashes")
    about: str = Field("", description="one sentence for people")
    start: str = Field("", description="how to start it, for people")
    environment: str = Field("local", pattern=ENVIRONMENT, description="local, test, staging, production, ...")
    base_url: BaseUrl
    hosts: tuple[Annotated[str, Field(pattern=r"^(\*\.)?[A-Za-z0-9._:-]+$")], ...] = Field(
        (),
        description="hosts that requests may go to (desk.example.test, *.example.test); that of base_url if none",
    )
    production: Production | None = Field(None, description="how it may be driven where it is production")
    variables: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")], Variable] = Field(
        {}, description="values that --set can change, `variables.NAME` in templates"
    )
    mail_domains: tuple[Annotated[str, Field(pattern=r"^(\*\.)?[A-Za-z0-9.-]+$")], ...] = Field(
        (),
        description="domains to which mail may go, beside those that reach nobody (*.test, *.example, *.invalid)",
    )
    headers: dict[str, str] = Field({}, description="headers of every request")
    auth: Auth = Auth()
    tenants: dict[str, TenantMapping] = Field(
        {}, description="a mapping of tenant keys, or patterns like `*-large-*`, the first that fits counts"
    )
    quotas: tuple[Quota, ...] = Field((), description="a list of what the target allows at most")
    fingerprint: Fingerprint = Fingerprint()
    operations: dict[Operation, OperationMapping] = Field(
        min_length=1, description="a mapping of operations to requests"
    )
    fields: FieldsMapping = FieldsMapping()
    verify: Verify = Verify()
    provision: Provision = Provision()
    warm_up: int = Field(2, ge=0, le=100, description="reads per tenant before a run")
    clean_up: CleanUp | None = Field(None, description="removes what savepath made")
    python: str | None = Field(
        None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_]*$",
        description="package.module:Class, a subclass of targets.binding.Binding; runs only where it is allowed",
    )
    _source: Source | None = PrivateAttr(None)

    @model_validator(mode="before")
    @classmethod
    def _with_variables(cls, given: Any) -> Any:
        if not isinstance(given, dict) or not isinstance(given.get("variables", {}), dict):
            return given
        known: dict[str, Variable] = {"recipient_domain": "savepath.test"}
        verify = given.get("verify")
        if isinstance(verify, dict) and verify.get("mails") == "sink":
            known |= {"mail_sink": "http://127.0.0.1:8725", "smtp_port": 8825}
        return {**given, "variables": {**known, **given.get("variables", {})}}

    @property
    def source(self) -> Source | None:
        """The document that it was read from, which knows where each value stood; see ``targets.places``."""
        return self._source

    def read_from(self, source: Source) -> Self:
        """The target, which from now on knows its document."""
        self._source = source
        return self

    @property
    def allowed_hosts(self) -> AllowedHosts:
        """Where requests may go: the hosts that are named, else that of base_url; and savepath's own mail sink."""
        sink = self.verify.mails is not None and self.verify.mails.base_url == _SINK["base_url"]
        ours = (str(self.variables["mail_sink"]),) if sink else ()
        urls = ours if self.hosts else (self.base_url, *ours)
        return AllowedHosts((*self.hosts, *dict.fromkeys(urlsplit(url).hostname or "" for url in urls)))

    @property
    def limits(self) -> tuple[Quota, ...]:
        """Its quotas, and what production allows."""
        return (*self.quotas, self.production.quota) if self.production else self.quotas

    @property
    def forbidden_domain(self) -> str | None:
        """The domain of the recipients if mail must not go there, else None."""
        domain = str(self.variables["recipient_domain"]).lower()
        return None if self.may_mail(domain) else domain

    def may_mail(self, domain: str) -> bool:
        """Whether mail may go to addresses in that domain."""
        allowed = (*RESERVED_DOMAINS, *self.mail_domains)
        is_one = re.fullmatch(r"[a-z0-9.-]+", domain.lower()) is not None
        return is_one and any(fnmatchcase(domain.lower(), one.lower()) for one in allowed)

    @property
    def is_somewhere_unsaid(self) -> bool:
        """Whether it is on another machine and nobody has said what stands there: people may work with it."""
        return "environment" not in self.model_fields_set and not is_near(urlsplit(self.base_url).hostname or "")

    def mapping_of(self, operation: Operation) -> OperationMapping | None:
        """The mapping of an operation; ``run_script`` is ``save_standard`` unless it has one of its own."""
        own = self.operations.get(operation)
        return own or (self.operations.get(Operation.SAVE_STANDARD) if operation is Operation.RUN_SCRIPT else None)

    def supports(self, operation: Operation) -> bool:
        """Whether the operation can be done: awaiting scripts takes a place to look them up."""
        awaitable = operation is not Operation.RUN_SCRIPT or self.verify.scripts is not None
        return awaitable and self.mapping_of(operation) is not None
