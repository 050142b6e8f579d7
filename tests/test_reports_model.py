"""results.json: written, described by its schema, and read back."""

import dataclasses
import json
import math
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, get_args, get_origin, get_type_hints

import jsonschema
import pytest
from assessment_examples import CLEAR, ESCALATE_INCIDENT, EXAMPLES, META, cell
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.findings import Assessment, Ranked, Reason, Word
from reports.model import ReportMeta, ResultsError, from_json, rounded, to_json
from reports.schema import json_schema

PUBLISHED = json.loads((files("reports") / "results.schema.json").read_text(encoding="utf-8"))
TEXT = st.characters(exclude_categories=["Cs"])  # what UTF-8 can encode
#: Made once: jsonschema.validate would check the schema itself each time.
PUBLISHED_SCHEMA = jsonschema.Draft202012Validator(PUBLISHED)


def document(assessment: Assessment = CLEAR) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(to_json(assessment, meta=META))
    return found


def changed(path: list[Any], value: object) -> bytes:
    found: Any = document()
    inner = found
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return json.dumps(found).encode()


def any_of(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a type of the model, with two entries at the most wherever there may be many."""
    if kind is str:  # the alphabet of st.text() has every character encoded, for seconds, where none is cached
        return st.text(TEXT)
    if kind is Ranked:  # it holds an assessment itself
        return st.builds(Ranked, assessment=st.just(CLEAR))
    parts = get_args(kind)
    if get_origin(kind) is tuple and parts[1:] == (...,):
        return st.lists(any_of(parts[0]), max_size=2).map(tuple)
    if get_origin(kind) in (dict, Mapping):
        return st.dictionaries(any_of(parts[0]), any_of(parts[1]), max_size=2)
    if dataclasses.is_dataclass(kind):
        return st.builds(kind, **{name: any_of(part) for name, part in get_type_hints(kind).items()})
    return st.from_type(kind)


@given(any_of(Assessment))
@settings(max_examples=20)
def test_write_then_read_is_identity(assessment):
    read, meta = from_json(to_json(assessment, meta=META))
    # By text, since a number that is not known (NaN) equals nothing.
    assert repr(read) == repr(rounded(assessment))
    assert meta == META


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_document_fits_the_published_schema(name):
    PUBLISHED_SCHEMA.validate(document(EXAMPLES[name]))


def test_the_published_schema_is_one_and_is_that_of_the_types():
    # Publish it with: python -m reports.schema > reports/results.schema.json
    PUBLISHED_SCHEMA.check_schema(PUBLISHED)
    assert json_schema() == PUBLISHED


def test_the_schema_refuses_a_word_that_does_not_exist():
    found = document()
    found["cells"][0]["word"] = "slowish"
    with pytest.raises(jsonschema.ValidationError, match="slowish"):
        PUBLISHED_SCHEMA.validate(found)


def test_the_keys_that_others_rely_on_are_there():
    found = document(ESCALATE_INCIDENT)
    assert found["schema"] == "savepath.results/1"
    assert (found["verdict"], found["reasons"], found["design"]) == (
        "ESCALATE",
        ["latency", "growth-with-custom-fields"],
        "alternating",
    )
    assert {
        "cells": "operation custom_fields quantile before_s after_s ratio low high limit word required "
        "n_before n_after pairs alarms",
        "slopes": "operation measure growth low high fires",
        "failures": "operation custom_fields before after requests_before requests_after low high fires",
        "integrity": "kind outcome before after limit held",
        "checks": "name outcome meaning reason",
        "differences": "setting before after planned",
    }.items() <= {
        table: " ".join(
            key for key in rows[0] if key not in ("p_value", "pairs_needed", "checked_before", "checked_after")
        )
        for table, rows in found.items()
        if isinstance(rows, list) and rows and isinstance(rows[0], dict)
    }.items()


def test_a_word_stands_without_its_glyph():
    assert {item["word"] for item in document(ESCALATE_INCIDENT)["cells"]} <= {word.value for word in Word}


def test_a_number_that_is_not_known_is_null():
    nothing = dataclasses.replace(CLEAR, cells=(cell("read_case", 0, math.nan, low=math.nan, high=math.inf),))
    found = document(nothing)["cells"][0]
    assert (found["ratio"], found["low"], found["high"]) == (None, None, None)


def test_floats_have_six_significant_digits():
    told = dataclasses.replace(
        CLEAR, cells=(cell("read_case", 0, 1.23456789, low=0.000123456789, high=123456.789),)
    )
    found = document(told)["cells"][0]
    assert (found["ratio"], found["low"], found["high"]) == (1.23457, 0.000123457, 123457.0)


def test_zero_counts_are_written_as_zero():
    lost = next(item for item in document()["integrity"] if item["outcome"] == "lost")
    assert (lost["before"], lost["after"], lost["limit"]) == (0, 0, 0)


def test_the_same_assessment_gives_the_same_bytes():
    turned = dataclasses.replace(CLEAR, shares=dict(reversed(CLEAR.shares.items())))
    assert to_json(turned, meta=META) == to_json(CLEAR, meta=META)


def test_keys_of_a_later_version_are_left_aside():
    found = document() | {"watch": {"streams": 12}}
    assert repr(from_json(json.dumps(found).encode())[0]) == repr(rounded(CLEAR))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{", "results.json:1:2: not JSON"),
        (b"\xff\xfe", "is not UTF-8"),
        (b"[]", r"results.json holds \[\]; expected an object"),
        (b'{"schema": "savepath.results/9"}', "schema is \"savepath.results/9\"; expected 'savepath.results/1'"),
        (b'{"schema": "savepath.results/1"}', "results.json has no 'verdict'"),
        (changed(["verdict"], "FINE"), 'verdict is "FINE"; expected one of CLEAR, HOLD, ESCALATE'),
        (changed(["cells", 3, "word"], "slow"), r'cells\[3\].word is "slow"; expected one of much slower'),
        (changed(["cells", 3, "ratio"], "1.2"), r'cells\[3\].ratio is "1.2"; expected a number or null'),
        (changed(["pairs"], True), "pairs is true; expected a whole number"),
        (changed(["shares", "500"], [1]), r"shares.500 is \[1\]; expected a number or null"),
        (changed(["before", "runs"], "b01"), 'before.runs is "b01"; expected a list'),
        (
            changed(["report", "generated_at"], "yesterday"),
            "report: generated_at is 'yesterday'; expected ISO 8601",
        ),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(data, message):
    with pytest.raises(ResultsError, match=message):
        from_json(data)


@pytest.mark.parametrize("moment", ["2026-11-20T16:12:00", "2026-11-20T16:12:00+01:00", "now"])
def test_the_time_of_a_report_is_utc(moment):
    with pytest.raises(ValueError, match="generated_at"):
        ReportMeta(title="t", generated_at=moment, version="0")


def test_every_reason_code_can_be_read_back():
    all_of_them = dataclasses.replace(CLEAR, reasons=tuple(Reason))
    assert from_json(to_json(all_of_them, meta=META))[0].reasons == tuple(Reason)
