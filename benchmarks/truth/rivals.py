"""What other rules say of the same runs: the tests that people use, as they use them.

Each rule looks at every cell and calls it slower or not. All are one-sided at 1 % a cell, but for
benchstat's, which is two-sided at 5 % in the original and counts here only if the change is for the worse.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
import scipy

from analysis.histograms import Histogram
from analysis.levels import Cell, measure
from benchmarks.truth.asking import histograms_of
from benchmarks.truth.worlds import CELLS, Drawn, Floats, Sides, World, draw

ALPHA: Final = 0.01
SLICE_S: Final = 10.0
_RESAMPLES: Final = 100

Rule = Callable[[Sides], list[bool]]


def mann_whitney(sides: Sides) -> list[bool]:
    """Mann & Whitney (1947) on all requests of both sides."""
    before, after = (_times(side) for side in (sides.before, sides.after))
    return [
        bool(scipy.stats.mannwhitneyu(a, b, alternative="greater", method="asymptotic").pvalue < ALPHA)
        for b, a in zip(before, after, strict=True)
    ]


def kolmogorov_smirnov(sides: Sides) -> list[bool]:
    """The two-sample test of Smirnov (1939) on all requests of both sides."""
    before, after = (_times(side) for side in (sides.before, sides.after))
    return [
        bool(scipy.stats.ks_2samp(b, a, alternative="greater", method="asymp").pvalue < ALPHA)
        for b, a in zip(before, after, strict=True)
    ]


def benchstat(sides: Sides) -> list[bool]:
    """golang.org/x/perf: Mann-Whitney on one figure a run (the p95), two-sided at 5 %; it asks for ten runs."""
    before, after = (_p95(side) for side in (sides.before, sides.after))
    return [
        bool(scipy.stats.mannwhitneyu(a, b, method="exact").pvalue < 0.05 and np.median(a) > np.median(b))
        for b, a in zip(before.T, after.T, strict=True)
    ]


def kayenta(sides: Sides) -> list[bool]:
    """Netflix's canary judge: the 98 % Hodges-Lehmann interval of a metric's series beyond 25 % of its shift.

    The series are means of ten seconds; *High* is what counts as slower.
    """
    before, after = (_slice_means(side) for side in (sides.before, sides.after))
    return [_is_high(b, a) for b, a in zip(before, after, strict=True)]


def slice_bootstrap(sides: Sides) -> list[bool]:
    """Slices of ten seconds drawn again with replacement; the 1 % point of the ratio of the p95 lies above 1."""
    rng = np.random.default_rng(1)
    before, after = (_slices(side) for side in (sides.before, sides.after))
    found = []
    for b, a in zip(before, after, strict=True):
        draws = [np.log(_resampled_p95(a, rng) / _resampled_p95(b, rng)) for _ in range(_RESAMPLES)]
        found.append(bool(np.quantile(draws, ALPHA) > 0))
    return found


RULES: Final[Mapping[str, Rule]] = {
    "Mann-Whitney, requests": mann_whitney,
    "Kolmogorov-Smirnov, requests": kolmogorov_smirnov,
    "benchstat, runs": benchstat,
    "Kayenta, slices": kayenta,
    "bootstrap of slices": slice_bootstrap,
}


def consult(world: World, seed: int) -> dict[str, list[bool]]:
    """Which cells each rule calls slower, on the runs that ``asking.ask`` judges with the same seed."""
    sides = draw(world, np.random.default_rng(seed))
    return {name: rule(sides) for name, rule in RULES.items()}


def _times(runs: Sequence[Drawn]) -> list[Floats]:
    cell = np.concatenate([run.cell for run in runs])
    response_s = np.concatenate([run.response_s for run in runs])
    return [response_s[cell == at] for at in range(len(CELLS))]


def _p95(runs: Sequence[Drawn]) -> Floats:
    histograms: list[Mapping[Cell, Histogram]] = [histograms_of(run) for run in runs]
    return measure(histograms, CELLS, 0.95).log_s


def _slices(runs: Sequence[Drawn]) -> list[list[Floats]]:
    """By cell the times of each slice that has any."""
    found: list[list[Floats]] = [[] for _ in CELLS]
    for run in runs:
        number = (run.scheduled_s // SLICE_S).astype(np.int64)
        key = run.cell * (int(number.max()) + 1) + number
        order = np.argsort(key, kind="stable")
        edges = np.flatnonzero(np.diff(key[order])) + 1
        for part in np.split(order, edges):
            found[run.cell[part[0]]].append(run.response_s[part])
    return found


def _slice_means(runs: Sequence[Drawn]) -> list[Floats]:
    return [np.array([part.mean() for part in cell]) for cell in _slices(runs)]


def _is_high(before: Floats, after: Floats) -> bool:
    shifts = np.sort(np.subtract.outer(after, before).ravel())
    n, m = len(before), len(after)
    reach = float(scipy.stats.norm.ppf(0.99)) * np.sqrt(n * m * (n + m + 1) / 12)
    lowest = int(np.clip(np.floor(n * m / 2 - reach), 0, n * m - 1))
    return bool(shifts[lowest] > 0.25 * abs(np.median(shifts)))


def _resampled_p95(slices: Sequence[Floats], rng: np.random.Generator) -> float:
    chosen = rng.integers(0, len(slices), len(slices))
    return float(np.quantile(np.concatenate([slices[at] for at in chosen]), 0.95))
