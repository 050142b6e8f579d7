"""Cells after against before: numbers worked by hand, words, and what too little data may say."""

import math

import numpy as np
import pytest
import scipy
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.comparison import compare, holm, pairs_needed, word_for
from analysis.findings import Word
from analysis.histograms import LOG_WIDTH, histogram_of
from analysis.levels import paired, predicted
from analysis.runs import Question

NAN = float("nan")
MEDIAN = Question(quantiles=(0.5,))


def flat_runs(logs, cells, n=100):
    """Runs whose samples of a cell all took exp(log) seconds: every quantile is that."""
    return [
        {cell: histogram_of(np.full(n, math.exp(log))) for cell, log in zip(cells, row, strict=True)}
        for row in logs
    ]


CELLS = (("read_case", 0), ("save_custom", 0))
# The differences of test_analysis_variation: means .2 and .3, variance of a pair difference
# .0075 + 2 x .0025 e^gamma in both cells, 3.9 degrees of freedom.
OWN = 2 * 0.0025 * math.exp(0.5772156649)
VARIANCE = 0.0075 + OWN
DF = VARIANCE**2 / (0.0075**2 / 2 + OWN**2 / 2)
DIFFERENCES = np.array([[0.1, 0.3], [0.2, 0.2], [0.3, 0.4]])
BEFORE = np.array([[-2.0, -1.0], [-2.1, -1.2], [-1.9, -0.9]])


def by_hand(question=MEDIAN):
    return compare(
        flat_runs(BEFORE, CELLS), flat_runs(BEFORE + DIFFERENCES, CELLS), question, paired, pairs=3
    ).cells


def test_the_ratio_is_the_mean_over_the_pairs():
    assert [cell.ratio for cell in by_hand()] == pytest.approx([math.exp(0.2), math.exp(0.3)], rel=0.004)


def test_the_ratio_is_after_over_before():
    for cell in by_hand():
        assert cell.ratio == pytest.approx(cell.after_s / cell.before_s)


def test_p_is_the_tail_of_t_with_satterthwaites_degrees():
    # Durations come back from their bins up to a quarter of a per cent off, hence the tolerance.
    expected = scipy.stats.t.sf(np.array([0.2, 0.3]) / math.sqrt(VARIANCE / 3), DF)
    assert [cell.p_value for cell in by_hand()] == pytest.approx(expected, rel=0.15)


def test_the_lower_end_holds_for_both_cells_and_so_lies_further_off_than_for_one():
    alone = scipy.stats.t.ppf(0.975, DF) * math.sqrt(VARIANCE / 3)
    for cell in by_hand():
        assert math.log(cell.ratio / cell.low) > alone


def test_the_upper_end_holds_for_its_cell_alone():
    alone = scipy.stats.t.ppf(0.95, DF) * math.sqrt(VARIANCE / 3)
    assert [math.log(cell.high / cell.ratio) for cell in by_hand()] == pytest.approx([alone, alone], rel=0.1)


def test_faster_needs_an_upper_end_that_holds_for_all_cells():
    assert word_for(0.80, 0.94, 1.10, highest=0.96) is Word.NO_HARM
    assert word_for(0.80, 0.93, 1.10, highest=0.94) is Word.FASTER


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        (1.26, 1.40, Word.MUCH_SLOWER),
        (1.11, 1.40, Word.SLOWER),
        (1.25, 1.40, Word.SLOWER),
        (1.01, 1.11, Word.NEAR_THE_LIMIT),
        (0.90, 1.11, Word.UNCLEAR),
        (1.00, 1.10, Word.UNCLEAR),
        (0.90, 1.09, Word.NO_HARM),
        (1.02, 1.09, Word.NO_HARM),
        (0.90, 0.96, Word.NO_HARM),
        (0.80, 0.94, Word.FASTER),
        (NAN, NAN, Word.TOO_LITTLE_DATA),
    ],
)
def test_the_word_is_told_by_where_the_whole_interval_lies(low, high, word):
    assert word_for(low, high, 1.10, highest=high) is word


def test_a_wide_tolerance_calls_nothing_slower_that_it_allows():
    assert word_for(1.30, 1.60, 1.50, highest=1.60) is Word.NEAR_THE_LIMIT


