"""Which worlds are simulated, what is counted in each, and what was promised.

Every figure is a share over replicates with fresh noise; its bounds are two Monte-Carlo errors away.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np

from benchmarks.truth import failing
from benchmarks.truth.asking import Heard, ask
from benchmarks.truth.rivals import RULES, consult
from benchmarks.truth.worlds import CELLS, NOISY, ONE_CELL, QUIET, Change, World

#: Hosts that break an assumption of the models: unequal gains, bursts and stalls within the run, ramps, drift,
#: a queue that is nearly full.
ROUGH: Final = {
    "gains .4 apart": replace(NOISY, gain=0.4),
    "bursts at many fields": replace(QUIET, bursts=1.0),
    "stalls of 2 s": replace(QUIET, stalls=1.0),
    "ramps and drift": replace(QUIET, ramp_sd=0.15, drift=0.01),
    "queue 90 % busy": replace(QUIET, busy=0.9),
}
#: Day-to-day noise: half of the variance is the day's, and a day remembers half of the one before.
_DAYS: Final = {"day_share": 0.5, "memory": 0.5}
NIGHTS: Final = {
    "quiet": replace(QUIET, **_DAYS),
    "noisy": replace(QUIET, common_sd=0.15, **_DAYS),
    "noisy, cells 5 %": replace(NOISY, common_sd=0.15, **_DAYS),
    "queue 90 % busy": replace(QUIET, busy=0.9, **_DAYS),
}
#: The rivals are slow (a bootstrap) and err so often that fewer replicates do.
_RIVALS_SHARE: Final = 0.2
_PROMISED_MOST: Final = 100


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. ``goal`` None: shown, nothing promised."""

    table: str
    figure: str
    value: float
    low: float | None  # None: how far off it may be is not known
    high: float | None
    goal: float | None
    most: bool  # whether the goal is the most that is allowed, else the least
    replicates: int

    @property
    def reached(self) -> bool | None:
        """Whether the value itself, not its bounds, keeps the goal."""
        if self.goal is None:
            return None
        return self.value <= self.goal if self.most else self.value >= self.goal


@dataclass(frozen=True, slots=True)
class Lab:
    """Where the simulations run, and how many of each."""

    pool: Executor
    replicates: int

    def run(self, work: Callable[[int], Any], share: float = 1.0) -> list[Any]:
        """What ``work`` says of each seed."""
        n = max(round(self.replicates * share), 20)
        return list(self.pool.map(work, range(1, n + 1), chunksize=5))

    def ask(self, world: World) -> list[Heard]:
        """What savepath says of a world, many times."""
        return self.run(partial(ask, world))


def figures(lab: Lab) -> Iterator[Row]:
    """All figures, table by table."""
    yield from identical(lab)
    yield from power(lab)
    yield from harmless(lab)
    yield from apart(lab)
    yield from failures(lab)
    yield from rivals(lab)


def identical(lab: Lab) -> Iterator[Row]:
    """Nothing changed: whatever is said is false."""
    worlds = {
        f"{design}, {host}, {pairs} pairs": World(noise, pairs, design=design)
        for design in ("alternating", "concurrent")
        for host, noise in {"quiet": QUIET, "noisy": NOISY}.items()
        for pairs in (5, 10)
    }
    worlds |= {f"alternating, {name}, 5 pairs": World(host, 5) for name, host in ROUGH.items()}
    rare = (1.0, 0.2, 1.0, 1.0, 0.3)
    worlds["alternating, noisy, 5 pairs, few e-mails and scripts"] = World(NOISY, 5, weights=rare)
    for name, world in worlds.items():
        heard = lab.ask(world)
        yield row("identical", f"{name}: a cell said slower", [h.says_slower for h in heard], 0.05, most=True)
        yield row("identical", f"{name}: ESCALATE", [h.escalates for h in heard], 0.015, most=True)
        yield row("identical", f"{name}: by growth", [h.by_growth for h in heard], 0.015, most=True)
        yield row(
            "identical", f"{name}: a cell told to stand out", [h.stands_out() for h in heard], 0.05, most=True
        )


