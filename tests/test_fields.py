"""Custom fields and their values: seeded, typed, and told again from the number of the save alone."""

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.fields import SavedValues, define_fields, saved_values, standard_values
from scenarios.library import load_scenario
from scenarios.model import FieldType
from scenarios.tokens import new_run_key, save_id, seq_of, trace_id, traceparent

SWEEP = load_scenario("field-sweep")


@pytest.mark.parametrize("number", [0, 1, 2, 10, 500])
def test_as_many_fields_as_asked_for_with_keys_of_their_own(number):
    assert len({field.key for field in define_fields(SWEEP, number)}) == number


def test_five_hundred_fields_have_every_type_in_about_its_weight():
    kinds = Counter(field.type for field in define_fields(SWEEP, 500))
    assert set(kinds) == set(FieldType)
    assert 110 <= kinds[FieldType.TEXT] <= 190


def test_definitions_are_the_same_each_time():
    assert define_fields(SWEEP, 50) == define_fields(SWEEP, 50)


def test_the_values_of_a_save_follow_from_its_number():
    saved, anew = saved_values(SWEEP, 10), SavedValues(SWEEP.seed, SWEEP.field_types, 10)
    assert [anew.of(seq, "t") for seq in range(0, 2**31, 2**22 + 1)] == [
        saved.of(seq, "t") for seq in range(0, 2**31, 2**22 + 1)
    ]
    assert list(saved.of(7, "t")) == [field.key for field in saved.fields]


def test_the_first_field_carries_the_save_id():
    assert saved_values(SWEEP, 10).of(3, "sp-1")["cf_001"] == "sp-1"


def test_no_fields_no_values():
    assert saved_values(SWEEP, 0).of(3, "sp-1") == {}


def test_two_saves_in_a_row_differ():
    assert saved_values(SWEEP, 10).of(1, "t") != saved_values(SWEEP, 10).of(2, "t")
    assert standard_values(1) != standard_values(2)


def test_values_fit_their_types():
    saved = saved_values(SWEEP, 500).of(17, "t")
    for field in define_fields(SWEEP, 500):
        value = saved[field.key]
        match field.type:
            case FieldType.DATE:
                assert isinstance(value, str)
                assert re.fullmatch(r"\d{4}-\d\d-\d\d", value)
            case FieldType.NUMBER:
                assert isinstance(value, float)
            case FieldType.CHECKBOX:
                assert isinstance(value, bool)
            case FieldType.CHOICE:
                assert value in field.choices
            case FieldType.MULTI_CHOICE:
                assert isinstance(value, list)
                assert value == [one for one in field.choices if one in value]
                assert 1 <= len(value) <= 3
            case _:
                assert isinstance(value, str)


@given(seq=st.integers(0, 2**32 - 1))
def test_a_save_id_leads_back_to_its_save_and_to_no_other_run(seq):
    key, other = new_run_key(), new_run_key()
    assert seq_of(key, save_id(key, seq)) == seq
    assert seq_of(other, save_id(key, seq)) is None


@pytest.mark.parametrize("text", ["", "sp-", "hello", "sp-0123456789-xyz", "sp-0123456789-0000001 "])
def test_what_is_no_save_id_leads_nowhere(text):
    assert seq_of("0123456789", text) is None


@given(seq=st.integers(0, 2**32 - 1))
def test_the_traceparent_header_has_the_form_of_the_w3c(seq):
    key = new_run_key()
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", traceparent(key, seq))
    assert trace_id(key, seq) in traceparent(key, seq)
