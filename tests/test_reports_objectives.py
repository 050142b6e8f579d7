"""Objectives in the reports: one text, value and outcome in every format, and what the verdict says of them."""

import dataclasses
import re
from html import unescape
from xml.etree import ElementTree

import pytest
from assessment_examples import ESCALATE_OBJECTIVE, HOLD_INVALID_LOAD, HOLD_OBJECTIVE, META, OBJECTIVES

from analysis.findings import Reason
from reports import banner, html, junit, markdown, objectives, terminal
from reports.claims import claim

TOLD = [
    ("save_custom@500 p95 <= 2 s", "3.5 s", "✗ broken"),
    ("failures <= 0.1 %", "0.12 %", "△ near the limit"),
    ("scripts missed == 0", "0", "✓ held"),
    ("slower than before <= 10 %", "not known", "… no data"),
]


def flat(page):
    """The page without its markup, each blank one."""
    text = unescape(re.sub(r"<[^>]*>", " ", page)).replace("\u200b", "").replace("\\", "").replace("**", "")
    return re.sub(r"[\s|\xa0]+", " ", text)


@pytest.mark.parametrize("render", [html.render, markdown.render], ids=["html", "markdown"])
def test_text_value_and_outcome_stand_in_one_row(render):
    page = flat(render(ESCALATE_OBJECTIVE, META))
    for text, value, mark in TOLD:
        row = page[page.rindex(text) :][:120]
        assert row.index(value, len(text)) < row.index(mark), text


def test_the_terminal_tells_them_in_80_columns():
    lines = terminal.render(ESCALATE_OBJECTIVE, META).splitlines()
    for text, value, mark in TOLD:
        (line,) = [line for line in lines if line.startswith(text) and mark in line]
        assert value in line


def test_junit_fails_what_is_broken_and_skips_what_is_not_known():
    root = ElementTree.fromstring(junit.render(ESCALATE_OBJECTIVE, META))
    cases = {case.get("name"): [child.tag for child in case] for case in root.iter("testcase")}
    assert [cases[text] for text, _, _ in TOLD] == [["failure"], ["skipped"], ["system-out"], ["skipped"]]


def test_the_headline_names_the_broken_objective_with_its_value():
    found = banner.headline(ESCALATE_OBJECTIVE, claim(ESCALATE_OBJECTIVE))
    assert found == "An agreed objective is broken: save_custom@500 p95 <= 2 s stands at 3.5 s."


def test_the_headline_of_a_hold_names_what_is_near_its_limit():
    found = banner.headline(HOLD_OBJECTIVE, claim(HOLD_OBJECTIVE))
    assert found == "Not known yet whether what was agreed is kept: failures <= 0.1 % stands at 0.12 %."


def test_the_headline_of_a_hold_names_what_has_no_data():
    unknown = dataclasses.replace(HOLD_OBJECTIVE, reasons=(Reason.NEEDS_DATA,), objectives=OBJECTIVES[3:])
    found = banner.headline(unknown, claim(unknown))
    assert found == "Not known yet whether what was agreed is kept: no data for slower than before <= 10 %."


def test_a_failed_check_is_said_beside_objectives_about_times_and_blames_nobody():
    void = dataclasses.replace(HOLD_INVALID_LOAD, objectives=OBJECTIVES[:1])
    assert "nothing rests on them" in markdown.render(void, META)
    assert [case.outcome for case in junit.test_cases(void) if case.suite == "objectives"] == ["skipped"]


@pytest.mark.parametrize(
    ("value", "limit", "told"), [(2.03, 2.0, "over 2.0 s"), (1.98, 2.0, "under 2.0 s"), (2.0, 2.0, "2.0 s")]
)
def test_a_value_is_never_rounded_onto_its_limit(value, limit, told):
    assert objectives.row_of(dataclasses.replace(OBJECTIVES[0], value=value, limit=limit)).value == told