def power(lab: Lab) -> Iterator[Row]:
    """Something is planted in pairs of runs: is it found?"""
    tenth, quarter = Change(one_cell=1.10), Change(one_cell=1.25)
    busy = World(QUIET, 20, duration_s=60.0, rate_per_s=100.0, change=tenth)
    for name, world, goal in (
        ("20 min, quiet, 100/s", replace(busy, pairs=10), 0.90),
        ("40 min, quiet, 30/s", replace(busy, rate_per_s=30.0), 0.90),
        ("40 min, quiet, 100/s", busy, 0.90),
        ("80 min, quiet, 100/s", replace(busy, pairs=40), 0.95),
        ("20 min at once, quiet, 100/s", replace(busy, design="concurrent"), 0.90),
        ("40 min at once, noisy, 100/s", replace(busy, host=NOISY, pairs=40, design="concurrent"), 0.95),
    ):
        heard = lab.ask(world)
        at_p95 = [h.p_value(0.95) < 0.01 for h in heard]
        yield row("power", f"+10 % in a cell, {name}: stands out", [h.stands_out(ONE_CELL) for h in heard], goal)
        yield row("power", f"+10 % in a cell, {name}: p95 by itself at 1 %", at_p95, None)
        yield row("power", f"+10 % in a cell, {name}: found among 50 (Holm)", [h.listed() for h in heard], None)
    brief = World(QUIET, 10, duration_s=60.0, change=quarter)
    for name, world in {
        "5 pairs x 120 s, 30/s": World(QUIET, 5, change=quarter),
        "10 pairs x 60 s, 30/s": brief,
        "10 pairs x 60 s, 100/s": replace(brief, rate_per_s=100.0),
        "20 runs at once x 60 s, 30/s": replace(brief, design="concurrent"),
        "but noisy, 5 pairs x 120 s, 30/s": World(NOISY, 5, change=quarter),
        "but gains .4 apart, 5 pairs x 120 s, 30/s": World(ROUGH["gains .4 apart"], 5, change=quarter),
    }.items():
        heard = lab.ask(world)
        told = f"+25 % in a cell, 20 min, quiet, {name}".replace("quiet, but ", "")
        yield row("power", f"{told}: stands out", [h.stands_out(ONE_CELL) for h in heard], 0.95)
        yield row("power", f"{told}: found among 50 (Holm)", [h.listed() for h in heard], None)
        yield row("power", f"{told}: ESCALATE", [h.escalates for h in heard], None)
    for name, host in {"quiet": QUIET, "noisy": NOISY, "gains .4 apart": ROUGH["gains .4 apart"]}.items():
        heard = lab.ask(World(host, 5, change=Change(growth=1.20)))
        yield row("power", f"+20 % at 500 fields, 20 min, {name}: by growth", [h.by_growth for h in heard], 0.95)
    heard = lab.ask(World(NOISY, 5, design="concurrent", change=Change(growth=1.20)))
    yield row("power", "+20 % at 500 fields, 20 min, noisy, concurrent: by growth", _growth(heard), 0.95)
    heard = lab.ask(World(NOISY, 5, change=Change(growth=1.50)))
    yield row("power", "+50 % at 500 fields, 20 min, noisy: by growth", _growth(heard), None)
    for name, host in {"quiet": QUIET, "noisy": NOISY}.items():
        heard = lab.ask(World(host, 5, change=Change(uniform=1.10)))
        yield row("power", f"uniform +10 %, 20 min, {name}: taken for growth", _growth(heard), 0.07, most=True)
    # All others became faster by a fifth, one stayed: it may be told to stand out, and must wake nobody.
    left = Change(uniform=0.8, one_cell=1.25)
    for name, host in {"quiet": QUIET, "noisy": NOISY}.items():
        heard = lab.ask(World(host, 5, change=left))
        woken = [h.by_standing_out for h in heard]
        goal = 0.015 if host is QUIET else None
        yield row(
            "power", f"all but one cell faster by 20 %, {name}: ESCALATE by standing out", woken, goal, most=True
        )
    heard = lab.ask(World(QUIET, 5, after_busy=1.05))
    yield row("power", "queue saturated after, 20 min, quiet: ESCALATE", [h.escalates for h in heard], 0.95)


