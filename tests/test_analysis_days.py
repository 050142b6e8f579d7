"""Runs apart in time: which of them are of one day, and what a day counts for."""

import numpy as np
import pytest
from analysis_examples import CELLS, run, samples, sides

from analysis.assessment import assess
from analysis.days import PredictedByDay, days_of
from analysis.findings import CheckOutcome, Design, Reason, Verdict
from analysis.levels import Levels
from analysis.runs import Question

HOUR = 60
DAY = 24 * HOUR


def at(*minutes, side="b"):
    return [run(f"{side}{minute}", minute) for minute in minutes]


@pytest.mark.parametrize(
    ("minutes", "sizes"),
    [
        ((0, 5, 10), [3]),
        ((0, DAY, 2 * DAY), [1, 1, 1]),
        ((0, 5, DAY, DAY + 5), [2, 2]),
        ((0, 8 * HOUR, 16 * HOUR), [3]),
        ((0, 12 * HOUR), [1, 1]),
        ((), []),
    ],
)
def test_runs_with_less_than_twelve_hours_between_neighbours_are_of_one_day(minutes, sizes):
    assert [len(day) for day in days_of(at(*minutes))] == sizes


def test_the_order_in_which_runs_are_given_does_not_change_their_days():
    runs = at(0, 5, DAY)
    assert days_of(runs[::-1]) == days_of(runs)


def levels(values):
    log_s = np.array(values, np.float64)[:, None]
    return Levels((("read_case", 0),), log_s, np.full_like(log_s, 0.01), np.full(log_s.shape, 50))


def test_eight_runs_of_one_evening_count_as_that_one_evening():
    before = at(0, DAY, 2 * DAY, 2 * DAY + 5, 2 * DAY + 10)
    after = at(9 * DAY, 9 * DAY + 5, side="a")
    found = PredictedByDay(before, after)(levels([0.0, 2.0, 3.0, 4.0, 5.0]), levels([6.0, 8.0]))
    assert found.rows[:, 0].tolist() == [0.0, 2.0, 4.0]
    assert found.estimate.tolist() == [7.0 - 2.0]
    assert found.factor == 1 + 1 / 3


def evening(start, side, change=1.0, n=4):
    """Runs of one evening, five minutes apart."""
    return [
        run(f"{side}{k}", start + 5 * k, samples({c: s * change * (1 + 0.01 * k) for c, s in CELLS.items()}))
        for k in range(n)
    ]


def test_before_runs_of_one_evening_give_no_verdict_on_an_evening_days_later():
    told = assess(evening(0, "b"), evening(4 * DAY, "a", 1.5), Question())
    check = next(check for check in told.checks if check.name == "days before")
    assert (told.design, check.outcome) == (Design.APART, CheckOutcome.FAIL)
    assert (told.verdict, Reason.NEEDS_DATA in told.reasons) == (Verdict.HOLD, True)


def test_before_and_after_of_one_day_need_no_other_days():
    told = assess(evening(0, "b"), evening(2 * HOUR, "a"), Question())
    check = next(check for check in told.checks if check.name == "days before")
    assert (told.design, check.outcome) == (Design.APART, CheckOutcome.PASS)
    assert Reason.CONFOUNDED in told.reasons


def test_each_side_tells_on_how_many_days_it_was_measured():
    before, after = sides(4, apart=True)
    told = assess(before, after[:1], Question())
    assert (told.before.days, told.after.days) == (4, 1)
