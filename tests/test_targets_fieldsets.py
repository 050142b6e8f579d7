"""Shapes and codecs: what is written one way is read back the same."""

import functools
import string

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenarios.fields import saved_values
from scenarios.library import parse_scenario
from scenarios.model import FieldType
from targets.extraction import Unreadable
from targets.fieldsets import Codec, FieldsMapping
from targets.saves import EncodedSaves, written_keys

TEXTS = st.text(string.printable, max_size=30)
VALUES = {
    FieldType.TEXT: TEXTS,
    FieldType.LONG_TEXT: TEXTS,
    FieldType.REFERENCE: TEXTS,
    FieldType.CHOICE: TEXTS,
    FieldType.NUMBER: st.floats(allow_nan=False, allow_infinity=False),
    FieldType.DATE: st.dates().map(str),
    FieldType.CHECKBOX: st.booleans(),
    FieldType.MULTI_CHOICE: st.lists(st.text(string.ascii_letters + " ,", min_size=1), max_size=4),
}
#: Each kind of codec with each type that it is for.
PAIRS = [
    (kind, type_)
    for kind, types in {
        "as_is": list(FieldType),
        "text": [t for t in FieldType if t not in (FieldType.CHECKBOX, FieldType.MULTI_CHOICE)],
        "joined": [FieldType.MULTI_CHOICE],
        "date_time": [FieldType.DATE],
        "yes_no": [FieldType.CHECKBOX],
        "id": [FieldType.CHOICE, FieldType.MULTI_CHOICE, FieldType.REFERENCE],
    }.items()
    for type_ in types
]


@pytest.mark.parametrize(("kind", "type_"), PAIRS)
@given(data=st.data())
@settings(max_examples=30)  # of each of twenty pairs
def test_a_value_comes_back_as_it_went(kind, type_, data):
    codec = Codec(kind=kind, separator="|")
    value = data.draw(VALUES[type_])
    travelled = orjson.loads(orjson.dumps(codec.encode(value)))
    assert codec.decode(type_, travelled) == value


@pytest.mark.parametrize(
    ("codec", "value", "encoded"),
    [
        (Codec(kind="text"), 12.5, "12.5"),
        (Codec(kind="joined", separator="; "), ["a", "b"], "a; b"),
        (Codec(kind="date_time"), "2024-01-31", "2024-01-31T00:00:00Z"),
        (Codec(kind="yes_no", yes="Y", no="N"), False, "N"),
        (Codec(kind="id"), "Ann", {"id": "Ann"}),
        (Codec(kind="id", key="value"), ["a", "b"], [{"value": "a"}, {"value": "b"}]),
    ],
)
def test_each_codec_writes_its_form(codec, value, encoded):
    assert codec.encode(value) == encoded


def test_a_value_of_another_form_is_unreadable():
    with pytest.raises(Unreadable, match="checkbox: found"):
        Codec(kind="yes_no").decode(FieldType.CHECKBOX, "perhaps")


SHAPES = [
    (FieldsMapping(shape="flat"), {"t": 1}, {"t": 1, "a": "x", "b": 2}),
    (FieldsMapping(shape="flat", under="issue"), {"issue": {"t": 1}}, {"issue": {"t": 1, "a": "x", "b": 2}}),
    (FieldsMapping(shape="flat"), None, {"a": "x", "b": 2}),
    (FieldsMapping(shape="map", under="f"), {"t": 1}, {"t": 1, "f": {"a": "x", "b": 2}}),
    (FieldsMapping(shape="map", under="f.g"), None, {"f": {"g": {"a": "x", "b": 2}}}),
    (
        FieldsMapping(shape="list", under="f", id_key="field", value_key="is"),
        {"t": 1},
        {"t": 1, "f": [{"field": "a", "is": "x"}, {"field": "b", "is": 2}]},
    ),
    (FieldsMapping(shape="list"), None, [{"id": "a", "value": "x"}, {"id": "b", "value": 2}]),
    (
        FieldsMapping(shape="list", id_key="path"),
        [{"path": "t", "value": 1}],
        [{"path": "t", "value": 1}, {"path": "a", "value": "x"}, {"path": "b", "value": 2}],
    ),
    (FieldsMapping(shape="wrapped"), {"t": 1}, {"t": 1, "a": {"value": "x"}, "b": {"value": 2}}),
]


@pytest.mark.parametrize(("mapping", "body", "expected"), SHAPES)
def test_each_shape_puts_the_fields_where_they_belong(mapping, body, expected):
    placed = mapping.place(body, mapping.members({"a": "x"}) + b"," + mapping.members({"b": 2}))
    assert orjson.loads(placed) == expected


@pytest.mark.parametrize(("mapping", "body", "expected"), SHAPES)
def test_each_shape_is_read_as_it_was_written(mapping, body, expected):
    container = expected
    for key in mapping.under.split(".") if mapping.under else []:
        container = container[key]
    members = mapping.read_members(container)
    assert {key: members[key] for key in ("a", "b")} == {"a": "x", "b": 2}


