"""What saves write into the custom fields of each tenant, under the names that the inventory knows for them."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from scenarios.errors import InputError, few_of
from scenarios.fields import Value, saved_values
from scenarios.model import Scenario, Tenant
from targets.fieldsets import FieldsMapping
from targets.inventory import Inventory, TenantInventory
from targets.saves import EncodedSaves, written_keys


class TenantSaves:
    """The saves of all tenants of a scenario; those of tenants that are alike are worked out once.

    ``fields`` says how a target takes custom fields.
    """

    def __init__(self, scenario: Scenario, inventory: Inventory, fields: FieldsMapping) -> None:
        self._inventory = inventory
        self._fields = fields
        self._saved = functools.partial(saved_values, scenario)
        self._encoded = functools.cache(self._encode)  # by the set of remote names, which many tenants share
        self._encoded_by_tenant: dict[str, EncodedSaves] = {}

    def encoded(self, tenant: Tenant) -> EncodedSaves:
        """The saves of a tenant as JSON. Raises InputError if the inventory lacks it or one of its fields."""
        found = self._encoded_by_tenant.get(tenant.key)
        if found is None:
            remote = known_tenant(tenant, self._inventory).fields
            keys = [field.key for field in self._saved(tenant.custom_fields).fields]
            missing = [key for key in keys if key not in remote]
            if missing:
                raise InputError(
                    f"the inventory of {tenant.key} has no remote name for {few_of(missing)}; provision it again"
                )
            found = self._encoded(tenant.custom_fields, tuple(remote[key] for key in keys))
            self._encoded_by_tenant[tenant.key] = found
        return found

    def written(self, tenant: Tenant, seq: int, token: str) -> Mapping[str, Value]:
        """What save ``seq`` with that token writes, by key."""
        saved = self._saved(tenant.custom_fields)
        values = saved.of(seq, token)
        keys = written_keys(saved, self._fields.per_save, seq)
        return values if keys is None else {key: values[key] for key in keys}

    def token_in(self, tenant: Tenant, values: Mapping[str, Value]) -> str | None:
        """The token that stands in the values of a case, in the first of its custom fields."""
        fields = self._saved(tenant.custom_fields).fields
        token = values.get(fields[0].key) if fields else None
        return token if isinstance(token, str) else None

    def _encode(self, number: int, names: tuple[str, ...]) -> EncodedSaves:
        saved = self._saved(number)
        by_key = dict(zip((field.key for field in saved.fields), names, strict=True))
        return EncodedSaves(self._fields, saved, by_key)


def known_tenant(tenant: Tenant, inventory: Inventory) -> TenantInventory:
    """What the inventory knows of a tenant. Raises InputError where it has not the tenant, or no cases of it."""
    found = inventory.tenants.get(tenant.key)
    if found is None:
        raise InputError(f"the inventory has no tenant {tenant.key}; provision the scenario again")
    if not found.cases:
        raise InputError(f"the inventory has no cases of {tenant.key}; provision the scenario again")
    return found
