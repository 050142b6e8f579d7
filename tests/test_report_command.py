"""``savepath report``: the same bytes again from results.json, and what lies in folders."""

import json
import shutil
from pathlib import Path

import click
import pytest
from assessment_examples import META, assessment
from command_line import called
from run_examples import driven

from savepath.telling import Formats, tell
from scenarios.errors import InputError

FORMATS = {"md": "summary.md", "junit": "junit.xml"}  # and the page, below, as drawing takes its time


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    """A folder with all that a comparison wrote."""
    folder = tmp_path_factory.mktemp("compared") / "told"
    tell(assessment(), META, Formats.into(folder))
    return folder


@pytest.fixture
def told(written, tmp_path) -> Path:
    """The same, to be changed."""
    return Path(shutil.copytree(written, tmp_path / "told"))


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_the_same_to_the_byte(told, tmp_path, name):
    done = called("report", told, f"--{name}", tmp_path / "again")
    assert done.exception is None
    assert (tmp_path / "again").read_bytes() == (told / FORMATS[name]).read_bytes()


def test_what_the_terminal_says_is_the_same(told, capsys):
    tell(assessment(), META, Formats())
    assert called("report", told / "results.json").stdout == capsys.readouterr().out


def test_json_is_results_json_itself(told):
    assert called("report", told, "--json").stdout_bytes == (told / "results.json").read_bytes()


def test_a_format_on_stdout_has_it_to_itself(told):
    done = called("report", told, "--md", "-")
    assert done.stdout_bytes == (told / "summary.md").read_bytes()
    assert done.stderr == ""


def test_two_formats_on_stdout_are_refused(told):
    done = called("report", told, "--md", "-", "--html", "-")
    assert isinstance(done.exception, InputError)


def test_opening_makes_the_page_that_is_missing_the_same_to_the_byte(told):
    page = told / "report.html"
    before = page.read_bytes()
    page.unlink()
    done = called("report", told, "--open", DISPLAY="", WAYLAND_DISPLAY="")
    assert page.read_bytes() == before
    assert f"no screen to open it on: {page}" in done.stderr


def test_runs_and_comparisons_under_a_folder_are_listed(told, tmp_path):
    driven(tmp_path / "runs" / "before" / "run-01")
    (tmp_path / "runs" / "cut").mkdir()
    (tmp_path / "runs" / "cut" / "progress.json").write_text("{}")
    found = json.loads(called("report", tmp_path, "--json").stdout)
    assert [(row["id"], row["status"], row["requests"], row["failures"]) for row in found["runs"]] == [
        ("run-01", "complete", 480, 12),
        ("", "unfinished", None, None),
    ]
    assert [(row["verdict"], row["title"]) for row in found["reports"]] == [("CLEAR", META.title)]


def test_a_damaged_run_is_listed_as_what_it_is(tmp_path):
    (driven(tmp_path / "one") / "run.json").write_text("{")
    (row,) = json.loads(called("report", tmp_path, "--json").stdout)["runs"]
    assert row["status"] == "unreadable"


def test_the_list_fits_80_columns_whatever_the_names(tmp_path):
    driven(tmp_path / ("a-long-name-of-a-folder-" * 4), scenario="x" * 70, target="y" * 70, status="interrupted")
    said = called("report", tmp_path).stdout
    assert "interrupted" in said
    assert max(map(len, said.splitlines())) <= 80


def test_which_of_several_comparisons_is_meant_is_asked(told, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "results.json").write_bytes((told / "results.json").read_bytes())
    done = called("report", tmp_path, "--html", tmp_path / "page.html")
    assert isinstance(done.exception, click.UsageError)
    assert "told/results.json" in done.exception.message
    assert not (tmp_path / "page.html").exists()


def test_what_is_no_results_json_is_told_by_its_name(tmp_path):
    (tmp_path / "results.json").write_text('{"schema": "other/1"}')
    done = called("report", tmp_path)
    assert isinstance(done.exception, InputError)
    assert f"{tmp_path / 'results.json'}: schema is" in str(done.exception)
