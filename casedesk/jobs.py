"""What happens after a save: the on-save scripts, run by a worker that takes jobs in order.

A script is small and honest: it reads the values of the case, writes a score and appends a
row to the log of runs, and its job is deleted, all in one transaction through the single
writer. So every script runs exactly once, whatever is retried. Up to ``_TOGETHER`` runs
share a transaction: a worker that is behind catches up by larger bites.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from typing import Any, Final

import apsw

from casedesk.problems import DeadlinePassed
from casedesk.sabotage import QueuedScript
from casedesk.store import Store

_TOGETHER: Final = 8
#: How soon a job whose time has come is seen when no save wakes the worker, in seconds.
_POLL_S: Final = 0.05

_log = logging.getLogger("casedesk")


class Worker:
    """A thread that works whenever it is woken, and looks by itself every ``_POLL_S``."""

    def __init__(self, name: str) -> None:
        self._stop = False
        self._wanted = threading.Event()
        self._thread = threading.Thread(target=self._work_forever, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Say that there is work."""
        self._wanted.set()

    def stop(self) -> None:
        """End the thread after the job at hand; jobs left stay queued in the database."""
        self._stop = True
        self._wanted.set()
        if self._thread.is_alive():
            self._thread.join()

    def work(self) -> bool:
        """Do some of the work; True if there may be more."""
        raise NotImplementedError

    def _work_forever(self) -> None:
        while not self._stop:
            self._wanted.clear()
            try:
                more = self.work()
            except (DeadlinePassed, apsw.Error) as error:
                # Rolled back as a whole: the jobs are still queued and are taken again.
                _log.info("%s: %s; trying again", self._thread.name, error)
                more = False
            if not more and not self._stop:
                self._wanted.wait(_POLL_S)


class ScriptWorker(Worker):
    """Runs the queued scripts, oldest first."""

    def __init__(self, store: Store, *, deadline_s: float) -> None:
        super().__init__("scripts")
        self._store = store
        self._deadline_s = deadline_s

    def work(self) -> bool:
        """Run up to ``_TOGETHER`` due scripts in one transaction; True if that many were due."""
        if not self._prepare():
            return False
        with self._store.write(time.monotonic() + self._deadline_s) as connection:
            jobs: list[Any] = connection.execute(
                "SELECT id, tenant_id, case_id, save_id, script, queued_at FROM jobs"
                " WHERE kind = 'script' AND not_before <= ? ORDER BY id LIMIT ?",
                (time.time(), _TOGETHER),
            ).fetchall()
            for job_id, tenant_id, case_id, save_id, script, queued_at in jobs:
                started_at = time.time()
                if _run_script(connection, case_id):
                    connection.execute(
                        "INSERT INTO script_runs (tenant_id, case_id, save_id, script, queued_at, started_at,"
                        " finished_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
                        (tenant_id, case_id, save_id, script, queued_at, started_at, time.time()),
                    )
                connection.execute("DELETE FROM jobs WHERE id = ?", (job_id,))
        return len(jobs) == _TOGETHER

    def _prepare(self) -> bool:
        """Whether scripts are due; what they will read is brought into the host's page cache.

        So the writer, whom everybody waits for, is not held while the disk is searched for a case.
        """
        with self._store.read() as connection:
            due: list[Any] = connection.execute(
                "SELECT case_id FROM jobs WHERE kind = 'script' AND not_before <= ? ORDER BY id LIMIT ?",
                (time.time(), _TOGETHER),
            ).fetchall()
            for case_id in {row[0] for row in due}:
                connection.execute(
                    "SELECT count(value) FROM field_values WHERE case_id = ?", (case_id,)
                ).fetchone()
        return bool(due)


def queue_scripts(
    connection: apsw.Connection,
    tenant_id: int,
    case_id: int,
    save_id: str,
    scripts: Sequence[QueuedScript],
    *,
    queued_at: float,
) -> None:
    """Queue the runs inside the transaction of the save."""
    connection.executemany(
        "INSERT INTO jobs (kind, tenant_id, case_id, save_id, script, queued_at, not_before, attempts)"
        " VALUES ('script', ?, ?, ?, ?, ?, ?, 0)",
        [(tenant_id, case_id, save_id, s.name, queued_at, s.not_before) for s in scripts],
    )


def read_runs(store: Store, tenant_id: int, save_ids: Sequence[str]) -> list[dict[str, object]]:
    """The log of the runs for these saves, in the order in which they ran."""
    names = ("save_id", "script", "case_id", "queued_at", "started_at", "finished_at")
    marks = ", ".join("?" * len(save_ids))
    with store.read() as connection:
        rows = connection.execute(
            f"SELECT {', '.join(names)} FROM script_runs WHERE tenant_id = ? AND save_id IN ({marks})"  # noqa: S608
            " ORDER BY id",
            (tenant_id, *save_ids),
        ).fetchall()
    return [dict(zip(names, row, strict=True)) for row in rows]


def _run_script(connection: apsw.Connection, case_id: int) -> bool:
    """Read the case, write its score; False if the case is gone."""
    if connection.execute("SELECT 1 FROM cases WHERE id = ?", (case_id,)).fetchone() is None:
        return False
    connection.execute(
        "INSERT INTO scores SELECT ?1, 1, count(*),"
        " total(CASE WHEN typeof(value) IN ('integer', 'real') THEN value END)"
        " FROM field_values WHERE case_id = ?1 ON CONFLICT (case_id) DO UPDATE"
        " SET runs = runs + 1, filled = excluded.filled, total = excluded.total",
        (case_id,),
    )
    return True
