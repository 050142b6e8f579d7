"""Streams: the series that the watch decides on, each one number a block, larger is worse.

*Levels* say how long something took. *Contrasts* hold cells of the same block against each other, so
that what is common to all of them at that moment (a busy host, a change of load) cancels: how much an
operation grows with the number of custom fields, and custom saves against standard saves.
Every contrast is a sum over cells of weight x mean log latency.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.slope import COHORTS, line
from analysis.window.blocks import OVERALL, Block

Floats = NDArray[np.float64]
Cell = tuple[str, int]

#: Read and custom save touch every field: their slopes together are the incident's signature at its clearest.
POOLED = ("read_case", "save_custom")
#: The streams that people are shown: how everything moves, and the incident's signature.
TELLING = (OVERALL, "growth of save_custom", "growth of all")


@dataclass(frozen=True, slots=True)
class Streams:
    """Names and order of the streams, and what each contrast is made of."""

    levels: tuple[str, ...]
    contrasts: tuple[str, ...]
    cells: tuple[Cell, ...]
    weights: Floats  # [contrasts, cells]

    @property
    def names(self) -> tuple[str, ...]:
        """Levels first, then contrasts: the order of every row."""
        return self.levels + self.contrasts

    @property
    def is_contrast(self) -> NDArray[np.bool_]:
        """Which places of a row are contrasts."""
        return np.arange(len(self.names)) >= len(self.levels)

    def row(self, block: Block, means: Floats) -> Floats:
        """The value of every stream in the block, whose ``means`` these are; NaN where a part is missing."""
        levels = [block.levels.get(name, math.nan) for name in self.levels]
        present = np.isfinite(means)
        if present.all():
            return np.concatenate([levels, self.weights @ means])
        contrasts = self.weights @ np.where(present, means, 0.0)
        contrasts[(self.weights[:, ~present] != 0).any(axis=1)] = math.nan
        return np.concatenate([levels, contrasts])

    def means(self, block: Block) -> Floats:
        """The mean log latency of each of ``cells``; NaN where the block has none."""
        found = {(one.operation, one.custom_fields): one.mean_log_s for one in block.cells}
        return np.array([found.get(cell, math.nan) for cell in self.cells])


def name_streams(levels: Sequence[str], cells: Collection[Cell]) -> Streams:
    """The streams that can be made of these level streams and cells."""
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
    contrasts = {f"growth of {operation}": slope for operation, slope in slopes.items()}
    if all(name in slopes for name in POOLED):
        contrasts["growth of " + " and ".join(POOLED)] = _mean([slopes[name] for name in POOLED])
    if len(slopes) > 1:
        contrasts["growth of all"] = _mean(list(slopes.values()))
    large = [f for f in (200, 500) if {("save_custom", f), ("save_standard", f)} <= set(ordered)] or (
        [most] if {("save_custom", most), ("save_standard", most)} <= set(ordered) else []
    )
    if large:
        share = 1 / len(large)
        against = {("save_custom", f): share for f in large} | {("save_standard", f): -share for f in large}
        contrasts["save_custom against save_standard"] = against
    matrix = np.array([[parts.get(cell, 0.0) for cell in ordered] for parts in contrasts.values()])
    return Streams(tuple(levels), tuple(contrasts), ordered, matrix.reshape(len(contrasts), len(ordered)))


def _mean(parts: Sequence[Mapping[Cell, float]]) -> dict[Cell, float]:
    return {cell: weight / len(parts) for part in parts for cell, weight in part.items()}
