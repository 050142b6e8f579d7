"""The custom-field slope, with growth planted by hand."""

import math

import numpy as np
import pytest

from analysis.findings import Measure
from analysis.histograms import histogram_of, log_seconds
from analysis.levels import paired
from analysis.runs import Question
from analysis.slope import compare_slopes, line
from analysis.within import opposed_by_measure

FIELDS = (0, 50, 200, 500)
OPERATIONS = ("read_case", "save_custom")
WRITING = ("save_custom", "run_script")
ASKED = Question()


def runs(rng, growth, pairs=5, fields=FIELDS, common=0.3, own=0.02, operations=OPERATIONS, tilt=0.0):
    """Runs with common noise; ``growth`` is planted in what writes fields as exp(growth x fields / 500).

    ``tilt`` is noise that all operations of a run share and that rises with the number of fields.
    """
    found = []
    for _ in range(pairs):
        shift, slope = rng.normal(0, common), rng.normal(0, tilt)
        found.append(
            {
                (operation, f): histogram_of(
                    np.full(
                        50,
                        math.exp(
                            -2 + shift + rng.normal(0, own) + (slope + (operation in WRITING) * growth) * f / 500
                        ),
                    )
                )
                for operation in operations
                for f in fields
            }
        )
    return found


def compared(before, after, question=ASKED):
    return compare_slopes(opposed_by_measure(before, after, question, paired), alpha=0.03)


def slopes(growth, **shape):
    rng = np.random.default_rng(3)
    before, after = runs(rng, 0.0, **shape), runs(rng, growth, **shape)
    found = compared(before, after)
    return {one.operation: one for one in found if one.measure is Measure.MEAN}


def test_the_weights_ignore_a_level_and_measure_a_line():
    fields = np.array(FIELDS, float)
    c = line(fields, 500)
    assert c.sum() == pytest.approx(0)
    assert c @ (3 + 0.7 * fields / 500) == pytest.approx(0.7)


def test_the_weights_of_three_cohorts_by_hand():
    # u = 0, .5, 1 about .5: -.5, 0, .5 over .5
    assert line(np.array([0.0, 250.0, 500.0]), 500) == pytest.approx([-1, 0, 1])


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
    assert {one.operation for one in compared(side, side, question)} == {"read_case"}


def test_a_uniform_slow_down_is_no_growth():
    rng = np.random.default_rng(3)
    before = runs(rng, 0.0)
    after = [
        {cell: histogram_of(np.full(50, math.exp(0.5 + log_seconds(h.bins)[0]))) for cell, h in one.items()}
        for one in runs(rng, 0.0)
    ]
    found = compared(before, after)
    assert all(one.low < 0 < one.high for one in found)
    assert not any(one.fires for one in found)


ALL = ("read_case", "send_email", "save_standard", *WRITING)


def test_what_two_operations_have_in_common_is_told_beside_each_of_them():
    found = slopes(math.log(1.5), operations=ALL)
    assert list(found) == [*sorted(ALL), "run_script+save_custom"]
    assert found["run_script+save_custom"].operations == ("run_script", "save_custom")
    assert found["run_script+save_custom"].pooled
    assert found["run_script+save_custom"].growth == pytest.approx(0.5, abs=0.1)


def test_growth_too_weak_to_show_in_one_operation_shows_in_what_they_have_in_common():
    found = slopes(math.log(1.2), operations=ALL, own=0.07)
    assert [name for name, one in found.items() if one.fires] == ["run_script+save_custom"]


def test_noise_that_tilts_all_operations_alike_is_taken_off_what_writes_fields():
    found = slopes(math.log(1.3), operations=ALL, tilt=0.5)
    own, pooled = found["save_custom"], found["run_script+save_custom"]
    assert own.low < 0 < own.high
    assert pooled.fires
    assert pooled.growth == pytest.approx(0.3, abs=0.06)


def test_noise_that_slows_cells_unequally_is_taken_off_by_what_the_runs_share():
    # A run that is slower by a factor is slower by its square at the most fields: after runs that happen
    # to be slow would look like growth, but for what the runs of either side tell of it.
    def side(shared):
        return [
            {
                (operation, f): histogram_of(np.full(50, math.exp(z * (1 + f / 500))))
                for operation in OPERATIONS
                for f in FIELDS
            }
            for z in shared
        ]

    found = compared(side([-0.2, 0.0, 0.1, 0.3]), side([0.2, 0.4, 0.1, 0.5]))
    assert [one.growth for one in found] == pytest.approx([0.0] * len(found), abs=0.01)


def test_a_slow_down_far_beyond_the_noise_does_not_drown_growth():
    # Three times as slow everywhere, and half as much again at the most fields: the tilt that the runs' noise
    # of 5 % shows must not be drawn on to a change of 200 %.
    rng = np.random.default_rng(5)
    before = runs(rng, 0.0, common=0.05)
    after = [
        {cell: histogram_of(np.full(50, 3 * math.exp(log_seconds(h.bins)[0]))) for cell, h in one.items()}
        for one in runs(rng, math.log(1.5), common=0.05)
    ]
    slopes_found = compared(before, after)
    found = {one.operation: one for one in slopes_found if one.measure is Measure.MEAN}
    assert found["save_custom"].fires
    assert found["save_custom"].growth == pytest.approx(0.5, abs=0.1)
    assert not found["read_case"].fires


def test_growth_of_a_tail_that_the_mean_hardly_feels_shows_at_p95():
    rng = np.random.default_rng(8)

    def side(tail):
        return [
            {
                (operation, f): histogram_of(
                    np.concatenate(
                        [
                            np.full(90, 0.1),
                            np.full(10, 0.2 * math.exp((operation == "save_custom") * tail * f / 500)),
                        ]
                    )
                    * math.exp(rng.normal(0, 0.02))
                )
                for operation in OPERATIONS
                for f in FIELDS
            }
            for _ in range(6)
        ]

    found = compared(side(0.0), side(math.log(1.5)))
    assert not any(one.fires for one in found if one.measure is Measure.MEAN)
    assert [(one.operation, one.measure) for one in found if one.fires] == [("save_custom", Measure.P95)]


def test_the_order_of_the_runs_of_two_pairs_is_irrelevant():
    rng = np.random.default_rng(3)
    before, after = runs(rng, 0.0), runs(rng, 0.4)
    turned = compared(before[::-1], after[::-1])
    assert [one.growth for one in turned] == pytest.approx([one.growth for one in compared(before, after)])
