"""The details: distributions, shifts, course, heat maps and notable samples, against arithmetic by hand."""

import math

import numpy as np
import pandas as pd
import pytest
from analysis_examples import run, samples, sides
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import notable
from analysis.closer_look import look
from analysis.course import draw_course, draw_heat
from analysis.histograms import histogram_of
from analysis.levels import paired
from analysis.spread import distributions, known_quantiles, shifts

SAVE = ("save_custom", 500)


def told_of(table, key="abcdefabcd"):
    """A table of notable samples as a run holds it."""
    return table.assign(trace_id=[f"{key}-{seq}" for seq in table["seq"]])


def requests(n=12, **changes):
    """Requests one second apart, each a tenth of a second longer than the one before."""
    values = {
        "seq": np.arange(n),
        "arm": "",
        "tenant": "acme",
        "custom_fields": 500,
        "operation": "save_custom",
        "scheduled_s": np.arange(n, dtype=float),
        "sent_s": np.arange(n, dtype=float),
        "done_s": np.arange(n) * 1.1 + 0.1,
        "outcome": "ok",
        "detail": "",
    }
    return pd.DataFrame({**values, **changes})


@pytest.mark.parametrize(("n", "last"), [(400, 0.95), (399, 0.9), (20_000, 0.999), (40, 0.5)])
def test_a_curve_ends_where_fewer_than_twenty_samples_lie_beyond(n, last):
    assert known_quantiles(n)[-1] == last


def test_without_a_median_there_is_no_curve():
    assert known_quantiles(39) == ()


def test_the_distribution_of_a_side_is_that_of_all_its_runs_together():
    halves = [{SAVE: histogram_of(np.linspace(start, start + 0.999, 1000))} for start in (1.0, 2.0)]
    (one,) = distributions("before", halves)
    assert (one.n, one.side) == (2000, "before")
    assert dict(zip(one.quantiles, one.times_s, strict=True))[0.5] == pytest.approx(2.0, rel=0.004)


def test_a_cost_that_every_request_pays_moves_every_tenth_alike():
    found = look(*sides(4, {SAVE: 1.5}, noise=0.0)).shifts
    moved = [one.ratio for one in found if (one.operation, one.custom_fields) == SAVE]
    assert len(moved) == 9
    assert moved == pytest.approx([1.5] * 9, rel=0.01)


def test_a_cost_of_the_slow_half_leaves_the_fast_half_where_it_was():
    times = np.linspace(1.0, 2.0, 200)
    slowed = np.where(times > 1.5, times * 2, times)
    before, after = ([{SAVE: histogram_of(side)}] * 3 for side in (times, slowed))
    by_decile = {one.quantile: one.ratio for one in shifts(before, after, paired)}
    assert by_decile[0.2] == pytest.approx(1.0, rel=0.01)
    assert by_decile[0.9] == pytest.approx(2.0, rel=0.01)


def test_the_range_of_a_shift_is_students():
    level = histogram_of(np.full(50, 1.0))
    up = histogram_of(np.full(50, math.exp(0.2)))
    (one, *_) = shifts([{SAVE: level}] * 2, [{SAVE: level}, {SAVE: up}], paired)
    # Differences 0 and 0.2: mean 0.1, sd 0.1414, t(0.975, 1 df) 12.706, half 12.706 * 0.1414 / sqrt(2).
    assert math.log(one.ratio) == pytest.approx(0.1, abs=0.005)
    assert math.log(one.high) - math.log(one.ratio) == pytest.approx(1.2706, rel=0.03)


def test_too_few_samples_in_one_run_leave_a_cell_without_a_shift():
    many, few = histogram_of(np.ones(20)), histogram_of(np.ones(19))
    assert shifts([{SAVE: many}] * 2, [{SAVE: many}, {SAVE: few}], paired) == ()


def stepped(name, minutes, factor):
    """A run of a minute whose saves take ``factor`` times as long in its first half."""
    table = samples({SAVE: 0.4}, n=60, sigma=0.0)
    took_s = np.where(table["scheduled_s"] < 30, 0.4 * factor, 0.4)
    return run(name, minutes, table.assign(done_s=table["scheduled_s"] + took_s))