def test_one_pair_shows_the_numbers_and_bounds_nothing():
    (cell, _) = compare(
        flat_runs(BEFORE[:1], CELLS), flat_runs(BEFORE[:1] + 0.5, CELLS), MEDIAN, paired, pairs=1
    ).cells
    assert cell.word is Word.TOO_LITTLE_DATA
    assert cell.ratio == pytest.approx(math.exp(0.5), rel=0.006)
    assert math.isnan(cell.low)
    assert math.isnan(cell.high)
    assert cell.pairs_needed is None


def test_two_pairs_are_enough_for_an_interval():
    cells = compare(
        flat_runs(BEFORE[:2], CELLS), flat_runs(BEFORE[:2] + DIFFERENCES[:2], CELLS), MEDIAN, paired, pairs=2
    ).cells
    assert all(math.isfinite(cell.low) and math.isfinite(cell.high) for cell in cells)


@pytest.mark.parametrize(
    ("q", "n", "runs", "word"),
    [
        (0.5, 5, 2, Word.NO_HARM),
        (0.5, 4, 20, Word.TOO_LITTLE_DATA),
        (0.95, 30, 2, Word.NO_HARM),
        (0.95, 29, 2, Word.TOO_LITTLE_DATA),
        (0.95, 10, 6, Word.NO_HARM),
        (0.95, 9, 20, Word.TOO_LITTLE_DATA),
        (0.99, 1000, 2, Word.NO_HARM),
        (0.99, 999, 20, Word.TOO_LITTLE_DATA),
    ],
)
def test_a_quantile_is_judged_from_so_many_samples_on(q, n, runs, word):
    side = flat_runs(np.zeros((runs, 2)), CELLS, n)
    cells = compare(side, side, Question(quantiles=(q,)), paired, pairs=runs).cells
    assert {cell.word for cell in cells} == {word}


def test_a_p95_that_lacks_only_runs_says_how_many_pairs_it_needs():
    side = flat_runs(np.zeros((2, 2)), CELLS, 12)
    cells = compare(side, side, Question(quantiles=(0.95,)), paired, pairs=2).cells
    assert {cell.pairs_needed for cell in cells} == {5}  # 5 x 12 = 60


def test_a_required_cell_that_never_occurred_is_listed():
    question = Question(quantiles=(0.5,), required=frozenset({("send_batch", 10)}))
    side = flat_runs(BEFORE, CELLS)
    (missing,) = [c for c in compare(side, side, question, paired, pairs=3).cells if c.operation == "send_batch"]
    assert (missing.word, missing.required, missing.n_before) == (Word.TOO_LITTLE_DATA, True, 0)
    assert math.isnan(missing.ratio)


def test_a_cell_that_cannot_exist_is_not_applicable_and_never_required():
    cell = ("save_custom", 7)
    question = Question(quantiles=(0.5,), required=frozenset({cell}), not_applicable=frozenset({cell}))
    side = flat_runs(BEFORE, CELLS)
    (found,) = [c for c in compare(side, side, question, paired, pairs=3).cells if c.custom_fields == 7]
    assert (found.word, found.required) == (Word.NOT_APPLICABLE, False)


def test_p99_is_shown_but_never_required():
    side = flat_runs(BEFORE, CELLS, 1000)
    question = Question(required=frozenset(CELLS))
    required = {c.quantile for c in compare(side, side, question, paired, pairs=3).cells if c.required}
    assert required == {0.5, 0.95}


def test_the_common_mode_is_the_mean_over_the_cells():
    common = compare(
        flat_runs(BEFORE, CELLS), flat_runs(BEFORE + DIFFERENCES, CELLS), MEDIAN, paired, pairs=3
    ).common
    # Means by pair .2, .2, .35: mean .25, variance .0075; t with 2 degrees is 4.303 at 97.5 %, 2.920 at 95 %.
    assert common.ratio == pytest.approx(math.exp(0.25), rel=0.004)
    assert math.log(common.ratio / common.low) == pytest.approx(4.303 * math.sqrt(0.0075 / 3), rel=0.05)
    assert math.log(common.high / common.ratio) == pytest.approx(2.920 * math.sqrt(0.0075 / 3), rel=0.05)


