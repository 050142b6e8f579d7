"""How many pairs a question needs: by arithmetic, by laws, and by the tests that will be asked."""

import math

import numpy as np
import pytest
from analysis_examples import CELLS, sides

from analysis.failures import ALPHA, p_more_failures
from analysis.histograms import histogram_of
from analysis.pairs import (
    noise_of_pairs,
    noise_of_runs,
    pairs_for_growth,
    pairs_to_clear,
    pairs_to_see,
    sampling_variance,
    smallest_growth,
    smallest_rise,
    smallest_seen,
    typical_noise,
)
from analysis.slices import cell_histograms

PLANNED = dict.fromkeys(CELLS, 144.0)
SAVES = [cell for cell in CELLS if cell[0] == "save_custom"]


def noise(common_sd=0.05, own_sd=0.04, q=0.95, planned=PLANNED):
    return typical_noise(planned, q, common_sd=common_sd, own_sd=own_sd)


def test_the_median_and_the_mean_of_lognormal_times_vary_as_the_textbook_says():
    assert sampling_variance(None) == 0.25  # sigma^2, sigma = .5
    assert sampling_variance(0.5) == pytest.approx(math.pi / 2 * 0.25)


def test_a_pair_has_the_sampling_variance_of_two_runs():
    assert noise(own_sd=0.0, q=None).own.tolist() == pytest.approx([2 * 0.25 / 144] * len(CELLS))


@pytest.mark.parametrize("answer", [pairs_to_see, pairs_to_clear])
def test_more_noise_and_smaller_changes_need_more_pairs(answer):
    base = answer(noise(), SAVES, 0.20)
    assert answer(noise(common_sd=0.15), SAVES, 0.20) > base
    assert answer(noise(own_sd=0.08), SAVES, 0.20) > base
    assert answer(noise(), SAVES, 0.10) > base
    assert answer(noise(planned=dict.fromkeys(CELLS, 600.0)), SAVES, 0.20) < base


def test_the_pairs_for_a_change_see_that_change_and_one_pair_less_does_not():
    pairs = pairs_to_see(noise(), SAVES, 0.20)
    assert smallest_seen(noise(), SAVES, pairs) <= 0.20 + 0.001
    assert smallest_seen(noise(), SAVES, pairs - 1) > 0.20


def test_what_even_two_hundred_pairs_do_not_tell_is_said_to_be_out_of_reach():
    assert pairs_to_see(noise(common_sd=3.0), SAVES, 0.10) is None


def test_growth_within_the_margin_is_out_of_reach_however_many_pairs_there_are():
    quiet = noise(common_sd=0, own_sd=0.001, q=None, planned=dict.fromkeys(CELLS, 1e6))
    assert pairs_for_growth(quiet, 0.10, alpha=0.01) is None
    assert pairs_for_growth(quiet, 0.25, alpha=0.01) == 4


def test_common_noise_does_not_hide_growth():
    assert smallest_growth(noise(0.5, q=None), 6, alpha=0.01) == smallest_growth(noise(0.0, q=None), 6, alpha=0.01)


def test_growth_needs_three_cohorts_of_an_operation():
    two = {cell: 144.0 for cell in CELLS if cell[1] in (0, 500)}
    assert smallest_growth(noise(q=None, planned=two), 8, alpha=0.01) == math.inf


def test_the_rise_of_failures_that_is_promised_is_found_nine_times_in_ten():
    rng = np.random.default_rng(3)
    rise = smallest_rise(0.001, 4000, 5)
    before, after = rng.poisson(4, 2000), rng.poisson(4000 * rise, 2000)
    found = np.mean(
        [p_more_failures(int(b), int(a), 4000, 4000) < ALPHA / 5 for b, a in zip(before, after, strict=True)]
    )
    assert 0.87 < found < 0.94


def histograms(runs):
    return [cell_histograms(run.slices) for run in runs]


def test_noise_is_learnt_from_three_runs_and_not_from_two():
    before, _ = sides(3)
    assert noise_of_runs(histograms(before[:2]), PLANNED, 0.95) is None
    assert noise_of_runs(histograms(before), PLANNED, 0.95).cells == tuple(sorted(CELLS))


def test_noise_that_is_learnt_is_the_noise_that_was_there_brought_to_the_samples_planned():
    rng = np.random.default_rng(11)
    own_sd, sigma, n, runs = 0.05, 0.5, 400, 30
    made = [
        {cell: histogram_of(np.exp(rng.normal(0, own_sd) + sigma * rng.standard_normal(n))) for cell in CELLS}
        for _ in range(runs)
    ]  # 30 runs x 12 cells: the mean variance is known to 2 x sqrt(2 / 319), some 16 %
    same, fewer = (noise_of_runs(made, dict.fromkeys(CELLS, planned), None) for planned in (400.0, 100.0))
    assert same.own.mean() == pytest.approx(2 * (own_sd**2 + sigma**2 / 400), rel=0.16)
    assert fewer.own.mean() == pytest.approx(2 * (own_sd**2 + sigma**2 / 100), rel=0.16)


def test_what_two_systems_differ_by_is_no_noise():
    planted = dict.fromkeys(CELLS, 2.0)
    alike, unlike = (noise_of_pairs(*map(histograms, sides(4, change)), PLANNED, 0.95) for change in ({}, planted))
    assert unlike.common == pytest.approx(alike.common, rel=0.05)


def test_noise_that_runs_share_is_noise_by_turns_and_none_both_at_once():
    before, _ = sides(6, noise=5.0)
    turns = noise_of_runs(histograms(before), PLANNED, 0.95)
    at_once = noise_of_pairs(histograms(before), histograms(before), PLANNED, 0.95)
    assert turns.common > 10 * at_once.common
