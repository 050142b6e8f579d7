"""What the tenants have defined: tenants, case types and custom fields, held in memory.

Definitions are read with every request and change almost never, so the process keeps them,
as real systems do. The database is the truth: each change is committed first and then
read back.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import apsw
import orjson

from casedesk.fields import CustomField
from casedesk.problems import not_found


@dataclass(frozen=True, slots=True)
class CaseType:
    """A kind of case of one tenant. Saves of its cases run ``scripts_on_save`` scripts."""

    id: int
    key: str
    name: str
    scripts_on_save: int
    fields: dict[str, CustomField]  # by key, in the order of definition

    def as_json(self) -> dict[str, Any]:
        """The shape of the API."""
        fields = [
            {"key": f.key, "label": f.label, "type": f.type, "choices": list(f.choices)}
            for f in self.fields.values()
        ]
        return {
            "key": self.key,
            "name": self.name,
            "scripts_on_save": self.scripts_on_save,
            "fields": fields,
        }


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant and its case types, by key."""

    id: int
    key: str
    name: str
    case_types: dict[str, CaseType]


class Catalogue:
    """The definitions of all tenants. Lookups return frozen values and never block on the database."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._lock = threading.Lock()
        self._reloading = threading.Lock()
        self._tenants: dict[str, Tenant] = {}
        self._types: dict[int, CaseType] = {}
        self.reload(connection)

    def reload(self, connection: apsw.Connection) -> None:
        """Read everything again.

        One reader at a time, and none that began to read before: otherwise the older of two readings could be
        the last to be kept, and what was defined meanwhile would be unknown until the next change.
        """
        with self._reloading:
            self._read(connection)

    def _read(self, connection: apsw.Connection) -> None:
        types: dict[int, CaseType] = {}
        types_of: dict[int, dict[str, CaseType]] = {}
        fields_of: dict[int, dict[str, CustomField]] = {}
        for type_id, id_, key, label, type_, choices in connection.execute(
            "SELECT case_type_id, id, key, label, type, choices FROM custom_fields ORDER BY id"
        ):
            field = CustomField(id_, key, label, type_, tuple(orjson.loads(choices)))
            fields_of.setdefault(type_id, {})[key] = field
        for id_, tenant_id, key, name, scripts in connection.execute(
            "SELECT id, tenant_id, key, name, scripts_on_save FROM case_types ORDER BY id"
        ):
            types[id_] = CaseType(id_, key, name, scripts, fields_of.get(id_, {}))
            types_of.setdefault(tenant_id, {})[key] = types[id_]
        tenants = {
            key: Tenant(id_, key, name, types_of.get(id_, {}))
            for id_, key, name in connection.execute("SELECT id, key, name FROM tenants ORDER BY id")
        }
        with self._lock:
            self._tenants, self._types = tenants, types

    def tenants(self) -> list[Tenant]:
        """All tenants in the order of their creation."""
        with self._lock:
            return list(self._tenants.values())

    def tenant(self, key: str) -> Tenant:
        """The tenant of this key, else :class:`Problem` 404."""
        with self._lock:
            tenant = self._tenants.get(key)
        if tenant is None:
            raise not_found(f"tenant {key!r}")
        return tenant

    def case_type(self, id_: int) -> CaseType | None:
        """The case type of this row id, if it is (still) there."""
        with self._lock:
            return self._types.get(id_)
