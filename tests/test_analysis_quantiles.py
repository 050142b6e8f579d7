"""Quantiles of histograms against exact ones, and intervals against the binomial law."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.histograms import EMPTY, histogram_of, merged
from analysis.quantiles import interval, quantile, quiet_quantile

durations = st.lists(st.floats(1e-5, 1e4), min_size=1, max_size=60).map(np.array)
shares = st.sampled_from([0.05, 0.5, 0.9, 0.95, 0.99])


@given(seconds=durations, q=shares)
def test_a_quantile_is_within_three_thousandths_of_the_exact_one(seconds, q):
    exact = np.quantile(seconds, q, method="inverted_cdf")
    assert quantile(histogram_of(seconds), q) == pytest.approx(exact, rel=0.003)


@given(seconds=durations, q=shares, k=st.floats(0.1, 100))
def test_scaling_all_times_scales_the_quantile(seconds, q, k):
    assert quantile(histogram_of(seconds * k), q) == pytest.approx(
        k * quantile(histogram_of(seconds), q), rel=0.006
    )
    scaled = quiet_quantile(histogram_of(seconds * k), q).log_s
    assert scaled == pytest.approx(math.log(k) + quiet_quantile(histogram_of(seconds), q).log_s, abs=0.006)


@given(seconds=durations, q=shares)
def test_the_quiet_quantile_lies_between_the_extremes(seconds, q):
    low, high = math.log(seconds.min()), math.log(seconds.max())
    assert low - 0.003 <= quiet_quantile(histogram_of(seconds), q).log_s <= high + 0.003


@given(one=durations, other=durations)
def test_merging_histograms_is_the_histogram_of_all(one, other):
    parts, whole = [histogram_of(one), histogram_of(other)], histogram_of(np.concatenate([one, other]))
    both = merged(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("bins", "counts")))
    assert both.bins.tolist() == whole.bins.tolist()
    assert both.counts.tolist() == whole.counts.tolist()


def test_the_quiet_median_of_two_is_their_geometric_mean():
    assert math.exp(quiet_quantile(histogram_of(np.array([0.1, 0.4])), 0.5).log_s) == pytest.approx(0.2, rel=0.003)


def test_the_quiet_median_of_three_weighs_them_by_the_beta_law():
    # Beta(2, 2) has the distribution function 3x^2 - 2x^3: 7/27, 13/27, 7/27.
    logs = np.log([1.0, 2.0, 8.0])
    expected = (7 * logs[0] + 13 * logs[1] + 7 * logs[2]) / 27
    assert quiet_quantile(histogram_of(np.exp(logs)), 0.5).log_s == pytest.approx(expected, abs=0.003)


def test_no_samples_have_no_quantile():
    estimate = quiet_quantile(EMPTY, 0.5)
    assert math.isnan(quantile(EMPTY, 0.5))
    assert math.isnan(estimate.log_s)
    assert estimate.n == 0


def test_the_interval_of_a_median_of_six_is_the_whole_sample():
    # P(all six on one side) = 2 / 64 = 3.1 %, so (min, max) covers 96.9 %.
    found = interval(histogram_of(np.arange(1.0, 7.0)), 0.5)
    assert (found.low_s, found.high_s) == (pytest.approx(1, rel=0.003), pytest.approx(6, rel=0.003))


def test_five_samples_bound_no_median_at_95_per_cent():
    found = interval(histogram_of(np.arange(1.0, 6.0)), 0.5)
    assert math.isnan(found.low_s)
    assert math.isnan(found.high_s)


def test_a_p95_of_twenty_has_no_upper_bound():
    # P(all 20 below the p95) = .95^20 = 36 %.
    assert math.isnan(interval(histogram_of(np.arange(1.0, 21.0)), 0.95).high_s)


def test_a_lag_of_nothing_counts_as_a_microsecond():
    assert quantile(histogram_of(np.array([0.0, -1.0])), 0.5) == pytest.approx(1e-6, rel=0.003)
