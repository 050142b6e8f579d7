"""The account of one run: its quantiles and their ranges by the binomial law, its failures, its objectives."""

import math

import numpy as np
import pytest
from analysis_examples import effects, run, samples

from analysis.account import account_of
from analysis.findings import ObjectiveOutcome
from analysis.runs import Objective, Question
from analysis.slices import fold

P95 = Objective("read_case p95 <= 1 s", "quantile", 1.0, "s", "read_case", None, 0.95)


def rising(n: int):
    """``n`` reads that took 10 ms, 20 ms, 30 ms, ... each."""
    table = samples({("read_case", 0): 0.1}, n=n)
    return table.assign(done_s=table["sent_s"] + 0.01 * np.arange(1, n + 1))


def times_of(table, **changes):
    (cell,) = account_of(run("one", 0, table, **changes), Question()).cells
    return cell.times


def test_the_range_of_a_median_of_a_hundred_is_from_the_40th_to_the_61st():
    median, _, _ = times_of(rising(100))
    assert (median.value_s, median.low_s, median.high_s) == pytest.approx((0.50, 0.40, 0.61), rel=0.0026)


def test_what_too_few_bound_above_is_left_open():
    p95 = times_of(rising(50))[1]
    assert p95.low_s == pytest.approx(0.44, rel=0.0026)  # the 44th of 50: P(fewer lie below p95) = .0118
    assert math.isnan(p95.high_s)


def test_the_longest_of_a_few_is_not_told_as_their_p99():
    assert math.isnan(times_of(rising(99))[2].value_s)
    assert times_of(rising(100))[2].value_s == pytest.approx(0.99, rel=0.0026)


def test_failures_stand_beside_the_times_and_not_in_them():
    table = samples({("read_case", 0): 0.1}, n=100, failed=7)
    account = account_of(run("one", 0, table), Question())
    (cell,) = account.cells
    assert (cell.requests, cell.failures, cell.n) == (107, 7, 100)
    assert [(kind.detail, kind.operation, kind.count) for kind in account.failures] == [
        ("http 503", "read_case", 7)
    ]


def test_an_effect_over_its_limit_is_broken_in_a_single_run():
    account = account_of(run("one", 0, effects=effects(script_once=99, script_missed=1)), Question())
    assert {(one.outcome, one.after) for one in account.integrity if not one.held} == {("missed", 1)}


def test_an_objective_is_held_against_a_single_run_and_one_that_needs_two_is_left_out():
    slower = Objective("p95 at most 10 % slower than before", "slower", 0.1, "change", quantile=0.95)
    table = samples({("read_case", 0): 0.1}, n=1000)
    account = account_of(run("one", 0, table), Question(objectives=(P95, slower)))
    assert [(one.text, one.outcome) for one in account.objectives] == [(P95.text, ObjectiveOutcome.HELD)]


def test_a_generator_that_was_late_leaves_objectives_about_times_without_an_outcome():
    table = samples({("read_case", 0): 0.1}, n=1000, lag_s=0.5)
    account = account_of(run("one", 0, table, waited_for_pool=0), Question(objectives=(P95,)))
    assert "late" in account.fault
    assert [one.outcome for one in account.objectives] == [ObjectiveOutcome.NO_DATA]


def test_a_run_that_measured_nothing_has_an_account_without_cells():
    empty = fold(samples({("read_case", 0): 0.1}).iloc[:0])
    assert account_of(run("one", 0, slices=empty), Question()).cells == ()
