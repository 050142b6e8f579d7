"""How tenants and their case types are created, extended and deleted."""

from __future__ import annotations

from typing import Any, Final

import apsw
import orjson

from casedesk.bodies import CaseTypeBody, FieldBody, TenantBody
from casedesk.cases import delete_belongings
from casedesk.catalogue import CaseType, Tenant
from casedesk.desk import Desk
from casedesk.problems import Problem, not_found

#: Cases deleted in one transaction, so that deleting a tenant never holds the writer for long.
_DELETED_TOGETHER: Final = 20


def create_tenant(desk: Desk, body: TenantBody, *, deadline: float) -> Tenant:
    """Create a tenant; :class:`Problem` 409 if the key is taken."""
    with desk.store.write(deadline) as connection:
        if connection.execute("SELECT 1 FROM tenants WHERE key = ?", (body.key,)).fetchone():
            raise Problem(409, "exists", f"tenant {body.key!r} is there already")
        connection.execute("INSERT INTO tenants (key, name) VALUES (?, ?)", (body.key, body.name))
    _reload(desk)
    return desk.catalogue.tenant(body.key)


def count_cases(desk: Desk) -> dict[int, int]:
    """Number of cases by tenant id."""
    with desk.store.read() as connection:
        counts: Any = connection.execute("SELECT tenant_id, count(*) FROM cases GROUP BY tenant_id").fetchall()
    return dict(counts)


def create_case_type(desk: Desk, tenant: Tenant, body: CaseTypeBody, *, deadline: float) -> CaseType:
    """Create a case type with its fields; :class:`Problem` 409 if the key is taken."""
    with desk.store.write(deadline) as connection:
        taken = "SELECT 1 FROM case_types WHERE tenant_id = ? AND key = ?"
        if connection.execute(taken, (tenant.id, body.key)).fetchone():
            raise Problem(409, "exists", f"case type {body.key!r} is there already")
        connection.execute(
            "INSERT INTO case_types (tenant_id, key, name, scripts_on_save) VALUES (?, ?, ?, ?)",
            (tenant.id, body.key, body.name, body.scripts_on_save),
        )
        _add_fields(connection, connection.last_insert_rowid(), body.fields)
    _reload(desk)
    return desk.catalogue.tenant(tenant.key).case_types[body.key]


def update_case_type(
    desk: Desk, tenant: Tenant, case_type: CaseType, body: CaseTypeBody, *, deadline: float
) -> CaseType:
    """Set name and scripts, and add the fields that are missing; a known field cannot change its type."""
    for field in body.fields:
        known = case_type.fields.get(field.key)
        if known and known.type != field.type:
            detail = f"field {field.key} is a {known.type} field; its values could not become {field.type}"
            raise Problem(409, "type_conflict", detail, field=field.key)
    with desk.store.write(deadline) as connection:
        connection.execute(
            "UPDATE case_types SET name = ?, scripts_on_save = ? WHERE id = ?",
            (body.name, body.scripts_on_save, case_type.id),
        )
        _add_fields(connection, case_type.id, body.fields)
    _reload(desk)
    return desk.catalogue.tenant(tenant.key).case_types[case_type.key]


def delete_case_type(desk: Desk, tenant: Tenant, key: str, *, deadline: float) -> None:
    """Delete a case type; :class:`Problem` 404 where it is not there, 409 while cases are of it."""
    with desk.store.write(deadline) as connection:
        found: Any = connection.execute(
            "SELECT id FROM case_types WHERE tenant_id = ? AND key = ?", (tenant.id, key)
        ).fetchone()
        if found is None:
            raise not_found(f"case type {key!r}")
        if connection.execute("SELECT 1 FROM cases WHERE case_type_id = ? LIMIT 1", found).fetchone():
            raise Problem(409, "in_use", f"case type {key!r} still has cases")
        connection.execute("DELETE FROM custom_fields WHERE case_type_id = ?", found)
        connection.execute("DELETE FROM case_types WHERE id = ?", found)
    _reload(desk)


def delete_tenant(desk: Desk, tenant: Tenant) -> None:
    """Delete the tenant with everything in it, a few cases at a time."""
    while _delete_some_cases(desk, tenant):
        pass
    with desk.store.write(desk.late_deadline()) as connection:
        for table in ("jobs", "script_runs", "outbox", "batches"):
            connection.execute(f"DELETE FROM {table} WHERE tenant_id = ?", (tenant.id,))  # noqa: S608
        connection.execute(
            "DELETE FROM custom_fields WHERE case_type_id IN (SELECT id FROM case_types WHERE tenant_id = ?)",
            (tenant.id,),
        )
        connection.execute("DELETE FROM case_types WHERE tenant_id = ?", (tenant.id,))
        connection.execute("DELETE FROM tenants WHERE id = ?", (tenant.id,))
    _reload(desk)


def _delete_some_cases(desk: Desk, tenant: Tenant) -> bool:
    with desk.store.write(desk.late_deadline()) as connection:
        some = "SELECT id FROM cases WHERE tenant_id = ? LIMIT ?"
        rows: list[Any] = connection.execute(some, (tenant.id, _DELETED_TOGETHER)).fetchall()
        delete_belongings(connection, [row[0] for row in rows])
        connection.executemany("DELETE FROM cases WHERE id = ?", rows)
    return bool(rows)


def _add_fields(connection: apsw.Connection, type_id: int, fields: list[FieldBody]) -> None:
    rows: list[tuple[Any, ...]] = [
        (type_id, f.key, f.label, f.type, orjson.dumps(f.choices).decode()) for f in fields
    ]
    connection.executemany(
        "INSERT INTO custom_fields (case_type_id, key, label, type, choices) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (case_type_id, key) DO UPDATE SET label = excluded.label, choices = excluded.choices",
        rows,
    )


def _reload(desk: Desk) -> None:
    with desk.store.read() as connection:
        desk.catalogue.reload(connection)
