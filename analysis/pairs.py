"""How many pairs of runs a question needs, told before the first one is made.

From the noise of a pair: how much the difference of two runs of the same system varies, in what all cells
share and in each cell's own part. The power is that of the tests in use (``analysis.comparison``,
``analysis.slope``, ``analysis.failures``), computed and not simulated; ``make bench-plan`` holds the promise
against simulation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import special

from analysis.comparison import HARMLESS_LEVEL, Histograms, cells_of, enough_for
from analysis.failures import ALPHA as FAILURES_ALPHA
from analysis.failures import p_more_failures
from analysis.levels import Cell, Floats, measure
from analysis.runs import Question
from analysis.samples import WRITES_FIELDS
from analysis.slope import COHORTS, MARGIN, POOLED_SHARE, line
from analysis.variation import QUANTISATION, Prior, Variation, expected_own, simultaneous, vary
from analysis.within import LEARNT

#: The promise: so often is a change of this size found, or the absence of one shown.
POWER: Final = 0.90
#: Beyond so many pairs nobody measures; it is said that the question cannot be answered so.
PAIRS_MOST: Final = 200
#: Fewer runs do not tell how much runs differ.
RUNS_AT_LEAST: Final = 3
#: With three pairs the tilt of the slopes rests on two degrees of freedom, and .83 were found instead of .90.
PAIRS_FOR_GROWTH: Final = 4
#: Spread of the response times of one cell where no run tells it: sd of the logarithm.
TYPICAL_SPREAD: Final = 0.5
_DRAWS: Final = 4000


@dataclass(frozen=True, slots=True)
class PairNoise:
    """Variances of one pair difference on the log scale where nothing changed, of a quantile or of the mean."""

    cells: tuple[Cell, ...]
    common: float  # of what all cells share
    own: Floats  # of each cell beside that, the number of its samples included
    prior_df: float  # how alike the cells are

    def after(self, pairs: int) -> Variation:
        """The variation as so many pairs will tell it."""
        df = pairs - 1
        own_df = min(self.prior_df + df, max(len(self.own) - 1, 1) * float(df))
        return Variation(self.common, df, self.own, own_df, Prior(float(self.own.mean()), self.prior_df))


def typical_noise(cells: Mapping[Cell, float], q: float | None, *, common_sd: float, own_sd: float) -> PairNoise:
    """Noise of a host that is known by two figures: ``cells`` gives the samples of each in a run of one side.

    The figures are standard deviations of the log ratio of a pair: of what all cells share, and of a cell's own.
    ``q`` None is the mean of the logarithms, here as everywhere in this module.
    """
    sampling = 2 * sampling_variance(q) / np.array(list(cells.values()))
    return PairNoise(tuple(cells), common_sd**2, own_sd**2 + sampling, math.inf)


def sampling_variance(q: float | None) -> float:
    """n times the variance of the log quantile, or mean log, of n lognormal times (Kenney & Keeping 1951)."""
    if q is None:
        return TYPICAL_SPREAD**2
    density = math.exp(-(float(special.ndtri(q)) ** 2) / 2) / math.sqrt(2 * math.pi) / TYPICAL_SPREAD
    return q * (1 - q) / density**2


def noise_of_runs(runs: Histograms, cells: Mapping[Cell, float], q: float | None) -> PairNoise | None:
    """Noise of a pair by turns, from runs of one system: what drifts between them counts as noise as well.

    ``cells`` gives the samples of each planned cell. None where runs or samples are too few.
    """
    known = [cell for cell in cells_of(runs, (), Question()) if cell in cells]
    levels = measure(runs, known, q)
    sampling, n = 2 * levels.variance.mean(axis=0), levels.n.mean(axis=0)
    return _learnt(levels.log_s * math.sqrt(2), sampling, n, {cell: cells[cell] for cell in known})


def noise_of_pairs(
    before: Histograms, after: Histograms, cells: Mapping[Cell, float], q: float | None
) -> PairNoise | None:
    """Noise of a pair both at once, from such pairs, whatever the two systems differ by. None as above."""
    known = [cell for cell in cells_of(before, after, Question()) if cell in cells]
    old, new = measure(before, known, q), measure(after, known, q)
    sampling, n = (old.variance + new.variance).mean(axis=0), (old.n + new.n).mean(axis=0) / 2
    return _learnt(new.log_s - old.log_s, sampling, n, {cell: cells[cell] for cell in known})


def _learnt(rows: Floats, sampling: Floats, n: Floats, planned: Mapping[Cell, float]) -> PairNoise | None:
    """The variation of rows with ``n`` samples a cell, brought to the numbers of samples that are planned.

    What one sample adds is shared by the cells of an operation, and the rest by all cells: the noisiest cell
    decides how many pairs are needed, and of 25 estimates from ten runs the largest is half as large again.
    """
    if len(rows) < RUNS_AT_LEAST or not planned or np.isnan(rows).any():
        return None
    variation = vary(rows, expected_own(rows, sampling))
    rest = max(float(np.mean(variation.own - sampling)), 0.0)
    operations = np.array([operation for operation, _ in planned])
    by_sample = np.array([float(np.mean((sampling * n)[operations == one])) for one in operations])
    own = rest + by_sample / np.array(list(planned.values()))
    return PairNoise(tuple(planned), variation.common, own, max(variation.prior.df, 1.0))


def enough_samples(cells: Mapping[Cell, float], q: float | None) -> dict[Cell, float]:
    """The cells whose runs are expected to hold samples enough for the quantile, or for the mean."""
    least = enough_for(0.5 if q is None else q).per_run
    return {cell: n for cell, n in cells.items() if n >= least}


# levels


def pairs_to_see(noise: PairNoise, cells: Sequence[Cell], effect: float) -> int | None:
    """Pairs until a change by ``effect`` (0.10) in any one of ``cells`` is shown to be one; None if never."""
    return _least(lambda pairs: _power_to_see(noise, cells, effect, pairs))


def pairs_to_clear(noise: PairNoise, cells: Sequence[Cell], tolerance: float) -> int | None:
    """Pairs until all of ``cells``, none of them changed, are shown harmless together; None if never."""
    return _least(lambda pairs: _power_to_clear(noise, cells, tolerance, pairs))


def smallest_seen(noise: PairNoise, cells: Sequence[Cell], pairs: int) -> float:
    """The smallest change of a cell that so many pairs show; infinite where none is."""
    return _smallest(lambda effect: _power_to_see(noise, cells, effect, pairs))


def _power_to_see(noise: PairNoise, cells: Sequence[Cell], effect: float, pairs: int) -> float:
    """P(the simultaneous lower end of the noisiest of the cells lies above no change)."""
    variation = noise.after(pairs)
    at = max(map(noise.cells.index, cells), key=lambda place: float(noise.own[place]))
    se = math.sqrt(float(variation.each[at]) / pairs)
    return 1 - float(special.nctdtr(variation.df[at], math.log1p(effect) / se, simultaneous(variation)))


def _power_to_clear(noise: PairNoise, cells: Sequence[Cell], tolerance: float, pairs: int) -> float:
    """P(the upper ends of all the cells lie below the limit), by draws of the model."""
    variation = noise.after(pairs)
    wanted = [noise.cells.index(cell) for cell in cells]
    rng = np.random.default_rng(20_250_301)
    common, own, df = noise.common, np.maximum(noise.own, QUANTISATION), variation.common_df
    shared, each = rng.standard_normal((_DRAWS, 1)), rng.standard_normal((_DRAWS, len(own)))
    moved = shared * math.sqrt(common) + each * np.sqrt(own)
    estimated = common * rng.chisquare(df, (_DRAWS, 1)) / df + own
    upper = (moved + special.stdtrit(variation.df, HARMLESS_LEVEL) * np.sqrt(estimated)) / math.sqrt(pairs)
    return float(np.mean(upper[:, wanted].max(axis=1) < math.log1p(tolerance)))


# growth


def pairs_for_growth(noise: PairNoise, effect: float, *, alpha: float) -> int | None:
    """Pairs until ``effect`` more growth of the operations that write custom fields fires; None if never.

    ``noise`` is that of the means. Never is what lies within the margin, or has no slope.
    """
    pairs = _least(lambda pairs: _power_of_growth(noise, effect, pairs, alpha))
    return max(pairs, PAIRS_FOR_GROWTH) if pairs else None


def smallest_growth(noise: PairNoise, pairs: int, *, alpha: float) -> float:
    """The smallest growth that so many pairs find; infinite where none is."""
    return _smallest(lambda effect: _power_of_growth(noise, effect, pairs, alpha))


def _power_of_growth(noise: PairNoise, effect: float, pairs: int, alpha: float) -> float:
    """P(the pooled slope fires); of the one operation's where only one writes custom fields.

    Noise that tilts the slopes is taken off them (``analysis.slope``) and left out here; that it had to be
    learnt is not.
    """
    names = [operation for operation, _ in noise.cells]
    every = [operation for operation in dict.fromkeys(names) if names.count(operation) >= COHORTS]
    writing = [operation for operation in every if operation in WRITES_FIELDS]
    if not writing:
        return 0.0
    share = POOLED_SHARE if len(writing) > 1 else 1 / (2 * len(every))
    df = max(len(every) - 1, 1) * max(2 * pairs - LEARNT, 1)
    reach = -float(special.stdtrit(df, alpha * share))
    variance = sum(_slope_variance(noise, operation) for operation in writing) / len(writing) ** 2
    learnt = 1 + 1 / max(2 * pairs - LEARNT - 1, 1)
    b, se = math.log1p(effect), math.sqrt(variance / pairs * learnt)
    return min(1 - float(special.nctdtr(df, b / se, reach)), float(special.ndtr((b - MARGIN) / se)))


def _slope_variance(noise: PairNoise, operation: str) -> float:
    at = [place for place, cell in enumerate(noise.cells) if cell[0] == operation]
    fields = np.array([noise.cells[place][1] for place in at], np.float64)
    c = line(fields, max(fields for _, fields in noise.cells))
    return float(np.sum(c**2 * np.maximum(noise.own[at], QUANTISATION)))


# failures


def smallest_rise(share: float, requests: float, operations: int) -> float:
    """The smallest share of failures after that is found to be more than ``share``, of so many requests a side.

    Failures that come in bursts need more: the test divides their counts by how bursty they are.
    """
    expected = requests * share
    failed = np.arange(math.ceil(float(special.pdtrik(1 - 1e-6, expected))) + 1)
    needed = np.array([_count_that_fires(int(n), requests, operations) for n in failed])
    before = np.diff(special.pdtr(failed, expected), prepend=0.0)
    return _smallest_of(
        lambda after: float(np.sum(before * special.pdtrc(needed - 1, requests * after))), share, 1.0, 1e-5
    )


def _count_that_fires(failed_before: int, requests: float, operations: int) -> int:
    """The smallest count after that raises the alarm at the first step of Holm; the test is monotone in it."""
    few, many = failed_before, 2 * failed_before + 100
    while many - few > 1:
        middle = (few + many) // 2
        p_value = p_more_failures(failed_before, middle, round(requests), round(requests))
        few, many = (few, middle) if p_value < FAILURES_ALPHA / operations else (middle, many)
    return many


# searching


def _least(power: Callable[[int], float]) -> int | None:
    """The least number of pairs with the power promised; None beyond ``PAIRS_MOST``."""
    low, high = 1, 2
    while power(high) < POWER:
        if high >= PAIRS_MOST:
            return None
        low, high = high, min(2 * high, PAIRS_MOST)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle) >= POWER else (middle, high)
    return high


def _smallest(power: Callable[[float], float]) -> float:
    """The smallest effect with the power promised, to a tenth of a percent; infinite beyond +1,000 %."""
    return math.inf if power(10.0) < POWER else _smallest_of(power, 0.0, 10.0, 1e-3)


def _smallest_of(power: Callable[[float], float], low: float, high: float, tolerance: float) -> float:
    while high - low > tolerance:
        middle = (low + high) / 2
        low, high = (low, middle) if power(middle) >= POWER else (middle, high)
    return high
