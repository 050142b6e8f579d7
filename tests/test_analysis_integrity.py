"""Integrity: exact counts against limits."""

import pandas as pd
import pytest
from analysis_examples import effects, run

from analysis.integrity import check_integrity
from analysis.runs import Question
from analysis.samples import EFFECT_OUTCOMES


def finding(kind, outcome, *, before=None, after=None, limits=None):
    found = check_integrity(
        [run("b", 0, effects=effects(**(before or {})))],
        [run("a", 2, effects=effects(**(after or {})))],
        Question(integrity_limits=limits or {}),
    )
    return next((one for one in found if (one.kind, one.outcome) == (kind, outcome)), None)


def test_one_lost_value_breaks_it():
    found = finding("value", "lost", after={"value_identical": 999, "value_lost": 1})
    assert (found.after, found.checked_after, found.limit, found.held) == (1, 1000, 0, False)


def test_what_was_lost_before_breaks_nothing_after():
    found = finding("value", "lost", before={"value_lost": 5}, after={"value_identical": 10})
    assert (found.before, found.held) == (5, True)


@pytest.mark.parametrize(("late", "held"), [(2, True), (3, False)])
def test_a_share_becomes_a_count_rounded_down(late, held):
    # .25 % of 1,000 checked is 2.5
    found = finding(
        "script",
        "late",
        after={"script_once": 1000 - late, "script_late": late},
        limits={("script", "late"): 0.0025},
    )
    assert (found.limit, found.held) == (2, held)


def test_a_share_that_is_a_whole_count_allows_that_count():
    found = finding("mail", "late", after={"mail_once": 999, "mail_late": 1}, limits={("mail", "late"): 0.001})
    assert (found.limit, found.held) == (1, True)


@pytest.mark.parametrize("outcome", ["superseded", "unverified"])
def test_what_says_nothing_breaks_nothing_and_is_not_checked(outcome):
    found = finding("value", outcome, after={f"value_{outcome}": 90, "value_identical": 10})
    assert (found.after, found.checked_after, found.held) == (90, 10, True)


def test_the_good_outcome_is_listed_and_held_with_all_checked_as_its_limit():
    found = finding("mail", "once", after={"mail_once": 7, "mail_missed": 1})
    assert (found.after, found.limit, found.held) == (7, 8, True)


def test_every_outcome_of_a_kind_that_occurs_is_listed_in_its_order():
    found = check_integrity(
        [run("b", 0, effects=effects(script_once=1))], [run("a", 2, effects=effects(script_once=1))], Question()
    )
    assert tuple(one.outcome for one in found) == EFFECT_OUTCOMES["script"]


def test_an_outcome_that_nobody_named_is_not_allowed():
    assert not finding("script", "vanished", after={"script_once": 1, "script_vanished": 1}).held


def test_counts_are_summed_over_all_runs():
    runs = [run(f"a{k}", k, effects=effects(script_once=4, script_doubled=1)) for k in range(3)]
    doubled = next(one for one in check_integrity([], runs, Question()) if one.outcome == "doubled")
    assert (doubled.after, doubled.checked_after, doubled.before) == (3, 15, 0)


def test_no_effects_have_no_findings():
    assert check_integrity([run("b", 0, effects=pd.DataFrame())], [], Question()) == ()
