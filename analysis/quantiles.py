"""Quantiles of a histogram: the plain one, its interval, and the quiet one that comparisons use.

The quiet one is the estimate of Harrell & Davis (1982), a weighted mean over all order statistics,
taken here over logarithms, because a comparison is about ratios. Its weights also give the
variance of Maritz & Jarrett (1978). Against the interpolated order statistic (1,500 simulations,
lognormal, sigma 0.5, log scale): the median of 20 has sd .128 instead of .136. The p95 of 20 has .213
instead of .195, but its mean is -1.174 at a truth of -1.178 instead of -1.279, so that runs with unlike
numbers of samples stay comparable; at 50 samples both have .14, at 200 it has .068 instead of .072.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import special, stats

from analysis.histograms import Histogram, log_seconds

_NAN: Final = float("nan")


@dataclass(frozen=True, slots=True)
class Estimate:
    """The natural logarithm of a quantile in seconds, its sampling variance, and the samples it rests on."""

    log_s: float
    variance: float
    n: int


@dataclass(frozen=True, slots=True)
class Interval:
    """From where to where, in seconds; NaN where so few samples bound nothing."""

    low_s: float
    high_s: float


def quantile(histogram: Histogram, q: float) -> float:
    """The ``q``-quantile in seconds: the smallest duration that at least ``q`` of all do not exceed.

    NaN for an empty histogram. Within 0.25 % of ``numpy.quantile(..., method="inverted_cdf")``.
    """
    return _order_statistic(histogram, max(int(np.ceil(q * histogram.n - 1e-9)), 1))


def interval(histogram: Histogram, q: float, level: float = 0.95) -> Interval:
    """An interval that covers the true quantile with at least ``level``, whatever the distribution.

    From the binomial law of order statistics (David & Nagaraja 2003, section 7.1).
    """
    n, tail = histogram.n, (1 - level) / 2
    if n == 0:
        return Interval(_NAN, _NAN)
    below = int(stats.binom.ppf(tail, n, q))  # P(fewer than this many lie below the quantile) <= tail
    above = int(stats.binom.isf(tail, n, q)) + 1
    return Interval(_order_statistic(histogram, below), _order_statistic(histogram, above))


def quiet_quantile(histogram: Histogram, q: float) -> Estimate:
    """The Harrell-Davis estimate of log quantile with its Maritz-Jarrett variance; NaN without samples."""
    n = histogram.n
    if n == 0:
        return Estimate(_NAN, _NAN, 0)
    logs = log_seconds(histogram.bins)
    a, b = (n + 1) * q, (n + 1) * (1 - q)
    shares = np.cumsum(histogram.counts) / n
    # Beyond eight standard deviations the beta distribution is 0 or 1 to the last digit; not computing
    # it there keeps the cost independent of the number of bins.
    reach = 8 * np.sqrt(q * (1 - q) / (n + 2))
    close = (shares > q - reach) & (shares < q + reach)
    cumulative = (shares >= q + reach).astype(np.float64)
    cumulative[close] = special.betainc(a, b, shares[close])
    cumulative[-1] = 1.0
    weights = np.diff(cumulative, prepend=0.0)
    mean = float(weights @ logs)
    return Estimate(mean, float(weights @ (logs - mean) ** 2), n)


def _order_statistic(histogram: Histogram, rank: int) -> float:
    """The ``rank``-th shortest duration in seconds, counted from 1; NaN if there is none."""
    n = histogram.n
    if not 1 <= rank <= n:
        return _NAN
    place = int(np.searchsorted(np.cumsum(histogram.counts), rank))
    return float(np.exp(log_seconds(histogram.bins[place : place + 1])[0]))
