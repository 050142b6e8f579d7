"""What the API promises, as an OpenAPI 3.1 document, written by hand.

The schemas of the requests come from the models that check them; a test sees to it that
every route is described.
"""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel

from casedesk.bodies import BatchBody, CaseBody, CaseTypeBody, MailBody, SaveBody, TenantBody
from casedesk.disk import DiskProfile
from casedesk.faults import FaultShares

_MODELS: Final[tuple[type[BaseModel], ...]] = (
    TenantBody,
    CaseTypeBody,
    CaseBody,
    SaveBody,
    MailBody,
    BatchBody,
    DiskProfile,
    FaultShares,
)

_TEXT: Final = {"type": "string"}
_COUNT: Final = {"type": "integer", "minimum": 0}
_EPOCH: Final = {"type": "number", "description": "epoch seconds"}
_FIELDS: Final = {"type": "object", "additionalProperties": True}


def _object(properties: dict[str, Any], *, optional: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
    }


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "type": [schema["type"], "null"]}


def _list(name: str, item: dict[str, Any]) -> dict[str, Any]:
    return _object({name: {"type": "array", "items": item}})


_PROBLEM = _object({"error": _TEXT, "status": _COUNT, "detail": _TEXT, "field": _TEXT}, optional=("field",))
_TENANT = _object({"key": _TEXT, "name": _TEXT, "cases": _COUNT})
_FIELD = _object({"key": _TEXT, "label": _TEXT, "type": _TEXT, "choices": {"type": "array", "items": _TEXT}})
_CASE_TYPE = _object(
    {"key": _TEXT, "name": _TEXT, "scripts_on_save": _COUNT, "fields": {"type": "array", "items": _FIELD}}
)
_CASE = _object(
    {
        "id": _COUNT,
        "case_type": _TEXT,
        "version": _COUNT,
        "title": _TEXT,
        "status": _TEXT,
        "priority": _TEXT,
        "description": _TEXT,
        "save_id": _nullable(_TEXT),
        "updated_at": _EPOCH,
        "fields": _FIELDS,
    }
)
_SAVED = _object({"id": _COUNT, "version": _COUNT, "save_id": _TEXT, "saved_at": _EPOCH})
_CHANGE = _object({"version": _COUNT, "save_id": _TEXT, "field": _TEXT, "before": {}, "after": {}, "at": _EPOCH})
_CHANGE_OF_CASE = _object({"case_id": _COUNT, **_CHANGE["properties"]})
_SAVE = _object({"save_id": _TEXT, "case_id": _COUNT, "version": _COUNT, "at": _EPOCH})
_RUN = _object(
    {
        "save_id": _TEXT,
        "script": _TEXT,
        "case_id": _COUNT,
        "queued_at": _EPOCH,
        "started_at": _EPOCH,
        "finished_at": _EPOCH,
    }
)
_MAIL = _object(
    {
        "token": _TEXT,
        "to": _TEXT,
        "status": {"enum": ["queued", "sent", "failed"]},
        "queued_at": _EPOCH,
        "sent_at": _nullable(_EPOCH),
        "deliveries": _COUNT,
    }
)
_CASES = _object(
    {
        "cases": {
            "type": "array",
            "items": _object({"id": _COUNT, "title": _TEXT, "version": _COUNT}),
        },
        "next": _nullable(_TEXT),
    }
)
_DISK = _object({"profile": {"$ref": "#/components/schemas/DiskProfile"}, "counters": {"type": "object"}})
_SWITCH = {
    "oneOf": [{"$ref": "#/components/schemas/DiskProfile"}, _object({"profile": _TEXT})],
}
_PLANTED = _object(
    {"save_id": _TEXT, "token": _TEXT, "fault": _TEXT, "detail": {"type": "object"}},
    optional=("save_id", "token"),
)
_VERSION = _object(
    {
        "name": _TEXT,
        "version": _TEXT,
        "sqlite": _TEXT,
        "disk": _TEXT,
        "cases": _COUNT,
        "settings": {"type": "object"},
    }
)

_ERRORS: Final = {
    400: "The request is malformed.",
    401: "The API key is missing or wrong.",
    404: "It does not exist, or not in this tenant.",
    409: "It exists already, or contradicts what does.",
    412: "The case has another version than If-Match.",
    413: "The body is too large.",
    422: "The body does not fit; `field` says where.",
    500: "A bug, or the planted fault committed_but_500.",
    503: "The request's deadline passed; nothing was committed.",
}


