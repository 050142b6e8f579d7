"""One arrival as a mapping sees it: what its templates are filled in from."""

from __future__ import annotations

from dataclasses import dataclass

from scenarios.fields import standard_values
from scenarios.model import Tenant


@dataclass(frozen=True, slots=True)
class Call:
    """One arrival, ready to be put into requests. ``case`` is the remote id, ``token`` the save id."""

    seq: int
    token: str
    tenant: Tenant
    case: str
    traceparent: str
    batch_size: int = 1


def describe(seq: int) -> dict[str, str]:
    """The standard values of save ``seq``, as templates see them."""
    values = standard_values(seq)
    return {
        "title": values.title,
        "description": values.description,
        "priority": values.priority,
        "status": values.status,
    }
