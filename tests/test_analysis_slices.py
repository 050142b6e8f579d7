"""Slices and histograms: counted by hand, and the laws that let them be added."""

import numpy as np
import pandas as pd
import pytest
import scipy
from analysis_examples import as_values
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.histograms import histogram_of, log_seconds
from analysis.quantiles import quantile, quiet_quantiles
from analysis.samples import OUTCOMES
from analysis.slices import COLUMNS, cell_histograms, empty, fold, merge, width_for

BY_HAND = pd.DataFrame(
    [
        # operation, fields, scheduled, sent, done, outcome, detail
        ("read_case", 0, -1.0, -1.0, -0.9, "ok", ""),  # warm-up
        ("read_case", 0, 0.0, 0.0, 0.1, "ok", ""),
        ("read_case", 0, 9.9, 10.1, 10.3, "ok", ""),
        ("read_case", 0, 10.0, 10.0, 10.2, "http_error", "http 503"),
        ("read_case", 0, 11.0, 11.0, 11.2, "http_error", "http 503"),
        ("read_case", 0, 12.0, 12.0, 12.2, "timeout", ""),
        ("read_case", 50, 13.0, 13.0, np.nan, "aborted", ""),
    ],
    columns=["operation", "custom_fields", "scheduled_s", "sent_s", "done_s", "outcome", "detail"],
).assign(arm="")


def slice_at(t_s, fields=0):
    slices = fold(BY_HAND)
    return slices[(slices["t_s"] == t_s) & (slices["custom_fields"] == fields)].iloc[0]


def test_a_sample_belongs_to_the_slice_in_which_it_was_scheduled():
    assert slice_at(0.0)["requests"] == 2
    assert slice_at(10.0)["requests"] == 3


def test_the_warm_up_is_left_out():
    assert int(fold(BY_HAND)["ok"].sum()) == 2


def test_an_aborted_request_is_counted_and_neither_a_request_nor_a_failure():
    row = slice_at(10.0, 50)
    assert (row["aborted"], row["requests"], row["failures"]) == (1, 0, 0)
    assert len(row["response_bins"]) == 0


def test_failures_are_told_by_outcome_and_detail_and_stay_out_of_the_latency():
    row = slice_at(10.0)
    assert (row["http_error"], row["timeout"], row["failures"], row["ok"]) == (2, 1, 3, 0)
    assert list(row["failure_outcomes"]) == ["http_error", "timeout"]
    assert list(row["failure_details"]) == ["http 503", ""]
    assert list(row["failure_counts"]) == [2, 1]
    assert len(row["response_bins"]) == 0


def test_the_response_counts_from_the_scheduled_time():
    row = slice_at(0.0)
    assert list(row["response_bins"]) == list(histogram_of(np.array([0.1, 0.4])).bins)


def test_the_lag_is_kept_for_failures_too():
    assert int(np.sum(slice_at(10.0)["lag_counts"])) == 3


def test_a_lag_is_told_to_2_3_per_cent_and_who_was_not_late_exactly():
    lags = np.array([0.0, 0.0011, 0.0123, 0.1, 0.77, 7.5])
    times = {"scheduled_s": 1.0, "sent_s": 1 + lags, "done_s": 1 + lags}
    table = pd.DataFrame({**times, "outcome": "ok", "detail": ""})
    row = fold(table.assign(operation="read_case", custom_fields=0, arm="")).iloc[0]
    assert row["lag_bins"][0] == 0
    assert np.exp(log_seconds(np.asarray(row["lag_bins"][1:]))) == pytest.approx(lags[1:], rel=0.023)


def test_the_busy_time_is_the_sum_of_the_service_times():
    assert slice_at(0.0)["busy_us"] == 300_000


@pytest.mark.parametrize(("duration_s", "width_s"), [(0, 10), (300, 10), (301, 20), (3600, 120)])
def test_a_longer_run_has_longer_slices_and_not_more_than_thirty(duration_s, width_s):
    assert width_for(duration_s) == width_s


def test_few_samples_in_many_slices_are_added_as_many_in_few_are():
    # Sparse: six samples in cells far apart in value, so that counting in an array would take more room.
    table = BY_HAND[BY_HAND["outcome"] == "ok"].assign(done_s=lambda rows: rows["sent_s"] + [0.1, 1e-6, 5000.0])
    halves = merge([fold(table[:2]), fold(table[2:])])
    assert as_values(halves) == as_values(fold(table))
    assert int(sum(h.n for h in cell_histograms(halves).values())) == 2


