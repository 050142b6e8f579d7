"""Counts of finished requests by cell for those who look at a run while it lasts: outcomes, and times in bins.

A bin is 2 % wide, so that a quantile is right to 1 %. The ends of Prometheus' buckets are ends of bins too, which
makes these exact. Counts of several workers are added bin by bin.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from operator import itemgetter
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field

from loadgen.recorder import Sample
from scenarios.source import StrictModel

#: Upper ends; what took longer is in one more bucket.
BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
#: What is shorter or longer is not told apart.
SHORTEST_S, LONGEST_S = 1e-4, 600.0
WIDTH: Final = 1.02


def _bin_ends_s() -> Iterator[float]:
    yield SHORTEST_S
    for low_s, high_s in pairwise((SHORTEST_S, *BUCKETS_S, LONGEST_S)):
        parts = math.ceil(math.log(high_s / low_s) / math.log(WIDTH))
        yield from (low_s * (high_s / low_s) ** (part / parts) for part in range(1, parts))
        yield high_s


#: Upper ends of the bins; what took longer is in one more.
BIN_ENDS_S: Final = np.array(list(_bin_ends_s()))
_BINS: Final = len(BIN_ENDS_S) + 1
_MIDDLES_S: Final = np.sqrt(np.append(BIN_ENDS_S, LONGEST_S) * np.append(SHORTEST_S, BIN_ENDS_S))
#: The last bin of each bucket.
_LAST_BINS: Final = [*np.searchsorted(BIN_ENDS_S, BUCKETS_S).tolist(), _BINS - 1]
_PACKED: Final = np.dtype("<u4")

#: Arm, operation and custom fields.
Key = tuple[str, str, int]

_KEY_OF: Final = itemgetter(*map(Sample._fields.index, ("arm", "operation", "custom_fields", "outcome")))
_SCHEDULED_OF, _DONE_OF = (itemgetter(Sample._fields.index(name)) for name in ("scheduled_s", "done_s"))


class CellTally(StrictModel):
    """What finished so far of an operation of a cohort in an arm; times from the planned moment."""

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    arm: str
    operation: str
    custom_fields: int
    outcomes: dict[str, int]
    sum_s: float
    first_bin: int = Field(ge=0)
    packed: bytes  # how many in that bin and those after it, up to the last that is not empty

    @property
    def requests(self) -> int:
        """How many are finished, with any outcome."""
        return sum(self.outcomes.values())

    @property
    def failures(self) -> int:
        """How many of them were not ok."""
        return self.requests - self.outcomes.get("ok", 0)

    @property
    def counts(self) -> NDArray[np.int64]:
        """How many in each bin."""
        found = np.zeros(_BINS, np.int64)
        some = np.frombuffer(self.packed, _PACKED)
        found[self.first_bin : self.first_bin + len(some)] = some
        return found

    @property
    def buckets(self) -> list[int]:
        """How many took as long as the end of each bucket or less; all of them in the last."""
        found: list[int] = np.cumsum(self.counts)[_LAST_BINS].tolist()
        return found

    def quantiles_s(self, shares: Sequence[float]) -> list[float]:
        """The times that these shares did not exceed, failures included, each right to 1 %."""
        so_far = np.cumsum(np.frombuffer(self.packed, _PACKED))
        ranks = np.maximum(np.ceil(np.array(shares) * so_far[-1]), 1)
        found: list[float] = _MIDDLES_S[self.first_bin + np.searchsorted(so_far, ranks)].tolist()
        return found


def _packed(counts: NDArray[np.int64]) -> tuple[int, bytes]:
    places = np.flatnonzero(counts)
    first, last = int(places[0]), int(places[-1])
    return first, counts[first : last + 1].astype(_PACKED).tobytes()


class _Rows(dict[tuple[str, str, int, str], int]):
    """The row of the table for an outcome of a cell; the next one for what was not seen before."""

    def __missing__(self, key: tuple[str, str, int, str]) -> int:
        self[key] = row = len(self)
        return row


class Tally:
    """Counts samples."""

    def __init__(self) -> None:
        self._rows = _Rows()
        self._counts = np.zeros((0, _BINS), np.int64)
        self._sums_s = np.zeros(0)

    def take(self, samples: Sequence[Sample]) -> None:
        """Count what is finished of these; what the end of the run cut off is not.

        Column by column and not sample by sample: every request of a run passes through here.
        """
        number = len(samples)
        rows = np.fromiter(map(self._rows.__getitem__, map(_KEY_OF, samples)), np.int64, number)
        took_s = np.fromiter(map(_DONE_OF, samples), np.float64, number)
        took_s -= np.fromiter(map(_SCHEDULED_OF, samples), np.float64, number)
        if missing := len(self._rows) - len(self._sums_s):
            self._counts = np.vstack([self._counts, np.zeros((missing, _BINS), np.int64)])
            self._sums_s = np.append(self._sums_s, np.zeros(missing))
        np.add.at(self._counts, (rows, np.searchsorted(BIN_ENDS_S, took_s)), 1)
        np.add.at(self._sums_s, rows, took_s)

    @property
    def cells(self) -> tuple[CellTally, ...]:
        """What was counted, in order."""
        rows_of: dict[Key, dict[str, int]] = {}
        for (arm, operation, fields, outcome), row in self._rows.items():
            if outcome != "aborted":
                rows_of.setdefault((arm, operation, fields), {})[outcome] = row
        return tuple(self._cell(key, rows) for key, rows in sorted(rows_of.items()))

    def _cell(self, key: Key, rows: Mapping[str, int]) -> CellTally:
        numbers = list(rows.values())
        counts = self._counts[numbers]
        first, packed = _packed(counts.sum(axis=0))
        arm, operation, fields = key
        return CellTally(
            arm=arm,
            operation=operation,
            custom_fields=fields,
            outcomes=dict(zip(rows, counts.sum(axis=1).tolist(), strict=True)),
            sum_s=float(self._sums_s[numbers].sum()),
            first_bin=first,
            packed=packed,
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
    first, packed = _packed(one.counts + other.counts)
    return one.model_copy(
        update={
            "outcomes": dict(Counter(one.outcomes) + Counter(other.outcomes)),
            "sum_s": one.sum_s + other.sum_s,
            "first_bin": first,
            "packed": packed,
        }
    )
