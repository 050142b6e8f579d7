"""Logarithmic histograms of durations: mergeable, sparse, and exact to a quarter of a per cent.

Bin ``i`` holds the durations from ``1.005**i`` to ``1.005**(i+1)`` microseconds and is told by its
geometric middle, so that no duration is off by more than 0.25 %. Whatever is shorter than a
microsecond (a generator that was not late at all) counts as one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

#: Width of a bin on the scale of natural logarithms.
LOG_WIDTH: Final = float(np.log(1.005))
SHORTEST_S: Final = 1e-6
#: More bins than any duration needs: bin 8191 lies beyond ten thousand years.
BINS: Final = 8192


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts by bin: ``bins`` rises without repeats, ``counts`` are above 0, both of the same length."""

    bins: NDArray[np.int64]
    counts: NDArray[np.int64]

    @property
    def n(self) -> int:
        """How many durations it holds."""
        return int(self.counts.sum())


EMPTY: Final = Histogram(np.empty(0, np.int64), np.empty(0, np.int64))


def bins_of(seconds: NDArray[np.float64]) -> NDArray[np.int64]:
    """The bin of each duration. Expects finite seconds; what is below a microsecond goes to bin 0."""
    logs = np.log(np.maximum(seconds, SHORTEST_S) / SHORTEST_S)
    return np.minimum(np.floor(logs / LOG_WIDTH + 1e-9), BINS - 1).astype(np.int64)


def log_seconds(bins: NDArray[np.int64]) -> NDArray[np.float64]:
    """The natural logarithm of the middle of each bin, in seconds."""
    logs: NDArray[np.float64] = (bins + 0.5) * LOG_WIDTH + np.log(SHORTEST_S)
    return logs


def histogram_of(seconds: NDArray[np.float64]) -> Histogram:
    """The histogram of some durations."""
    bins, counts = np.unique(bins_of(seconds), return_counts=True)
    return Histogram(bins, counts.astype(np.int64))


def merged(bins: NDArray[np.integer], counts: NDArray[np.integer]) -> Histogram:
    """One histogram from bins that may repeat."""
    if not len(bins):
        return EMPTY
    low = int(bins.min())
    dense = np.bincount(bins - low, weights=counts).astype(np.int64)
    found = np.flatnonzero(dense)
    return Histogram(found + low, dense[found])


def joined(parts: Sequence[Histogram]) -> Histogram:
    """The sum of some histograms."""
    if not parts:
        return EMPTY
    return merged(np.concatenate([one.bins for one in parts]), np.concatenate([one.counts for one in parts]))


def total(slices: pd.DataFrame, name: str, rows: NDArray[np.bool_] | None = None) -> Histogram:
    """The histogram ``name`` (response, lag) over all rows of a table of slices, or some of them."""
    if not len(slices):
        return EMPTY
    bins, counts = slices[f"{name}_bins"], slices[f"{name}_counts"]
    return merged(flat(bins), flat(counts)) if rows is None else merged(flat(bins[rows]), flat(counts[rows]))


def flat(lists: pd.Series[Any]) -> NDArray[np.int32]:
    """A column of lists of integers as one array, row after row; what is in memory already, not a copy."""
    found: NDArray[np.int32] = arrow_lists(lists).flatten().to_numpy()
    return found


def lengths(lists: pd.Series[Any]) -> NDArray[np.int64]:
    """How long each list of a column is."""
    found: NDArray[np.int64] = pc.list_value_length(arrow_lists(lists)).to_numpy().astype(np.int64)
    return found


def arrow_lists(lists: pd.Series[Any]) -> pa.ListArray:
    """A column of lists as Arrow keeps it: all values in one piece of memory, and where each list ends."""
    found = pa.array(lists)
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found
