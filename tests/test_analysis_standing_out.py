"""Cells against the rest of their runs, with a slow-down planted by hand in one of them."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.findings import Measure
from analysis.histograms import histogram_of
from analysis.levels import paired
from analysis.runs import Question
from analysis.standing_out import compare_to_the_rest
from analysis.within import opposed_by_measure

CELLS = tuple((operation, fields) for operation in ("read_case", "save_custom") for fields in (0, 50, 200, 500))
HIT = ("save_custom", 50)


def runs(rng, factors=None, *, pairs=6, common=0.3, own=0.02, all_by=1.0):
    """Runs whose cells share a noise of ``common``; the times of each cell are ``factors`` times as long."""
    found = []
    for _ in range(pairs):
        shift = rng.normal(0, common)
        found.append(
            {
                cell: histogram_of(
                    np.full(
                        60, 0.1 * all_by * (factors or {}).get(cell, 1.0) * math.exp(shift + rng.normal(0, own))
                    )
                )
                for cell in CELLS
            }
        )
    return found


def compared(before, after, question):
    return compare_to_the_rest(opposed_by_measure(before, after, question, paired), question)


def against_the_rest(factors=None, *, seed=3, required=CELLS, **shape):
    rng = np.random.default_rng(seed)
    before, after = runs(rng, **{**shape, "all_by": 1.0}), runs(rng, factors, **shape)
    found = compared(before, after, Question(required=frozenset(required)))
    return {(one.operation, one.custom_fields): one for one in found if one.measure is Measure.MEAN}


def test_a_cell_that_became_slower_stands_out_on_a_host_whose_runs_differ_by_more():
    found = against_the_rest({HIT: 1.25}, common=0.3)
    assert [cell for cell, one in found.items() if one.stands_out] == [HIT]
    assert found[HIT].fires
    assert found[HIT].low < 1.25 < found[HIT].high


def test_the_ratio_is_that_to_the_mean_of_the_other_cells():
    found = against_the_rest({HIT: 1.25, ("read_case", 0): 1.1}, common=0.0, own=0.0)
    assert found[HIT].ratio == pytest.approx(1.25 / 1.1 ** (1 / 7), rel=0.006)  # half a bin
    assert found["read_case", 0].ratio == pytest.approx(1.1 / 1.25 ** (1 / 7), rel=0.006)


def test_what_became_slower_everywhere_does_not_stand_out():
    assert not any(one.stands_out for one in against_the_rest(all_by=2.0).values())


def test_five_per_cent_are_shown_to_nobody_and_the_tolerance_wakes_nobody_however_certain():
    found = against_the_rest({HIT: 1.04}, own=0.001)
    assert not found[HIT].stands_out
    found = against_the_rest({HIT: 1.08}, own=0.001)
    assert found[HIT].stands_out
    assert not found[HIT].fires


def test_a_cell_that_stayed_while_the_rest_became_faster_is_shown_and_wakes_nobody():
    found = against_the_rest({cell: 0.7 for cell in CELLS if cell != HIT}, common=0.02)
    assert found[HIT].stands_out
    assert not found[HIT].fires


def test_a_cell_that_nobody_requires_wakes_nobody():
    found = against_the_rest({HIT: 1.5}, required=[cell for cell in CELLS if cell != HIT])
    assert found[HIT].stands_out
    assert not found[HIT].fires


def test_a_noise_that_moves_one_cell_by_more_than_the_others_is_taken_off_it():
    rng = np.random.default_rng(5)

    def side(level):
        made = []
        for _ in range(6):
            shift = level + rng.normal(0, 0.2)
            made.append(
                {
                    cell: histogram_of(np.full(60, 0.1 * math.exp(shift * (2 if cell == HIT else 1))))
                    for cell in CELLS
                }
            )
        return made

    # The sides differ by what the noise of six runs reaches; the cell gains twice as much of it as the others.
    found = compared(side(0.0), side(0.1), Question(required=frozenset(CELLS)))
    (hit,) = [one for one in found if (one.operation, one.custom_fields, one.measure) == (*HIT, Measure.MEAN)]
    assert hit.ratio == pytest.approx(1.0, abs=0.02)
    assert not hit.stands_out


def test_there_is_no_rest_with_three_cells_or_one_pair():
    rng = np.random.default_rng(1)
    few = [{cell: run[cell] for cell in CELLS[:3]} for run in runs(rng)]
    assert compared(few, few, Question()) == ()
    one = runs(rng, pairs=1)
    assert compared(one, one, Question()) == ()


@settings(max_examples=20, deadline=None)
@given(factor=st.floats(0.2, 5.0))
def test_what_happens_to_all_cells_alike_changes_no_contrast(factor):
    found = against_the_rest({HIT: 1.2}, pairs=3, own=0.0, common=0.2, all_by=factor)
    assert found[HIT].ratio == pytest.approx(1.2, rel=0.012)  # two bins
