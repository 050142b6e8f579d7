"""What the host remembers of the disk: an LRU cache of 4 KiB pages in front of the device.

The model is that of a host with write-back caching:

- a read of a cached page costs nothing, every other page costs one read at the device;
- a write makes pages dirty in the cache and costs nothing yet;
- a sync of a file writes its dirty pages (one write each) and then syncs (one sync);
- a dirty page that is pushed out before its sync is written by whoever pushes it out.

A write that covers only part of a page is not charged the read of the rest. Two threads
that miss the same page at the same time both pay for it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from casedesk.device import Device

PAGE_BYTES: Final = 4096


class Page(NamedTuple):
    """A page of a file: its number counts from 0."""

    file: str
    number: int


@dataclass(frozen=True, slots=True)
class CacheCounters:
    """Pages asked for and missed since the start; pages held now and how many of them are dirty."""

    reads: int
    misses: int
    held: int
    dirty: int


class PageCache:
    """LRU of pages, its size taken from the device's profile. Safe to use from any thread."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._lock = threading.Lock()
        self._pages: OrderedDict[Page, None] = OrderedDict()  # least recently used first
        self._dirty: dict[str, set[int]] = {}
        self._capacity = device.profile.cache_pages
        self._reads = 0
        self._misses = 0

    def read(self, file: str, offset: int, amount: int) -> None:
        """Pay for reading these bytes, and keep their pages."""
        pages = _pages(file, offset, amount)
        with self._lock:
            self._reads += len(pages)
            missed = [page for page in pages if page not in self._pages]
            self._misses += len(missed)
            for page in pages:
                if page in self._pages:
                    self._pages.move_to_end(page)
        if missed:
            self._device.operate("read", len(missed))
            self._keep(missed)

    def write(self, file: str, offset: int, amount: int) -> None:
        """Make the pages of these bytes dirty; they are paid for at the next sync or when pushed out."""
        pages = _pages(file, offset, amount)
        with self._lock:
            self._dirty.setdefault(file, set()).update(page.number for page in pages)
        self._keep(pages)

    def sync(self, file: str) -> None:
        """Write the dirty pages of the file and sync it."""
        with self._lock:
            dirty = self._dirty.pop(file, set())
        self._device.operate("write", len(dirty))
        self._device.operate("sync")

    def drop(self, file: str, first_page: int = 0) -> None:
        """Forget the pages of a file from this page on: it was truncated or deleted."""
        with self._lock:
            for page in [p for p in self._pages if p.file == file and p.number >= first_page]:
                del self._pages[page]
            if file in self._dirty:
                self._dirty[file] = {number for number in self._dirty[file] if number < first_page}

    def resize(self, pages: int) -> None:
        """Hold at most this many pages; what has to go is paid for if it is dirty."""
        with self._lock:
            self._capacity = pages
        self._keep(())

    def forget(self) -> None:
        """Start cold, as on another host. Dirty pages are taken to have arrived with the move."""
        with self._lock:
            self._pages.clear()
            self._dirty.clear()

    def counters(self) -> CacheCounters:
        """The totals so far."""
        with self._lock:
            dirty = sum(len(numbers) for numbers in self._dirty.values())
            return CacheCounters(self._reads, self._misses, len(self._pages), dirty)

    def _keep(self, pages: Iterable[Page]) -> None:
        pushed_out_dirty = 0
        with self._lock:
            for page in pages:
                self._pages[page] = None
                self._pages.move_to_end(page)
            while len(self._pages) > self._capacity:
                gone, _ = self._pages.popitem(last=False)
                numbers = self._dirty.get(gone.file)
                if numbers is not None and gone.number in numbers:
                    numbers.remove(gone.number)
                    pushed_out_dirty += 1
        if pushed_out_dirty:
            self._device.operate("write", pushed_out_dirty)


def _pages(file: str, offset: int, amount: int) -> list[Page]:
    first, last = offset // PAGE_BYTES, (offset + max(amount, 1) - 1) // PAGE_BYTES
    return [Page(file, number) for number in range(first, last + 1)]
