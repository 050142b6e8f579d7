"""The stabilization window: what a fold over blocks decides, from blocks made by hand."""

import functools
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.findings import Verdict
from analysis.histograms import histogram_of
from analysis.window.blocks import (
    OVERALL,
    Block,
    CellLevel,
    Counted,
    EffectCount,
    block_as_plain,
    block_from_plain,
    trimmed_mean_log,
)
from analysis.window.decisions import Hold, Kind, Shape
from analysis.window.explanation import Objective, find_split, reached_s
from analysis.window.hours import busiest_hour, is_stretch, watch_stretches, watched_whole
from analysis.window.learning import learn_baseline
from analysis.window.noise import SCALES, window_means
from analysis.window.spans import ago, span
from analysis.window.state import Terms, acknowledge, begin
from analysis.window.streams import name_streams
from analysis.window.watch import evidence, step

FIELDS = (0, 10, 50, 200, 500)
CELLS = [
    (name, f)
    for name in ("read_case", "save_custom", "save_standard")
    for f in FIELDS
    if f or name[5:] != "custom"
]
TERMS = Terms(settle_s=6 * 3600)


def block(number, noise, *, shift=lambda name, f: 0.0, **more):
    """Five minutes in which a cell takes 100 ms, as log level, plus its noise and its shift."""
    cells = tuple(
        CellLevel(name, f, 40, -2.3 + noise[i] + shift(name, f), -1.5 + noise[i] + shift(name, f))
        for i, (name, f) in enumerate(CELLS)
    )
    worst = max(shift(name, f) for name, f in CELLS)
    levels = {OVERALL: -2.3 + noise[:3].mean(), "p95 of save_custom": -1.5 + noise[3] + worst}
    counts = tuple(Counted(name, 400, 0) for name in ("read_case", "save_custom", "save_standard"))
    return Block(number * 300.0, 300.0, cells, levels, counts, **more)


def blocks(first, n, **more):
    noise = np.random.default_rng(first).normal(0, 0.04, (n, len(CELLS)))
    return [block(first + i, noise[i], **more) for i in range(n)]


@functools.cache
def two_days():
    """The baseline of two quiet days, learnt once by who asks for it."""
    return learn_baseline(blocks(0, 2 * 288))


def watch(seen, terms=TERMS, baseline=None):
    baseline = baseline or two_days()
    state, decisions = begin(baseline), []
    for one in seen:
        state, decision = step(baseline, terms, state, one)
        decisions.append(decision)
    return state, decisions


def grown(share):
    return lambda name, f: math.log1p(share) * f / 500 * (name != "save_standard")


def test_the_trimmed_mean_leaves_a_twentieth_out_at_each_end():
    logs = np.array([0.0] + [1.0] * 18 + [50.0])
    assert trimmed_mean_log(histogram_of(np.exp(logs))) == pytest.approx(1.0, abs=0.005)


def test_the_growth_of_an_operation_is_what_comes_to_it_at_the_most_fields():
    streams = name_streams([], [("save_custom", f) for f in (0, 250, 500)])
    level = dict(zip(streams.names, streams.weights @ np.array([1.0, 1.2, 1.4]), strict=True))
    assert level["growth of save_custom"] == pytest.approx(0.4)


def test_what_all_cells_share_is_no_growth():
    streams = name_streams([], CELLS)
    assert streams.weights @ np.full(len(streams.cells), 0.7) == pytest.approx(0)


def test_the_mean_of_a_window_needs_two_thirds_of_its_blocks():
    rows = np.array([[1.0], [math.nan], [3.0], [math.nan], [math.nan]])
    assert window_means(rows, 3)[:, 0].tolist() == pytest.approx([2.0, math.nan, math.nan], nan_ok=True)


def test_a_baseline_shorter_than_two_windows_is_refused():
    with pytest.raises(ValueError, match="9 usable blocks is too short; expected 10"):
        learn_baseline(blocks(0, 9))


def test_a_baseline_with_too_few_requests_for_any_stream_is_refused():
    """A watch of nothing would be CLEAR."""
    with pytest.raises(ValueError, match="no operation has 20 requests or more in 80 % of the baseline's blocks"):
        learn_baseline([replace(one, cells=(), levels={}) for one in blocks(0, 100)])