def harmless(lab: Lab) -> Iterator[Row]:
    """CLEAR: how often it is earned, and how often it would be wrong."""
    for name, world in {
        "quiet, 8 pairs": World(QUIET, 8),
        "quiet, 10 pairs": World(QUIET, 10),
        "quiet, 20 pairs": World(QUIET, 20),
        "quiet, concurrent, 20 pairs": World(QUIET, 20, design="concurrent"),
        "quiet, concurrent, 20 pairs, 100/s": World(QUIET, 20, design="concurrent", rate_per_s=100.0),
        "noisy, concurrent, 20 pairs": World(NOISY, 20, design="concurrent"),
    }.items():
        heard = lab.ask(world)
        yield row("harmless", f"nothing changed, {name}: cells answered", [h.answered for h in heard], None)
        yield row("harmless", f"nothing changed, {name}: CLEAR", [h.clear for h in heard], None)
    for size, goal in ((1.10, 0.05), (1.25, 0.01)):
        for name, world in {
            "a cell, quiet, 20 pairs": World(QUIET, 20, change=Change(one_cell=size)),
            "a cell, quiet, 40 pairs": World(QUIET, 40, change=Change(one_cell=size)),
            "all cells, quiet, 10 pairs": World(QUIET, 10, change=Change(uniform=size)),
        }.items():
            heard = lab.ask(world)
            told = f"+{100 * (size - 1):.0f} % in {name}"
            yield row("harmless", f"{told}: CLEAR, wrongly", [h.clear for h in heard], goal, most=True)
            if "all" not in name:
                spared = [_spared(h) for h in heard]
                yield row("harmless", f"{told}: that cell's p95 said harmless", spared, 0.05, most=True)
    for name, world in {
        "quiet": World(QUIET, 5),
        "noisy, concurrent": World(NOISY, 5, design="concurrent"),
    }.items():
        kept = [told for told in lab.run(partial(keep_promise, world), 0.5) if told is not None]
        yield row(
            "harmless",
            f"{name}, after the pairs that 5 pairs promised: cells answered",
            [k[0] for k in kept],
            0.90,
        )
        yield row("harmless", f"{name}, after the pairs that 5 pairs promised: CLEAR", [k[1] for k in kept], 0.90)
        yield number("harmless", f"{name}: pairs promised, median", [k[2] for k in kept])


def keep_promise(world: World, seed: int) -> tuple[float, bool, int] | None:
    """As many pairs as HOLD said: the share of cells then answered, whether CLEAR, and the number of pairs."""
    needed = ask(world, seed).pairs_needed
    if needed is None:
        return None
    later = ask(replace(world, pairs=min(needed, _PROMISED_MOST)), seed + 1_000_000)
    return later.answered, later.clear, needed


def apart(lab: Lab) -> Iterator[Row]:
    """One run a night before, one run after."""
    for host, noise in NIGHTS.items():
        for nights, minutes in ((5, 2), (5, 10), (10, 10)):
            world = World(noise, 1, design="apart", before_runs=nights, duration_s=60.0 * minutes)
            name = f"{host}, {nights} nights of {minutes} min, one run after"
            heard = lab.ask(world)
            levels = [h.by_latency for h in heard]
            yield row("apart", f"{name}, nothing changed: ESCALATE by levels", levels, 0.01, most=True)
            yield row("apart", f"{name}, nothing changed: by growth", _growth(heard), 0.03, most=True)
            heard = lab.ask(replace(world, change=Change(growth=1.25)))
            goal = None if minutes == 2 else 0.95
            yield row("apart", f"{name}, +25 % at 500 fields: by growth", _growth(heard), goal)