def _body(model: type[BaseModel]) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def _query(name: str, schema: dict[str, Any], description: str, *, required: bool = False) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "required": required,
        "schema": schema,
        "description": description,
    }


def _header(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "schema": _TEXT, "description": description}


def _path(path: str) -> list[dict[str, Any]]:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": _COUNT if name.endswith("_id") else _TEXT,
        }
        for name in names
    ]


def _operation(
    path: str,
    name: str,
    summary: str,
    *,
    status: int = 200,
    answer: dict[str, Any] | None = None,
    body: dict[str, Any] | None = None,
    errors: tuple[int, ...] = (),
    parameters: tuple[dict[str, Any], ...] = (),
) -> dict[str, Any]:
    good: dict[str, Any] = {"description": "Done."}
    if answer is not None:
        good["content"] = {"application/json": {"schema": answer}}
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    responses: dict[str, Any] = {str(status): good}
    for code in sorted({401, *errors}):
        responses[str(code)] = {"description": _ERRORS[code], "content": problem}
    operation: dict[str, Any] = {"operationId": name, "summary": summary, "responses": responses}
    if found := [*_path(path), *parameters]:
        operation["parameters"] = found
    if body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return operation


_WRITE = (400, 404, 413, 422, 503)
_TOKENS = "comma list of 1 to 200 tokens"
_BEGINNING = "how the tokens begin that are meant"


