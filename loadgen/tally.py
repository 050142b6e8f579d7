"""Counts of finished requests by cell for those who look at a run while it lasts: outcomes, times in buckets."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from loadgen.recorder import Sample
from scenarios.source import StrictModel

#: Upper ends; what took longer is in one more bucket.
BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

Key = tuple[str, str, int]


class CellTally(StrictModel):
    """What finished so far of an operation of a cohort in an arm; times from the planned moment."""

    arm: str
    operation: str
    custom_fields: int
    outcomes: dict[str, int]
    buckets: tuple[int, ...]  # how many in each, not cumulated
    sum_s: float


@dataclass(slots=True)
class _Cell:
    outcomes: Counter[str] = field(default_factory=Counter)
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_S) + 1))
    sum_s: float = 0.0


class Tally:
    """Counts samples."""

    def __init__(self) -> None:
        self._cells: dict[Key, _Cell] = {}

    def take(self, samples: Iterable[Sample]) -> None:
        """Count what is finished of these; what the end of the run cut off is not."""
        for row in samples:
            if row.outcome == "aborted":
                continue
            key = (row.arm, row.operation, row.custom_fields)
            cell = self._cells.get(key)
            if cell is None:
                cell = self._cells[key] = _Cell()
            took_s = row.done_s - row.scheduled_s
            cell.outcomes[row.outcome] += 1
            cell.buckets[bisect_left(BUCKETS_S, took_s)] += 1
            cell.sum_s += took_s

    @property
    def cells(self) -> tuple[CellTally, ...]:
        """What was counted, in order."""
        return tuple(
            CellTally(
                arm=arm,
                operation=operation,
                custom_fields=fields,
                outcomes=dict(cell.outcomes),
                buckets=tuple(cell.buckets),
                sum_s=cell.sum_s,
            )
            for (arm, operation, fields), cell in sorted(self._cells.items())
        )


def cells_of_all(parts: Iterable[Sequence[CellTally]]) -> tuple[CellTally, ...]:
    """The counts of several workers, added."""
    whole: dict[Key, CellTally] = {}
    for part in parts:
        for one in part:
            key = (one.arm, one.operation, one.custom_fields)
            before = whole.get(key)
            whole[key] = one if before is None else _together(before, one)
    return tuple(whole[key] for key in sorted(whole))


def _together(one: CellTally, other: CellTally) -> CellTally:
    return one.model_copy(
        update={
            "outcomes": dict(Counter(one.outcomes) + Counter(other.outcomes)),
            "buckets": tuple(a + b for a, b in zip(one.buckets, other.buckets, strict=True)),
            "sum_s": one.sum_s + other.sum_s,
        }
    )
