"""The window part and the status page: what a watch found, told without script and without inventing anything."""

import re
from dataclasses import replace

import pytest
from window_examples import BEGUN_S, BLOCK_S, CLEARED, ESCALATED, GROWN, HOUR, moments, watched

from analysis.findings import Verdict
from reports import status, window
from reports.watched import AGAINST_OLD, Gap, Period
from reports.window_figure import POINTS_MOST, joined


@pytest.fixture(scope="module")
def page():
    return status.render(ESCALATED, version="0.1.0", refresh_s=60)


def test_verdicts_follow_each_other_from_the_first_block_to_the_end_of_the_last():
    first, second, third = watched("HHCCCH").periods
    assert first == Period(BEGUN_S, BEGUN_S + 2 * BLOCK_S, Verdict.HOLD, "14 h of the settling time are left")
    assert (second.verdict, second.from_s, second.to_s) == (
        Verdict.CLEAR,
        BEGUN_S + 2 * BLOCK_S,
        BEGUN_S + 5 * BLOCK_S,
    )
    assert third.to_s == BEGUN_S + 6 * BLOCK_S


def test_blocks_that_are_missing_are_a_gap_and_no_line_bridges_it():
    found = watched("HH  HH")
    assert found.gaps == (Gap(BEGUN_S + 2 * BLOCK_S, BEGUN_S + 4 * BLOCK_S),)
    values = [value for _, value in joined(found, lambda one: 1.0)]
    assert [value == value for value in values] == [True, True, False, True, True]


def test_a_month_of_blocks_becomes_points_that_have_room_and_their_means():
    month = watched("H" * 30 * 24 * HOUR)
    points = joined(month, lambda one: float(one.requests))
    assert len(points) <= POINTS_MOST
    assert {value for _, value in points} == {1000.0}


def test_the_page_says_the_verdict_who_is_hit_and_when_a_limit_is_reached(page):
    text = re.sub(r"<[^>]*>", " ", page).replace("\xa0", " ")
    assert "ESCALATE" in text
    assert "custom-field save, 500 fields +66 %" in text
    assert "22 % of all requests, 40 % of saves; tenants acme and initech" in text
    assert "Written then moved the volume" in " ".join(text.split())
    assert text.count("deployed billing") == 1  # long before: among the remarks alone
    assert "2.0 s is reached between 2025-11-26 05:00 UTC and 2025-11-26 09:00 UTC" in text
    assert "400 ms is reached after 2025-11-26 08:00 UTC if it goes on, or never" in text
    assert "Nothing is known of 35 min in 1 gap" in text


def test_the_page_tells_what_lies_beside_the_old_environment_and_since_when_it_is_silent(page):
    hits = tuple(replace(one, versus=1.5) for one in GROWN.hits)
    seen = tuple(replace(one, shifts={**one.shifts, AGAINST_OLD: 0.3}) for one in ESCALATED.moments)
    beside = replace(ESCALATED, moments=seen, evidence=replace(GROWN, hits=hits), alone_since_s=BEGUN_S)
    text = re.sub(r"<[^>]*>", " ", window.part(beside)).replace("\xa0", " ")
    assert "custom-field save, 500 fields 1.50 times" in text
    assert "The old environment has not answered since 2025-11-24 16:00 UTC" in text
    assert "new less old" in text
    assert not [words for words in ("Beside the old one", "new less old") if words in page]


def test_the_page_holds_no_script_and_reads_itself_again(page):
    assert "<script" not in page
    assert "default-src 'none'" in page
    assert '<meta http-equiv="refresh" content="60">' in page
    assert "deployed billing 7.1 &lt;script&gt;" in page


def test_the_chart_has_a_row_for_each_verdict_and_a_mark_for_each_remark(page):
    labels = re.findall(r"<text[^>]*>([^<]*)</text>", page)
    assert {"CLEAR", "HOLD", "ESCALATE", "1", "2", "growth", "all requests"} <= set(labels)


@pytest.mark.parametrize("some", [watched(""), watched("H"), CLEARED, replace(CLEARED, moments=moments("CC"))])
def test_a_watch_of_any_length_is_told(some):
    told = window.part(some)
    assert told.startswith('<section id="window">')
    assert "nan" not in told
    assert ("Nothing was decided yet" in told) == (not some.moments)


def test_no_more_verdicts_than_have_room_are_listed_and_the_rest_is_counted():
    told = window.part(watched("HC" * 10))
    assert told.count("First reason") == 1
    assert "8 earlier ones are in decisions.jsonl" in told