def test_apart_in_time_the_after_runs_are_one_prediction():
    # Levels of a single cell over four days: variance s^2; the ends are t(.975, 3) and t(.95, 3) times
    # s sqrt(1 + 1/4) off.
    logs = np.array([[-2.0], [-1.9], [-2.1], [-2.0]])
    (cell,) = compare(
        flat_runs(logs, CELLS[:1]), flat_runs(np.array([[-1.5]]), CELLS[:1]), MEDIAN, predicted, pairs=0
    ).cells
    s = math.sqrt(0.02 / 3)
    assert cell.ratio == pytest.approx(math.exp(0.5), rel=0.005)
    assert math.log(cell.ratio / cell.low) == pytest.approx(3.182 * s * math.sqrt(1.25), rel=0.05)
    assert math.log(cell.high / cell.ratio) == pytest.approx(2.353 * s * math.sqrt(1.25), rel=0.05)


def test_after_runs_beyond_every_before_run_are_noted():
    before, after = flat_runs(np.array([[0.0], [0.2]]), CELLS[:1]), flat_runs(np.array([[0.25], [0.4]]), CELLS[:1])
    further = flat_runs(np.array([[0.31], [0.4]]), CELLS[:1])
    assert compare(before, after, MEDIAN, predicted, pairs=0).beyond == frozenset()
    assert compare(before, further, MEDIAN, predicted, pairs=0).beyond == {("read_case", 0, 0.5)}


@given(st.lists(st.lists(st.floats(-3, 1), min_size=2, max_size=2), min_size=2, max_size=5))
def test_runs_compared_with_themselves_never_regress(logs):
    side = flat_runs(np.array(logs), CELLS)
    cells = compare(side, side, MEDIAN, paired, pairs=len(logs)).cells
    assert {(cell.word, cell.ratio) for cell in cells} == {(Word.NO_HARM, 1.0)}


@given(st.lists(st.lists(st.floats(-3, 1), min_size=4, max_size=4), min_size=2, max_size=5))
@settings(max_examples=20)
def test_sides_that_change_places_turn_every_ratio_over(logs):
    before, after = (flat_runs(np.array(logs)[:, at : at + 2], CELLS) for at in (0, 2))
    there = compare(before, after, MEDIAN, paired, pairs=len(logs)).cells
    back = compare(after, before, MEDIAN, paired, pairs=len(logs)).cells
    assert [one.ratio for one in back] == pytest.approx([1 / one.ratio for one in there])


@given(
    st.lists(st.lists(st.integers(-600, 200), min_size=4, max_size=4), min_size=2, max_size=5),
    st.integers(-400, 400),
)
@settings(max_examples=20)
def test_times_longer_by_a_factor_change_no_ratio_and_no_interval(bins, more):
    def found(shift):
        logs = (np.array(bins) + shift + 0.5) * LOG_WIDTH  # the middle of bins, so that both fall alike into them
        sides = (flat_runs(logs[:, at : at + 2], CELLS) for at in (0, 2))
        return compare(*sides, MEDIAN, paired, pairs=len(bins)).cells

    for one, other in zip(found(0), found(more), strict=True):
        assert (other.ratio, other.low, other.high) == pytest.approx((one.ratio, one.low, one.high))


def test_holm_steps_down_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_with_weights_shares_out_the_error_by_hand():
    # p / w is .08, .04, .10: first .010 x 1 / .25, then .020 x .75 / .25, then .050 x .50 / .50, never falling.
    assert holm([0.020, 0.010, 0.050], [0.25, 0.25, 0.50]) == pytest.approx([0.06, 0.04, 0.06])


def test_holm_of_nothing_is_nothing():
    assert holm([]) == []


def test_the_pairs_needed_follow_their_formula():
    # Var .01 a pair: .01 ((1.645 + 1.282) / log 1.1)^2 = .01 x (2.926 / .09531)^2 = 9.43
    assert pairs_needed(0.01, 0.10, 1) == 10
    # All of fifty: .01 ((1.645 + 2.878) / log 1.1)^2 = .01 x (4.523 / .09531)^2 = 22.52
    assert pairs_needed(0.01, 0.10, 50) == 23
