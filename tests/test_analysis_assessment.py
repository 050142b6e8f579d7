"""The whole way from runs to an assessment, with changes planted by hand."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from analysis_examples import CELLS, effects, run, samples, sides
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.assessment import assess
from analysis.errors import IncomparableRuns
from analysis.findings import CellFinding, Design, Reason, Verdict, Word
from analysis.runs import Question
from analysis.slices import empty

SLOW_SAVES = {("save_custom", fields): 1 + fields / 500 for fields in (0, 50, 200, 500)}


def words(assessment, quantile=0.5):
    return {(c.operation, c.custom_fields): c.word for c in assessment.cells if c.quantile == quantile}


def test_two_sides_alike_are_clear():
    found = assess(*sides(6), Question())
    assert (found.verdict, found.reasons, found.design, found.pairs) == (
        Verdict.CLEAR,
        (),
        Design.ALTERNATING,
        6,
    )


def test_the_incident_escalates_by_growth_and_latency_and_blames_the_saves_alone():
    found = assess(*sides(6, SLOW_SAVES), Question())
    assert found.verdict is Verdict.ESCALATE
    assert found.reasons == (Reason.GROWTH, Reason.LATENCY)
    assert {one.operation for one in found.slopes if one.fires} == {"save_custom"}
    assert words(found)["save_custom", 500] is Word.MUCH_SLOWER
    assert words(found)["read_case", 500] is Word.NO_HARM


def test_the_ratio_of_the_incident_is_what_was_planted():
    (cell,) = [
        c
        for c in assess(*sides(6, SLOW_SAVES), Question()).cells
        if (c.operation, c.custom_fields, c.quantile) == ("save_custom", 500, 0.5)
    ]
    assert cell.low < 2.0 < cell.high


@pytest.mark.parametrize(
    ("factor", "noise", "pairs", "word"),
    [
        (1.60, 1.0, 6, Word.MUCH_SLOWER),
        (1.17, 1.0, 6, Word.SLOWER),
        (1.09, 1.0, 6, Word.NEAR_THE_LIMIT),
        (1.02, 6.0, 4, Word.UNCLEAR),
        (1.00, 1.0, 6, Word.NO_HARM),
        (0.80, 1.0, 6, Word.FASTER),
        (1.60, 1.0, 1, Word.TOO_LITTLE_DATA),
    ],
)
def test_every_word_is_reached(factor, noise, pairs, word):
    cell = ("save_custom", 50)
    found = assess(*sides(pairs, {cell: factor}, noise=noise), Question())
    assert words(found)[cell] is word


def test_one_pair_needs_data_and_never_crashes():
    found = assess(*sides(1, SLOW_SAVES), Question())
    assert (found.verdict, found.reasons) == (Verdict.HOLD, (Reason.NEEDS_DATA,))
    assert all(math.isnan(c.low) and not math.isnan(c.ratio) for c in found.cells if c.quantile == 0.5)
    assert found.common is None
    assert found.slopes == ()


def test_broken_integrity_escalates_even_from_one_pair():
    found = assess(*sides(1, after={"effects": effects(value_identical=99, value_lost=1)}), Question())
    assert (found.verdict, found.reasons) == (Verdict.ESCALATE, (Reason.INTEGRITY,))


def test_failures_escalate_even_where_the_pair_was_dropped():
    late = {"samples": {"failed": 6}, "run_queue_delay": 0.5}
    found = assess(*sides(4, after=late), Question())
    assert found.pairs == 0
    assert (found.verdict, found.reasons) == (Verdict.ESCALATE, (Reason.FAILURES,))


def test_near_the_limit_holds():
    found = assess(*sides(6, dict.fromkeys([("save_custom", 50)], 1.09)), Question())
    assert (found.verdict, Reason.NEAR_LIMIT in found.reasons) == (Verdict.HOLD, True)


def test_noise_holds_and_says_how_many_pairs_are_needed():
    found = assess(*sides(4, noise=6.0), Question())
    assert (found.verdict, found.reasons) == (Verdict.HOLD, (Reason.NEEDS_DATA,))
    assert found.pairs_needed > 4


def test_only_required_cells_decide():
    question = Question(required=frozenset({("read_case", 0)}))
    found = assess(*sides(6, {("save_standard", 50): 2.0}), question)
    assert words(found)["save_standard", 50] is Word.MUCH_SLOWER
    assert Reason.LATENCY not in found.reasons


def test_a_required_cell_that_is_missing_holds():
    found = assess(*sides(6), Question(required=frozenset({("send_batch", 10)})))
    assert words(found)["send_batch", 10] is Word.TOO_LITTLE_DATA
    assert (found.verdict, found.reasons) == (Verdict.HOLD, (Reason.NEEDS_DATA,))


def test_cells_that_cannot_exist_are_listed_and_hold_nothing():
    found = assess(*sides(6), Question(not_applicable=frozenset({("save_custom", 7)})))
    assert words(found)["save_custom", 7] is Word.NOT_APPLICABLE
    assert found.verdict is Verdict.CLEAR


@pytest.mark.parametrize("slices", [empty(), pd.DataFrame()])
def test_a_run_without_any_sample_needs_data(slices):
    before, after = sides(3)
    after[1] = replace(after[1], slices=slices, scheduled=0, recorded=0, effects=pd.DataFrame())
    found = assess(before, after, Question())
    assert found.verdict is Verdict.HOLD
    assert Reason.NEEDS_DATA in found.reasons


def test_runs_without_any_sample_on_both_sides_need_data():
    nothing = {"slices": empty(), "scheduled": 0, "recorded": 0, "effects": pd.DataFrame()}
    found = assess([run("b", 0, **nothing)], [run("a", 2, **nothing)], Question())
    assert (found.verdict, found.reasons) == (Verdict.HOLD, (Reason.NEEDS_DATA,))


@pytest.mark.parametrize("missing", ["before", "after", "both"])
def test_a_side_without_a_run_needs_data(missing):
    before, after = sides(2)
    before, after = ([] if missing != "after" else before), ([] if missing != "before" else after)
    found = assess(before, after, Question())
    assert (found.verdict, Reason.NEEDS_DATA in found.reasons) == (Verdict.HOLD, True)


@pytest.mark.parametrize(
    ("change", "said"), [({"plan_digest": "cd" * 32}, "plan cdcdcdcdcdcd"), ({"scenario": "other"}, "of other")]
)
def test_runs_of_different_plans_are_refused_by_name(change, said):
    before, after = sides(2)
    after[1] = replace(after[1], **change)
    with pytest.raises(IncomparableRuns, match=r"run b0 .* run a1") as caught:
        assess(before, after, Question())
    assert said in str(caught.value)


def test_an_unpaired_run_is_said():
    before, after = sides(4)
    found = assess(before, after[:3], Question())
    assert found.pairs == 3
    assert any("Run b3 has no partner" in warning for warning in found.warnings)


def test_apart_in_time_growth_escalates_from_one_run_after():
    before, after = sides(6, SLOW_SAVES, apart=True)
    found = assess(before, after[:1], Question())
    assert (found.design, found.pairs) == (Design.APART, 0)
    assert Reason.GROWTH in found.reasons


def test_apart_in_time_nothing_is_ever_clear():
    before, after = sides(6, apart=True)
    found = assess(before, after[:1], Question())
    assert (found.verdict, Reason.CONFOUNDED in found.reasons) == (Verdict.HOLD, True)


def test_the_same_runs_in_another_order_give_the_same_answer():
    before, after = sides(4, SLOW_SAVES)
    assert repr(assess(before[::-1], after[::-1], Question())) == repr(assess(before, after, Question()))


@given(st.integers(2, 4), st.floats(0, 3))
@settings(max_examples=8)
def test_runs_compared_with_themselves_never_regress(pairs, noise):
    before, _ = sides(pairs, noise=noise)
    found = assess(before, before, Question())
    assert found.verdict is not Verdict.ESCALATE
    assert {c.word for c in found.cells} <= {Word.NO_HARM, Word.TOO_LITTLE_DATA}
    assert not any(one.fires for one in (*found.slopes, *found.failures))


@given(st.sampled_from([0.1, 3.0, 50.0]))
@settings(max_examples=3)
def test_slower_clocks_on_both_sides_change_times_and_no_ratio(k):
    scaled = {cell: k * typical_s for cell, typical_s in CELLS.items()}
    ratios = [
        [c.ratio for c in assess(*sides(3, cells=cells), Question()).cells if c.quantile == 0.5]
        for cells in (CELLS, scaled)
    ]
    assert ratios[1] == pytest.approx(ratios[0], rel=0.006)


def test_the_timeline_has_both_sides_and_a_point_for_every_slice():
    found = assess(*sides(3), Question())
    assert {p.side for p in found.timeline} == {"before", "after"}
    assert len(found.timeline) == 2 * 6 * len(CELLS)  # six slices in a minute
    assert {p.t_s for p in found.timeline} == {0.0, 10.0, 20.0, 30.0, 40.0, 50.0}
    assert sum(p.requests for p in found.timeline) == 2 * 3 * len(CELLS) * 40


def test_a_long_run_has_no_more_than_thirty_points_a_line():
    table = samples({("read_case", 0): 0.1}, n=400)
    table[["scheduled_s", "sent_s", "done_s"]] += 3600 * np.arange(400)[:, None] / 400
    found = assess([run("b", 0, table)], [run("a", 70, table)], Question())
    assert 15 < len([p for p in found.timeline if p.side == "before"]) <= 30


def test_the_shares_of_the_saves_add_up():
    shares = assess(*sides(2), Question()).shares
    assert shares == pytest.approx({"0": 0.25, "50": 0.25, "200": 0.25, "500": 0.25})


def test_a_side_tells_its_runs_its_start_and_its_requests():
    before = assess(*sides(2), Question()).before
    assert (before.runs, before.started_at) == (("b0", "b1"), "2026-03-02T12:00:00Z")
    assert before.requests == 2 * len(CELLS) * 40


def test_labels_of_a_side_are_those_its_runs_share():
    labels = {"before": lambda pair: {"labels": {"release": "24.3", "pair": str(pair)}}}
    assert assess(*sides(2, **labels), Question()).before.labels == {"release": "24.3"}


def test_every_cell_is_told_at_every_quantile():
    cells = assess(*sides(2), Question()).cells
    assert len(cells) == 3 * len(CELLS)
    assert all(isinstance(one, CellFinding) for one in cells)
