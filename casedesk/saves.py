"""How a case is saved: all of a save is one transaction.

A save compares, as real systems do: only values that change are written, each with a
history row. Every save, even one that changes nothing, makes a new version and queues the
on-save scripts of its case type.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, replace
from typing import Final

import apsw

from casedesk.bodies import SaveBody
from casedesk.cases import STANDARD, case_type_of, encode_all, stored_values
from casedesk.catalogue import Tenant
from casedesk.desk import Desk
from casedesk.fields import CustomField, Stored
from casedesk.jobs import queue_scripts
from casedesk.problems import Problem, not_found
from casedesk.sabotage import Change, NotCommitted, Redirection, Sabotage

#: Up to this many custom fields are looked up one by one; beyond, all values of the case are read.
_POINT_LOOKUPS: Final = 12


@dataclass(frozen=True, slots=True)
class Saved:
    """What a save answers. ``saved_at`` is epoch seconds."""

    id: int
    version: int
    save_id: str
    saved_at: float


def save_case(
    desk: Desk,
    tenant: Tenant,
    case_id: int,
    body: SaveBody,
    *,
    if_match: int | None,
    save_id: str | None,
    deadline: float,
) -> Saved:
    """Save a case and queue its scripts, all or nothing.

    :class:`Problem`: 404 no such case in this tenant, 412 ``if_match`` is not the current version,
    422 a value does not fit, 503 the deadline passed.
    """
    save_id = save_id or uuid.uuid4().hex
    # Checked, and read for the first time, before the writer is taken: who sends nonsense or waits
    # for the disk to find the case holds nobody up. What counts is read again by the writer.
    case_type = case_type_of(desk, tenant, case_id, deadline=deadline, warm=len(body.fields) > _POINT_LOOKUPS)
    values = encode_all(case_type, body.fields)
    sabotage = Sabotage(desk.faults, save_id, case_id)
    now = time.time()
    version = 0
    try:
        with desk.store.write(deadline) as connection:
            version, standard = _current(connection, tenant, case_id, if_match)
            version += 1
            now = time.time()
            changes = _standard_changes(body, standard) + _value_changes(connection, case_id, values)
            changes = sabotage.spoil(changes)
            connection.execute(
                "UPDATE cases SET version = ?, save_id = ?, updated_at = ? WHERE id = ?",
                (version, save_id, now, case_id),
            )
            connection.execute(
                "INSERT INTO saves (case_id, version, save_id, at) VALUES (?, ?, ?, ?)",
                (case_id, version, save_id, now),
            )
            save = connection.last_insert_rowid()
            elsewhere = sabotage.redirect(connection, tenant, changes, desk.catalogue)
            if elsewhere is None:
                _store(connection, case_id, changes)
                _log(connection, save, changes)
            else:
                _save_elsewhere(connection, elsewhere, save_id, now)
            scripts = sabotage.scripts(case_type.scripts_on_save, queued_at=now)
            queue_scripts(connection, tenant.id, case_id, save_id, scripts, queued_at=now)
            sabotage.before_commit()
    except NotCommitted:
        sabotage.after_rollback()
        return Saved(case_id, version, save_id, now)
    desk.scripts.wake()
    sabotage.after_commit()
    return Saved(case_id, version, save_id, now)


def _current(
    connection: apsw.Connection, tenant: Tenant, case_id: int, if_match: int | None
) -> tuple[int, dict[str, str]]:
    row = connection.execute(
        "SELECT version, title, status, priority, description FROM cases WHERE id = ? AND tenant_id = ?",
        (case_id, tenant.id),
    ).fetchone()
    if row is None:
        raise not_found(f"case {case_id}")
    if if_match is not None and if_match != row[0]:
        detail = f"If-Match is version {if_match}, the case is at version {row[0]}"
        raise Problem(412, "version_conflict", detail, version=row[0])
    return row[0], dict(zip(STANDARD, row[1:], strict=True))


def _standard_changes(body: SaveBody, before: dict[str, str]) -> list[Change]:
    given = {key: getattr(body, key) for key in STANDARD}
    return [
        Change(key, None, before[key], after)
        for key, after in given.items()
        if after is not None and after != before[key]
    ]


def _value_changes(
    connection: apsw.Connection, case_id: int, values: list[tuple[CustomField, Stored]]
) -> list[Change]:
    before: dict[int, Stored] = {}
    if len(values) > _POINT_LOOKUPS:
        before = dict(stored_values(connection, case_id))
    else:
        for field, _ in values:
            one = "SELECT value FROM field_values WHERE case_id = ? AND field_id = ?"
            for (value,) in connection.execute(one, (case_id, field.id)):
                before[field.id] = value
    return [
        Change(field.key, field, before.get(field.id), after)
        for field, after in values
        if before.get(field.id) != after
    ]


def _store(connection: apsw.Connection, case_id: int, changes: list[Change]) -> None:
    for change in changes:
        if change.field is None:
            column = STANDARD[STANDARD.index(change.key)]
            connection.execute(f"UPDATE cases SET {column} = ? WHERE id = ?", (change.after, case_id))  # noqa: S608
    custom = [(case_id, c.field.id, c.after) for c in changes if c.field is not None]
    connection.executemany(
        "INSERT INTO field_values VALUES (?, ?, ?)"
        " ON CONFLICT (case_id, field_id) DO UPDATE SET value = excluded.value",
        [row for row in custom if row[2] is not None],
    )
    connection.executemany(
        "DELETE FROM field_values WHERE case_id = ? AND field_id = ?",
        [row[:2] for row in custom if row[2] is None],
    )


def _save_elsewhere(connection: apsw.Connection, where: Redirection, save_id: str, now: float) -> None:
    """The save as a whole in another case, its version and its history included."""
    one = "UPDATE cases SET version = version + 1, save_id = ?, updated_at = ? WHERE id = ?"
    connection.execute(one, (save_id, now, where.case_id))
    connection.execute(
        "INSERT INTO saves (case_id, version, save_id, at) SELECT id, version, save_id, ? FROM cases WHERE id = ?",
        (now, where.case_id),
    )
    save = connection.last_insert_rowid()
    standard = connection.execute(
        "SELECT title, status, priority, description FROM cases WHERE id = ?", (where.case_id,)
    ).fetchone()
    before: dict[object, Stored] = dict(zip(STANDARD, standard or (), strict=True))
    before |= dict(stored_values(connection, where.case_id))
    changes = [replace(c, before=before.get(c.field.id if c.field else c.key)) for c in where.changes]
    changes = [c for c in changes if c.before != c.after]
    _store(connection, where.case_id, changes)
    _log(connection, save, changes)


def _log(connection: apsw.Connection, save: int, changes: list[Change]) -> None:
    connection.executemany(
        "INSERT INTO history VALUES (?, ?, ?, ?)",
        [(save, c.key, c.before, c.after) for c in sorted(changes, key=lambda c: c.key)],
    )
