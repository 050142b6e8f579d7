"""Quantiles of a histogram: the plain one, its interval, and the quiet one that comparisons use.

The quiet one is the estimate of Harrell & Davis (1982), a weighted mean over all order statistics,
taken here over logarithms, because a comparison is about ratios. Its weights also give the
variance of Maritz & Jarrett (1978). Against the interpolated order statistic (1,500 simulations,
lognormal, sigma 0.5, log scale): the median of 20 has sd .128 instead of .136. The p95 of 20 has .213
instead of .195, but its mean is -1.174 at a truth of -1.178 instead of -1.279, so that runs with unlike
numbers of samples stay comparable; at 50 samples both have .14, at 200 it has .068 instead of .072.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

from analysis.histograms import Histogram, log_seconds

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_NAN: Final = float("nan")
#: Up to so many samples the weights of all ranks are computed once and kept.
_TABLED: Final = 1024


@dataclass(frozen=True, slots=True)
class Estimates:
    """Of some histograms: the natural logarithm of a time in seconds, its sampling variance, the samples."""

    log_s: Floats
    variance: Floats
    n: Ints


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
    below, above = _binomial_quantile(tail, n, q), n + 1 - _binomial_quantile(tail, n, 1 - q)
    return Interval(_order_statistic(histogram, below), _order_statistic(histogram, above))


def quiet_quantiles(histograms: Sequence[Histogram], q: float) -> Estimates:
    """The Harrell-Davis estimate of the log quantile of each, with its Maritz-Jarrett variance."""
    table = _tabulate(histograms)
    up_to = _weight_up_to(table, q)
    weights = np.diff(up_to, prepend=0.0)
    weights[table.starts] = up_to[table.starts]  # each histogram begins at 0 again
    return _weighted(table, weights)


def log_means(histograms: Sequence[Histogram]) -> Estimates:
    """The mean of the logarithms of each. All samples bear it, so it is far quieter than any quantile."""
    table = _tabulate(histograms)
    found = _weighted(table, table.counts / np.repeat(table.n, table.lengths))
    return replace(found, variance=found.variance / np.maximum(found.n, 1))


@dataclass(frozen=True, slots=True)
class _Table:
    """Many histograms as one array, one after the other: by bin the logs and counts, by histogram the rest."""

    logs: Floats
    counts: Ints
    n: Ints
    lengths: Ints

    @property
    def starts(self) -> Ints:
        """Where each histogram that has a bin begins."""
        begins: Ints = (np.cumsum(self.lengths) - self.lengths)[self.lengths > 0]
        return begins

    @property
    def ranks(self) -> Ints:
        """How many samples of its histogram lie up to and in each bin."""
        before: Ints = np.cumsum(self.n) - self.n
        ranks: Ints = np.cumsum(self.counts) - np.repeat(before, self.lengths)
        return ranks


def _tabulate(histograms: Sequence[Histogram]) -> _Table:
    none = np.empty(0, np.int64)
    counts = np.concatenate([none, *(h.counts for h in histograms)])
    lengths = np.array([len(h.bins) for h in histograms], np.int64)
    samples = np.concatenate([[0], np.cumsum(counts)])
    ends = np.cumsum(lengths)
    logs = log_seconds(np.concatenate([none, *(h.bins for h in histograms)]))
    return _Table(logs, counts, samples[ends] - samples[ends - lengths], lengths)


def _weighted(table: _Table, weights: Floats) -> Estimates:
    """The weighted mean of the log bins of each histogram and their weighted variance; NaN without samples."""
    mean, variance, filled = np.full(len(table.n), _NAN), np.full(len(table.n), _NAN), table.lengths > 0
    if filled.any():
        mean[filled] = np.add.reduceat(weights * table.logs, table.starts)
        apart = table.logs - np.repeat(mean, table.lengths)
        variance[filled] = np.add.reduceat(weights * apart**2, table.starts)
    return Estimates(mean, variance, table.n)


def _weight_up_to(table: _Table, q: float) -> Floats:
    """How much of the Harrell-Davis weight lies up to and in each bin: a beta law of its rank."""
    sizes, size_of = np.unique(table.n, return_inverse=True)
    tables = [_tabled_weight(int(n) if n <= _TABLED else 0, q) for n in sizes]
    begins = np.cumsum([0, *(len(one) for one in tables)])
    ranks, n = table.ranks, np.repeat(table.n, table.lengths)
    tabled = n <= _TABLED
    up_to = np.empty(len(ranks))
    up_to[tabled] = np.concatenate([*tables, []])[
        np.repeat(begins[size_of], table.lengths)[tabled] + ranks[tabled]
    ]
    up_to[~tabled] = _weight_of_many(ranks[~tabled], n[~tabled], q)
    return up_to


def _weight_of_many(ranks: Ints, n: Ints, q: float) -> Floats:
    """The same for ranks among so many samples that a table of all ranks would not pay."""
    shares = ranks / n
    # Beyond eight standard deviations the beta distribution is 0 or 1 to the last digit; not computing
    # it there keeps the cost independent of the number of bins.
    reach = 8 * np.sqrt(q * (1 - q) / (n + 2))
    close = (shares > q - reach) & (shares < q + reach) & (ranks < n)
    weight: Floats = ((shares >= q + reach) | (ranks == n)).astype(np.float64)
    weight[close] = special.betainc((n[close] + 1) * q, (n[close] + 1) * (1 - q), shares[close])
    return weight


@lru_cache(maxsize=2048)
def _tabled_weight(n: int, q: float) -> Floats:
    """The weight up to every rank from 0 to ``n``: runs of one plan have cells of about the same size."""
    weights: Floats = special.betainc((n + 1) * q, (n + 1) * (1 - q), np.arange(n + 1) / max(n, 1))
    return weights


def _binomial_quantile(tail: float, n: int, share: float) -> int:
    """The largest count of which P(fewer, out of ``n``) is below ``tail``."""
    count = math.ceil(float(special.bdtrik(tail, n, share)))
    # What bdtrik finds may be a hair above a whole number.
    return count - 1 if count and float(special.bdtr(count - 1, n, share)) >= tail else count


def _order_statistic(histogram: Histogram, rank: int) -> float:
    """The ``rank``-th shortest duration in seconds, counted from 1; NaN if there is none."""
    n = histogram.n
    if not 1 <= rank <= n:
        return _NAN
    place = int(np.searchsorted(np.cumsum(histogram.counts), rank))
    return float(np.exp(log_seconds(histogram.bins[place : place + 1])[0]))
