"""The two-level variation by hand, and the intervals that rest on it by simulation."""

import math

import numpy as np
import pytest
from scipy import special

from analysis.variation import Prior, Variation, expected_own, fit_prior, simultaneous, vary

# Three pairs, two cells. Means by pair: .2, .2, .35, with mean .25 and variance (.05^2 + .05^2 + .1^2) / 2.
# What is left of the cells: -.1, 0, -.05 and .1, 0, .05, each with variance (.05^2 + .05^2) / 2.
ROWS = np.array([[0.1, 0.3], [0.2, 0.2], [0.3, 0.4]])
EULER = 0.5772156649


def test_the_common_variance_is_that_of_the_means_over_the_cells():
    assert vary(ROWS).common == pytest.approx(0.0075)


def test_cells_with_equal_variances_share_one_prior_without_doubt():
    # digamma(1) = -gamma, and log s^2 of a chi-squared with 2 degrees lies gamma below its truth.
    prior = vary(ROWS).prior
    assert prior.df == math.inf
    assert prior.variance == pytest.approx(0.0025 * math.exp(EULER))


def test_a_cells_variance_is_both_parts_with_what_the_mean_took_away_given_back():
    assert vary(ROWS).each == pytest.approx([0.0075 + 2 * 0.0025 * math.exp(EULER)] * 2)


def test_the_degrees_of_freedom_are_satterthwaites():
    # Two cells and three pairs leave their own part (2 - 1) x 2 degrees, however alike the cells are.
    own = 2 * 0.0025 * math.exp(EULER)
    assert vary(ROWS).df == pytest.approx([(0.0075 + own) ** 2 / (0.0075**2 / 2 + own**2 / 2)] * 2)


def test_unlike_variances_are_drawn_towards_each_other():
    residual = np.array([1.0, 1.0, 1.0, 400.0])
    prior = fit_prior(residual, 4)
    moderated = (prior.df * prior.variance + 4 * residual) / (prior.df + 4)
    assert 0 < prior.df < 5
    assert 1.0 < moderated[3] / moderated[0] < 400.0


def test_the_prior_follows_its_moments():
    logs = np.array([-2.0, 0.0, 1.0, 3.0])
    prior = fit_prior(np.exp(logs), 6)
    spread = logs.var(ddof=1) - special.polygamma(1, 3)
    assert special.polygamma(1, prior.df / 2) == pytest.approx(spread)
    centre = logs.mean() - special.digamma(3) + math.log(3)
    assert math.log(prior.variance) == pytest.approx(
        centre + special.digamma(prior.df / 2) - math.log(prior.df / 2)
    )


def test_a_single_cell_has_no_part_of_its_own():
    found = vary(np.array([[0.1], [0.3]]))
    assert (found.common, found.own.tolist()) == (pytest.approx(0.02), [0.0])


def test_identical_runs_vary_no_less_than_the_histograms_can_tell():
    assert vary(np.zeros((3, 4))).each == pytest.approx([math.log(1.005) ** 2 / 6] * 4)


def test_cells_with_few_samples_are_expected_to_vary_more():
    rows = np.zeros((4, 2))
    expected = expected_own(rows, np.array([0.01, 0.09]))
    assert expected[1] / expected[0] == pytest.approx(9)


def test_cells_that_share_all_noise_cost_no_more_than_one():
    shared = Variation(1.0, 1_000_000, np.full(25, 1e-12), math.inf, Prior(0.0, math.inf))
    assert simultaneous(shared) == pytest.approx(1.96, abs=0.06)


def test_cells_that_share_no_noise_cost_what_bonferroni_would():
    apart = Variation(1e-12, 1_000_000, np.ones(25), math.inf, Prior(1.0, math.inf))
    assert simultaneous(apart) == pytest.approx(3.09, abs=0.06)  # .05 / 50 in each tail


@pytest.mark.parametrize(("common_sd", "pairs"), [(0.3, 3), (0.05, 6)])
def test_the_simultaneous_interval_covers_all_cells_nineteen_times_in_twenty(common_sd, pairs):
    rng, covered, replicates = np.random.default_rng(5), 0, 150
    for _ in range(replicates):
        rows = common_sd * rng.standard_normal((pairs, 1)) + 0.05 * rng.standard_normal((pairs, 12))
        found = vary(rows)
        reach = simultaneous(found) * np.sqrt(found.each / pairs)
        covered += bool((np.abs(rows.mean(axis=0)) <= reach).all())
    # 95 % less three Monte-Carlo errors
    assert covered / replicates > 0.95 - 3 * math.sqrt(0.95 * 0.05 / replicates)
