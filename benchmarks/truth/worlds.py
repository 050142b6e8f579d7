"""Simulated systems whose truth is known: how noisy they are, and what the change did to them.

A run offers 5 operations x 5 cohorts at random. What a request takes is lognormal about the level of
its cell in that run, plus the wait in one queue that all requests share. On the log scale a level is
made of a part that all cells of the run share (weighed by the cell's gain), and a part of its own.
Within the run there may be bursts, stalls and a ramp. Everything planted multiplies the whole
response time of a cell, so that the true ratio is the same at every quantile; only saturation works
through the queue.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Typical seconds of an operation without custom fields, and with the most of them.
OPERATIONS: Final = {
    "read_case": (0.05, 0.08),
    "send_email": (0.10, 0.10),
    "save_standard": (0.12, 0.14),
    "save_custom": (0.15, 0.45),
    "run_script": (0.20, 0.50),
}
FIELDS: Final = (0, 10, 50, 200, 500)
CELLS: Final = tuple((operation, fields) for operation in OPERATIONS for fields in FIELDS)
#: Operations whose times the planted growth multiplies.
GROWING: Final = ("save_custom", "run_script")
ONE_CELL: Final = ("save_custom", 50)
SIGMA: Final = 0.5
_MOST: Final = FIELDS[-1]
_U: Final = np.array([fields / _MOST for _, fields in CELLS])
_TYPICAL: Final = np.array(
    [low + (high - low) * fields / _MOST for low, high in OPERATIONS.values() for fields in FIELDS]
)


@dataclass(frozen=True, slots=True)
class Change:
    """What the change did, as factors of the response times on the after side."""

    uniform: float = 1.0  # of all cells
    growth: float = 1.0  # of custom saves and scripts at 500 fields, proportionally less with fewer
    one_cell: float = 1.0  # of ONE_CELL

    def factor(self, operation: str, fields: int) -> float:
        """The true ratio of a cell."""
        grown = 1 + (self.growth - 1) * fields / _MOST if operation in GROWING else 1.0
        return self.uniform * grown * (self.one_cell if (operation, fields) == ONE_CELL else 1.0)


@dataclass(frozen=True, slots=True)
class Host:
    """How much identical runs differ; standard deviations are of logarithms."""

    common_sd: float  # of what all cells of a run share
    cell_sd: float  # of each cell's own part
    gain: float = 0.0  # how much more the largest cohort takes of what is shared: 0.4 is 40 % more
    day_share: float = 0.0  # of the variance of both parts: the same for all runs of a day
    memory: float = 0.0  # correlation of one day with the next
    bursts: float = 0.0  # a run, on average: 6 s in which the two largest cohorts take three times as long
    stalls: float = 0.0  # a run, on average: 2 s in which nothing is answered
    ramp_sd: float = 0.0  # of the growth of the logarithm from start to end of a run
    drift: float = 0.0  # by which everything is slower from each run to the next, whichever side it is on
    busy: float = 0.5  # share of the time that the shared queue is served


QUIET: Final = Host(common_sd=0.06, cell_sd=0.025)
NOISY: Final = Host(common_sd=0.30, cell_sd=0.05)


@dataclass(frozen=True, slots=True)
class World:
    """A host, a design and a change."""

    host: Host
    pairs: int
    duration_s: float = 120.0
    rate_per_s: float = 30.0
    design: str = "alternating"  # or concurrent, apart
    change: Change = Change()
    before_runs: int = 0  # apart: so many days with one run each before, `pairs` runs on one day after
    after_busy: float | None = None  # saturation: what the queue is asked of on the after side
    failing: tuple[float, float] = (0.0, 0.0)  # share of failing custom saves before and after
    weights: tuple[float, ...] = field(default=(1.0,) * len(OPERATIONS))  # mix of the operations

    def but(self, **changes: object) -> World:
        """The same world with some changes."""
        return replace(self, **changes)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Drawn:
    """The requests of one run in the order in which they were offered."""

    scheduled_s: Floats
    cell: Ints  # place in CELLS
    response_s: Floats


@dataclass(frozen=True, slots=True)
class Sides:
    """The runs of both sides; in a paired design run k of both is pair k."""

    before: tuple[Drawn, ...]
    after: tuple[Drawn, ...]


def draw(world: World, rng: np.random.Generator) -> Sides:
    """One experiment in a world."""
    if world.design == "apart":
        days = _days(world, rng, world.before_runs + 1)
        before = [_run(world, rng, *day, number, after=False) for number, day in enumerate(days[:-1])]
        later = [days[-1]] * world.pairs
        after = [
            _run(world, rng, *day, world.before_runs + number, after=True) for number, day in enumerate(later)
        ]
        return Sides(tuple(before), tuple(after))
    before, after = [], []
    none = np.zeros(len(CELLS))
    for pair in range(world.pairs):
        shared = _shared(world, rng) if world.design == "concurrent" else (0.0, none)
        # The order is swapped each pair, so that drift favours neither side.
        first, second = (2 * pair, 2 * pair + 1) if pair % 2 == 0 else (2 * pair + 1, 2 * pair)
        if world.design == "concurrent":
            first = second = pair
        before.append(_run(world, rng, *shared, first, after=False))
        after.append(_run(world, rng, *shared, second, after=True))
    return Sides(tuple(before), tuple(after))


def _shared(world: World, rng: np.random.Generator) -> tuple[float, Floats]:
    """What both arms have in common because they are asked at the same time: nine tenths of the shared noise."""
    return rng.normal(0, world.host.common_sd * math.sqrt(0.9)), np.zeros(len(CELLS))


def _days(world: World, rng: np.random.Generator, days: int) -> list[tuple[float, Floats]]:
    """The days' levels: a common one and the cells' own, each remembering the day before."""
    host = world.host
    common, own = rng.normal(), rng.standard_normal(len(CELLS))
    found = []
    fresh = math.sqrt(1 - host.memory**2)
    for _ in range(days):
        found.append(
            (
                host.common_sd * math.sqrt(host.day_share) * common,
                host.cell_sd * math.sqrt(host.day_share) * own,
            )
        )
        common = host.memory * common + fresh * rng.normal()
        own = host.memory * own + fresh * rng.standard_normal(len(CELLS))
    return found


def _run(world: World, rng: np.random.Generator, common: float, own: Floats, place: int, *, after: bool) -> Drawn:
    """One run; ``common`` and ``own`` are what it shares with others, ``place`` its place in the order of runs."""
    host = world.host
    if world.design == "concurrent":
        rest_common = math.sqrt(0.1)
    else:
        rest_common = math.sqrt(1 - host.day_share)
    level = common + rng.normal(0, host.common_sd * rest_common) + host.drift * place
    cells = own + rng.normal(0, host.cell_sd * math.sqrt(1 - host.day_share), len(CELLS))
    n = rng.poisson(world.rate_per_s * world.duration_s)
    scheduled_s = np.sort(rng.uniform(0, world.duration_s, n))
    shares = np.repeat(np.asarray(world.weights), len(FIELDS))
    cell = rng.choice(len(CELLS), n, p=shares / shares.sum())
    log_s = (
        np.log(_TYPICAL[cell])
        + (level * (1 + host.gain * _U) + cells)[cell]
        + SIGMA * rng.standard_normal(n)
        + (rng.normal(0, host.ramp_sd) * (scheduled_s / world.duration_s - 0.5) if host.ramp_sd else 0.0)
    )
    for begun_s in rng.uniform(-6, world.duration_s, rng.poisson(host.bursts)):
        hit = (scheduled_s >= begun_s) & (scheduled_s < begun_s + 6) & (_U[cell] >= 0.4)
        log_s[hit] += math.log(3)
    busy = world.after_busy if after and world.after_busy is not None else host.busy
    # The queue is served faster or slower like everything else in this run, so that a slow host also
    # fills it: cells gain unequally of what they share, the quick ones most.
    service_s = rng.exponential(busy / world.rate_per_s, n) * math.exp(min(level, 0.6))
    response_s = np.exp(log_s) + _waits(scheduled_s, service_s)
    for begun_s in rng.uniform(-2, world.duration_s, rng.poisson(host.stalls)):
        stuck = (scheduled_s >= begun_s) & (scheduled_s < begun_s + 2)
        response_s[stuck] += begun_s + 2 - scheduled_s[stuck]
    if after:
        response_s *= _factors(world.change)[cell]
    return Drawn(scheduled_s, cell, response_s)


def _factors(change: Change) -> Floats:
    return np.array([change.factor(*cell) for cell in CELLS])


def _waits(scheduled_s: Floats, service_s: Floats) -> Floats:
    """How long each arrival waits for the one server of the queue (Lindley 1952)."""
    steps = service_s[:-1] - np.diff(scheduled_s)
    walk = np.concatenate([[0.0], np.cumsum(steps)])
    waits: Floats = walk - np.minimum.accumulate(walk)
    return waits
