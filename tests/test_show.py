"""``savepath show``: one run by itself; one that drove two targets, one that was imported."""

import json
import re
from pathlib import Path

import pytest
from command_line import called
from run_examples import driven

from scenarios.errors import InputError

IMPORTED = Path(__file__).parent / "imported"


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return driven(tmp_path_factory.mktemp("runs") / "one")


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> Path:
    return driven(tmp_path_factory.mktemp("runs") / "two", arms=("before", "after"))


def squeezed(text: str) -> str:
    return " ".join(text.split())


def test_a_run_is_told_with_times_failures_effects_generator_and_ledger(run):
    said = called("show", run).stdout
    line = next(line for line in said.splitlines() if line.startswith("custom-field save"))
    assert re.split(r"\s{2,}", line)[:3] == ["custom-field save", "0", "120"]
    assert "http 503" in said
    assert "✗ 1" in next(line for line in said.splitlines() if "did not run" in line)
    assert "scheduled 480 = recorded 480 + aborted 0 + unsent 0" in said
    assert "late by 1.0 ms at p50 and 2.0 ms at p99" in squeezed(said)
    assert "release 24.3" in said
    assert "no comparison" in said


def test_json_tells_the_same_counts(run):
    found = json.loads(called("show", run, "--json").stdout)
    (account,) = found["accounts"]
    assert sum(cell["requests"] for cell in account["cells"]) == 480
    assert sum(cell["failures"] for cell in account["cells"]) == 12
    assert found["run"]["ledger"]["scheduled"] == 480
    median = account["cells"][2]["times"][0]  # save_custom, 0 fields: 10, 20, ... 1,200 ms, sent 1 ms late
    assert median["value_s"] == pytest.approx(0.601, rel=0.0026)
    assert account["failures"] == [
        {"outcome": "http_error", "detail": "http 503", "operation": "read_case", "count": 12}
    ]


def test_a_number_that_is_not_known_is_null(run):
    found = json.loads(called("show", run, "--json").stdout)
    p99 = found["accounts"][0]["cells"][0]["times"][2]
    assert (p99["quantile"], p99["high_s"]) == (0.99, None)


def test_a_run_of_two_targets_is_told_arm_by_arm(both):
    said = called("show", both).stdout
    assert "before: before-desk at http://127.0.0.1:8700" in said
    assert "after: after-desk at http://127.0.0.1:8700" in said
    arms = json.loads(called("show", both, "--json").stdout)["accounts"]
    assert [(arm["arm"], sum(cell["requests"] for cell in arm["cells"])) for arm in arms] == [
        ("before", 480),
        ("after", 480),
    ]


def test_an_imported_run_says_what_its_tool_did_not_tell(tmp_path):
    out = tmp_path / "run"
    assert called("import", "k6", IMPORTED / "k6-before-1.json.gz", "--map", IMPORTED / "cases.yaml", "--out", out)
    said = squeezed(called("show", out).stdout)
    assert "imported from k6" in said
    assert "times count from sending" in said
    assert "nobody looked at what became of saves" in said


def test_quiet_is_one_line(run):
    done = called("show", run, "--quiet")
    assert done.stdout == f"{run}: complete, 480 requests, 12 failed, 1 broken promise\n"
    assert done.stderr == ""


def test_a_folder_of_one_run_is_that_run_and_of_several_is_asked_about(run, tmp_path):
    assert called("show", run.parent, "--quiet").stdout.startswith(f"{run}: complete")
    for name in ("a", "b"):
        driven(tmp_path / name)
    assert f"e.g. savepath show {tmp_path / 'a'}" in str(called("show", tmp_path).exception)


def test_a_folder_without_a_run_is_refused_by_name(tmp_path):
    done = called("show", tmp_path / "nowhere")
    assert isinstance(done.exception, InputError)
    assert "nowhere is not there" in str(done.exception)
