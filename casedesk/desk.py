"""One running desk: its settings, and its disk, store, workers and faults put together."""

from __future__ import annotations

import itertools
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from casedesk.catalogue import Catalogue
from casedesk.device import Device
from casedesk.disk import DiskProfile, load_profile, packaged_profile
from casedesk.faults import Faults
from casedesk.jobs import ScriptWorker
from casedesk.mail import MailWorker, SmtpServer
from casedesk.pagecache import PageCache
from casedesk.problems import StartError
from casedesk.store import Store
from casedesk.vfs import CostedVFS

_vfs_numbers: Final = itertools.count(1)


@dataclass(frozen=True, slots=True)
class DeskSettings:
    """How a desk is run.

    ``disk`` is the name of a packaged profile or the path of a YAML file; ``data`` None is a fresh
    temporary folder, removed at the end; ``smtp`` None is the internal sink; ``api_key`` None
    asks for no key, and is refused for a ``host`` that others can reach; ``port`` 0 is any free one.
    """

    port: int = 0
    host: str = "127.0.0.1"
    disk: str = "healthy"
    data: Path | None = None
    seed: int = 1
    smtp: SmtpServer | None = None
    deadline_s: float = 5.0
    api_key: str | None = field(default=None, repr=False)


@dataclass(slots=True)
class Desk:
    """The parts of a running desk. ``drop_connections`` is set by who serves it."""

    settings: DeskSettings
    device: Device
    pages: PageCache
    store: Store
    catalogue: Catalogue
    faults: Faults
    scripts: ScriptWorker
    mail: MailWorker
    drop_connections: Callable[[], None] = lambda: None

    def late_deadline(self) -> float:
        """On ``time.monotonic``: an administrator, who deletes much, waits longer than a user."""
        return time.monotonic() + 12 * self.settings.deadline_s

    def set_disk(self, profile: DiskProfile) -> None:
        """Put another disk profile in force, now."""
        self.device.switch(profile)
        self.pages.resize(profile.cache_pages)

    def move_host(self) -> None:
        """Fail over: connections drop, the disk is healthy, the new host's page cache is cold.

        Requests at work go on and may commit, but their answers are lost with the connections.
        """
        self.set_disk(packaged_profile("healthy"))
        self.pages.forget()
        self.drop_connections()

    def hurry(self) -> None:
        """The service stops: nothing waits for the disk or the writer any more."""
        self.device.release()
        self.store.writer.close()


@contextmanager
def open_desk(settings: DeskSettings) -> Iterator[Desk]:
    """A desk at work until the block ends.

    :class:`ProfileError` for a wrong disk, :class:`StartError` for a data folder that cannot be used.
    """
    profile = load_profile(settings.disk)
    data = _data_folder(settings.data)
    try:
        device = Device(profile, seed=settings.seed)
        pages = PageCache(device)
        store = Store(data / "casedesk.sqlite", vfs=CostedVFS(f"casedesk-{next(_vfs_numbers)}", pages))
        with store.read() as connection:
            catalogue = Catalogue(connection)
        desk = Desk(
            settings=settings,
            device=device,
            pages=pages,
            store=store,
            catalogue=catalogue,
            faults=Faults(data / "planted.jsonl", seed=settings.seed),
            scripts=ScriptWorker(store, deadline_s=settings.deadline_s),
            mail=MailWorker(store, smtp=settings.smtp, deadline_s=settings.deadline_s),
        )
        desk.scripts.start()
        desk.mail.start()
        try:
            yield desk
        finally:
            desk.hurry()
            desk.scripts.stop()
            desk.mail.stop()
            store.close()
    finally:
        if settings.data is None:
            shutil.rmtree(data, ignore_errors=True)


def _data_folder(data: Path | None) -> Path:
    if data is None:
        return Path(tempfile.mkdtemp(prefix="casedesk-"))
    try:
        data.mkdir(parents=True, exist_ok=True)
        probe = data / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise StartError(
            f"data folder {data} cannot be used: {error.strerror}; expected a writable folder"
        ) from error
    return data