def _paths() -> dict[str, Any]:
    t = "/tenants/{tenant}"
    case = f"{t}/cases/{{case_id}}"
    op = _operation
    return {
        "/health": {"get": op("/health", "health", "Is it up?", answer=_object({"status": _TEXT}))},
        "/openapi.json": {"get": op("/openapi.json", "openapi", "This document", answer={"type": "object"})},
        "/version": {"get": op("/version", "version", "What it is and how it is set", answer=_VERSION)},
        "/tenants": {
            "post": op(
                "/tenants",
                "create_tenant",
                "Create a tenant",
                status=201,
                answer=_TENANT,
                body=_body(TenantBody),
                errors=(*_WRITE, 409),
            ),
            "get": op("/tenants", "list_tenants", "All tenants", answer=_list("tenants", _TENANT)),
        },
        t: {"delete": op(t, "delete_tenant", "Delete it with all it holds", status=204, errors=(404, 503))},
        f"{t}/case-types": {
            "post": op(
                t,
                "create_case_type",
                "Create a case type",
                status=201,
                answer=_CASE_TYPE,
                body=_body(CaseTypeBody),
                errors=(*_WRITE, 409),
            ),
            "get": op(
                t, "list_case_types", "Its case types", answer=_list("case_types", _CASE_TYPE), errors=(404,)
            ),
        },
        f"{t}/case-types/{{case_type}}": {
            "put": op(
                f"{t}/case-types/{{case_type}}",
                "update_case_type",
                "Set name and scripts; add missing fields",
                answer=_CASE_TYPE,
                body=_body(CaseTypeBody),
                errors=(*_WRITE, 409),
            ),
            "delete": op(
                f"{t}/case-types/{{case_type}}",
                "delete_case_type",
                "Delete a case type that has no cases",
                status=204,
                errors=(404, 409, 503),
            ),
        },
        f"{t}/cases": {
            "post": op(
                t,
                "create_case",
                "Create a case (runs no scripts)",
                status=201,
                answer=_object({"id": _COUNT, "version": _COUNT}),
                body=_body(CaseBody),
                errors=_WRITE,
            ),
            "get": op(
                t,
                "list_cases",
                "Its cases, by id",
                answer=_CASES,
                errors=(400, 404),
                parameters=(
                    _query("case_type", _TEXT, "only of this type"),
                    _query("limit", {"type": "integer", "minimum": 1, "maximum": 500}, "100 if not given"),
                    _query("cursor", _TEXT, "`next` of the page before"),
                ),
            ),
        },
        case: {
            "get": op(
                case, "read_case", "A case with its values; ETag is the version", answer=_CASE, errors=(404,)
            ),
            "patch": op(
                case,
                "save_case",
                "Save a case; queues its on-save scripts",
                answer=_SAVED,
                body=_body(SaveBody),
                errors=(*_WRITE, 412, 500),
                parameters=(
                    _header("If-Match", 'save only if the case is at this version: "<version>"'),
                    _header("X-Save-Id", "token of this save, found again in history and script runs"),
                ),
            ),
            "delete": op(case, "delete_case", "Delete a case", status=204, errors=(404, 503)),
        },
        f"{case}/history": {
            "get": op(
                case,
                "read_history",
                "Changed fields, oldest first",
                answer=_list("history", _CHANGE),
                errors=(404,),
                parameters=(_query("save_id", _TEXT, "only of this save"),),
            )
        },
        f"{t}/history": {
            "get": op(
                t,
                "list_changes",
                "Changed fields of several cases, oldest first, case by case",
                answer=_list("history", _CHANGE_OF_CASE),
                errors=(400, 404),
                parameters=(
                    _query("case_ids", _TEXT, "cases, by commas", required=True),
                    _query("changes", {"type": "integer", "minimum": 1}, "of each the newest saves with so many"),
                ),
            )
        },
        f"{t}/saves": {
            "get": op(
                t,
                "list_saves",
                "Saves by token: which case each of them saved",
                answer=_list("saves", _SAVE),
                errors=(400, 404),
                parameters=(_query("save_ids", _TEXT, _TOKENS, required=True),),
            )
        },
        f"{t}/script-runs": {
            "get": op(
                t,
                "list_script_runs",
                "Runs of on-save scripts, a row each time one ran",
                answer=_list("runs", _RUN),
                errors=(400, 404),
                parameters=(_query("save_ids", _TEXT, _TOKENS, required=True),),
            ),
            "delete": op(
                t,
                "delete_script_runs",
                "Delete the runs for saves whose token begins like that",
                status=204,
                errors=(400, 404, 503),
                parameters=(_query("prefix", _TEXT, _BEGINNING, required=True),),
            ),
        },
        f"{t}/emails": {
            "post": op(
                t,
                "send_email",
                "Queue a mail",
                status=202,
                answer=_object({"id": _COUNT}),
                body=_body(MailBody),
                errors=_WRITE,
            )
        },
        f"{t}/email-batches": {
            "post": op(
                t,
                "send_batch",
                "Queue several mails",
                status=202,
                answer=_object({"id": _COUNT, "messages": _COUNT}),
                body=_body(BatchBody),
                errors=_WRITE,
            )
        },
        f"{t}/email-batches/{{batch_id}}": {
            "get": op(
                f"{t}/email-batches/{{batch_id}}",
                "read_batch",
                "How many of its mails are sent",
                answer=_object({"id": _COUNT, "token": _TEXT, "messages": _COUNT, "sent": _COUNT}),
                errors=(404,),
            )
        },
        f"{t}/outbox": {
            "get": op(
                t,
                "read_outbox",
                "Mails by token",
                answer=_list("mails", _MAIL),
                errors=(400, 404),
                parameters=(_query("tokens", _TEXT, _TOKENS, required=True),),
            ),
            "delete": op(
                t,
                "delete_mails",
                "Delete the mails whose token begins like that",
                status=204,
                errors=(400, 404, 503),
                parameters=(_query("prefix", _TEXT, _BEGINNING, required=True),),
            ),
        },
        "/admin/disk": {
            "get": op("/admin/disk", "read_disk", "Disk profile in force and counters", answer=_DISK),
            "put": op(
                "/admin/disk",
                "switch_disk",
                "Put a profile in force, packaged or given",
                answer=_DISK,
                body=_SWITCH,
                errors=(400, 422),
            ),
        },
        "/admin/move-host": {
            "post": op(
                "/admin/move-host",
                "move_host",
                "Fail over now: connections drop, the disk is healthy",
                status=202,
                answer=_object({"status": _TEXT}),
            )
        },
        "/admin/faults": {
            "get": op("/admin/faults", "read_faults", "Share of each fault", answer=_body(FaultShares)),
            "put": op(
                "/admin/faults",
                "switch_faults",
                "Set the shares; a fault not named is off",
                answer=_body(FaultShares),
                body=_body(FaultShares),
                errors=(400, 422),
            ),
        },
        "/admin/planted": {
            "get": op(
                "/admin/planted",
                "list_planted",
                "The truth: every fault that happened",
                answer={"type": "array", "items": _PLANTED},
            )
        },
    }


def _schemas() -> dict[str, Any]:
    schemas: dict[str, Any] = {"Problem": _PROBLEM}
    for model in _MODELS:
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= schema.pop("$defs", {})
        schemas[model.__name__] = schema
    return schemas


DOCUMENT: Final[dict[str, Any]] = {
    "openapi": "3.1.0",
    "info": {
        "title": "casedesk",
        "version": "1",
        "description": "A small multi-tenant case-management service on a disk that can degrade.",
    },
    "paths": _paths(),
    "components": {
        "schemas": _schemas(),
        "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-Api-Key"}},
    },
    "security": [{}, {"key": []}],
}
