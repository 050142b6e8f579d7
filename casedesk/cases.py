"""How a case is created, read, listed and deleted, and what its history tells."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any, Final, cast

import apsw

from casedesk.bodies import CaseBody
from casedesk.catalogue import CaseType, Tenant
from casedesk.desk import Desk
from casedesk.fields import CustomField, Stored, decode, encode
from casedesk.problems import Problem, not_found

STANDARD: Final = ("title", "status", "priority", "description")
#: Case ids are tenant_id * this + a number within the tenant, so that a tenant's cases, and all that
#: is keyed by them, lie next to each other whatever the order of creation.
_CASES_PER_TENANT: Final = 1_000_000


def create_case(desk: Desk, tenant: Tenant, body: CaseBody, *, deadline: float) -> int:
    """Create a case with its values, version 1; its id. Creation runs no scripts: it is not a save."""
    case_type = tenant.case_types.get(body.case_type)
    if case_type is None:
        detail = f"case type {body.case_type!r} does not exist here"
        raise Problem(422, "unknown_case_type", detail, field="case_type")
    values = encode_all(case_type, body.fields)
    now = time.time()
    with desk.store.write(deadline) as connection:
        case_id = _next_id(connection, tenant)
        connection.execute(
            "INSERT INTO cases (id, tenant_id, case_type_id, version, title, status, priority, description,"
            " updated_at) VALUES (?, ?, ?, 1, ?, ?, ?, ?, ?)",
            (case_id, tenant.id, case_type.id, body.title, body.status, body.priority, body.description, now),
        )
        connection.executemany(
            "INSERT INTO field_values VALUES (?, ?, ?)",
            [(case_id, f.id, stored) for f, stored in values if stored is not None],
        )
    return case_id


def read_case(desk: Desk, tenant: Tenant, case_id: int) -> dict[str, Any]:
    """The case with all its values, as of one moment; :class:`Problem` 404 if it is not in this tenant."""
    with desk.store.read() as connection:
        row: Any = connection.execute(
            "SELECT case_type_id, version, title, status, priority, description, save_id, updated_at"
            " FROM cases WHERE id = ? AND tenant_id = ?",
            (case_id, tenant.id),
        ).fetchone()
        case_type = row and desk.catalogue.case_type(row[0])
        if case_type is None:
            raise not_found(f"case {case_id}")
        stored = dict(stored_values(connection, case_id))
    _, version, title, status, priority, description, save_id, updated_at = row
    fields = {f.key: decode(f.type, stored[f.id]) for f in case_type.fields.values() if f.id in stored}
    return {
        "id": case_id,
        "case_type": case_type.key,
        "version": version,
        "title": title,
        "status": status,
        "priority": priority,
        "description": description,
        "save_id": save_id,
        "updated_at": updated_at,
        "fields": fields,
    }


def read_history(desk: Desk, tenant: Tenant, case_id: int, save_id: str | None) -> list[dict[str, Any]]:
    """The changed fields of the case, oldest first; of one save if ``save_id`` is given."""
    case_type = case_type_of(desk, tenant, case_id)
    with desk.store.read() as connection:
        return _changes_of(connection, case_type, case_id, save_id)


def read_histories(desk: Desk, tenant: Tenant, case_ids: Sequence[int], *, changes: int) -> list[dict[str, Any]]:
    """The same of several cases, one after the other, each row with its ``case_id``; unknown cases have none.

    Of each case the newest saves, as many as it takes to tell ``changes`` changes.
    """
    found: list[dict[str, Any]] = []
    with desk.store.read() as connection:
        for case_id in case_ids:
            row = connection.execute(
                "SELECT case_type_id FROM cases WHERE id = ? AND tenant_id = ?", (case_id, tenant.id)
            ).fetchone()
            case_type = row and desk.catalogue.case_type(row[0])
            if case_type is not None:
                rows = _changes_of(connection, case_type, case_id, None, newest=changes)
                found += [{"case_id": case_id, **row} for row in rows]
    return found


def find_saves(desk: Desk, tenant: Tenant, save_ids: Sequence[str]) -> list[dict[str, Any]]:
    """The saves of the tenant's cases with these tokens, oldest first."""
    names = ("save_id", "case_id", "version", "at")
    marks = ", ".join("?" * len(save_ids))
    with desk.store.read() as connection:
        # No index for it: each save would pay for what is asked a few times after a run.
        rows = connection.execute(
            f"SELECT s.save_id, s.case_id, s.version, s.at FROM cases c JOIN saves s ON s.case_id = c.id"  # noqa: S608
            f" WHERE c.tenant_id = ? AND s.save_id IN ({marks}) ORDER BY s.id",
            (tenant.id, *save_ids),
        ).fetchall()
    return [dict(zip(names, row, strict=True)) for row in rows]


