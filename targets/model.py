"""What a target file may say: the declarative mapping of savepath's operations onto a system's HTTP API.

Its larger parts are in modules of their own: ``request_mapping``, ``auth_mapping``, ``lookup_mapping``
(``verify``) and ``provision_mapping`` (``provision``, ``clean_up``).
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, PrivateAttr, model_validator

from scenarios.model import Operation
from scenarios.source import Source, StrictModel
from targets.auth_mapping import Auth, TenantMapping
from targets.extraction import Expression, Find
from targets.fieldsets import FieldsMapping
from targets.hosts import AllowedHosts, is_near, network_of
from targets.lookup_mapping import SINK, Verify
from targets.provision_mapping import CleanUp, Provision
from targets.request_mapping import BaseUrl, RequestMapping

#: What an environment is called.
ENVIRONMENT: Final = r"^[a-z][a-z0-9-]{0,19}$"
#: Reserved for tests (RFC 2606): a mail that does leave the system reaches nobody.
RESERVED_DOMAINS: Final = ("*.test", "*.example", "*.invalid")
#: Names of what must never be written down.
SECRET: Final = re.compile(r"pass(word|wd|phrase)?$|secret|api_?key|private_?key", re.IGNORECASE)
Variable = str | int | float | bool
Status = Annotated[int, Field(ge=100, le=599)]


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


def _check_network(text: str) -> str:
    network_of(text)
    return text


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
    networks: tuple[Annotated[str, AfterValidator(_check_network)], ...] = Field(
        (),
        description="networks that the names of hosts may lead to (10.20.0.0/16, fd00:20::/64); any if none",
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
        """Where requests may go: the hosts that are named, else that of base_url; and savepath's own mail sink.

        In the networks, where some are listed, and for that sink on this machine.
        """
        sink = self.verify.mails is not None and self.verify.mails.base_url == SINK["base_url"]
        ours = (str(self.variables["mail_sink"]),) if sink else ()
        urls = ours if self.hosts else (self.base_url, *ours)
        names = dict.fromkeys(urlsplit(url).hostname or "" for url in urls)
        networks = (*self.networks, "127.0.0.1") if self.networks and sink else self.networks
        return AllowedHosts((*self.hosts, *names), tuple(map(network_of, networks)))

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
