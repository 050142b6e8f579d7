"""False alarms and power of the comparison, by simulation with a known truth.

Response times are lognormal (sigma 0.5) around a level of run x cell: a common part for each run, a
cell's own part, and what was planted. 5 operations x 5 cohorts x 3 quantiles are the 75 hypotheses.
Prints a table; ``measure`` returns its rows.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from analysis.comparison import DECIDING, compare, holm
from analysis.failures import ALPHA as FAILURES_ALPHA
from analysis.failures import p_more_failures
from analysis.findings import Design, Word
from analysis.histograms import Histogram, histogram_of
from analysis.levels import Cell, paired, predicted
from analysis.runs import Question
from analysis.slope import compare_slopes
from analysis.verdict import alarming

OPERATIONS = {"read_case": 0.05, "send_email": 0.1, "save_standard": 0.2, "save_custom": 0.4, "run_script": 0.8}
FIELDS = (0, 10, 50, 200, 500)
CELLS: tuple[Cell, ...] = tuple((operation, fields) for operation in OPERATIONS for fields in FIELDS)
SIGMA = 0.5


@dataclass(frozen=True, slots=True)
class World:
    """What is simulated: how noisy runs are, how many there are, and what the change did."""

    common_sd: float
    cell_sd: float
    pairs: int
    samples: float = 20.0  # per cell and run, Poisson; 30 arrivals/s for 120 s make 144
    scarce: float = 1.0  # the e-mails have this share of the others' samples
    uniform: float = 1.0  # planted: times of all cells x this
    growth: float = 1.0  # planted: times of custom saves and scripts x this at 500 fields, less with fewer
    one_cell: float = 1.0  # planted: times of save_custom at 50 fields x this
    before_runs: int = 0  # above 0: apart in time, with this many before and one after

    @property
    def quiet(self) -> World:
        """The same on a quiet host."""
        return replace(self, common_sd=0.05, cell_sd=0.03)


NOISY = World(common_sd=0.30, cell_sd=0.05, pairs=8)


@dataclass(slots=True)
class Told:
    """What one simulated comparison said."""

    latency: bool
    growth: bool
    slow_words: int
    covered: dict[float, bool] = field(default_factory=dict)  # all judged intervals hold the truth, by quantile
    answered: float = 0.0  # share of the required cells at p50 and p95 that need no more pairs
    one_cell: bool = False  # the planted cell raises the alarm: surely beyond the limit
    regressed: bool = False  # it is slower by Holm and by more than 5 %: perhaps within the limit
    clear: bool = False

    @property
    def escalates(self) -> bool:
        """Whether people would have been woken."""
        return self.latency or self.growth


def simulate(world: World, seed: int) -> Told:
    """One comparison in a world."""
    rng = np.random.default_rng(seed)
    n_before = world.before_runs or world.pairs
    n_after = 1 if world.before_runs else world.pairs
    before = [_run(rng, world, changed=False) for _ in range(n_before)]
    after = [_run(rng, world, changed=True) for _ in range(n_after)]
    question = Question(required=frozenset(CELLS))
    apart = bool(world.before_runs)
    oppose, design = (predicted, Design.APART) if apart else (paired, Design.ALTERNATING)
    comparison = compare(before, after, question, oppose, pairs=0 if apart else world.pairs)
    slopes = compare_slopes(before, after, question, oppose, alpha=0.01 if apart else 0.03)
    required = [one for one in comparison.cells if one.required]
    judged = [one for one in required if not math.isnan(one.low)]
    truth = {cell: _planted(world, cell) for cell in CELLS}
    alarms = alarming(comparison.cells, design, comparison.beyond)
    fine = (Word.NO_HARM, Word.FASTER)
    return Told(
        latency=bool(alarms),
        growth=any(one.fires for one in slopes),
        slow_words=sum(one.word in (Word.SLOWER, Word.MUCH_SLOWER) for one in judged),
        covered={
            q: all(
                one.low <= truth[one.operation, one.custom_fields] <= one.high
                for one in judged
                if one.quantile == q
            )
            for q in DECIDING
        },
        answered=sum(one.word in (*fine, Word.SLOWER, Word.MUCH_SLOWER) for one in required) / len(required),
        one_cell=any((one.operation, one.custom_fields) == ("save_custom", 50) for one in alarms),
        regressed=any(
            adjusted < 0.05 and one.ratio > 1.05 and (one.operation, one.custom_fields) == ("save_custom", 50)
            for one, adjusted in zip(judged, holm([one.p_value for one in judged]), strict=True)
        ),
        clear=all(one.word in fine for one in required),
    )


def _planted(world: World, cell: Cell) -> float:
    operation, fields = cell
    factor = world.uniform
    if operation in ("save_custom", "run_script"):
        factor *= 1 + (world.growth - 1) * fields / FIELDS[-1]
    return factor * (world.one_cell if cell == ("save_custom", 50) else 1.0)


def _run(rng: np.random.Generator, world: World, *, changed: bool) -> dict[Cell, Histogram]:
    common = rng.normal(0, world.common_sd)
    found = {}
    for cell in CELLS:
        n = rng.poisson(world.samples * (world.scarce if cell[0] == "send_email" else 1.0))
        level = math.log(OPERATIONS[cell[0]]) + common + rng.normal(0, world.cell_sd)
        if changed:
            level += math.log(_planted(world, cell))
        found[cell] = histogram_of(np.exp(level + SIGMA * rng.standard_normal(n)))
    return found


def replicate(world: World, replicates: int) -> list[Told]:
    """What the comparison said of the same world with fresh noise, many times, on all cores."""
    with ProcessPoolExecutor() as pool:
        return list(pool.map(simulate, [world] * replicates, range(1, replicates + 1), chunksize=20))


def measure(replicates: int = 200) -> list[dict[str, Any]]:
    """Rows {figure, value, low, high, goal, reached}; low and high are the value -+ 2 Monte-Carlo errors."""
    return list(_rows(replicates))


def _rows(replicates: int) -> Iterator[dict[str, Any]]:
    for pairs in (5, 10):
        for host in ("quiet", "noisy"):
            world = replace(NOISY, pairs=pairs)
            told = replicate(world.quiet if host == "quiet" else world, replicates)
            name = f"{host}, {pairs} pairs, nothing changed"
            yield _row(f"{name}: ESCALATE", [one.escalates for one in told], 0.015, most=True)
            yield _row(f"{name}: by latency", [one.latency for one in told], 0.015, most=True)
            yield _row(f"{name}: by growth", [one.growth for one in told], 0.03, most=True)
            yield _row(f"{name}: a cell said slower", [one.slow_words > 0 for one in told], 0.05, most=True)
            for q in DECIDING:
                covered = [one.covered[q] for one in told]
                yield _row(f"{name}: all p{100 * q:.0f} intervals hold 0", covered, 0.95)
    told = replicate(replace(NOISY, scarce=0.3), replicates)
    yield _row("noisy, 8 pairs, few e-mails: ESCALATE", [one.escalates for one in told], 0.015, most=True)
    told = replicate(replace(NOISY, uniform=1.10), replicates)
    yield _row("noisy, 8 pairs, all +10 %: by growth", [one.growth for one in told], 0.07, most=True)
    told = replicate(replace(NOISY, pairs=5, growth=1.20, samples=144), replicates)
    yield _row("noisy, 5 pairs x 144 samples, +20 % at 500 fields: by growth", [one.growth for one in told], 0.95)
    told = replicate(replace(NOISY, pairs=5, growth=2.0), replicates)
    yield _row("noisy, 5 pairs, +100 % at 500 fields: by growth", [one.growth for one in told], 0.95)
    told = replicate(replace(NOISY.quiet, one_cell=1.25, samples=180), replicates)
    name = "quiet, 8 pairs x 180 samples, +25 % in one cell"
    yield _row(f"{name}: regressed", [one.regressed for one in told], 0.95)
    yield _row(f"{name}: ESCALATE by it", [one.one_cell for one in told], 0.95)
    told = replicate(replace(NOISY.quiet, pairs=10, samples=180), replicates)
    yield _row(
        "quiet, 10 pairs x 180 samples, nothing changed: cells answered", [one.answered for one in told], 0.95
    )
    yield _row("quiet, 10 pairs x 180 samples, nothing changed: all harmless", [one.clear for one in told], 0.50)
    for before_runs in (5, 10):
        told = replicate(replace(NOISY, before_runs=before_runs, samples=120), replicates)
        name = f"noisy, apart, {before_runs} before and 1 after"
        yield _row(f"{name}, nothing changed: ESCALATE", [one.escalates for one in told], 0.06, most=True)
        told = replicate(replace(NOISY, before_runs=before_runs, samples=120, growth=1.25), replicates)
        yield _row(f"{name}, +25 % at 500 fields: by growth", [one.growth for one in told], 0.90)
    yield from _failures(replicates)


def _failures(replicates: int) -> Iterator[dict[str, Any]]:
    """20 minutes of one of five operations at 30 arrivals/s on each side."""
    rng, n = np.random.default_rng(7), 20 * 60 * 30 // 5
    for after, goal, name in ((0.001, 0.017, "unchanged"), (0.005, 0.80, "to 0.5 %")):
        fired = []
        for _ in range(replicates * 5):
            counts = rng.binomial(n, [0.001] * 5), rng.binomial(n, [after] + [0.001] * 4)
            # Holm rejects something just when Bonferroni does.
            p_values = [p_more_failures(int(b), int(a), n, n) for b, a in zip(*counts, strict=True)]
            fired.append((min(p_values) if after == 0.001 else p_values[0]) < FAILURES_ALPHA / 5)
        yield _row(f"failures 0.1 % {name}: FAILURES", fired, goal, most=after == 0.001)


def _row(figure: str, said: list[Any], goal: float, *, most: bool = False) -> dict[str, Any]:
    values = np.asarray(said, np.float64)
    value = float(values.mean())
    # No replicate at all says no more than "below 3 / n" (the rule of three).
    error = max(float(values.std()) / math.sqrt(len(values)), 1.5 / len(values))
    low, high = max(value - 2 * error, 0.0), min(value + 2 * error, 1.0)
    return {
        "figure": figure,
        "value": value,
        "low": low,
        "high": high,
        "goal": goal,
        "reached": value <= goal if most else value >= goal,
    }


def main() -> None:
    replicates = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    print(f"{'figure':<72}{'value':>7}  {'±2 errors':>15}{'goal':>8}")
    for row in _rows(replicates):
        mark = "" if row["reached"] else "  missed"
        span = f"{row['low']:6.3f} .. {row['high']:5.3f}"
        print(f"{row['figure']:<72}{row['value']:7.3f}  {span}{row['goal']:8.3f}{mark}", flush=True)


if __name__ == "__main__":
    main()