def failures(lab: Lab) -> Iterator[Row]:
    """20 minutes, five operations; failures of .1 % everywhere before."""
    for design, runs in {"by turns": failing.BY_TURNS, "at once": failing.AT_ONCE}.items():
        for name, bursty in {"at random": False, "in bursts": True}.items():
            told = f"{design}, {name}: FAILURES"
            work = partial(failing.fires, after=failing.SHARE, runs=runs, bursty=bursty)
            yield row("failures", f".1 % before and after, {told}", lab.run(work), 0.017, most=True)
            work = partial(failing.fires, after=0.005, runs=runs, bursty=bursty)
            goal = None if bursty else 0.80
            yield row("failures", f".1 % to .5 % in one operation, {told}", lab.run(work), goal)


def rivals(lab: Lab) -> Iterator[Row]:
    """The same runs judged by the tests that people use."""
    planted = CELLS.index(ONE_CELL)
    for host, noise in {"quiet": QUIET, "noisy": NOISY}.items():
        for pairs in (1, 5, 10):
            world = World(noise, pairs)
            name = f"alternating, {host}, {pairs} {'pair' if pairs == 1 else 'pairs'}"
            same = lab.run(partial(consult, world), _RIVALS_SHARE)
            other = lab.run(partial(consult, replace(world, change=Change(one_cell=1.25))), _RIVALS_SHARE)
            for rule in RULES:
                yield row("rivals", f"{rule}|{name}|one cell", [np.mean(r[rule]) for r in same], None)
                yield row("rivals", f"{rule}|{name}|any cell", [any(r[rule]) for r in same], None)
                yield row("rivals", f"{rule}|{name}|found", [r[rule][planted] for r in other], None)
            calm = lab.run(partial(ask, world), _RIVALS_SHARE)
            hit = lab.run(partial(ask, replace(world, change=Change(one_cell=1.25))), _RIVALS_SHARE)
            out = [np.mean([h.stands_out(cell) for cell in CELLS]) for h in calm]
            yield row("rivals", f"savepath, against the rest|{name}|one cell", out, None)
            yield row(
                "rivals", f"savepath, against the rest|{name}|any cell", [h.stands_out() for h in calm], None
            )
            hits = [h.stands_out(ONE_CELL) for h in hit]
            yield row("rivals", f"savepath, against the rest|{name}|found", hits, None)
            listed = [np.mean([h.listed(cell) for cell in CELLS]) for h in calm]
            yield row("rivals", f"savepath, pairs|{name}|one cell", listed, None)
            yield row(
                "rivals", f"savepath, pairs|{name}|any cell", [any(map(h.listed, CELLS)) for h in calm], None
            )
            yield row("rivals", f"savepath, pairs|{name}|found", [h.listed() for h in hit], None)


def row(table: str, figure: str, said: Sequence[Any], goal: float | None, *, most: bool = False) -> Row:
    """A share, with two Monte-Carlo errors to either side."""
    values = np.asarray(said, np.float64)
    value = float(values.mean())
    # No replicate at all says no more than "below 3 / n" (the rule of three).
    error = max(float(values.std()) / math.sqrt(len(values)), 1.5 / len(values))
    return Row(
        table, figure, value, max(value - 2 * error, 0.0), min(value + 2 * error, 1.0), goal, most, len(values)
    )


def shown(table: str, figure: str, value: float, n: int) -> Row:
    """A figure whose error nobody knows: of splits that share their runs, say."""
    return Row(table, figure, value, None, None, None, False, n)


def number(table: str, figure: str, values: Sequence[float]) -> Row:
    """A median with the middle nine tenths."""
    low, middle, high = (float(v) for v in np.quantile(values, [0.05, 0.5, 0.95]))
    return Row(table, figure, middle, low, high, None, False, len(values))


def _growth(heard: Iterable[Heard]) -> list[bool]:
    return [h.by_growth for h in heard]


def _spared(heard: Heard) -> bool:
    """Whether the p95 of the planted cell is said to be harmless."""
    return any(
        one.word.value in ("no harm", "faster") and one.quantile == 0.95
        for one in heard.cells
        if (one.operation, one.custom_fields) == ONE_CELL
    )
