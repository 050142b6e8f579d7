"""Where everything is kept: the SQLite database, its connections and its transactions.

WAL with synchronous FULL: a commit is one append to the log and one sync. Readers use a
small pool of connections and never wait for the writer. There is one connection that
writes, guarded by a fair lock with a deadline per request. The log is folded back into the
database by a thread of its own (``checkpoint``), as in servers with a background writer,
so that no user pays for a checkpoint but everybody shares the device with it.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import resources
from pathlib import Path
from typing import Final

import apsw

from casedesk.problems import DeadlinePassed, DeskError
from casedesk.vfs import CostedVFS
from casedesk.writer import WriterLock

#: SQLite's own cache, in pages, per connection: small, so that the host's page cache decides.
CACHE_PAGES: Final = 64
#: Frames in the log after which the background checkpoint begins.
CHECKPOINT_FRAMES: Final = 100
#: VM instructions of a statement between two looks at the clock: some 30 rows.
_STEPS_PER_LOOK: Final = 200


class _Session:
    """A connection whose statements are interrupted when the deadline has passed."""

    def __init__(self, connection: apsw.Connection) -> None:
        self.connection = connection
        self.deadline = float("inf")
        connection.set_progress_handler(self.look_at_the_clock, _STEPS_PER_LOOK)

    def look_at_the_clock(self) -> bool:
        if time.monotonic() > self.deadline:
            raise DeadlinePassed("the work was not done before the deadline; nothing was saved")
        return False


class Store:
    """The database of one desk. Close it when all requests and workers are done."""

    def __init__(self, path: Path, *, vfs: CostedVFS) -> None:
        self._path = path
        self._vfs = vfs
        self.writer = WriterLock()
        self._closing = False
        self._checkpoint_wanted = threading.Event()
        self._readers: queue.LifoQueue[_Session] = queue.LifoQueue()
        self._writing = _Session(self._connect())
        schema = resources.files("casedesk") / "schema.sql"
        self._writing.connection.execute(schema.read_text(encoding="utf-8"))
        self._writing.connection.set_wal_hook(self._note_frames)
        self._checkpointer = threading.Thread(target=self._checkpoint_forever, name="checkpoint", daemon=True)
        self._checkpointer.start()

    @contextmanager
    def read(self, deadline: float = float("inf")) -> Iterator[apsw.Connection]:
        """One consistent snapshot of everything committed so far; waits for nobody.

        :class:`DeadlinePassed` is raised if a statement is still at work at ``deadline``.
        """
        try:
            session = self._readers.get_nowait()
        except queue.Empty:
            session = _Session(self._connect())
        try:
            session.connection.execute("BEGIN")
            session.deadline = deadline
            try:
                yield session.connection
            finally:
                session.deadline = float("inf")
                session.connection.execute("ROLLBACK")
        finally:
            self._readers.put(session)

    @contextmanager
    def write(self, deadline: float) -> Iterator[apsw.Connection]:
        """One transaction: committed when the block ends, rolled back when it raises.

        :class:`DeadlinePassed` is raised, and nothing kept, if the writer does not come free or the
        work is not done by ``deadline`` (``time.monotonic``). A commit that has begun is not
        called back: it may end after the deadline.
        """
        self.writer.acquire(deadline)
        try:
            connection = self._writing.connection
            connection.execute("BEGIN IMMEDIATE")
            self._writing.deadline = deadline
            try:
                yield connection
                self._writing.look_at_the_clock()
                self._writing.deadline = float("inf")
                connection.execute("COMMIT")
            except BaseException:
                self._writing.deadline = float("inf")
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        finally:
            self.writer.release()

    def close(self) -> None:
        """Stop the checkpoints and close every connection."""
        self._closing = True
        self._checkpoint_wanted.set()
        self._checkpointer.join()
        with suppress(queue.Empty):
            while True:
                self._readers.get_nowait().connection.close()
        self._writing.connection.close()

    def _connect(self) -> apsw.Connection:
        connection = apsw.Connection(str(self._path), vfs=self._vfs.name)
        connection.set_busy_timeout(5000)
        for pragma in (
            "page_size = 4096",
            "journal_mode = WAL",
            "synchronous = FULL",
            f"cache_size = {CACHE_PAGES}",
            "wal_autocheckpoint = 0",
            "temp_store = MEMORY",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        return connection

    def _note_frames(self, _connection: apsw.Connection, _database: str, frames: int) -> int:
        if frames >= CHECKPOINT_FRAMES:
            self._checkpoint_wanted.set()
        return apsw.SQLITE_OK

    def _checkpoint_forever(self) -> None:
        connection = self._connect()
        while True:
            self._checkpoint_wanted.wait()
            self._checkpoint_wanted.clear()
            if self._closing:
                break
            # The bulk beside the writer, and what came meanwhile too; then, with the writer held, the
            # last few frames. Only a log folded back completely is begun anew by the next writer.
            with suppress(DeskError, apsw.Error):
                connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
                connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
                self.writer.acquire(float("inf"))
                try:
                    connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
                finally:
                    self.writer.release()
        connection.close()
