"""What a scenario wants a tenant to have on a target, as templates see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from scenarios.fields import CustomField
from scenarios.model import Tenant
from targets.asking import Asking
from targets.provision_mapping import Step


def case_type_of(tenant: Tenant, number: int, fields: Sequence[CustomField]) -> dict[str, Any]:
    """One of the tenant's case types, numbered from 0, with its custom fields."""
    return {
        "key": f"type-{number + 1}",
        "name": f"Case type {number + 1}",
        "scripts_on_save": tenant.scripts_on_save,
        "fields": [describe_field(field) for field in fields],
    }


def describe_field(field: CustomField) -> dict[str, Any]:
    """A custom field."""
    return {"key": field.key, "label": field.label, "type": str(field.type), "choices": list(field.choices)}


def is_as_wanted(asking: Asking, step: Step, context: Mapping[str, Any], found: Any) -> bool:
    """Whether what was found says the same as what would be created, in every key of the latter."""
    if step.create is None:
        return True
    request = asking.fill(step.create.request, context)
    data = orjson.loads(request.body) if request.body else {}
    wanted = data if isinstance(data, dict) else {}
    return isinstance(found, dict) and all(found.get(key) == value for key, value in wanted.items())
