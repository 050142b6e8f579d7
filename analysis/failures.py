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
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from analysis.comparison import holm
from analysis.findings import FailureFinding, FailureKind
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
    rows = _rows(before, after)
    counts: list[_Counts] = []
    for operation, of_operation in rows.groupby("operation", sort=True):
        phi = dispersion(of_operation)
        whole = _count(str(operation), None, of_operation, phi)
        counts.append(whole)
        share = (whole.before + whole.after) / max(whole.requests_before + whole.requests_after, 1)
        for fields, of_cell in of_operation.groupby("custom_fields", sort=True):
            cell = _count(str(operation), int(str(fields)), of_cell, phi)
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
    phi = _pearson(rows, ["side", "run", "t_s"])
    if rows.groupby("side")["run"].nunique().min() >= _RUNS_AT_LEAST:
        phi = max(phi, _pearson(rows, ["side", "run"]))
    return max(1.0, phi)


def _pearson(rows: pd.DataFrame, unit: list[str]) -> float:
    """sum((y - mu)^2 / mu) / df over the units, sides without a failure left out."""
    units = rows.groupby(unit, sort=False)[["requests", "failures"]].sum()
    squares, df = 0.0, 0
    for _, side in units.groupby(level="side"):
        y, n = side["failures"].to_numpy(np.float64), side["requests"].to_numpy(np.float64)
        if y.sum() > 0:
            mu = n * y.sum() / n.sum()
            squares += float(np.sum((y[mu > 0] - mu[mu > 0]) ** 2 / mu[mu > 0]))
            df += int(np.sum(mu > 0)) - 1
    return squares / df if df > 0 else 1.0


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
    rows = _rows((), runs)
    if operation is not None:
        rows = rows[rows["operation"] == operation]
    return dispersion(rows) if len(rows) else 1.0


def wilson(share: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """The interval of a share (Wilson 1927)."""
    z2 = float(special.ndtri((1 + level) / 2)) ** 2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(share * (1 - share) * z2 / n + z2**2 / (4 * n**2)) / (1 + z2 / n)
    return max(centre - half, 0.0), min(centre + half, 1.0)


def _rows(before: Sequence[Run], after: Sequence[Run]) -> pd.DataFrame:
    """What is counted of the slices of all runs, with their side (0 before, 1 after) and the number of the run."""
    columns = ["t_s", "operation", "custom_fields", "requests", "failures"]
    parts = [
        run.slices[columns].assign(side=side, run=number)
        for side, runs in enumerate((before, after))
        for number, run in enumerate(runs)
        if len(run.slices)
    ]
    names: NDArray[Any] = np.array([*columns, "side", "run"])
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({name: [] for name in names})


def _count(operation: str, fields: int | None, rows: pd.DataFrame, phi: float) -> _Counts:
    sums = rows.groupby("side")[["failures", "requests"]].sum().reindex([0, 1], fill_value=0).to_numpy()
    (failed_before, sent_before), (failed_after, sent_after) = sums.astype(int).tolist()
    return _Counts(operation, fields, failed_before, failed_after, sent_before, sent_after, phi)


def _kinds(runs: Sequence[Run]) -> Counter[tuple[str, str, str]]:
    """Failures by (outcome, detail, operation)."""
    found: Counter[tuple[str, str, str]] = Counter()
    for run in runs:
        for (outcome, detail, operation), n in kinds_of(run.slices).items():
            found[outcome, detail, operation] += n
    return found


def _sum_of(kinds: Counter[tuple[str, str, str]], outcome: str, detail: str) -> int:
    return sum(n for (o, d, _), n in kinds.items() if (o, d) == (outcome, detail))
