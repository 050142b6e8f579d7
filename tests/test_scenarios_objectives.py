"""Objectives: what people write, what it means, and what is said of what cannot be meant."""

import re

import pytest

from analysis.samples import EFFECT_OUTCOMES
from scenarios.errors import InputError
from scenarios.library import parse_scenario
from scenarios.objectives import EFFECTS, parse_objective

SCENARIO = """
name: acme
cohorts:
  plain: {custom_fields: 0}
  large: {custom_fields: 500}
mix: {save_custom: 1, read_case: 1}
load: {rate_per_s: 5}
duration_s: 60
objectives:
"""


def told(text):
    found = parse_objective(text)
    return (found.operation, found.custom_fields, found.measure, found.quantile, found.limit, found.unit)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("save_custom p95 <= 800 ms", ("save_custom", None, "quantile", 0.95, 0.8, "s")),
        ("save_custom@500 p99.9 <= 2s", ("save_custom", 500, "quantile", 0.999, 2, "s")),
        ("p50 <= 1.5 min", (None, None, "quantile", 0.5, 90, "s")),
        ("failures <= 0.1 %", (None, None, "failures", None, 0.001, "share")),
        ("read_case failures == 0", ("read_case", None, "failures", None, 0, "count")),
        ("slower than before <= 10 %", (None, None, "slower", 0.95, 0.1, "share")),
        ("read_case p50 slower than before <= 5%", ("read_case", None, "slower", 0.5, 0.05, "share")),
    ],
)
def test_an_objective_says_what_is_limited_where_and_how_far(text, expected):
    assert told(text) == expected


def test_an_effect_is_limited_by_its_outcome():
    found = parse_objective("scripts missed == 0")
    assert (found.measure, found.effect, found.outcome, found.limit) == ("effects", "script", "missed", 0)


def test_the_outcomes_are_those_that_effects_can_have():
    bad = {
        f"{kind}s": set(outcomes[1:]) - {"superseded", "unverified"} for kind, outcomes in EFFECT_OUTCOMES.items()
    }
    assert {kind: set(outcomes) for kind, outcomes in EFFECTS.items()} == bad


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("save_custom fast", "is no objective; expected MEASURE <= LIMIT"),
        ("p95 < 2 s", "found <; an objective is an upper limit, write <="),
        ("p95 >= 2 s", "found >=; an objective is an upper limit"),
        ("p95 <= 2 sec", "'2 sec' is no limit; expected a number with ms, s, min, % or nothing"),
        ("p95 <= 10 %", "the limit must be a time, like 800 ms"),
        ("failures <= 2 s", "the limit must be a share or a number"),
        ("slower than before <= 2", "the limit must be a share, like 10 %"),
        ("p0 <= 2 s", "p0 is no percentile"),
        ("scripts mised == 0", "not 'mised' (did you mean missed?)"),
        ("scripts missed == 3", "== is only for 0; write <= 3"),
        ("failurs <= 1 %", "does not say what of 'failurs' is limited (did you mean failures?)"),
        ("read_case slower then before <= 1 %", "'slower then before' is not known (did you mean slower than"),
        ("p90 slower than before <= 5 %", "compared at p50, p95 and p99 alone"),
        ("script missed == 0", "'missed' is not known (did you mean scripts missed?)"),
        ("save_custom[500] p95 <= 2 s", "write save_custom@500, as under required"),
        ("save_custom@many p95 <= 2 s", "expected a number of custom fields after @"),
    ],
)
def test_what_is_no_objective_is_told_with_what_was_expected(text, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        parse_objective(text)


def test_a_scenario_keeps_the_text_as_it_was_written():
    scenario = parse_scenario(SCENARIO + "  - save_custom@500  p95 <= 2 s\n", "acme.yaml")
    assert scenario.objectives == ("save_custom@500  p95 <= 2 s",)
    assert scenario.parsed_objectives[0].custom_fields == 500


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("save_custum p95 <= 2 s", "objectives[1]: 'save_custum' is not in the mix (did you mean save_custom?)"),
        ("save_custom@0 p95 <= 2 s", "objectives[1]: 'save_custom@0': no cohort with 0 custom fields can do that"),
        ("p95 <= fast", "objectives[1]: 'p95 <= fast': 'fast' is no limit"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_column(line, said):
    with pytest.raises(InputError) as wrong:
        parse_scenario(f"{SCENARIO}  - failures <= 1 %\n  - {line}\n", "acme.yaml")
    assert str(wrong.value).startswith(f"acme.yaml:11:5: {said}")
