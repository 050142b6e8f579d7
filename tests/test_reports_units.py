"""Numbers for people, checked against text written by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports import units


@pytest.mark.parametrize(
    ("value_s", "text"),
    [
        (0.0, "0 ms"),
        (0.0042, "4.2 ms"),
        (0.00994, "9.9 ms"),
        (0.00999, "10 ms"),
        (0.174, "174 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.0 s"),
        (1.58, "1.6 s"),
        (9.96, "10 s"),
        (1234.0, "1,234 s"),
        (math.nan, "not known"),
        (math.inf, "not known"),
    ],
)
def test_seconds_have_the_unit_that_people_use(value_s, text):
    assert units.seconds(value_s) == text


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (2.2, "+120 %"),
        (0.86, "−14 %"),
        (1.0, "0 %"),
        (0.998, "0 %"),
        (1.004, "0 %"),
        (9.9, "+890 %"),
        (12.3, "×12"),
        (math.nan, "not known"),
    ],
)
def test_a_ratio_is_told_as_a_signed_change(ratio, text):
    assert units.change(ratio) == text


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (1.097, "+9.7 %"),
        (1.103, "+10.3 %"),
        (1.10, "+10 %"),
        (1.003, "+0.3 %"),
        (0.997, "−0.3 %"),
        (1.0, "0 %"),
        (2.09, "+109 %"),
    ],
)
def test_a_bound_is_never_rounded_onto_the_limit_or_onto_zero(ratio, text):
    assert units.bound(ratio, 1.10) == text


def test_a_bound_very_near_the_limit_is_told_on_its_own_side():
    assert units.bound(1.09998, 1.10) == "under +10 %"
    assert units.bound(1.10004, 1.10) == "over +10 %"
    assert units.bound(1.00001, 1.10) == "over 0 %"


def test_an_interval_with_an_unknown_end_is_not_known():
    assert units.interval(0.9, math.nan, 1.1) == "not known"
    assert units.short_interval(0.9, math.nan, 1.1) == ""


@pytest.mark.parametrize(
    ("part", "text"), [(0.31, "31 %"), (0.0012, "0.12 %"), (0.0, "0 %"), (0.00001, "under 0.01 %"), (1.0, "100 %")]
)
def test_a_share_keeps_two_digits(part, text):
    assert units.share(part) == text


def test_counts_have_thousands_separators_and_zero_is_zero():
    assert [units.count(number) for number in (0, 999, 441682)] == ["0", "999", "441,682"]


@pytest.mark.parametrize(
    ("quantile", "people", "engineers"),
    [
        (0.95, "95 of 100", "p95"),
        (0.5, "50 of 100", "p50"),
        (0.999, "999 of 1,000", "p99.9"),
        (0.29, "29 of 100", "p29"),
    ],
)
def test_quantiles_are_told_to_people_and_to_engineers(quantile, people, engineers):
    assert (units.of_hundred(quantile), units.percentile(quantile)) == (people, engineers)


def test_a_moment_is_told_in_utc():
    assert units.moment("2026-11-20T17:12:00+01:00") == "2026-11-20 16:12 UTC"


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_no_number_is_ever_told_as_nan_or_infinite(value):
    told = [
        units.seconds(value),
        units.change(value),
        units.bound(value, 1.1),
        units.share(value),
        units.points(value),
    ]
    assert not [text for text in told if "nan" in text or "inf" in text]


@given(st.floats(0.01, 9.9), st.floats(0.01, 9.9))
def test_a_larger_ratio_is_never_told_as_a_smaller_change(one, other):
    low, high = sorted((one, other))
    as_number = [float(units.change(ratio).removesuffix(" %").replace("−", "-")) for ratio in (low, high)]
    assert as_number == sorted(as_number)
