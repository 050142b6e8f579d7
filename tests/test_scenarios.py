"""Scenario files: what they accept, and what they say to a mistake."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from scenarios.errors import InputError
from scenarios.library import load_scenario, names, parse_scenario, scenario_schema, schema_text

SMALL = """\
name: small
cohorts:
  none: {custom_fields: 0}
  many: {custom_fields: 200, tenants: 2}
mix: {read_case: 1, save_custom: 1}
load: {rate_per_s: 5}
duration_s: 10
"""


def problems_of(text: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        parse_scenario(text, "s.yaml")
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize("name", names("scenarios"))
def test_every_scenario_that_comes_with_savepath_loads(name):
    assert load_scenario(name).name == name


@pytest.mark.parametrize("name", names("scenarios"))
def test_every_scenario_that_comes_with_savepath_fits_the_published_schema(name):
    text = Path("scenarios", f"{name}.yaml").read_text()
    jsonschema.validate(yaml.safe_load(text), scenario_schema())


def test_the_published_schema_is_the_one_of_the_code():
    assert Path("docs/schema/scenario.schema.json").read_text() == schema_text(scenario_schema())


def test_a_typo_in_a_key_is_told_with_its_place_and_the_key_that_was_meant():
    assert problems_of(SMALL.replace("tenants: 2", "tenats: 2")) == [
        "s.yaml:4:30: cohorts.many.tenats is not a known key (did you mean tenants?)"
    ]


def test_a_negative_count_is_told_with_its_place():
    assert problems_of(SMALL.replace("custom_fields: 200", "custom_fields: -3")) == [
        "s.yaml:4:25: cohorts.many.custom_fields is -3; expected 0 or more"
    ]


def test_a_duplicate_key_is_refused_where_yaml_would_keep_the_last():
    assert problems_of(SMALL + "duration_s: 20\n") == [
        "s.yaml:8:1: duration_s is given twice (first on line 7); keep one of them"
    ]


def test_all_problems_are_told_at_once_in_the_order_of_the_file():
    text = SMALL.replace("read_case", "raed_case").replace("rate_per_s: 5", "rate_per_s: 0") + "pears: 3\n"
    assert [problem.split(":")[1] for problem in problems_of(text)] == ["5", "6", "8"]


def test_an_unknown_operation_names_those_that_exist_and_the_one_that_was_meant():
    (problem,) = problems_of(SMALL.replace("save_custom: 1", "svae_custom: 1"))
    assert problem.startswith("s.yaml:5:21: mix.svae_custom is 'svae_custom'; expected read_case, ")
    assert problem.endswith("(did you mean save_custom?)")


def test_a_missing_key_says_what_belongs_there():
    (problem,) = problems_of(SMALL.replace("duration_s: 10\n", ""))
    assert problem == ("s.yaml:1:1: duration_s is missing; expected the length of the measured window in seconds")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("name: [1, 2\n", "s.yaml:2:1"),
        ("", "s.yaml:1:1"),
        ("- a\n- b\n", "s.yaml:1:1"),
        ("a: &a [*a]\n", "s.yaml:1:4"),
        ("a: \t- b: {", "s.yaml:1:"),
        ("a: 2024-99-99\n", "s.yaml:1:4"),
        ("{a: 1}: 2\n", "s.yaml:1:1"),
    ],
)
def test_text_that_is_no_usable_yaml_is_told_with_its_place(text, place):
    assert problems_of(text)[0].startswith(place)


def test_aliases_that_multiply_are_refused():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    assert "unfolds to too many values" in problems_of("\n".join(lines))[0]


def test_an_unknown_scenario_names_the_one_that_was_meant():
    with pytest.raises(InputError, match=r"no scenario 'feild-sweep'.*did you mean field-sweep\?"):
        load_scenario("feild-sweep")


def test_two_cohorts_with_the_same_number_of_fields_are_refused():
    (problem,) = problems_of(SMALL.replace("custom_fields: 200", "custom_fields: 0"))
    assert "none and many both have 0 custom fields" in problem


def test_an_operation_that_no_cohort_can_do_is_refused():
    (problem,) = problems_of(SMALL.replace("  many: {custom_fields: 200, tenants: 2}\n", ""))
    assert problem == (
        "s.yaml:4:6: mix: no cohort can do save_custom: all have custom_fields 0; "
        "give one of them some, or leave the operation out of the mix"
    )


def test_a_required_cell_that_no_tenant_can_do_is_refused():
    (problem,) = problems_of(SMALL + "required: [save_custom@0]\n")
    assert problem == "s.yaml:8:11: required: 'save_custom@0': no cohort with 0 custom fields can do that"


def test_a_required_operation_stands_for_all_its_cells_that_can_be():
    assert parse_scenario(SMALL + "required: [save_custom]\n", "s").required_cells == {("save_custom", 200)}


def test_without_required_every_cell_that_can_be_is_required():
    assert parse_scenario(SMALL, "s").required_cells == {
        ("read_case", 0),
        ("read_case", 200),
        ("save_custom", 200),
    }


def test_the_cells_that_cannot_be_are_named():
    assert parse_scenario(SMALL, "s").impossible_cells == {("save_custom", 0)}


def test_a_cohort_that_can_do_nothing_of_the_mix_is_refused():
    (problem,) = problems_of(SMALL.replace("read_case: 1, ", ""))
    assert "cohort none can do nothing of the mix" in problem


def test_shares_must_add_up_to_one():
    text = SMALL.replace("custom_fields: 0}", "custom_fields: 0, share: 0.5}")
    assert "some cohorts have a share and some have none" in problems_of(text)[0]
    text = text.replace("tenants: 2", "tenants: 2, share: 0.2")
    assert "the shares add up to 0.7; expected 1" in problems_of(text)[0]


def test_the_schema_is_json():
    assert json.loads(schema_text(scenario_schema()))["properties"]["cohorts"]
