"""Several requests to a target at once, a few at a time: preparing and cleaning up are no load."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

#: Requests at once: enough to hide the way there and back, too few to be a load.
THREADS: Final = 4

Piece = TypeVar("Piece")
Done = TypeVar("Done")


def each(work: Callable[[Piece], Done], jobs: Iterable[Piece]) -> Iterator[Done]:
    """Results in the order of the jobs, a few at work at once; the first error ends it all."""
    with ThreadPoolExecutor(THREADS, thread_name_prefix="control") as pool:
        futures = [pool.submit(work, job) for job in jobs]
        try:
            for future in futures:
                yield future.result()
        finally:
            for future in futures:
                future.cancel()