def test_fields_go_into_an_entry_of_a_body_that_is_a_list():
    mapping = FieldsMapping(shape="list", under="0.custom", id_key="name")
    placed = mapping.place([{"id": 7}, {"id": 8}], mapping.members({"a": "x"}))
    assert orjson.loads(placed) == [{"id": 7, "custom": [{"name": "a", "value": "x"}]}, {"id": 8}]
    assert mapping.obstacle([{"id": 7}]) is None
    assert mapping.obstacle([]) == "custom fields go under 0.custom, but the body has no mapping there"


def test_ids_of_digits_travel_as_numbers_where_the_target_wants_that():
    mapping = FieldsMapping(shape="list", number_ids=True)
    assert orjson.loads(b"[" + mapping.members({"36001": "x", "ref": 2}) + b"]") == [
        {"id": 36001, "value": "x"},
        {"id": "ref", "value": 2},
    ]
    assert mapping.read_members([{"id": 36001, "value": "x"}]) == {"36001": "x"}


@pytest.mark.parametrize("shape", ["flat", "list", "wrapped"])
def test_a_body_without_custom_fields_is_still_json(shape):
    assert orjson.loads(FieldsMapping(shape=shape, under="f").place({"t": 1}, b"")) in (
        {"t": 1, "f": {}},
        {"t": 1, "f": []},
    )


@pytest.mark.parametrize("shape", ["flat", "map", "list", "wrapped"])
@given(seq=st.integers(0, 2**27))
def test_the_ready_made_json_of_a_save_reads_as_the_values_of_that_save(shape, seq):
    encoded, saved, mapping = ENCODED[shape]
    body = orjson.loads(mapping.place(None, encoded.members(seq, "sp-1")))
    assert encoded.read(body["f"]) == saved.of(seq, "sp-1")


SCENARIO = parse_scenario(
    "name: s\ncohorts: {c: {custom_fields: 37}}\nmix: {read_case: 1}\nload: {rate_per_s: 1}\nduration_s: 1\n", "s"
)


def _encoded(shape):
    saved = saved_values(SCENARIO, 37)
    codecs = {
        FieldType.MULTI_CHOICE: Codec(kind="joined", separator="|"),
        FieldType.CHECKBOX: Codec(kind="yes_no"),
    }
    mapping = FieldsMapping(shape=shape, under="f", codecs=codecs)
    return (
        EncodedSaves(mapping, saved, {field.key: f"remote {field.key}" for field in saved.fields}),
        saved,
        mapping,
    )


ENCODED = {shape: _encoded(shape) for shape in ("flat", "map", "list", "wrapped")}


# -- as Request Tracker has them: written as a map, read as a list, every value in a list -----------


@functools.cache
def in_lists():
    saved = saved_values(SCENARIO, 37)
    codecs = {FieldType.NUMBER: Codec(kind="text"), FieldType.CHECKBOX: Codec(kind="yes_no")}
    mapping = FieldsMapping(shape="map", under="f", in_lists=True, codecs=codecs)
    return EncodedSaves(mapping, saved, {field.key: field.key for field in saved.fields}), saved, mapping


def test_each_value_is_written_in_a_list_and_several_are_one_list():
    encoded, saved, mapping = in_lists()
    values = saved.of(1, "sp-1")
    written = orjson.loads(mapping.place(None, encoded.members(1, "sp-1")))["f"]
    several = [field.key for field in saved.fields if field.type is FieldType.MULTI_CHOICE]
    assert {key: written[key] for key in several} == {key: values[key] for key in several}
    assert written["cf_001"] == ["sp-1"]
    assert {type(value) for value in written.values()} == {list}


@given(seq=st.integers(0, 2**27))
def test_what_is_written_as_a_map_is_read_from_a_list_of_lists(seq):
    encoded, saved, mapping = in_lists()
    written = orjson.loads(mapping.place(None, encoded.members(seq, "sp-1")))["f"]
    answer = [{"id": name, "value": values} for name, values in written.items()]
    assert encoded.read(answer, "list") == saved.of(seq, "sp-1")


def test_two_values_of_a_field_that_has_one_are_not_taken_for_one():
    encoded, _, _ = in_lists()
    assert encoded.read([{"id": "cf_001", "value": ["a", "b"]}], "list") == {"cf_001": ["a", "b"]}


# -- some of the fields ----------------------------------------------------------------------------


@pytest.mark.parametrize("per_save", [2, 5, 36, 37, 100])
@given(seq=st.integers(0, 2**27))
def test_a_save_of_some_fields_writes_the_token_and_as_many_values_of_its_own(per_save, seq):
    encoded, saved, mapping = some_fields(per_save)
    body = orjson.loads(mapping.place(None, encoded.members(seq, "sp-1")))
    keys = written_keys(saved, per_save, seq) or [field.key for field in saved.fields]
    values = saved.of(seq, "sp-1")
    assert encoded.read(body["f"]) == {key: values[key] for key in keys}
    assert len(keys) == len(set(keys)) == min(per_save, 37)
    assert keys[0] == "cf_001"


def test_every_field_has_its_turn():
    _, saved, _ = some_fields(5)
    assert {key for seq in range(9) for key in written_keys(saved, 5, seq)} == {f.key for f in saved.fields}


@functools.cache
def some_fields(per_save):
    saved = saved_values(SCENARIO, 37)
    mapping = FieldsMapping(shape="map", under="f", per_save=per_save)
    return EncodedSaves(mapping, saved, {field.key: f"r-{field.key}" for field in saved.fields}), saved, mapping
