"""Candidates in their order, by hand-made runs whose truth is known; and the order told in every format."""

import dataclasses
import json
from xml.etree import ElementTree

import pytest
from analysis_examples import CELLS, QUIET, effects, own_noise, run, samples
from assessment_examples import META
from rich.cells import cell_len

from analysis.assessment import assess
from analysis.findings import Design, Verdict
from analysis.ranking import rank
from analysis.runs import Question
from analysis.slices import fold
from reports import html, junit, markdown, terminal, units
from reports.model import from_json, rounded, to_json
from reports.ranking import candidate_rows, ranking_told

FACTORS = {"slow": 1.4, "same": 1.0, "fast": 0.8}


def rounds(factors, pairs=4, **after):
    """Runs in rounds: the old drive, then each candidate, two minutes apart."""
    before, candidates = [], {name: [] for name in factors}
    for pair in range(pairs):
        for place, (name, factor) in enumerate([("", 1.0), *factors.items()]):
            common = QUIET[(3 * pair + 5 * place) % len(QUIET)]
            levels = {
                cell: typical_s * factor * float(1 + common + own_noise(pair, number, place))
                for number, (cell, typical_s) in enumerate(CELLS.items())
            }
            minutes = (pair * (len(factors) + 1) + place) * 2
            made = run(f"{name or 'old'}{pair}", minutes, samples(levels), **(after.get(name, {}) if name else {}))
            (candidates[name] if name else before).append(made)
    return before, candidates


@pytest.fixture(scope="module")
def three():
    return rank(*rounds(FACTORS), Question())


def test_candidates_are_ranked_from_the_fastest_to_the_slowest(three):
    assert [(one.rank, one.name) for one in three.ranking] == [(1, "fast"), (2, "same"), (3, "slow")]
    assert three.design is Design.CANDIDATES


def test_each_range_holds_the_truth_that_was_planted(three):
    assert all(one.low < FACTORS[one.name] < one.high for one in three.ranking)


def test_the_ranges_of_three_are_wider_than_that_of_one(three):
    before, candidates = rounds(FACTORS)
    alone = rank(before, {"slow": candidates["slow"]}, Question()).ranking[0]
    among = next(one for one in three.ranking if one.name == "slow")
    assert among.high - among.low > alone.high - alone.low


def test_the_rest_is_the_assessment_of_the_first(three):
    before, candidates = rounds(FACTORS)
    first = assess(before, candidates["fast"], Question())
    assert (str(three.cells), three.verdict) == (str(first.cells), first.verdict)  # as text: NaN equals NaN
    assert three.ranking[0].assessment.after.runs == first.after.runs


def test_candidates_that_are_alike_share_their_rank_and_are_said_to():
    told = rank(*rounds({"one": 1.0, "other": 1.0}), Question())
    assert [one.rank for one in told.ranking] == [1, 1]
    first, second = (one.name for one in told.ranking)
    assert (told.ranking[0].level_with, told.ranking[1].level_with) == ((second,), (first,))
    assert f"{first} comes first of 2 candidates, but cannot be told apart from {second}." in ranking_told(told)


def test_a_fast_candidate_that_must_not_be_taken_comes_after_a_slower_one_that_may():
    broken = {"fast": {"effects": effects(script_once=100, script_missed=1)}}
    told = rank(*rounds({"fast": 0.8, "same": 1.0}, **broken), Question())
    assert [(one.name, one.assessment.verdict) for one in told.ranking][1] == ("fast", Verdict.ESCALATE)
    assert told.verdict is not Verdict.ESCALATE


def test_a_candidate_without_an_answer_comes_last_and_is_level_with_all():
    too_few = {"same": {"slices": fold(samples(CELLS, n=3))}}
    last = rank(*rounds({"same": 1.0, "other": 1.0}, pairs=3, **too_few), Question()).ranking[-1]
    assert (last.name, last.rank, last.level_with) == ("same", 1, ("other",))


def test_the_ranking_is_written_and_read_back(three):
    found, _ = from_json(to_json(three, meta=META))
    assert [dataclasses.replace(one, assessment=None) for one in found.ranking] == [
        dataclasses.replace(one, assessment=None) for one in rounded(three).ranking
    ]
    assert json.loads(to_json(three, meta=META))["design"] == "candidates"


@pytest.mark.parametrize("render", [html.render, markdown.render, terminal.render])
def test_every_format_tells_rank_name_and_change_of_each_candidate(three, render):
    text = " ".join(render(three, META).replace("\xa0", " ").replace("*", "").split())
    for row in candidate_rows(three):
        assert row.name in text
        assert row.change in text
        assert row.verdict in text
    assert "fast comes first of 3 candidates" in text
    assert "fast, first of 3 candidates: No required part became slower" in text


def test_junit_has_a_case_for_each_candidate_and_fails_for_none_while_one_may_be_taken(three):
    suites = ElementTree.fromstring(junit.render(three, META))
    cases = suites.findall("testsuite[@name='candidates']/testcase")
    assert [case.get("name") for case in cases] == ["fast", "same", "slow"]
    assert [case for case in cases if case.find("failure") is not None] == []
    slow = cases[2].find("skipped").get("message")
    assert units.change(three.ranking[2].ratio) in slow


@pytest.mark.parametrize("width", [60, 80, 100])
def test_the_ranking_keeps_to_the_width_of_the_terminal(three, width):
    assert max(cell_len(line) for line in terminal.render(three, META, width=width).splitlines()) <= width
