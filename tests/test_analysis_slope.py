"""The custom-field slope, with growth planted by hand."""

import math

import numpy as np
import pytest

from analysis.histograms import histogram_of, log_seconds
from analysis.levels import paired
from analysis.runs import Question
from analysis.slope import compare_slopes, weights

FIELDS = (0, 50, 200, 500)
OPERATIONS = ("read_case", "save_custom")
MEDIAN = Question(quantiles=(0.5,))


def runs(rng, growth, pairs=5, fields=FIELDS, common=0.3, own=0.02):
    """Runs with common noise; ``growth`` is planted in save_custom as exp(growth x fields / 500)."""
    found = []
    for _ in range(pairs):
        shift = rng.normal(0, common)
        found.append(
            {
                (operation, f): histogram_of(
                    np.full(
                        50,
                        math.exp(
                            -2 + shift + rng.normal(0, own) + (operation == "save_custom") * growth * f / 500
                        ),
                    )
                )
                for operation in OPERATIONS
                for f in fields
            }
        )
    return found


def slopes(growth, **shape):
    rng = np.random.default_rng(3)
    before, after = runs(rng, 0.0, **shape), runs(rng, growth, **shape)
    return {one.operation: one for one in compare_slopes(before, after, MEDIAN, paired, alpha=0.03)}


def test_the_weights_ignore_a_level_and_measure_a_line():
    fields = np.array(FIELDS, float)
    c = weights(fields, 500)
    assert c.sum() == pytest.approx(0)
    assert c @ (3 + 0.7 * fields / 500) == pytest.approx(0.7)


def test_the_weights_of_three_cohorts_by_hand():
    # u = 0, .5, 1 about .5: -.5, 0, .5 over .5
    assert weights(np.array([0.0, 250.0, 500.0]), 500) == pytest.approx([-1, 0, 1])


def test_planted_growth_is_found_where_it_was_planted_however_noisy_the_host():
    found = slopes(math.log(1.5))
    assert found["save_custom"].fires
    assert not found["read_case"].fires
    assert found["save_custom"].low < 0.5 < found["save_custom"].high


def test_growth_is_told_for_the_most_fields_against_none():
    assert slopes(math.log(1.5), own=0.0, common=0.0)["save_custom"].growth == pytest.approx(0.5, abs=0.01)


def test_no_growth_does_not_fire():
    assert not any(one.fires for one in slopes(0.0).values())


def test_growth_within_the_margin_does_not_fire_however_certain():
    found = slopes(math.log(1.08), own=0.001)["save_custom"]
    assert found.p_value < 0.001
    assert not found.fires


def test_two_cohorts_have_no_slope():
    assert slopes(1.0, fields=(0, 500)) == {}


def test_one_pair_has_no_slope():
    assert slopes(1.0, pairs=1) == {}


def test_cells_that_cannot_exist_do_not_count_as_cohorts():
    rng = np.random.default_rng(3)
    side = runs(rng, 0.0)
    question = Question(quantiles=(0.5,), not_applicable=frozenset({("save_custom", 0), ("save_custom", 50)}))
    assert [one.operation for one in compare_slopes(side, side, question, paired, alpha=0.03)] == ["read_case"]


def test_a_uniform_slow_down_is_no_growth():
    before = runs(np.random.default_rng(3), 0.0)
    after = [
        {cell: histogram_of(np.full(50, math.exp(0.5 + log_seconds(h.bins)[0]))) for cell, h in one.items()}
        for one in before
    ]
    found = compare_slopes(before, after, MEDIAN, paired, alpha=0.03)
    assert [one.growth for one in found] == pytest.approx([0.0, 0.0], abs=0.01)
    assert not any(one.fires for one in found)
