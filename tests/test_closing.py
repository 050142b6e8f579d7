"""The closing of a window: one golden text for each verdict, and a page and a terminal that say the same."""

from __future__ import annotations

import json
import re
import sys
from html import unescape
from pathlib import Path

import pytest
from command_line import savepath
from rich.cells import cell_len
from window_examples import CLOSINGS, HOUR, watched, whole_state

from analysis.findings import Verdict
from analysis.window.decisions import Hold, Reason
from reports import closing, closing_formats
from reports.closing import Closing
from savepath.exits import Exit

GOLDEN = Path(__file__).parent / "golden"


def golden(name: str) -> Path:
    return GOLDEN / f"window-{name}.md"


@pytest.mark.parametrize("name", CLOSINGS)
def test_the_summary_for_a_ticket_is_the_golden_one(name):
    assert closing_formats.markdown(CLOSINGS[name]) == golden(name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", CLOSINGS)
def test_page_and_terminal_tell_every_row_of_the_ticket_and_what_is_not_known(name):
    told = CLOSINGS[name]
    page = unescape(re.sub(r"<[^>]*>", " ", closing_formats.page(told))).replace("\xa0", " ")
    lines = closing_formats.terminal(told)
    for text in (*(row.text for row in closing.decision_rows(told)), *closing.not_known(told)):
        assert text in page
        assert set(text.split()) <= set(lines.split())
    assert max(map(cell_len, lines.splitlines())) <= 80


def test_the_page_is_self_contained_and_foreign_text_stays_text():
    page = closing_formats.page(CLOSINGS["escalate"])
    assert "default-src 'none'" in page
    assert not re.search(r"<(script|link|img|iframe|meta http-equiv=\"refresh)", page)
    assert "billing 7.1 &lt;script&gt;" in page
    ids = re.findall(r'\bid="([^"]*)"', page)
    assert len(ids) == len(set(ids))


def test_a_window_without_a_block_is_told_as_one():
    told = Closing(watched(""), "0.1.0")
    assert told.watched.verdict is Verdict.HOLD
    assert "no block yet" in closing_formats.markdown(told)
    assert "No requests" not in closing_formats.terminal(told)


def test_a_hold_says_what_ends_it_each_once():
    several = (Reason(Hold.GAP, "a gap"), Reason(Hold.DEVIATION, "a deviation"), Reason(Hold.EVENT, "an event"))
    rows = closing.decision_rows(Closing(watched("HH", reasons=several), "0.1.0"))
    assert rows[-1].text == (
        "Half a day of blocks without another such sign. Seeing what is required (savepath watch --seen NAME)."
    )


@pytest.fixture
def state(tmp_path):
    return whole_state(tmp_path / "state")


def test_report_tells_a_watch_of_its_state_folder_and_writes_what_is_asked(state, tmp_path):
    done = savepath("report", state, "--html", tmp_path / "r.html", "--md", tmp_path / "summary.md")
    assert (done.returncode, done.stdout.split()[:2]) == (Exit.DONE, ["✓", "CLEAR"]), done.stderr
    summary = (tmp_path / "summary.md").read_text()
    assert "Smaller changes than a day of this watch can find: p50 of all +" in summary
    assert "## ✓ CLEAR · stabilization window of field-sweep" in summary
    assert '<section id="window">' in (tmp_path / "r.html").read_text()


def test_report_of_a_watch_as_json_is_its_status(state):
    found = json.loads(savepath("report", state, "--json").stdout)
    assert (found["schema"], found["verdict"], found["blocks"]) == ("savepath.watch-status/1", "CLEAR", HOUR)


def test_a_watch_has_no_junit_and_a_damaged_journal_is_told(state, tmp_path):
    done = savepath("report", state, "--junit", tmp_path / "j.xml")
    assert (done.returncode, "savepath gate" in done.stderr) == (Exit.USAGE, True)
    (state / "decisions.jsonl").write_text("{}\n{}\n")
    done = savepath("report", state)
    assert (done.returncode, "decisions.jsonl:1" in done.stderr) == (Exit.USAGE, True)


if __name__ == "__main__":
    for name, told in CLOSINGS.items():
        golden(name).write_text(closing_formats.markdown(told), encoding="utf-8")
        sys.stdout.write(f"{golden(name)}\n")
