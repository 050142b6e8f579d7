"""How much the same system differs from run to run: a part that all cells share, and each cell's own.

Between identical runs nearly all variation is common to every cell of a run (a busy host), so the
two parts are estimated apart. A cell's own variance rests on few runs; it is moderated towards the
other cells' by the empirical Bayes of Smyth (2004), which also gives it their degrees of freedom.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

from analysis.histograms import LOG_WIDTH

Floats = NDArray[np.float64]

#: Histograms cannot tell finer than this: the variance of a difference of two values, each uniform in a bin.
QUANTISATION: Final = LOG_WIDTH**2 / 6
#: Draws of the simulated maximum: its 95 % point is then off by 0.3 points of coverage at most.
_DRAWS: Final = 5000
_LEVEL: Final = 0.95


@dataclass(frozen=True, slots=True)
class Prior:
    """What the cells' variances have in common: a typical value and how firmly it holds (d0)."""

    variance: float
    df: float  # infinite where the cells differ no more than chance


@dataclass(frozen=True, slots=True)
class Variation:
    """Variances of one run (or of one pair difference) about its expectation, on the log scale."""

    common: float  # of what all cells share
    common_df: int
    own: Floats  # of each cell beside that, moderated; [cells]
    own_df: float
    prior: Prior

    @property
    def each(self) -> Floats:
        """Variance of each cell, both parts together; [cells]."""
        return np.maximum(self.common + self.own, QUANTISATION)

    @property
    def df(self) -> Floats:
        """Degrees of freedom of ``each`` (Satterthwaite 1946); [cells]."""
        parts = self.common**2 / self.common_df + self.own**2 / self.own_df
        whole = np.square(self.common + self.own)
        return np.divide(whole, parts, out=np.full_like(whole, self.common_df), where=parts > 0)


def vary(rows: Floats, expected: Floats | None = None) -> Variation:
    """The variation of ``rows`` [runs or pairs, cells] about their means over the runs.

    Needs two rows and a cell at least, and no NaN. ``expected`` says how large the cells' own
    variances should be against each other (cells with few samples vary more); only ratios matter.
    """
    return vary_about(rows - rows.mean(axis=0), len(rows) - 1, expected)


def vary_about(deviations: Floats, df: int, expected: Floats | None = None) -> Variation:
    """The same of rows whose expectation was taken off already, and left them ``df`` degrees of freedom."""
    cells = deviations.shape[1]
    common_by_run = deviations.mean(axis=1)
    common = float(common_by_run @ common_by_run) / df
    if cells == 1:
        return Variation(common, df, np.zeros(1), float(df), Prior(0.0, 0.0))
    scale = np.ones(cells) if expected is None else expected / expected.mean()
    residual = np.square(deviations - common_by_run[:, None]).sum(axis=0) / df / scale
    prior = fit_prior(residual, df)
    if np.isinf(prior.df):
        moderated = np.full(cells, prior.variance)
    else:
        moderated = (prior.df * prior.variance + df * residual) / (prior.df + df)
    # The mean over the cells took a C-th of each cell's own part away with it. All cells together have
    # no more degrees of freedom than this, however alike they seem (so limma, too).
    own = moderated * scale * cells / (cells - 1)
    return Variation(common, df, own, min(prior.df + df, float((cells - 1) * df)), prior)


def fit_prior(variances: Floats, df: int) -> Prior:
    """Moments of log s^2 (Smyth 2004, section 6.2): sample variances with ``df`` each, two cells at least."""
    largest = float(variances.max())
    if largest <= QUANTISATION * 1e-6:
        return Prior(0.0, float("inf"))
    # A cell that happened not to vary at all has no logarithm; limma floors it the same way.
    logs = np.log(np.maximum(variances, 1e-5 * max(float(np.median(variances)), 1e-3 * largest)))
    centred = logs - special.digamma(df / 2) + np.log(df / 2)
    beyond_chance = float(centred.var(ddof=1)) - float(special.polygamma(1, df / 2))
    if beyond_chance <= 0:
        return Prior(float(np.exp(centred.mean())), float("inf"))
    prior_df = 2 * _inverse_trigamma(beyond_chance)
    centre = centred.mean() + special.digamma(prior_df / 2) - np.log(prior_df / 2)
    return Prior(float(np.exp(centre)), prior_df)


def expected_own(rows: Floats, sampling: Floats) -> Floats:
    """How large each cell's own variance should be: sampling noise, known from within the runs, plus the rest.

    The rest is what the cells vary beyond their sampling noise, the same for all of them.
    ``sampling`` is the mean sampling variance of a row's entries, by cell.
    """
    if len(rows) < 2 or rows.shape[1] < 2:
        return np.ones(rows.shape[1])
    residual = (rows - rows.mean(axis=1, keepdims=True)).var(axis=0, ddof=1)
    rest = max(float(np.mean(residual - sampling)), 0.0)
    expected: Floats = np.maximum(rest + sampling, QUANTISATION)
    return expected


def simultaneous(variation: Variation) -> float:
    """How many standard errors an interval must reach to hold at 95 % for all cells at once (max-T), simulated.

    Bonferroni would treat the cells as if they had nothing in common; they share most of their
    noise, and the maximum over cells that move together is hardly larger than one of them. The draws
    come from a fixed seed, so that the same runs have the same intervals.
    """
    rng = np.random.default_rng(20_241_107)
    cells = len(variation.own)
    common_z = rng.standard_normal((_DRAWS, 1))
    common_s2 = rng.chisquare(variation.common_df, (_DRAWS, 1)) / variation.common_df
    if cells == 1:
        return float(special.stdtrit(variation.common_df, (1 + _LEVEL) / 2))
    own_z = rng.standard_normal((_DRAWS, cells))
    own_z = (own_z - own_z.mean(axis=1, keepdims=True)) * np.sqrt(cells / (cells - 1))
    if np.isinf(variation.own_df):
        own_s2 = np.ones((_DRAWS, cells))
    else:
        own_s2 = rng.chisquare(variation.own_df, (_DRAWS, cells)) / variation.own_df
    common, own = variation.common, np.maximum(variation.own, QUANTISATION)
    moved = np.abs(common_z * np.sqrt(common) + own_z * np.sqrt(own))
    largest = np.max(moved / np.sqrt(common * common_s2 + own * own_s2), axis=1)
    return float(np.quantile(largest, _LEVEL))


def _inverse_trigamma(value: float) -> float:
    """x with trigamma(x) = value, by Newton's method on 1/trigamma (Smyth 2004, appendix)."""
    x = 0.5 + 1 / value
    for _ in range(50):
        trigamma = float(special.polygamma(1, x))
        step = trigamma * (1 - trigamma / value) / float(special.polygamma(2, x))
        x += step
        if -step / x < 1e-9:
            break
    return x
