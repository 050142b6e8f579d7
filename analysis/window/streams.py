"""Streams: the series that the watch decides on, each one number a block, larger is worse.

*Levels* say how long something took. *Contrasts* hold cells of the same block against each other, so
that what is common to all of them at that moment (a busy host, a change of load) cancels: how much an
operation grows with the number of custom fields, and custom saves against standard saves.
Every contrast is a sum over cells of weight x mean log latency. The last of them hold the watched target
against the old environment, where that was asked at the same moments: there each cell counts less its
counterpart, so that what both share (the network, the generator, the hour) cancels too.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.slope import COHORTS, line
from analysis.window.blocks import OVERALL, Block, CellLevel

Floats = NDArray[np.float64]
Cell = tuple[str, int]

#: Read and custom save touch every field: their slopes together are the incident's signature at its clearest.
POOLED = ("read_case", "save_custom")
GROWTH = "growth of "
AGAINST = " against the old environment"
#: The streams that people are shown: how everything moves, and the incident's signature.
TELLING = (OVERALL, "growth of save_custom", "growth of all", f"all{AGAINST}")


@dataclass(frozen=True, slots=True)
class Streams:
    """Names and order of the streams, and what each contrast is made of."""

    levels: tuple[str, ...]
    contrasts: tuple[str, ...]  # within the watched target
    against: tuple[str, ...]  # the watched target against the old environment
    cells: tuple[Cell, ...]
    weights: Floats  # [contrasts, cells]
    weights_against: Floats  # [against, cells]

    @property
    def names(self) -> tuple[str, ...]:
        """Levels first, then contrasts, then those against the old environment: the order of every row."""
        return self.levels + self.contrasts + self.against

    @property
    def own(self) -> int:
        """How many of the names come first that say something of the watched target alone."""
        return len(self.levels) + len(self.contrasts)

    @property
    def is_contrast(self) -> NDArray[np.bool_]:
        """Which places of a row hold cells of one block against each other."""
        return np.arange(len(self.names)) >= len(self.levels)

    def is_growth(self, name: str) -> bool:
        """Whether a stream tells how something grows, and not how long it takes."""
        return name in self.contrasts or name.startswith(GROWTH)

    def row(self, block: Block, means: Floats) -> Floats:
        """The value of every stream in the block, whose ``means`` these are; NaN where a part is missing."""
        levels = [block.levels.get(name, math.nan) for name in self.levels]
        return np.concatenate([levels, weighted(self.weights, means), self._against(block, means)])

    def means(self, block: Block) -> Floats:
        """The mean log latency of each of ``cells``; NaN where the block has none."""
        return self._means(block.cells)

    def _against(self, block: Block, means: Floats) -> Floats:
        return weighted(self.weights_against, means - self._means(block.versus)) if self.against else np.empty(0)

    def _means(self, cells: Sequence[CellLevel]) -> Floats:
        found = {(one.operation, one.custom_fields): one.mean_log_s for one in cells}
        return np.array([found.get(cell, math.nan) for cell in self.cells])


def weighted(weights: Floats, means: Floats) -> Floats:
    """The sum of each row of weights over the means; NaN where one that counts is missing."""
    present = np.isfinite(means)
    if present.all():
        return weights @ means
    found: Floats = weights @ np.where(present, means, 0.0)
    found[(weights[:, ~present] != 0).any(axis=1)] = math.nan
    return found


def name_streams(
    levels: Sequence[str], cells: Collection[Cell], versus: Mapping[Cell, float] | None = None
) -> Streams:
    """The streams that can be made of these level streams and cells.

    ``versus`` are the cells that the old environment has as well, with their shares of the requests.
    """
    ordered = tuple(sorted(cells))
    most = max((fields for _, fields in ordered), default=0)
    slopes: dict[str, dict[Cell, float]] = {}
    for operation in dict.fromkeys(name for name, _ in ordered):
        fields = np.array([f for name, f in ordered if name == operation], np.float64)
        if len(fields) >= COHORTS:
            c = line(fields, most)
            slopes[operation] = {
                (operation, int(f)): float(w) for f, w in zip(fields.tolist(), c.tolist(), strict=True)
            }
    contrasts = {f"{GROWTH}{operation}": slope for operation, slope in slopes.items()}
    if all(name in slopes for name in POOLED):
        contrasts[GROWTH + " and ".join(POOLED)] = _mean([slopes[name] for name in POOLED])
    if len(slopes) > 1:
        contrasts[f"{GROWTH}all"] = _mean(list(slopes.values()))
    large = [f for f in (200, 500) if {("save_custom", f), ("save_standard", f)} <= set(ordered)] or (
        [most] if {("save_custom", most), ("save_standard", most)} <= set(ordered) else []
    )
    if large:
        share = 1 / len(large)
        contrasts["save_custom against save_standard"] = {
            (name, f): sign * share for name, sign in (("save_custom", 1), ("save_standard", -1)) for f in large
        }
    against = _against_the_old(versus or {}, contrasts)
    return Streams(
        tuple(levels),
        tuple(contrasts),
        tuple(against),
        ordered,
        _matrix(contrasts, ordered),
        _matrix(against, ordered),
    )


def _against_the_old(
    shared: Mapping[Cell, float], contrasts: Mapping[str, Mapping[Cell, float]]
) -> dict[str, Mapping[Cell, float]]:
    """Each operation and all of them, by their requests; and the growth of all, or of the only one.

    Of all alone: bursts of the tenants of either environment make growth against the other one noisy.
    """
    found: dict[str, Mapping[Cell, float]] = {}
    for operation in sorted({name for name, _ in shared}):
        found[operation] = _by_share({cell: share for cell, share in shared.items() if cell[0] == operation})
    if len(found) > 1:
        found["all"] = _by_share(shared)
    growths = {name: parts for name, parts in contrasts.items() if name.startswith(GROWTH)}
    whole = growths.get(f"{GROWTH}all")
    growths = growths if whole is None else {f"{GROWTH}all": whole}
    found |= {name: parts for name, parts in growths.items() if set(parts) <= set(shared)}
    return {f"{name}{AGAINST}": parts for name, parts in found.items()}


def _by_share(shares: Mapping[Cell, float]) -> dict[Cell, float]:
    everything = sum(shares.values())
    return {cell: share / everything for cell, share in shares.items()}


def _matrix(streams: Mapping[str, Mapping[Cell, float]], cells: Sequence[Cell]) -> Floats:
    rows = np.array([[parts.get(cell, 0.0) for cell in cells] for parts in streams.values()], np.float64)
    return rows.reshape(len(streams), len(cells))


def _mean(parts: Sequence[Mapping[Cell, float]]) -> dict[Cell, float]:
    return {cell: weight / len(parts) for part in parts for cell, weight in part.items()}
