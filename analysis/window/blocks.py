"""Blocks: what the watch keeps of a few minutes of load, so that days of it are cheap to decide.

A block is made from the slices of its time (``fold_block``) and is plain data: it can be written down
and read back without losing a digit. Levels and cell means are natural logarithms of seconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pandas as pd

from analysis.histograms import Histogram, log_seconds, merged, total
from analysis.quantiles import quiet_quantiles
from analysis.samples import EFFECT_OUTCOMES, UNDECIDED
from analysis.slices import cell_histograms
from analysis.window.spans import length_of, moment_of

#: Fewer ok samples than these have no mean, and no p95, worth a value.
MEAN_AT_LEAST: Final = 4
P95_AT_LEAST: Final = 20
#: The share left out at each end of a cell's times: a stall of one request is not a change of the cell.
TRIM: Final = 0.05
OVERALL: Final = "p50 of all"


@dataclass(frozen=True, slots=True)
class CellLevel:
    """One operation of one cohort in a block."""

    operation: str
    custom_fields: int
    n: int  # ok samples
    mean_log_s: float  # trimmed
    p95_log_s: float  # NaN where there are too few


@dataclass(frozen=True, slots=True)
class Counted:
    """Requests of an operation in a block, and how many of them failed."""

    operation: str
    requests: int
    failures: int


@dataclass(frozen=True, slots=True)
class EffectCount:
    """Effects of a kind that had a bad outcome, of those that were checked, and the share that is agreed."""

    kind: str
    outcome: str
    count: int
    checked: int
    allowed: float


@dataclass(frozen=True, slots=True)
class Block:
    """Some minutes of load. ``levels`` maps the name of a level stream to its value.

    All of it is of the watched target, but for ``versus``: the cells of the old environment, asked at the same
    moments; none where nobody asked it, or it did not answer.
    """

    start_s: float  # Unix time
    length_s: float
    cells: tuple[CellLevel, ...]
    levels: Mapping[str, float]
    counts: tuple[Counted, ...]
    effects: tuple[EffectCount, ...] = ()
    events: tuple[str, ...] = ()  # required events that were seen, and whole, in this block
    fault: str = ""  # why the load of this block proves nothing; empty if it does
    loaded_s: float | None = None  # for how long of it there was load; None: all the time
    unreachable: str = ""  # why the target could not even be asked; empty if it could
    refused: str = ""  # how the target refused our credentials; such requests are not in ``counts``
    versus: tuple[CellLevel, ...] = ()

    @property
    def end_s(self) -> float:
        """Where the next block would begin."""
        return self.start_s + self.length_s

    @property
    def requests(self) -> int:
        """All requests that were answered or failed."""
        return sum(one.requests for one in self.counts)

    @property
    def rate(self) -> float:
        """Requests a block, had there been load all the time."""
        return self.requests * self.length_s / (self.loaded_s or self.length_s)

    @property
    def is_blind(self) -> bool:
        """Whether it says nothing of the target, good or bad."""
        return bool(self.fault) or (bool(self.refused) and self.nothing_succeeded)

    @property
    def is_outage(self) -> bool:
        """Whether nothing succeeded: the target could not be asked, or every request failed."""
        return bool(self.unreachable) or (self.requests > 0 and self.nothing_succeeded and not self.refused)

    @property
    def nothing_succeeded(self) -> bool:
        """Whether no request was answered as it should be, be it that none was made."""
        return all(one.failures == one.requests for one in self.counts)


def fold_block(
    slices: pd.DataFrame,
    start_s: float,
    length_s: float,
    *,
    effects: Mapping[tuple[str, str], int] | None = None,
    allowed: Mapping[tuple[str, str], float] | None = None,
    events: Sequence[str] = (),
    fault: str = "",
    loaded_s: float | None = None,
    versus: pd.DataFrame | None = None,
) -> Block:
    """The block of a table of slices (``analysis.slices``), all of whose rows belong to it.

    ``effects`` counts by (kind, outcome) what became of the effects of its saves and mails; ``allowed`` is
    the agreed share of an outcome, 0 where it names none. ``versus`` are the slices of the old environment.
    """
    histograms = cell_histograms(slices)
    beside = {} if versus is None else cell_histograms(versus)
    return Block(
        start_s=start_s,
        length_s=length_s,
        cells=_cells(histograms),
        levels=_levels(slices, histograms),
        counts=_counts(slices),
        effects=_bad_effects(effects or {}, allowed or {}),
        events=tuple(events),
        fault=fault,
        loaded_s=loaded_s,
        versus=tuple(replace(one, p95_log_s=math.nan) for one in _cells(beside)),
    )


def block_as_plain(block: Block) -> dict[str, Any]:
    """The block as JSON-able data; numbers that are not known are null."""
    versus = [[one.operation, one.custom_fields, one.n, one.mean_log_s] for one in block.versus]
    return {
        "start_s": block.start_s,
        "length_s": block.length_s,
        "cells": [
            [one.operation, one.custom_fields, one.n, one.mean_log_s, _or_null(one.p95_log_s)]
            for one in block.cells
        ],
        "levels": dict(block.levels),
        "counts": [[one.operation, one.requests, one.failures] for one in block.counts],
        "effects": [[one.kind, one.outcome, one.count, one.checked, one.allowed] for one in block.effects],
        "events": list(block.events),
        "fault": block.fault,
        "loaded_s": block.loaded_s,
        "unreachable": block.unreachable,
        "refused": block.refused,
    } | ({"versus": versus} if versus else {})


def block_from_plain(plain: Mapping[str, Any]) -> Block:
    """The block that ``block_as_plain`` told of. For anything else what Python raises."""
    return Block(
        start_s=moment_of(plain["start_s"]),
        length_s=length_of(plain["length_s"]),
        cells=tuple(
            CellLevel(str(operation), int(fields), int(n), float(mean), math.nan if p95 is None else float(p95))
            for operation, fields, n, mean, p95 in plain["cells"]
        ),
        levels={str(name): float(value) for name, value in plain["levels"].items()},
        counts=tuple(Counted(str(name), int(all_), int(failed)) for name, all_, failed in plain["counts"]),
        effects=tuple(
            EffectCount(str(kind), str(outcome), int(n), int(checked), float(allowed))
            for kind, outcome, n, checked, allowed in plain["effects"]
        ),
        events=tuple(str(name) for name in plain["events"]),
        fault=str(plain["fault"]),
        loaded_s=None if plain["loaded_s"] is None else float(plain["loaded_s"]),
        unreachable=str(plain.get("unreachable", "")),
        refused=str(plain.get("refused", "")),
        versus=tuple(
            CellLevel(str(operation), int(fields), int(n), float(mean), math.nan)
            for operation, fields, n, mean in plain.get("versus", ())
        ),
    )


def trimmed_mean_log(histogram: Histogram) -> float:
    """The mean of the logarithms without the ``TRIM`` shortest and longest; expects a sample at least."""
    n = histogram.n
    cut = TRIM * n
    below = np.concatenate([[0], np.cumsum(histogram.counts)])
    kept = np.clip(below[1:], cut, n - cut) - np.clip(below[:-1], cut, n - cut)
    return float(kept @ log_seconds(histogram.bins) / kept.sum())


def _cells(histograms: Mapping[tuple[str, int], Histogram]) -> tuple[CellLevel, ...]:
    return tuple(_cell(*cell, own) for cell, own in histograms.items() if own.n >= MEAN_AT_LEAST)


def _cell(operation: str, custom_fields: int, histogram: Histogram) -> CellLevel:
    p95 = _quiet(histogram, 0.95) if histogram.n >= P95_AT_LEAST else math.nan
    return CellLevel(operation, custom_fields, histogram.n, trimmed_mean_log(histogram), p95)


def _counts(slices: pd.DataFrame) -> tuple[Counted, ...]:
    if not len(slices):
        return ()
    sums = slices.groupby("operation", sort=True, observed=True)[["requests", "failures"]].sum()
    rows = zip(sums.index, sums.to_numpy().tolist(), strict=True)
    return tuple(Counted(str(operation), int(requests), int(failures)) for operation, (requests, failures) in rows)


def _bad_effects(
    counts: Mapping[tuple[str, str], int], allowed: Mapping[tuple[str, str], float]
) -> tuple[EffectCount, ...]:
    """Every bad outcome of every kind that was checked at all: an agreed share needs the good ones too."""
    found = []
    for kind in dict.fromkeys(kind for kind, _ in counts):
        bad = [outcome for outcome in EFFECT_OUTCOMES[kind][1:] if outcome not in UNDECIDED]
        checked = sum(n for (of, outcome), n in counts.items() if of == kind and outcome not in UNDECIDED)
        found += [
            EffectCount(kind, outcome, counts.get((kind, outcome), 0), checked, allowed.get((kind, outcome), 0.0))
            for outcome in bad
            if checked and (counts.get((kind, outcome), 0) or allowed.get((kind, outcome), 0.0))
        ]
    return tuple(found)


def _levels(slices: pd.DataFrame, histograms: Mapping[tuple[str, int], Histogram]) -> dict[str, float]:
    """p95 of each operation and of each cohort, p50 of all; what has too few samples is left out."""
    groups: dict[str, list[Histogram]] = {}
    for (operation, fields), histogram in histograms.items():
        groups.setdefault(f"p95 of {operation}", []).append(histogram)
        groups.setdefault(f"p95 at {fields} fields", []).append(histogram)
    found = {}
    for name, parts in groups.items():
        whole = merged(
            np.concatenate([part.bins for part in parts]), np.concatenate([part.counts for part in parts])
        )
        if whole.n >= P95_AT_LEAST:
            found[name] = _quiet(whole, 0.95)
    everything = total(slices, "response")
    if everything.n >= P95_AT_LEAST:
        found[OVERALL] = _quiet(everything, 0.5)
    return found


def _quiet(histogram: Histogram, q: float) -> float:
    return float(quiet_quantiles([histogram], q).log_s[0])


def _or_null(value: float) -> float | None:
    return None if math.isnan(value) else value
