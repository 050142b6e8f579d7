"""Quantiles of histograms against exact ones, and intervals against the binomial law."""

import math

import numpy as np
import pytest
import scipy
from hypothesis import given
from hypothesis import strategies as st

from analysis.histograms import EMPTY, histogram_of, merged
from analysis.quantiles import interval, log_means, quantile, quiet_quantiles


def quiet(seconds, q):
    """The quiet estimate of a log quantile of some durations."""
    return float(quiet_quantiles([histogram_of(np.asarray(seconds))], q).log_s[0])


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
    scaled = quiet(seconds * k, q)
    assert scaled == pytest.approx(math.log(k) + quiet(seconds, q), abs=0.006)


@given(seconds=durations, q=shares)
def test_the_quiet_quantile_lies_between_the_extremes(seconds, q):
    low, high = math.log(seconds.min()), math.log(seconds.max())
    assert low - 0.003 <= quiet(seconds, q) <= high + 0.003


@given(one=durations, other=durations)
def test_merging_histograms_is_the_histogram_of_all(one, other):
    parts, whole = [histogram_of(one), histogram_of(other)], histogram_of(np.concatenate([one, other]))
    both = merged(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("bins", "counts")))
    assert both.bins.tolist() == whole.bins.tolist()
    assert both.counts.tolist() == whole.counts.tolist()


def test_the_quiet_median_of_two_is_their_geometric_mean():
    assert math.exp(quiet([0.1, 0.4], 0.5)) == pytest.approx(0.2, rel=0.003)


def test_the_quiet_median_of_three_weighs_them_by_the_beta_law():
    # Beta(2, 2) has the distribution function 3x^2 - 2x^3: 7/27, 13/27, 7/27.
    logs = np.log([1.0, 2.0, 8.0])
    expected = (7 * logs[0] + 13 * logs[1] + 7 * logs[2]) / 27
    assert quiet(np.exp(logs), 0.5) == pytest.approx(expected, abs=0.003)


def test_no_samples_have_no_quantile():
    assert math.isnan(quantile(EMPTY, 0.5))
    for found in (quiet_quantiles([EMPTY], 0.5), log_means([EMPTY])):
        assert math.isnan(found.log_s[0])
        assert found.n.tolist() == [0]


def test_of_no_histograms_there_are_no_estimates():
    assert quiet_quantiles([], 0.95).log_s.tolist() == log_means([]).log_s.tolist() == []


@pytest.mark.parametrize("n", [7, 1024, 1025, 3000])
def test_the_weights_of_any_number_of_samples_are_those_of_the_beta_law(n):
    logs = np.linspace(-3, 1, n)
    ranks = scipy.stats.beta.cdf(np.arange(n + 1) / n, (n + 1) * 0.95, (n + 1) * 0.05)
    assert quiet(np.exp(logs), 0.95) == pytest.approx(np.diff(ranks) @ logs, abs=0.003)


def test_histograms_are_estimated_together_as_they_are_alone():
    many = [histogram_of(np.array([0.1, 0.4])), EMPTY, histogram_of(np.array([3.0])), histogram_of(np.ones(9))]
    for estimate in (log_means, lambda some: quiet_quantiles(some, 0.95)):
        alone = [estimate([one]).log_s[0] for one in many]
        assert estimate(many).log_s == pytest.approx(alone, nan_ok=True)


def test_the_mean_of_the_logarithms_and_its_error_by_hand():
    found = log_means([histogram_of(np.exp([-1.0, 0.0, 4.0]))])
    assert found.log_s[0] == pytest.approx(1.0, abs=0.003)
    assert found.variance[0] == pytest.approx((4 + 1 + 9) / 3 / 3, rel=0.005)


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
