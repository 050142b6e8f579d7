"""How a save is broken on purpose: the faults of ``faults`` applied to one save.

With every share at 0 nothing here does anything. What strikes is remembered and entered in
the ledger only when it has really happened, after the commit (or the rollback).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import apsw

from casedesk.catalogue import CaseType, Catalogue, Tenant
from casedesk.faults import Fault, Faults, Planted
from casedesk.fields import CustomField, Stored
from casedesk.problems import DeskError, Problem


@dataclass(frozen=True, slots=True)
class Change:
    """One value that a save changes; ``field`` is None for a standard field (title, status, ...)."""

    key: str
    field: CustomField | None
    before: Stored
    after: Stored


@dataclass(frozen=True, slots=True)
class QueuedScript:
    """A script to run for a save, not before this epoch second."""

    name: str
    not_before: float


@dataclass(frozen=True, slots=True)
class Redirection:
    """Where the values of a save really go."""

    case_id: int
    changes: list[Change]


class NotCommitted(DeskError):
    """Raised inside the transaction to roll it back while the client is told that all is well."""


class Sabotage:
    """The faults that strike one save."""

    def __init__(self, faults: Faults, save_id: str, case_id: int) -> None:
        self._faults = faults
        self._save_id = save_id
        self._case_id = case_id
        self._planted: list[Planted] = []

    def spoil(self, changes: list[Change]) -> list[Change]:
        """The changes without the dropped one, and with the truncated one cut in half."""
        if changes and self._strikes("value_dropped"):
            gone = self._pick("value_dropped", changes)
            changes = [c for c in changes if c is not gone]
            self._plant("value_dropped", field=gone.key)
        texts = [c for c in changes if _is_long_enough(c)]
        if texts and self._strikes("value_truncated"):
            cut = self._pick("value_truncated", texts)
            whole = str(cut.after)
            short = replace(cut, after=whole[: len(whole) // 2])
            changes = [short if c is cut else c for c in changes]
            self._plant("value_truncated", field=cut.key, length=len(whole), kept=len(whole) // 2)
        return changes

    def redirect(
        self, connection: apsw.Connection, tenant: Tenant, changes: list[Change], catalogue: Catalogue
    ) -> Redirection | None:
        """The case of another tenant that gets the values, if the fault strikes and there is one.

        The other case type must know at least one of the changed fields; the one that knows most wins.
        """
        if not changes or not self._strikes("foreign_write"):
            return None
        candidates = [
            (_known_to(case_type, changes), other, case_type)
            for other in catalogue.tenants()
            if other.id != tenant.id
            for case_type in other.case_types.values()
        ]
        for known, other, case_type in sorted(candidates, key=lambda c: -len(c[0])):
            row: Any = connection.execute(
                "SELECT max(id) FROM cases WHERE tenant_id = ? AND case_type_id = ?", (other.id, case_type.id)
            ).fetchone()
            if known and row[0] is not None:
                self._plant("foreign_write", tenant=other.key, to_case=row[0], fields=[c.key for c in known])
                return Redirection(row[0], known)
        return None

    def scripts(self, count: int, *, queued_at: float) -> list[QueuedScript]:
        """The runs to queue for a save whose case type has ``count`` scripts, in order."""
        queued: list[QueuedScript] = []
        for name in (f"script-{number}" for number in range(1, count + 1)):
            if self._strikes("script_lost", name=name):
                self._plant("script_lost", script=name)
                continue
            run = QueuedScript(name, queued_at)
            if self._strikes("script_late", name=name):
                late_s = self._faults.shares.script_late_s
                run = QueuedScript(name, queued_at + late_s)
                self._plant("script_late", script=name, late_s=late_s)
            queued.append(run)
            if self._strikes("script_doubled", name=name):
                queued.append(run)
                self._plant("script_doubled", script=name)
        if len({run.name for run in queued}) > 1 and self._strikes("script_reordered"):
            queued.reverse()
            self._plant("script_reordered", scripts=[run.name for run in queued])
        return queued

    def before_commit(self) -> None:
        """Raise :class:`NotCommitted` if the save is to be acknowledged and forgotten."""
        if self._strikes("ok_not_committed"):
            raise NotCommitted

    def after_rollback(self) -> None:
        """Enter the one fault that is left of a save that was not committed."""
        self._planted.clear()
        self._plant("ok_not_committed")
        self._faults.enter(*self._planted)

    def after_commit(self) -> None:
        """Enter what happened; raise :class:`Problem` 500 if the save is to be reported as failed."""
        failed = self._strikes("committed_but_500")
        if failed:
            self._plant("committed_but_500")
        self._faults.enter(*self._planted)
        if failed:
            raise Problem(500, "internal", "the save failed")

    def _strikes(self, fault: Fault, *, name: str = "") -> bool:
        return self._faults.strikes(fault, self._save_id, name=name)

    def _pick(self, fault: Fault, changes: Sequence[Change]) -> Change:
        """One change by the seed, a custom field if there is any."""
        pool = [c for c in changes if c.field is not None] or list(changes)
        return pool[int(self._faults.fraction(fault, self._save_id, "which") * len(pool))]

    def _plant(self, fault: Fault, **detail: Any) -> None:
        self._planted.append(Planted("save_id", self._save_id, fault, {"case_id": self._case_id, **detail}))


def _known_to(case_type: CaseType, changes: list[Change]) -> list[Change]:
    known: list[Change] = []
    for change in changes:
        if change.field is None:
            known.append(change)
        elif change.key in case_type.fields:
            known.append(replace(change, field=case_type.fields[change.key]))
    return known


def _is_long_enough(change: Change) -> bool:
    is_text = change.field is None or change.field.type in ("text", "long_text")
    return is_text and isinstance(change.after, str) and len(change.after) > 1
