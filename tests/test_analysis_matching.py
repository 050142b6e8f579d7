"""Which runs make a pair, and what design their starting times show."""

from dataclasses import replace

import pytest
from analysis_examples import run

from analysis.findings import Design
from analysis.matching import match


def matched(order, step=2):
    """Runs in the order of the letters, two minutes apart: ``b`` before, ``a`` after."""
    runs = [run(f"{side}{at}", at * step) for at, side in enumerate(order)]
    return match([r for r in runs if r.id[0] == "b"], [r for r in runs if r.id[0] == "a"])


@pytest.mark.parametrize(
    ("order", "design"),
    [
        ("baba", Design.ALTERNATING),
        ("baab", Design.ALTERNATING),
        ("ba", Design.ALTERNATING),
        ("babab", Design.ALTERNATING),
        ("bbaa", Design.APART),
        ("bbbbba", Design.APART),
        ("bba", Design.APART),
        ("bbb", Design.APART),
        ("", Design.APART),
    ],
)
def test_the_design_follows_from_the_order_in_time(order, design):
    assert matched(order).design is design


def test_runs_at_the_same_time_are_concurrent():
    before = [run("b0", 0), run("b1", 5)]
    after = [replace(one, id=f"a{at}") for at, one in enumerate(before)]
    found = match(before, after)
    assert found.design is Design.CONCURRENT
    assert [(p.before.id, p.after.id) for p in found.pairs] == [("b0", "a0"), ("b1", "a1")]


def test_pairs_are_neighbours_in_time_whichever_came_first():
    assert [(p.before.id, p.after.id) for p in matched("baab").pairs] == [("b0", "a1"), ("b3", "a2")]


def test_the_order_in_which_runs_are_given_is_irrelevant():
    runs = [run("b0", 0), run("a1", 2), run("b2", 4), run("a3", 6)]
    assert match([runs[2], runs[0]], [runs[3], runs[1]]) == match([runs[0], runs[2]], [runs[1], runs[3]])


def test_a_run_too_many_is_left_unpaired():
    assert [one.id for one in matched("babab").unpaired] == ["b4"]


def test_runs_that_drove_both_sides_are_pairs_whatever_the_order_and_one_side_alone_is_left_over():
    both = [run(f"r{at}/{arm}", at * 3, at_once=f"r{at}") for at in range(3) for arm in ("b", "a")]
    found = match([both[4], both[0], both[2]], [both[3], both[1]])
    assert found.design is Design.CONCURRENT
    assert [(p.before.id, p.after.id) for p in found.pairs] == [("r0/b", "r0/a"), ("r1/b", "r1/a")]
    assert [one.id for one in found.unpaired] == ["r2/b"]