def list_cases(
    desk: Desk, tenant: Tenant, *, case_type: str | None, limit: int, after_id: int
) -> list[dict[str, Any]]:
    """Up to ``limit`` cases with an id above ``after_id``, by id."""
    type_id = tenant.case_types[case_type].id if case_type in tenant.case_types else -1
    with desk.store.read() as connection:
        rows = connection.execute(
            "SELECT id, title, version FROM cases WHERE tenant_id = ? AND id > ?"
            " AND (? IS NULL OR case_type_id = ?) ORDER BY id LIMIT ?",
            (tenant.id, after_id, case_type, type_id, limit),
        ).fetchall()
    return [{"id": id_, "title": title, "version": version} for id_, title, version in rows]


def delete_case(desk: Desk, tenant: Tenant, case_id: int, *, deadline: float) -> None:
    """Delete the case with its values and history; what its scripts have logged stays."""
    with desk.store.write(deadline) as connection:
        connection.execute("DELETE FROM cases WHERE id = ? AND tenant_id = ?", (case_id, tenant.id))
        if connection.changes() == 0:
            raise not_found(f"case {case_id}")
        delete_belongings(connection, [case_id])


def delete_belongings(connection: apsw.Connection, case_ids: Sequence[int]) -> None:
    """Delete what belongs to these cases: values, history, scores and jobs still to do."""
    rows = [(case_id,) for case_id in case_ids]
    connection.executemany("DELETE FROM history WHERE save IN (SELECT id FROM saves WHERE case_id = ?)", rows)
    for table in ("saves", "field_values", "scores", "jobs"):
        connection.executemany(f"DELETE FROM {table} WHERE case_id = ?", rows)  # noqa: S608


def _next_id(connection: apsw.Connection, tenant: Tenant) -> int:
    last: Any = connection.execute("SELECT max(id) FROM cases WHERE tenant_id = ?", (tenant.id,)).fetchone()
    first = tenant.id * _CASES_PER_TENANT
    case_id: int = (last[0] or first) + 1
    if case_id == first + _CASES_PER_TENANT:
        raise Problem(409, "full", f"tenant {tenant.key} has used up its {_CASES_PER_TENANT} case ids")
    return case_id


def case_type_of(
    desk: Desk, tenant: Tenant, case_id: int, *, deadline: float = float("inf"), warm: bool = False
) -> CaseType:
    """The case type of the case; ``warm`` brings the pages of its values into the host's cache."""
    with desk.store.read(deadline) as connection:
        row = connection.execute(
            "SELECT case_type_id FROM cases WHERE id = ? AND tenant_id = ?", (case_id, tenant.id)
        ).fetchone()
        if warm and row:
            connection.execute("SELECT count(value) FROM field_values WHERE case_id = ?", (case_id,)).fetchone()
    case_type = row and desk.catalogue.case_type(row[0])
    if case_type is None:
        raise not_found(f"case {case_id}")
    return case_type


def encode_all(case_type: CaseType, values: dict[str, Any]) -> list[tuple[CustomField, Stored]]:
    """The values in stored form, by field id; :class:`Problem` 422 for an unknown field or a wrong type."""
    encoded = []
    for key, value in values.items():
        field = case_type.fields.get(key)
        if field is None:
            detail = f"{key!r} is not a field of case type {case_type.key}"
            raise Problem(422, "unknown_field", detail, field=key)
        encoded.append((field, encode(field, value)))
    # In the order of the table's key: neighbouring rows are then written one after the other.
    return sorted(encoded, key=lambda pair: pair[0].id)


def stored_values(connection: apsw.Connection, case_id: int) -> apsw.Cursor:
    """Rows (field id, stored value) of the case."""
    return connection.execute("SELECT field_id, value FROM field_values WHERE case_id = ?", (case_id,))


def _changes_of(
    connection: apsw.Connection,
    case_type: CaseType,
    case_id: int,
    save_id: str | None,
    *,
    newest: float = float("inf"),
) -> list[dict[str, Any]]:
    """The changes by the case's saves, oldest first: by the newest saves that made so many changes together."""
    saves = connection.execute(
        "SELECT id, version, save_id, at FROM saves WHERE case_id = ? ORDER BY id DESC", (case_id,)
    )
    found: list[dict[str, Any]] = []
    for save, version, token, at in cast(Iterable[tuple[int, int, str, float]], saves):
        if save_id is not None and token != save_id:
            continue
        changes = connection.execute("SELECT field, before, after FROM history WHERE save = ?", (save,))
        # Both turned round at the end.
        for field, before, after in reversed(cast(list[tuple[str, Stored, Stored]], changes.fetchall())):
            told = _as_json(case_type, field, before), _as_json(case_type, field, after)
            row = {"version": version, "save_id": token, "field": field, "before": told[0], "after": told[1]}
            found.append({**row, "at": at})
        if len(found) >= newest:
            break
    return found[::-1]


def _as_json(case_type: CaseType, field: str, stored: Stored) -> Any:
    custom = case_type.fields.get(field)
    return decode(custom.type, stored) if custom else stored