def test_no_samples_make_no_slices_with_all_columns():
    nothing = fold(BY_HAND[:0])
    assert list(nothing.columns) == list(COLUMNS)
    assert len(nothing) == len(merge([])) == len(merge([empty()])) == 0


def test_an_unknown_outcome_is_named():
    with pytest.raises(ValueError, match="outcome 'odd'; expected one of ok, http_error"):
        fold(BY_HAND.assign(outcome="odd"))


def test_dictionary_columns_fold_like_text_whatever_their_order():
    table = pd.concat([BY_HAND, BY_HAND.assign(operation="a")])
    as_dictionary = {name: table[name].astype("category") for name in ("arm", "outcome", "detail")}
    as_dictionary["operation"] = pd.Categorical(table["operation"], ["read_case", "a"])
    assert as_values(fold(table.assign(**as_dictionary))) == as_values(fold(table))


@st.composite
def some_samples(draw):
    size = draw(st.integers(0, 30))
    number = st.floats(0, 100, allow_nan=False)
    rows = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["read_case", "save_custom"]),
                st.sampled_from([0, 50]),
                st.sampled_from(["", "b"]),
                st.floats(-5, 45),
                number,
                number,
                st.sampled_from(OUTCOMES),
                st.sampled_from(["", "http 503", "reset"]),
            ),
            min_size=size,
            max_size=size,
        )
    )
    columns = ["operation", "custom_fields", "arm", "scheduled_s", "lag", "service", "outcome", "detail"]
    table = pd.DataFrame(rows, columns=columns).astype({"scheduled_s": float, "lag": float, "service": float})
    return table.assign(
        sent_s=table["scheduled_s"] + table["lag"], done_s=table["scheduled_s"] + table["lag"] + table["service"]
    )


@given(one=some_samples(), other=some_samples())
@settings(max_examples=20)
def test_folding_a_union_is_merging_the_folds(one, other):
    union = pd.concat([one, other], ignore_index=True)
    assert as_values(fold(union)) == as_values(merge([fold(one), fold(other)]))


@given(some_samples(), some_samples(), some_samples())
@settings(max_examples=12)
def test_the_order_in_which_slices_are_merged_is_irrelevant(a, b, c):
    folds = [fold(part) for part in (a, b, c)]
    one_by_one = merge([merge(folds[:2]), folds[2]])
    assert as_values(merge([folds[0], merge(folds[1:])])) == as_values(one_by_one)
    assert as_values(merge(folds[::-1])) == as_values(one_by_one)


@given(table=some_samples(), seed=st.integers(0, 99))
@settings(max_examples=12)
def test_the_order_of_samples_is_irrelevant(table, seed):
    shuffled = table.sample(frac=1, random_state=seed)
    assert as_values(fold(shuffled)) == as_values(fold(table))


@given(table=some_samples())
@settings(max_examples=12)
def test_the_histogram_of_a_cell_holds_all_its_good_answers(table):
    histograms = cell_histograms(fold(table))
    good = table[(table["scheduled_s"] >= 0) & (table["outcome"] == "ok")]
    assert {cell: h.n for cell, h in histograms.items() if h.n} == good.groupby(
        ["operation", "custom_fields"]
    ).size().to_dict()


@pytest.mark.parametrize("q", [0.5, 0.95, 0.99])
def test_slices_answer_like_the_samples_within_three_in_a_thousand(q):
    rng = np.random.default_rng(7)
    took_s = rng.lognormal(-1.5, 0.6, 3000)
    at_s = rng.uniform(0, 120, 3000)
    texts = {"arm": "", "operation": "read_case", "outcome": "ok", "detail": ""}
    times = {"scheduled_s": at_s, "sent_s": at_s, "done_s": at_s + took_s}
    table = pd.DataFrame(times).assign(custom_fields=0, **texts)
    found = cell_histograms(fold(table))["read_case", 0]
    assert quantile(found, q) == pytest.approx(np.quantile(took_s, q, method="inverted_cdf"), rel=0.003)
    assert quiet_quantiles([found], q).log_s[0] == pytest.approx(
        scipy.stats.mstats.hdquantiles(np.log(took_s), [q])[0], abs=0.003
    )
