"""What a mapping says of how the things that a run needs come to be on the target, and how they are removed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from scenarios.source import StrictModel
from targets.extraction import Expression, Find
from targets.request_mapping import RequestMapping


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
