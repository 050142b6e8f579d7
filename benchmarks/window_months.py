"""Simulated months of blocks, for judging the watch: noise that real systems have, and planted changes.

200 requests a minute over five operations and five cohorts, with a daily cycle of load. The log level of
a cell is the sum of: what all cells share (an OU process of 2 h, the daily cycle, an offset of the day,
bursts of 5 to 25 minutes), times the cell's own gain; its own slow noise (OU); a slope over the custom
fields that wanders from day to day; and bursts of large
tenants (5 to 15 minutes of +30 to +100 % from 200 fields up). The sampling
noise of means and p95 is drawn from a library of blocks of raw lognormal samples (sigma 0.5), scaled by the
load; a p95 of several cells moves by their share of the density there.

Where an old environment is asked at the same moments (``Beside``), each gets half of the requests. Both have what
all cells share, bursts and all; gains, the slow noise of cells, slopes, bursts of tenants and a slow noise of the
whole host are each one's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from analysis.window.blocks import OVERALL, Block, CellLevel, Counted

Floats = NDArray[np.float64]

BLOCK_S, DAY_S = 300.0, 86_400.0
PER_DAY = int(DAY_S / BLOCK_S)
FIELDS = (0, 10, 50, 200, 500)
MIX = {"read_case": 30, "send_email": 10, "save_standard": 19, "save_custom": 25, "run_script": 15}
BASE_S = {"read_case": 0.03, "send_email": 0.04, "save_standard": 0.06, "save_custom": 0.06, "run_script": 0.15}
CELLS = tuple((name, f) for name in sorted(MIX) for f in FIELDS if f or name != "save_custom")
OPERATIONS = sorted(MIX)
_OPERATION = np.array([OPERATIONS.index(name) for name, _ in CELLS])
REQUESTS, SIGMA, FAILURE_SHARE = 1000, 0.5, 0.001
#: second -> what a change adds to the log level of every cell, [cells]
Change = Callable[[Floats], Floats]


@dataclass(frozen=True, slots=True)
class Environment:
    """How restless a system is, all as standard deviations on the log scale."""

    name: str
    common: float
    cell: float = 0.025
    cell_memory_h: float = 2.0
    day: float = 0.0
    slope_day: float = 0.01
    bursts_per_day: float = 1.0
    tenant_bursts_per_day: float = 0.5
    gain: float = 0.2


QUIET = Environment("quiet", common=0.025, cell=0.015, bursts_per_day=0.5, tenant_bursts_per_day=0.25)
NORMAL = Environment("normal", common=0.07)
OFFSETS = Environment("daily offsets", common=0.07, day=0.08)
DRIFTING = Environment("cells drift 5 % over 6 h", common=0.07, cell=0.05, cell_memory_h=6.0)


@dataclass(frozen=True, slots=True)
class Beside:
    """An old environment beside the watched one; ``apart`` is the slow noise (2 h) of either host by itself."""

    apart: float = 0.02
    change: Change | None = None  # what the old one does when the watch begins


@dataclass(frozen=True, slots=True)
class Month:
    """Log levels of a baseline and of what follows it, row by block; the change begins with row ``first``."""

    first: int
    means: Floats  # [blocks, cells]
    levels: Floats  # [blocks, levels], in the order of their names
    n: NDArray[np.int64]  # [blocks, cells]
    failures: NDArray[np.int64]  # [blocks, operations]
    versus: Floats | None = None  # [blocks, cells], of an old environment

    @property
    def before(self) -> list[Block]:
        """The baseline."""
        return [self.block(i) for i in range(self.first)]

    @property
    def after(self) -> list[Block]:
        """What is watched."""
        return [self.block(i) for i in range(self.first, len(self.means))]

    def block(self, i: int) -> Block:
        """One of them."""
        n, means = self.n[i].tolist(), self.means[i].tolist()
        versus = [] if self.versus is None else self.versus[i].tolist()
        requests = np.bincount(_OPERATION, self.n[i]).astype(int).tolist()
        return Block(
            start_s=i * BLOCK_S,
            length_s=BLOCK_S,
            cells=tuple(
                CellLevel(name, f, k, m, m + 1.645 * SIGMA)
                for (name, f), k, m in zip(CELLS, n, means, strict=True)
            ),
            levels=dict(zip(_library().names, self.levels[i].tolist(), strict=True)),
            counts=tuple(
                Counted(name, a, b)
                for name, a, b in zip(OPERATIONS, requests, self.failures[i].tolist(), strict=True)
            ),
            versus=tuple(
                CellLevel(name, f, k, m, math.nan) for (name, f), k, m in zip(CELLS, n, versus, strict=False)
            ),
        )


@dataclass(frozen=True, slots=True)
class _Library:
    """Sampling errors of blocks at the mean load, rows that belong together, and what the p95 are made of."""

    means: Floats  # [blocks, cells]
    levels: Floats  # [blocks, levels]
    names: tuple[str, ...]
    parts: Floats  # [levels, cells]: how a level moves with the cells
    base: Floats  # [cells]
    level_base: Floats
    n: Floats  # [cells]


def month(
    env: Environment,
    seed: int,
    *,
    before_days: float = 7.0,
    after_days: float = 30.0,
    change: Change | None = None,
    beside: Beside | None = None,
) -> Month:
    """``before_days`` of baseline and ``after_days`` of watching, the change beginning with the latter.

    With the same seed and without ``beside`` it is the same month as ever.
    """
    rng = np.random.default_rng([seed, len(env.name)])
    total, first = round((before_days + after_days) * PER_DAY), round(before_days * PER_DAY)
    lib = _library()
    t_s = np.arange(total) * BLOCK_S
    cycle = np.sin(2 * np.pi * (t_s / DAY_S - 0.3))
    load = 1 + 0.4 * cycle
    day = (t_s // DAY_S).astype(int)
    days = int(day.max()) + 1
    common = _ou(rng, env.common, 2.0, total, 1)[:, 0] + 0.12 * cycle + rng.normal(0, env.day, days)[day]
    common += _bursts(rng, env.bursts_per_day, total, 0.2, 0.6, 5)
    latent = _latent(env, rng, common, day)
    if change is not None:
        latent[first:] += change(t_s[first:] - t_s[first] + BLOCK_S)
    drawn = rng.integers(0, len(lib.means), total)
    share = 1.0 if beside is None else 0.5
    noise = 1 / np.sqrt(share * load)[:, None]
    versus = None
    if beside is not None:
        other = np.random.default_rng([seed, len(env.name), 2])
        old = _latent(env, other, common, day) + _ou(other, beside.apart, 2.0, total, 1)
        latent += _ou(other, beside.apart, 2.0, total, 1)
        if beside.change is not None:
            old[first:] += beside.change(t_s[first:] - t_s[first] + BLOCK_S)
        versus = lib.base + old + lib.means[other.integers(0, len(lib.means), total)] * noise
    means = lib.base + latent + lib.means[drawn] * noise
    levels = lib.level_base + latent @ lib.parts.T + lib.levels[drawn] * noise
    n = rng.poisson(share * lib.n * load[:, None])
    requests = np.array([n[:, i == _OPERATION].sum(axis=1) for i in range(len(OPERATIONS))]).T
    failures = rng.poisson(requests * FAILURE_SHARE * np.where(common[:, None] > 0.3, 5, 1))
    return Month(first, means, levels, n, failures, versus)


def _latent(env: Environment, rng: np.random.Generator, common: Floats, day: NDArray[np.int64]) -> Floats:
    """The log level of the cells of one system without its sampling noise, less its base, [blocks, cells]."""
    tenants = _bursts(rng, env.tenant_bursts_per_day, len(day), 0.3, 1.0, 3)
    fields = np.array([f for _, f in CELLS], np.float64)
    latent: Floats = common[:, None] * rng.normal(1, env.gain, len(CELLS)).clip(0.4, 1.6)
    latent += _ou(rng, env.cell, env.cell_memory_h, len(day), len(CELLS))
    slopes = rng.normal(0, env.slope_day, (int(day.max()) + 1, len(OPERATIONS)))[day][:, _OPERATION]
    latent += slopes * fields / fields.max()
    latent += tenants[:, None] * (fields >= 200)
    return latent


def uniform(share: float, *, over_h: float = 0.0) -> Change:
    """Everything slower by ``share``, at once or along a line."""
    return lambda t_s: np.repeat(_course(share, over_h, t_s)[:, None], len(CELLS), axis=1)


def growing(share: float, *, over_h: float = 0.0) -> Change:
    """Reads and custom saves slower in proportion to the custom fields, by ``share`` at 500; scripts by half."""
    touches = np.array(
        [{"read_case": 1.0, "save_custom": 1.0, "run_script": 0.5}.get(name, 0) for name, _ in CELLS]
    )
    u = np.array([f for _, f in CELLS]) / max(FIELDS)
    return lambda t_s: np.log1p(np.expm1(_course(share, over_h, t_s))[:, None] * u * touches)


def _course(share: float, over_h: float, t_s: Floats) -> Floats:
    reached = np.minimum(t_s / (over_h * 3600), 1.0) if over_h else np.ones_like(t_s)
    course: Floats = np.log1p(share * reached)
    return course


def _ou(rng: np.random.Generator, sd: float, memory_h: float, total: int, columns: int) -> Floats:
    """An Ornstein-Uhlenbeck process a column, in its stationary state."""
    from scipy.signal import lfilter

    phi = np.exp(-BLOCK_S / (memory_h * 3600))
    steps = rng.normal(0, sd * np.sqrt(1 - phi**2), (total, columns))
    steps[0] /= np.sqrt(1 - phi**2)
    out: Floats = lfilter([1.0], [1.0, -phi], steps, axis=0)
    return out


def _bursts(
    rng: np.random.Generator, per_day: float, total: int, least: float, most: float, blocks: int
) -> Floats:
    out = np.zeros(total)
    for start in rng.integers(0, total, rng.poisson(per_day * total / PER_DAY)).tolist():
        out[start : start + int(rng.integers(1, blocks + 1))] += np.log1p(rng.uniform(least, most))
    return out


@cache
def _library(blocks: int = 2000) -> _Library:
    rng = np.random.default_rng(20_261_125)
    weights = np.array([MIX[name] for name, _ in CELLS], np.float64)
    n = REQUESTS * weights / weights.sum()
    base = np.array(
        [np.log(BASE_S[name] * (1 + f / 250 * (name in ("read_case", "save_custom")))) for name, f in CELLS]
    )
    groups = {f"p95 of {name}": [c == name for c, _ in CELLS] for name in sorted(MIX)}
    groups |= {f"p95 at {f} fields": [x == f for _, x in CELLS] for f in FIELDS}
    groups[OVERALL] = [True] * len(CELLS)
    names = tuple(sorted(groups))
    masks = np.array([groups[name] for name in names])
    quantiles = [0.5 if name == OVERALL else 0.95 for name in names]
    means, levels = np.empty((blocks, len(CELLS))), np.empty((blocks, len(names)))
    for i in range(blocks):
        counts = rng.poisson(n)
        cell = np.repeat(np.arange(len(CELLS)), counts)
        logs = base[cell] + rng.normal(0, SIGMA, len(cell))
        means[i] = np.bincount(cell, logs, len(CELLS)) / np.maximum(counts, 1) - base
        levels[i] = [np.quantile(logs[mask[cell]], q) for mask, q in zip(masks, quantiles, strict=True)]
    means[~np.isfinite(means)] = 0.0
    level_base = np.median(levels, axis=0)
    density = n * np.exp(-(((level_base[:, None] - base) / SIGMA) ** 2) / 2) * masks
    return _Library(
        means, levels - level_base, names, density / density.sum(axis=1, keepdims=True), base, level_base, n
    )
