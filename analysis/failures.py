"""Failures: did a larger share of the requests fail than before?

Failures come in bursts, so counts vary more than a binomial law allows. The variance of the slices
(and of the runs) beyond Poisson's, phi, divides the counts before the binomial test (Rao & Scott
1992). Failures are judged over every run: a run that was dropped for its latency still failed.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from analysis.comparison import holm
from analysis.findings import FailureFinding, FailureKind
from analysis.levels import Cell, Floats
from analysis.runs import Run
from analysis.slices import kinds_of

#: Family-wise, over operations and cells; integrity, growth and latency want their share of false alarms too.
ALPHA: Final = 0.01
#: A single cell is tested only where as many failures are expected after as before.
EXPECTED_AT_LEAST: Final = 10
#: Runs on each side from which the variance between runs says something.
_RUNS_AT_LEAST: Final = 3


@dataclass(frozen=True, slots=True)
class _Counts:
    """Failures and requests of an operation or a cell on both sides, and how bursty its operation is."""

    operation: str
    custom_fields: int | None
    before: int
    after: int
    requests_before: int
    requests_after: int
    phi: float


def compare_failures(before: Sequence[Run], after: Sequence[Run]) -> tuple[FailureFinding, ...]:
    """Every operation, and the cells with failures enough, after against before; cells follow their operation."""
    cells = sorted({cell for run in (*before, *after) for cell in run.reduced.cells})
    rows = _rows(before, after, cells)
    sums = [[_of_cells(side, name, cells) for side in (before, after)] for name in ("failures", "requests")]
    counts: list[_Counts] = []
    for operation, places in groupby(range(len(cells)), key=lambda at: cells[at][0]):
        own = list(places)
        phi = dispersion(rows[rows["cell"].between(own[0], own[-1])])
        whole = _count(operation, None, sums, own, phi)
        counts.append(whole)
        share = (whole.before + whole.after) / max(whole.requests_before + whole.requests_after, 1)
        for at in own:
            cell = _count(operation, cells[at][1], sums, [at], phi)
            if share * cell.requests_after >= EXPECTED_AT_LEAST:
                counts.append(cell)
    p_values = [
        p_more_failures(one.before, one.after, one.requests_before, one.requests_after, one.phi) for one in counts
    ]
    return tuple(
        _finding(one, p_value, adjusted < ALPHA)
        for one, p_value, adjusted in zip(counts, p_values, holm(p_values), strict=True)
    )


def failure_kinds(before: Sequence[Run], after: Sequence[Run]) -> tuple[FailureKind, ...]:
    """Failures by outcome and detail over all runs of each side, the most frequent after the change first."""
    sides = _kinds(before), _kinds(after)
    where: dict[tuple[str, str], set[str]] = {}
    for outcome, detail, operation in (*sides[0], *sides[1]):
        where.setdefault((outcome, detail), set()).add(operation)
    found = [
        FailureKind(
            outcome,
            detail,
            _sum_of(sides[0], outcome, detail),
            _sum_of(sides[1], outcome, detail),
            tuple(sorted(operations)),
        )
        for (outcome, detail), operations in where.items()
    ]
    return tuple(sorted(found, key=lambda kind: (-kind.after, -kind.before, kind.outcome, kind.detail)))


def p_more_failures(before: int, after: int, requests_before: int, requests_after: int, phi: float = 1.0) -> float:
    """P(at least so many of all failures fall on the after side), if both sides fail alike.

    The binomial tail as an incomplete beta function, so that the counts / phi need not be whole.
    """
    if after == 0 or requests_after == 0:
        return 1.0
    if requests_before == 0:
        return 1.0  # nothing to hold it against
    share = requests_after / (requests_before + requests_after)
    return float(special.betainc(after / phi, before / phi + 1, share))


def dispersion(rows: pd.DataFrame) -> float:
    """phi of the rows of one operation: the larger of slices' and runs' variance over Poisson's, at least 1.

    Reads side, run, t_s, requests, failures. Each side is held against its own share, so that a
    difference between the sides does not pass for bursts.
    """
    side, run = (rows[name].to_numpy(np.int64) for name in ("side", "run"))
    slot = np.unique(rows["t_s"].to_numpy(np.float64), return_inverse=True)[1]
    y, n = (rows[name].to_numpy(np.float64) for name in ("failures", "requests"))
    whole = [
        (
            _pearson(run[own] * (int(slot.max()) + 1) + slot[own], y[own], n[own]),
            _pearson(run[own], y[own], n[own]),
        )
        for own in (side == at for at in np.unique(side))
    ]
    by_slice, by_run = (_per_degree([one[unit] for one in whole]) for unit in (0, 1))
    enough = min(len(np.unique(run[side == at])) for at in np.unique(side)) >= _RUNS_AT_LEAST
    return max(1.0, by_slice, by_run if enough else 1.0)


@dataclass(frozen=True, slots=True)
class _Scatter:
    """How much the units of a side scatter about its share: sum((y - mu)^2 / mu), and its degrees of freedom."""

    squares: float
    df: int


def _pearson(unit: NDArray[np.int64], y: Floats, n: Floats) -> _Scatter:
    """The scatter of the failures ``y`` among ``n`` requests, summed by unit; none without a failure."""
    if not y.sum():
        return _Scatter(0.0, 0)
    failed, sent = (np.bincount(unit, of) for of in (y, n))
    mu = sent * failed.sum() / sent.sum()
    asked = mu > 0
    return _Scatter(float(np.sum((failed[asked] - mu[asked]) ** 2 / mu[asked])), int(asked.sum()) - 1)


def _per_degree(sides: Sequence[_Scatter]) -> float:
    df = sum(side.df for side in sides)
    return sum(side.squares for side in sides) / df if df > 0 else 1.0


def _finding(one: _Counts, p_value: float, fires: bool) -> FailureFinding:
    low, high = _difference(one)
    return FailureFinding(
        operation=one.operation,
        custom_fields=one.custom_fields,
        before=one.before,
        after=one.after,
        requests_before=one.requests_before,
        requests_after=one.requests_after,
        low=low,
        high=high,
        fires=fires,
        p_value=p_value,
    )


def _difference(one: _Counts) -> tuple[float, float]:
    """95 % interval of the difference of the shares (Newcombe 1998, method 10), requests divided by phi."""
    if not one.requests_before or not one.requests_after:
        return math.nan, math.nan
    a, b = one.before / one.requests_before, one.after / one.requests_after
    a_low, a_high = wilson(a, one.requests_before / one.phi)
    b_low, b_high = wilson(b, one.requests_after / one.phi)
    return b - a - math.hypot(b - b_low, a_high - a), b - a + math.hypot(b_high - b, a - a_low)


def dispersion_of(runs: Sequence[Run], operation: str | None = None) -> float:
    """How bursty the failures of some runs are, all of one side; of one operation, or of all."""
    cells = {cell for run in runs for cell in run.reduced.cells if operation in (None, cell[0])}
    rows = _rows((), runs, sorted(cells))
    rows = rows[rows["cell"] >= 0]
    return dispersion(rows) if len(rows) else 1.0


def wilson(share: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """The interval of a share (Wilson 1927)."""
    z2 = float(special.ndtri((1 + level) / 2)) ** 2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(share * (1 - share) * z2 / n + z2**2 / (4 * n**2)) / (1 + z2 / n)
    return max(centre - half, 0.0), min(centre + half, 1.0)


def _rows(before: Sequence[Run], after: Sequence[Run], cells: Sequence[Cell]) -> pd.DataFrame:
    """The slices of all runs: side (0, 1), run (its number), t_s, cell (its place), requests, failures."""
    parts = [
        pd.DataFrame(
            {
                "side": side,
                "run": number,
                "t_s": run.reduced.t_s,
                "cell": run.reduced.places_in(cells),
                "requests": run.reduced.counts["requests"],
                "failures": run.reduced.counts["failures"],
            }
        )
        for side, runs in enumerate((before, after))
        for number, run in enumerate(runs)
        if len(run.slices)
    ]
    names = ("side", "run", "t_s", "cell", "requests", "failures")
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({name: [] for name in names})


def _of_cells(runs: Sequence[Run], name: str, cells: Sequence[Cell]) -> list[int]:
    """Failures or requests of each cell over all runs of a side."""
    sums = [run.reduced.of_cells(name) for run in runs]
    return [sum(one.get(cell, 0) for one in sums) for cell in cells]


def _count(
    operation: str, fields: int | None, sums: Sequence[Sequence[Sequence[int]]], own: Sequence[int], phi: float
) -> _Counts:
    """``sums`` are failures, then requests, each before and after, by cell; ``own`` the places of what counts."""
    failed, sent = ([sum(side[at] for at in own) for side in sides] for sides in sums)
    return _Counts(operation, fields, failed[0], failed[1], sent[0], sent[1], phi)


def _kinds(runs: Sequence[Run]) -> Counter[tuple[str, str, str]]:
    """Failures by (outcome, detail, operation)."""
    found: Counter[tuple[str, str, str]] = Counter()
    for run in runs:
        for (outcome, detail, operation), n in kinds_of(run.slices).items():
            found[outcome, detail, operation] += n
    return found


def _sum_of(kinds: Counter[tuple[str, str, str]], outcome: str, detail: str) -> int:
    return sum(n for (o, d, _), n in kinds.items() if (o, d) == (outcome, detail))
