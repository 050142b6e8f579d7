"""Outages in the reports: the same words and numbers in every format, a picture of each; nothing where none is."""

import dataclasses
import math
import re
from html import unescape

import pytest
from assessment_examples import CLEAR, META, NAN, OUTAGE

from analysis.details import Details
from reports import html, markdown, outages, terminal
from reports.outage_figure import outage_figure

WHEN = "61 s into the run (08:31:01 UTC), for 1.6 s: 40 of 66 requests failed"
ROWS = (
    ("read", "500", "12", "0", "9", "", "3.2 s"),
    ("e-mail", "0", "8", "0", "0", "", "0 ms"),
    ("standard save", "0", "15", "14", "0", "1.5 s", "1.6 s"),
    ("standard save", "500", "15", "14", "1", "…", "never here"),
    ("custom-field save", "500", "16", "12", "4", "1.6 s", "24 s"),
)
KEPT = "812 saves acknowledged in the 30 s before; 798 checked, 2 not whole afterwards"


def with_outages(*found):
    return dataclasses.replace(CLEAR, details=Details(outages=found), timeline=())


ONE = with_outages(OUTAGE)


def flat(page):
    """The page without its markup, each blank one."""
    text = unescape(re.sub(r"<svg.*?</svg>|<style.*?</style>|<[^>]*>", " ", page, flags=re.DOTALL))
    return re.sub(r"[\s|–\xa0]+", " ", text.replace("\u200b", "").replace("\\", "").replace("**", ""))


@pytest.mark.parametrize("render", [html.render, markdown.render, terminal.render])
def test_every_format_tells_when_how_long_for_whom_and_what_became_of_the_saves(render):
    page = flat(render(ONE, META))
    assert [text for text in (WHEN, KEPT, "connection refused: 37", "1 outage in the runs after, none before")
            if text not in page] == []  # fmt: skip
    assert [row for row in ROWS if re.sub(r"\s+", " ", " ".join(row)) not in page] == []


def test_the_terminal_tells_it_in_80_columns():
    assert max(map(len, terminal.render(ONE, META).splitlines())) <= 80


@pytest.mark.parametrize("render", [html.render, markdown.render, terminal.render])
def test_where_there_is_none_nothing_is_said_of_it(render):
    assert "outage" not in render(with_outages(), META).lower()


def test_of_many_those_are_told_in_which_most_failed_and_the_rest_is_said_to_be_there():
    def made(number):
        outage = dataclasses.replace(OUTAGE.outage, failed=number)
        return dataclasses.replace(OUTAGE, side=("before", "after")[number % 2], run=f"r{number}", outage=outage)

    many = with_outages(*map(made, (1, 9, 2, 8, 7, 6)))
    assert [one.run for one, _ in outages.told_of(many)] == ["r9", "r8", "r7", "r6"]
    assert outages.summary(many).startswith("3 outages in the runs after, 3 before.")
    assert outages.summary(many).endswith("all are in results.json.")


def test_an_outage_that_a_run_ended_in_says_so():
    told = outages.told(dataclasses.replace(OUTAGE.outage, ended_s=NAN), OUTAGE.started_at)
    assert "to the end of the run" in told.when


def test_the_picture_draws_how_long_each_cell_was_gone_and_until_when_it_was_not_as_before():
    axes = outage_figure(OUTAGE.outage).axes[0]
    names = [text.get_text() for text in axes.get_yticklabels()]
    bars = {}
    for bar in axes.patches:
        row = names[round(bar.get_y() + bar.get_height() / 2)]
        bars.setdefault(row, []).append((bar.get_x(), round(bar.get_width(), 6)))
    end_s = axes.get_xlim()[1]
    assert {row: found for row, found in bars.items() if "standard" not in row} == {
        "read, 500 fields": [(0, 3.2)],
        "custom-field save, 500 fields": [(0, 24.0), (0.0, 1.65)],
    }
    assert bars["standard save, 0 fields"] == [(0, 1.6), (0.1, 1.5)]
    assert bars["standard save, 500 fields"] == [
        (0, pytest.approx(end_s)),
        (0.1, pytest.approx(end_s - 0.1)),
    ]
    assert len(axes.get_lines()) == 2  # the arrow of what was never as before, the end of the outage
    assert end_s > 24


def test_an_outage_of_one_operation_that_touched_no_cell_for_long_has_no_picture():
    untouched = dataclasses.replace(OUTAGE.outage, cells=OUTAGE.outage.cells[-1:])
    assert outage_figure(untouched) is None


def test_nothing_known_of_the_end_still_makes_a_picture():
    cells = tuple(dataclasses.replace(one, gone_s=NAN, again_s=NAN) for one in OUTAGE.outage.cells[:3])
    axes = outage_figure(dataclasses.replace(OUTAGE.outage, cells=cells, ended_s=NAN)).axes[0]
    assert math.isfinite(axes.get_xlim()[1])
