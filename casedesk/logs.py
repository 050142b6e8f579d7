"""How what one client left in the logs is deleted: script runs and mails, by the beginning of their tokens."""

from __future__ import annotations

from typing import Final

from casedesk.catalogue import Tenant
from casedesk.store import Store

#: Rows deleted in one transaction, so that nobody waits long for the writer.
_TOGETHER: Final = 500
#: Comes after every character that a token may have.
_AFTER_ALL: Final = "\x7f"


def delete_runs(store: Store, tenant: Tenant, prefix: str, *, deadline: float) -> None:
    """Delete the script runs of these saves, and those that are still to be run."""
    _delete(store, tenant, ("jobs", "script_runs"), "save_id", prefix, deadline)


def delete_mails(store: Store, tenant: Tenant, prefix: str, *, deadline: float) -> None:
    """Delete these mails and their batches, those that were not delivered yet too."""
    with store.write(deadline) as connection:  # first: a new mail may get the number of one that is gone
        connection.execute(
            "DELETE FROM jobs WHERE mail_id IN"
            " (SELECT id FROM outbox WHERE tenant_id = ? AND token >= ? AND token < ?)",
            (tenant.id, prefix, prefix + _AFTER_ALL),
        )
    _delete(store, tenant, ("outbox", "batches"), "token", prefix, deadline)


def _delete(
    store: Store, tenant: Tenant, tables: tuple[str, ...], column: str, prefix: str, deadline: float
) -> None:
    for table in tables:
        some = f"SELECT id FROM {table} WHERE tenant_id = ? AND {column} >= ? AND {column} < ? LIMIT ?"  # noqa: S608
        deleted = _TOGETHER
        while deleted == _TOGETHER:
            with store.write(deadline) as connection:
                values = (tenant.id, prefix, prefix + _AFTER_ALL, _TOGETHER)
                connection.execute(f"DELETE FROM {table} WHERE id IN ({some})", values)  # noqa: S608
                deleted = connection.changes()
