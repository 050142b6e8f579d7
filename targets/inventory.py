"""What provisioning found or made on the target: everything a run must know of it, as JSON."""

from __future__ import annotations

from pydantic import Field

from scenarios.source import StrictModel


class TenantInventory(StrictModel):
    """One tenant: what templates may use as ``tenant.remote``, its fields and its cases."""

    remote: dict[str, str] = Field({}, description="what the target calls the tenant, by our names")
    fields: dict[str, str] = Field({}, description="remote name or id of each custom field, by our key")
    cases: tuple[str, ...] = Field((), description="remote ids of the cases")


class Inventory(StrictModel):
    """All tenants of a scenario on one target, by tenant key."""

    tenants: dict[str, TenantInventory]
