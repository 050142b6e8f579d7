"""The reduction of a run: its slices as arrays, and the sums that several steps need, each made once.

A comparison asks the same slices for the lag, the cells, the thirds and the course of a run. What is kept here
grows with the slices of a run (thirty) and its cells, never with its requests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.histograms import EMPTY, Histogram, flat, joined, lengths, log_seconds, total
from analysis.slices import empty

if TYPE_CHECKING:
    from analysis.levels import Cell

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_COUNTED: Final = ("requests", "ok", "failures", "aborted")


@dataclass(frozen=True, slots=True)
class Entries:
    """The bins of many histograms, one after the other: the row of each, and how many requests it holds."""

    rows: NDArray[np.int32]
    bins: NDArray[np.int32]
    counts: NDArray[np.int32]

    def add_to(self, table: Ints, group: Ints, column: NDArray[Any]) -> None:
        """Add to sums [groups, columns]: ``group`` is given by row (-1 is left out), ``column`` by entry."""
        key, counts = group[self.rows] * table.shape[1] + column, self.counts
        if len(group) and group.min() < 0:
            key, counts = key[key >= 0], counts[key >= 0]
        np.add.at(table.reshape(-1), key, counts.astype(np.int64))  # of one type: many times as fast


class Reduction:
    """What is summed of one run. Every row of its slices belongs to one cell and one moment."""

    def __init__(self, slices: pd.DataFrame, effects: pd.DataFrame) -> None:
        self._effects = effects
        self._slices = slices if len(slices) else empty()  # a frame without rows may be one without columns

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """The cells that occur, sorted."""
        return tuple(sorted(set(self._cell_of_rows)))

    @cached_property
    def cell(self) -> Ints:
        """By row, the place of its cell in ``cells``."""
        place = {cell: at for at, cell in enumerate(self.cells)}
        return np.array([place[cell] for cell in self._cell_of_rows], np.int64)

    @cached_property
    def t_s(self) -> Floats:
        """By row, when its slice starts."""
        return self._slices["t_s"].to_numpy(np.float64)

    @cached_property
    def counts(self) -> dict[str, Ints]:
        """By row, how many requests there were, and how many of them were ok, failed or aborted."""
        return {name: self._slices[name].to_numpy(np.int64) for name in _COUNTED}

    def of_cells(self, name: str) -> dict[Cell, int]:
        """One of the ``counts`` by cell."""
        sums = np.bincount(self.cell, weights=self.counts[name], minlength=len(self.cells)).astype(int).tolist()
        return dict(zip(self.cells, sums, strict=True))

    def of_all(self, name: str) -> int:
        """One of the ``counts`` over the whole run."""
        return int(self.counts[name].sum())

    @cached_property
    def by_cell(self) -> dict[Cell, Histogram]:
        """The response histogram of each cell."""
        return dict(zip(self.cells, self.responses(self.cell, len(self.cells)), strict=True))

    @cached_property
    def response(self) -> Histogram:
        """The response histogram of all cells together."""
        return joined(list(self.by_cell.values()))

    @cached_property
    def lag(self) -> Histogram:
        """How late requests were sent."""
        return total(self._slices, "lag")

    @cached_property
    def effects(self) -> dict[tuple[str, str], int]:
        """How many effects there were of each kind and outcome that occurs."""
        if not len(self._effects):
            return {}
        (kind, kinds), (outcome, outcomes) = (pd.factorize(self._effects[name]) for name in ("kind", "outcome"))
        sums = np.bincount(kind * len(outcomes) + outcome, minlength=len(kinds) * len(outcomes)).tolist()
        pairs = ((str(one), str(other)) for one in kinds for other in outcomes)
        return {pair: n for pair, n in zip(pairs, sums, strict=True) if n}

    @cached_property
    def entries(self) -> Entries:
        """All bins of the response histograms, row after row."""
        rows = np.repeat(np.arange(len(self._slices), dtype=np.int32), lengths(self._slices["response_bins"]))
        return Entries(rows, flat(self._slices["response_bins"]), flat(self._slices["response_counts"]))

    def responses(self, group: Ints, groups: int) -> list[Histogram]:
        """The response histogram of each of the groups, given by row the number of its group; -1 is left out."""
        entries = self.entries
        if not len(entries.bins):
            return [EMPTY] * groups
        low = int(entries.bins.min())
        table = np.zeros((groups, int(entries.bins.max()) - low + 1), np.int64)
        entries.add_to(table, group, entries.bins - low)
        places, bins = np.nonzero(table)
        edges = np.searchsorted(places, np.arange(groups + 1)).tolist()
        counts = table[places, bins]
        return [Histogram(bins[i:j] + low, counts[i:j]) for i, j in pairwise(edges)]

    def places_in(self, cells: Sequence[Cell]) -> Ints:
        """By row, the place of its cell in a list of cells; -1 where it is not among them."""
        place = {cell: at for at, cell in enumerate(cells)}
        return np.array([place.get(cell, -1) for cell in self.cells], np.int64)[self.cell]

    @property
    def _cell_of_rows(self) -> list[Cell]:
        return list(
            zip(
                self._slices["operation"].astype(str).tolist(), self._slices["custom_fields"].tolist(), strict=True
            )
        )


@dataclass(frozen=True, slots=True)
class Pooled:
    """The response histograms of some groups over several runs, as one table of counts."""

    counts: Ints  # [groups, bins]
    lowest: int  # the first of the bins

    @property
    def n(self) -> Ints:
        """How many requests each group holds."""
        n: Ints = self.counts.sum(axis=1)
        return n

    def quantiles(self, q: float) -> Floats:
        """As ``analysis.quantiles.quantile``, of every group, in seconds; of one without requests any number."""
        ranks = np.maximum(np.ceil(q * self.n - 1e-9), 1)
        places = (np.cumsum(self.counts, axis=1) < ranks[:, None]).sum(axis=1)
        return np.exp(log_seconds(places + self.lowest))


def pool(parts: Sequence[Reduction], by_row: Sequence[Ints], groups: int) -> Pooled:
    """Lay runs over one another: of each run the group of each row is given, -1 for what is left out."""
    entries = [part.entries for part in parts]
    known = [one.bins for one in entries if len(one.bins)]
    if not known:
        return Pooled(np.zeros((groups, 1), np.int64), 0)
    lowest, highest = min(int(bins.min()) for bins in known), max(int(bins.max()) for bins in known)
    counts = np.zeros((groups, highest - lowest + 1), np.int64)
    for one, group in zip(entries, by_row, strict=True):
        one.add_to(counts, group, one.bins - lowest)
    return Pooled(counts, lowest)