@pytest.mark.parametrize("in_pairs", [True, False])
def test_the_course_shows_a_cost_that_settles(in_pairs):
    before = [stepped(f"b{k}", 4 * k, 1.0) for k in range(3)]
    after = [stepped(f"a{k}", 4 * k + 2, 2.0) for k in range(3)]
    found = draw_course(before, after, paired=in_pairs)
    assert [one.t_s for one in found] == [0, 10, 20, 30, 40, 50]
    assert [one.ratio for one in found] == pytest.approx([2, 2, 2, 1, 1, 1], rel=0.006)
    assert all(one.low <= one.ratio <= one.high for one in found)


def test_the_range_of_the_course_is_students_over_the_pairs():
    before = [run(f"b{k}", 4 * k, samples({SAVE: 1.0}, n=60, sigma=0.0)) for k in range(2)]
    after = [run(f"a{k}", 4 * k + 2, samples({SAVE: math.exp(0.2 * k)}, n=60, sigma=0.0)) for k in range(2)]
    one = draw_course(before, after, paired=True)[0]
    assert math.log(one.high / one.ratio) == pytest.approx(1.2706, rel=0.03)
    # Of two groups: sd 0.1414 on one side alone, so the same half width with one degree of freedom.
    two = draw_course(before, after, paired=False)[0]
    assert math.log(two.high / two.ratio) == pytest.approx(1.2706, rel=0.03)


def test_a_single_pair_has_no_course():
    assert draw_course([stepped("b", 0, 1)], [stepped("a", 2, 1)], paired=True) == ()


def test_without_a_run_or_without_a_save_there_is_no_heat_map():
    reads = run("a", 0, samples({("read_case", 0): 0.1}))
    assert draw_heat("after", [], ["save_custom"], 6) == draw_heat("after", [reads], ["save_custom"], 6) == ()


def test_a_heat_map_counts_every_request_in_the_field_of_its_time_and_duration():
    table = samples({SAVE: 1.0, ("read_case", 0): 0.1}, n=60, sigma=0.0)
    one, *others = draw_heat("after", [run("a", 0, table)] * 2, ["save_custom"], 6)
    assert others == []
    assert [sum(row) for row in one.counts] == [20] * 6
    assert one.edges_s[0] <= 1.0 < one.edges_s[-1]
    assert one.edges_s[1] / one.edges_s[0] == pytest.approx(1.1, rel=0.01)


def test_the_slowest_and_the_first_failures_are_notable():
    table = pd.concat([requests(), requests(4, seq=np.arange(90, 94), outcome="timeout", detail="10 s")])
    assert notable.pick(table)["seq"].tolist() == [11, 10, 9, 8, 7, 90, 91, 92]


def test_the_warm_up_is_not_notable():
    table = requests(3)
    assert notable.pick(table.assign(scheduled_s=table["scheduled_s"] - 10)).empty


@given(st.lists(st.sampled_from(["ok", "timeout", "aborted"]), max_size=40), st.integers(0, 40))
@settings(max_examples=15)
def test_picking_in_pieces_is_picking_from_the_whole(outcomes, cut):
    whole = requests(len(outcomes), outcome=outcomes, operation=["read_case", "send_email"][cut % 2])
    pieces = notable.pick_again([notable.pick(whole[:cut]), notable.pick(whole[cut:])])
    assert pieces.to_dict("records") == notable.pick(whole).to_dict("records")


def test_a_side_tells_the_slowest_of_all_its_runs_and_where_they_are_to_be_found():
    slow = told_of(notable.pick(requests(2, seq=[70, 71], done_s=[9.0, 9.0])), "2222222222")
    runs = [run("a0", 0, notable=told_of(notable.pick(requests()))), run("a1", 4, notable=slow)]
    found = notable.tell_notable("after", runs)
    assert [(one.run, one.trace_id) for one in found] == [
        ("a1", "2222222222-70"),
        ("a1", "2222222222-71"),
        ("a0", "abcdefabcd-11"),
    ]
    assert found[0].response_s == 9.0


def test_the_details_do_not_depend_on_the_order_of_the_runs():
    before, after = sides(3, {SAVE: 1.2})
    assert look(before[::-1], after[::-1]) == look(before, after)
