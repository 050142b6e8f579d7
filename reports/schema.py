"""The JSON Schema of ``results.json``, drawn from the types that it is written from.

``python -m reports.schema > reports/results.schema.json`` publishes it; a test compares.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, get_args, get_origin

from analysis.findings import Assessment
from reports.model import SCHEMA, ReportMeta, field_kinds, optional

_PLAIN: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": ["number", "null"]},  # null: not known
}


def json_schema() -> dict[str, Any]:
    """The schema (draft 2020-12). Further keys are allowed everywhere: readers leave them aside."""
    definitions: dict[str, Any] = {}
    results = _record(Assessment, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:savepath:results:1",
        "title": SCHEMA,
        "description": "Before against after: seconds, ratios after / before (1.10 is +10 %), "
        "shares between 0 and 1; null is not known.",
        "type": "object",
        "properties": {
            "schema": {"const": SCHEMA},
            "report": _of(ReportMeta, definitions),
            **results["properties"],
        },
        "required": ["schema", "report", *results["required"]],
        "$defs": dict(sorted(definitions.items())),
    }


def _of(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    if (inner := optional(kind)) is not None:
        return {"anyOf": [_of(inner, definitions), {"type": "null"}]}
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        if kind.__name__ not in definitions:
            definitions[kind.__name__] = {}  # holds the place while the record refers to itself
            definitions[kind.__name__] = _record(kind, definitions)
        return {"$ref": f"#/$defs/{kind.__name__}"}
    if get_origin(kind) is tuple:
        return {"type": "array", "items": _of(get_args(kind)[0], definitions)}
    if get_origin(kind) is Mapping:
        return {"type": "object", "additionalProperties": _of(get_args(kind)[1], definitions)}
    if issubclass(kind, StrEnum):
        return {"enum": [member.value for member in kind]}
    return dict(_PLAIN[kind])


def _record(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "description": (kind.__doc__ or "").split("\n")[0],
        "properties": {name: _of(part, definitions) for name, part in field_kinds(kind).items()},
        "required": [
            field.name
            for field in dataclasses.fields(kind)
            if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        ],
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n")
