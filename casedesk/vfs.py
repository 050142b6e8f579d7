"""Where SQLite meets the disk: a VFS that sends every read, write and sync through the page cache.

The bytes are kept by the operating system's own VFS; locks and the shared memory of the
WAL index are inherited from it, so they work across threads and connections and cost
nothing. Only the time is ours: a sync is paid for at the modelled device and *not* passed
on, because the real disk below would add its own, unknown, latency. A killed process loses
nothing by that; a power cut may.
"""

from __future__ import annotations

from typing import Any

import apsw

from casedesk.pagecache import PAGE_BYTES, PageCache


class CostedVFS(apsw.VFS):
    """The default VFS with a price. ``name`` must be unique in the process."""

    def __init__(self, name: str, cache: PageCache) -> None:
        self.name = name
        self._cache = cache
        super().__init__(name, base="")

    def xOpen(self, name: apsw.URIFilename | str | None, flags: list[int]) -> CostedFile:  # noqa: N802
        """Open a file; temporary files have no name and share the name ``temporary``."""
        plain = name.filename() if isinstance(name, apsw.URIFilename) else name
        return CostedFile(name, flags, label=plain or "temporary", cache=self._cache)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        """Delete a file and forget its pages."""
        super().xDelete(filename, syncdir)
        self._cache.drop(filename)


class CostedFile(apsw.VFSFile):
    """One open file of the database: the operating system's, paid for page by page."""

    def __init__(self, name: Any, flags: list[int], *, label: str, cache: PageCache) -> None:
        self._label = label
        self._cache = cache
        super().__init__("", name, flags)

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        """Read, at the price of the pages that the host does not hold."""
        self._cache.read(self._label, offset, amount)
        data: bytes = super().xRead(amount, offset)
        return data

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        """Write into the host's cache; the price is paid at the sync."""
        super().xWrite(data, offset)
        self._cache.write(self._label, offset, len(data))

    def xSync(self, flags: int) -> None:  # noqa: N802
        """Pay for the dirty pages and the sync. The real sync is left out on purpose (see the module)."""
        self._cache.sync(self._label)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        """Truncate and forget the pages beyond."""
        super().xTruncate(newsize)
        self._cache.drop(self._label, -(-newsize // PAGE_BYTES))