def test_a_quiet_window_settles_and_is_clear():
    _, decisions = watch(blocks(1000, 100))
    assert [one.verdict for one in decisions[:71]] == [Verdict.HOLD] * 71
    assert decisions[-1].verdict is Verdict.CLEAR


def test_a_fast_half_day_at_the_beginning_keeps_a_quiet_window_open_for_a_day_and_not_for_ever():
    """After a day .09 lie between the halves, after two .045; allowed are .75 of log 1.10, which is .071."""
    fast = blocks(1000, 144, shift=lambda name, f: -0.09)
    _, decisions = watch(fast + blocks(1144, 432), Terms(settle_s=86_400))
    assert (decisions[287].verdict, decisions[575].verdict) == (Verdict.HOLD, Verdict.CLEAR)
    assert "slower than at first" in decisions[287].sentence


def test_days_that_fail_more_than_others_are_learnt_though_their_hours_show_little():
    """Six days with 3 failures an hour, one with 9: a variance of 1.15 times Poisson's by hour, of 32 by day."""
    counts = {n: (Counted("read_case", 100, n), Counted("save_custom", 100, 0)) for n in (0, 1, 3)}
    each = [(3 if i // 288 == 3 else 1) if i % 4 == 0 else 0 for i in range(7 * 288)]
    seen = [replace(one, counts=counts[n]) for one, n in zip(blocks(0, 7 * 288), each, strict=True)]
    assert learn_baseline(seen).failures["read_case"].dispersion > 32


def test_growth_with_the_fields_escalates_within_half_an_hour_and_says_so():
    state, decisions = watch(blocks(1000, 6, shift=grown(1.0)))
    assert decisions[3].verdict is Verdict.HOLD  # four blocks are not yet an alarm
    assert decisions[-1].verdict is Verdict.ESCALATE
    assert decisions[-1].alarms[0].kind is Kind.GROWTH
    found = evidence(two_days(), replace(TERMS, tenants={10: ("small",), 200: ("globex",), 500: ("acme",)}), state)
    assert found.shape is Shape.GROWS
    assert found.since_s == 300_000
    assert found.growth == pytest.approx(1.0, abs=0.1)
    assert found.hits[0].custom_fields == 500
    assert {"acme"} <= set(found.tenants) <= {"acme", "globex"}
    assert 0 < found.saves < 0.5  # custom saves are four of nine cells that save
    assert {200, 500} <= {one.custom_fields for one in found.hits} <= {50, 200, 500}


def test_three_blocks_however_bad_are_no_alarm():
    seen = blocks(1000, 30) + blocks(1030, 3, shift=grown(50.0)) + blocks(1033, 60)
    assert all(one.verdict is not Verdict.ESCALATE for one in watch(seen)[1])


def test_a_slow_down_of_everything_is_told_as_uniform():
    state, _ = watch(blocks(1000, 40, shift=lambda name, f: 0.5))
    assert evidence(two_days(), TERMS, state).shape is Shape.UNIFORM


def test_a_rise_is_told_until_when_it_breaks_the_objective():
    rising = [blocks(1000 + i, 1, shift=grown(0.05 * i))[0] for i in range(12)]
    state, _ = watch(rising)
    breach = next(one for one in evidence(two_days(), TERMS, state).breaches if one.operation == "save_custom")
    doubled_s = 300_000 + 300 * 20.5  # +5 % a block makes +100 % after twenty
    assert breach.earliest_s <= doubled_s <= breach.latest_s


def test_an_agreed_objective_is_told_in_place_of_twice_the_baseline():
    rising = [blocks(1000 + i, 1, shift=grown(math.expm1(0.05 * i)))[0] for i in range(12)]
    agreed = replace(TERMS, objectives=(Objective("save_custom", 500, 3 * math.exp(-1.5)),))
    (breach,) = evidence(two_days(), agreed, watch(rising, agreed)[0]).breaches
    tripled_s = 300_000 + 300 * 22.5  # log 3 is 1.1, and .05 comes to it with each block
    assert breach.earliest_s <= tripled_s <= breach.latest_s


@pytest.mark.parametrize(
    ("rise_per_h", "reached"), [(0.5, 7_200.0 + 1000), (1e-9, math.inf), (0, math.inf), (-0.1, math.inf)]
)
def test_what_rises_too_slowly_for_any_calendar_is_never_reached(rise_per_h, reached):
    assert reached_s(1000.0, 1.0, rise_per_h) == reached


def test_the_split_of_a_series_is_where_it_left_zero():
    assert find_split(np.array([0.0] * 10 + [1.0] * 10)).at == 10
    line = find_split(np.array([0.0] * 10 + [0.1 * i for i in range(1, 11)]))
    assert (line.at, line.rising) == (10, True)


def test_one_lost_value_escalates_at_once():
    lost = replace(blocks(1000, 1)[0], effects=(EffectCount("value", "lost", 1, 40, 0.0),))
    _, decisions = watch([lost])
    assert decisions[0].verdict is Verdict.ESCALATE
    assert decisions[0].sentence == "1 of 40 value effects lost within a day, 0.0% are allowed"


def test_an_agreed_share_of_late_scripts_does_not_escalate():
    late = (EffectCount("script", "late", 1, 1000, 0.001),)
    _, decisions = watch([replace(one, effects=late) for one in blocks(1000, 50)])
    assert decisions[-1].verdict is not Verdict.ESCALATE


def test_failures_escalate_and_one_bad_block_does_not():
    bad = (Counted("read_case", 400, 0), Counted("save_custom", 400, 40), Counted("save_standard", 400, 0))
    seen = [replace(one, counts=bad) for one in blocks(1000, 5)]
    _, decisions = watch(seen)
    assert [one.verdict for one in decisions[:2]] == [Verdict.HOLD] * 2
    assert decisions[-1].alarms[0].what == "save_custom"


def test_a_baseline_whose_failures_come_in_bursts_is_learnt_and_bursts_like_them_are_no_alarm():
    burst = (Counted("read_case", 400, 0), Counted("save_custom", 400, 60), Counted("save_standard", 400, 0))
    seen = [replace(one, counts=burst) if i % 100 < 3 else one for i, one in enumerate(blocks(0, 576))]
    baseline = learn_baseline(seen)
    assert baseline.failures["save_custom"].dispersion > 10
    after = [replace(one, counts=burst) if i < 3 else one for i, one in enumerate(blocks(1000, 20))]
    assert all(one.verdict is Verdict.HOLD for one in watch(after, baseline=baseline)[1])


def test_an_outage_holds_at_once_and_escalates():
    none = tuple(Counted(name, 400, 400) for name in ("read_case", "save_custom", "save_standard"))
    _, decisions = watch([replace(one, cells=(), levels={}, counts=none) for one in blocks(1000, 5)])
    assert decisions[0].reasons[0].code is Hold.OUTAGE
    assert decisions[-1].verdict is Verdict.ESCALATE


def test_an_alarm_stays_until_it_is_acknowledged_and_then_holds_while_it_shows():
    state, decisions = watch(blocks(1000, 6, shift=grown(1.0)) + blocks(1006, 30))
    assert decisions[-1].verdict is Verdict.ESCALATE
    state = acknowledge(state, two_days())
    state, after = step(two_days(), TERMS, state, blocks(1036, 1)[0])
    assert after.verdict is Verdict.HOLD


def outage(number, **more):
    """A block of which nothing succeeded."""
    return replace(blocks(number, 1)[0], cells=(), levels={}, **more)


@pytest.mark.parametrize(
    "gone",
    [{"counts": (), "unreachable": "desk does not answer"}, {"counts": (Counted("read_case", 9, 9),)}],
)
def test_an_outage_holds_and_escalates_from_the_third_block_on(gone):
    _, decisions = watch([*blocks(1000, 5), *(outage(1005 + i, **gone) for i in range(3))])
    assert [one.verdict for one in decisions[-3:]] == [Verdict.HOLD, Verdict.HOLD, Verdict.ESCALATE]
    assert decisions[-3].reasons[0].code is Hold.OUTAGE
    assert decisions[-1].sentence.startswith("nothing succeeded for 15 min")


def test_an_outage_that_was_acknowledged_holds_until_it_is_over():
    state, _ = watch([outage(1000 + i, counts=(), unreachable="gone") for i in range(3)])
    state, still = step(
        two_days(), TERMS, acknowledge(state, two_days()), outage(1003, counts=(), unreachable="gone")
    )
    assert (still.verdict, state.acknowledged[0].what) == (Verdict.HOLD, "everything")
    state, _ = step(two_days(), TERMS, state, blocks(1004, 1)[0])
    assert state.acknowledged == ()


def test_a_gap_holds_for_half_a_day():
    seen = blocks(1000, 100) + blocks(1107, 1)
    _, decisions = watch(seen)
    assert decisions[-1].verdict is Verdict.HOLD
    assert decisions[-1].reasons[0].code is Hold.GAP


SHUT_OUT = {"counts": (), "refused": "400 of 400 requests of acme were answered 401"}


def test_refused_credentials_hold_with_since_when_and_are_no_failure_of_the_target():
    state, decisions = watch([*blocks(1000, 5), *(outage(1005 + i, **SHUT_OUT) for i in range(5))])
    assert [one.verdict for one in decisions[-5:]] == [Verdict.HOLD] * 5
    since = "credentials refused since 01-04 11:45 UTC: 400 of 400"  # 1005 blocks of 5 min are 3 days, 11 h 45 min
    assert decisions[-1].sentence.startswith(since)
    _, after = step(two_days(), TERMS, state, blocks(1010, 1)[0])
    assert Hold.CREDENTIALS not in {one.code for one in after.reasons}


def test_a_clear_does_not_outlast_half_an_hour_of_blocks_that_say_nothing_or_one_without_credentials():
    state, decisions = watch(blocks(1000, 288))
    assert decisions[-1].verdict is Verdict.CLEAR
    _, shut_out = step(two_days(), TERMS, state, outage(1288, **SHUT_OUT))
    assert (shut_out.verdict, shut_out.reasons[0].code) == (Verdict.HOLD, Hold.CREDENTIALS)
    for number in range(1288, 1295):
        state, blind = step(two_days(), TERMS, state, replace(blocks(number, 1)[0], fault="late"))
        decisions.append(blind)
    assert [one.verdict for one in decisions[-2:]] == [Verdict.CLEAR, Verdict.HOLD]
    assert "nothing is known of 35 min that ended now" in [one.text for one in decisions[-1].reasons]


def test_a_clock_set_back_is_held_and_changes_nothing():
    seen = blocks(1000, 3)
    state, decisions = watch([*seen, seen[0]])
    assert decisions[-1].reasons[0].code is Hold.CLOCK
    assert state.ended_s == seen[-1].end_s


def test_without_its_required_event_nothing_is_clear():
    terms = replace(TERMS, required_events=("e-mail batch",))
    assert watch(blocks(1000, 100), terms)[1][-1].reasons[0].code is Hold.EVENT
    whole = [*blocks(1000, 100), replace(blocks(1100, 1)[0], events=("e-mail batch",))]
    assert watch(whole, terms)[1][-1].verdict is Verdict.CLEAR


@pytest.mark.parametrize(("blind", "seen"), [((), True), (range(7), False)])
def test_required_hours_are_seen_when_they_were_watched_from_end_to_end(blind, seen):
    """Number 1000 is 11:20 on its day; so much of the stretch proves nothing."""
    terms = replace(TERMS, required_events=("12:00-13:00",))
    hour = [replace(blocks(n, 1)[0], fault="late" if n - 1008 in blind else "") for n in range(1000, 1025)]
    state, _ = watch(hour, terms)
    assert ("12:00-13:00" in state.events) is seen


def test_hours_that_pass_midnight_are_one_stretch():
    assert [is_stretch(one) for one in ("22:30-01:00", "09:00-09:00", "24:00-01:00", "failover")] == [
        True, False, False, False,
    ]  # fmt: skip
    progress = {}
    for number in range(282, 288 + 12):  # the last half hour of a day and the first hour of the next
        progress = watch_stretches(progress, blocks(number, 1)[0], ["23:30-01:00"], 86_400.0)
    assert watched_whole(progress, 300.0, 86_400.0) == {"23:30-01:00"}


def test_the_busiest_hour_is_found_where_one_stands_out():
    busy = [replace(one, counts=(Counted("read_case", 2000 if 96 <= n % 288 < 108 else 1000, 0),))
            for n, one in enumerate(blocks(0, 288))]  # fmt: skip
    assert busiest_hour(busy, 86_400.0) == "08:00-09:00"
    assert busiest_hour(blocks(0, 288), 86_400.0) == ""
    assert busiest_hour(busy[:200], 86_400.0) == ""


def test_more_load_than_the_baseline_ever_had_is_held_and_growth_not_judged():
    more = tuple(Counted(name, 900, 0) for name in ("read_case", "save_custom", "save_standard"))
    seen = [replace(one, counts=more) for one in blocks(1000, 8, shift=grown(1.0))]
    _, decisions = watch(seen)
    assert {one.verdict for one in decisions} == {Verdict.HOLD}
    assert decisions[-1].reasons[0].code in (Hold.SUDDEN, Hold.LOAD_CHANGED)


def test_a_cohort_without_load_is_held():
    part = [replace(one, cells=tuple(c for c in one.cells if c.custom_fields != 500)) for one in blocks(1000, 80)]
    assert "500 custom fields" in watch(part)[1][-1].sentence


def test_a_short_baseline_holds_where_a_long_one_escalates():
    short = learn_baseline(blocks(0, 100))
    _, decisions = watch(blocks(1000, 8, shift=grown(1.0)), baseline=short)
    assert decisions[-1].verdict is Verdict.HOLD
    assert decisions[-1].reasons[0].code is Hold.SHORT_BASELINE


def test_a_stream_that_never_varies_is_never_cleared():
    flat = [replace(one, levels={**one.levels, OVERALL: -2.0}) for one in blocks(0, 576)]
    _, decisions = watch([replace(one, levels={**one.levels, OVERALL: -2.0}) for one in blocks(1000, 100)],
                         baseline=learn_baseline(flat))  # fmt: skip
    assert decisions[-1].reasons[0].code is Hold.DEGENERATE


def test_the_longest_window_is_a_day_and_no_more_is_remembered():
    state, _ = watch(blocks(1000, 300))
    assert len(state.recent.sums) == SCALES[-1] + 1 == 289
    assert len(state.blocks) == 288


@given(
    st.lists(
        st.sampled_from(["quiet", "grown", "lost", "faulty", "gap", "outage", "shut out"]), min_size=1, max_size=40
    ),
    st.integers(0, 40),
)
@settings(max_examples=40, deadline=None)
def test_a_watch_that_was_killed_anywhere_and_folds_its_journal_decides_the_same(course, cut):
    seen, number = [], 1000
    for what in course:
        number += 1 if what != "gap" else 9
        one = blocks(number, 1, shift=grown(1.0 if what == "grown" else 0.0))[0]
        if what == "lost":
            one = replace(one, effects=(EffectCount("value", "lost", 1, 40, 0.0),))
        if what == "faulty":
            one = replace(one, fault="the generator was late")
        if what == "outage":
            one = replace(one, cells=(), levels={}, counts=(Counted("read_case", 9, 9),))
        if what == "shut out":
            one = replace(one, cells=(), levels={}, **SHUT_OUT)
        seen.append(one)
    written = [block_from_plain(json.loads(json.dumps(block_as_plain(one)))) for one in seen[:cut]]
    undisturbed, resumed = watch(seen), watch([*written, *seen[cut:]])
    assert undisturbed[1] == resumed[1]


def test_a_span_is_told_in_the_largest_unit_of_which_it_has_two():
    assert [span(seconds) for seconds in (20, 119, 120, 7199, 7200, 259_200)] == [
        "20 s", "119 s", "2 min", "120 min", "2 h", "72 h",
    ]  # fmt: skip
    assert [ago(seconds) for seconds in (-1, 0, 90)] == ["now", "now", "90 s ago"]
