"""The recorder: rows in memory, appended to the shards once a second, and the count of both.

It is called directly and not through Locust's event hook, which logs and drops what a listener
raises: a broken recorder must end the run, not empty it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from analysis.samples import EFFECT_COLUMNS, SAMPLE_COLUMNS
from loadgen.disk import BATCH_ROWS, ROTATE_S
from loadgen.run_folder import RunFolder
from loadgen.shards import ShardWriter


class Sample(NamedTuple):
    """A row of the samples table; see ``analysis.samples.SAMPLE_COLUMNS`` for the units."""

    seq: int
    worker: int
    arm: str
    tenant: str
    custom_fields: int
    operation: str
    scheduled_s: float
    sent_s: float
    done_s: float
    status: int
    outcome: str
    detail: str
    bytes_out: int
    bytes_in: int


class Effect(NamedTuple):
    """A row of the effects table; see ``analysis.samples.EFFECT_COLUMNS`` for the units."""

    seq: int
    tenant: str
    custom_fields: int
    operation: str
    kind: str
    name: str
    expected: int
    seen: int
    due_s: float
    first_seen_s: float
    delay_s: float
    outcome: str


class Recorder:
    """Keeps what one worker measured of one arm. A killed process loses what came after its last ``flush``."""

    def __init__(
        self,
        folder: RunFolder,
        worker: int = 0,
        arm: str = "",
        *,
        clock: Callable[[], float] = time.monotonic,
        on_flush: Callable[[Sequence[Sample]], None] | None = None,
    ) -> None:
        self._folder = folder
        self._worker = worker
        self._arm = arm
        self._clock = clock
        self._on_flush = on_flush  # hears of what is in the shards by then
        self._part = 0
        self.written = 0  # samples that are in the shards, of any outcome
        self.outcomes: Counter[str] = Counter()
        self.effects: dict[str, Counter[str]] = {}
        self._samples: list[Sample] = []
        self._effects: list[tuple[Any, ...]] = []
        self._open()

    def _open(self) -> None:
        self._opened_s = self._clock()
        self._sample_shard = ShardWriter(self._shard("samples"), SAMPLE_COLUMNS)
        self._effect_shard = ShardWriter(self._shard("effects"), EFFECT_COLUMNS)

    def _shard(self, table: str) -> Path:
        return self._folder.shard(self._worker, table, self._arm, self._part)

    def sample(self, row: Sample) -> None:
        """One arrival and what became of it."""
        self._samples.append(row)
        self.outcomes[row.outcome] += 1

    def effect(self, row: Effect) -> None:
        """One effect and what became of it."""
        self._effects.append((*row, self._arm))
        self.effects.setdefault(row.kind, Counter())[row.outcome] += 1

    def flush(self) -> None:
        """Append what is in memory to the shards. Raises OSError where the disk is full."""
        while self.flush_some():
            pass

    def flush_some(self) -> bool:
        """Append a batch of what is in memory, a millisecond's work at most; whether there is more."""
        samples, self._samples = self._samples[:BATCH_ROWS], self._samples[BATCH_ROWS:]
        effects, self._effects = self._effects[:BATCH_ROWS], self._effects[BATCH_ROWS:]
        self._sample_shard.append(samples)
        self.written += len(samples)
        if self._on_flush is not None:
            self._on_flush(samples)
        self._effect_shard.append(effects)
        if self._samples or self._effects:
            return True
        if self._clock() - self._opened_s >= ROTATE_S:
            self._end()
            self._part += 1
            self._open()
        return False

    def close(self) -> None:
        """Flush and end the shards."""
        self.flush()
        self._end()

    def _end(self) -> None:
        self._sample_shard.close()
        self._effect_shard.close()

    @property
    def aborted(self) -> int:
        """Samples of requests that were not finished when the run stopped."""
        return self.outcomes["aborted"]

    @property
    def recorded(self) -> int:
        """Finished requests so far, written or not."""
        return self.outcomes.total() - self.aborted

    @property
    def failures(self) -> int:
        """Finished requests with an outcome other than ok."""
        return self.recorded - self.outcomes["ok"]

    @property
    def unverified(self) -> int:
        """Effects that nobody could look at."""
        return sum(counts["unverified"] for counts in self.effects.values())
