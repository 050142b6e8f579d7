"""The command line, as a user meets it: what it says to bad input, and with which exit code."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import savepath, spawned
from run_examples import driven

from analysis.samples import SAMPLE_COLUMNS
from casedesk.process import RunningDesk, running_desk
from loadgen.run_folder import RunFolder
from loadgen.shards import read_shard
from savepath.exits import MEANINGS, Exit
from scenarios.library import names

TINY = """\
name: tiny
cohorts:
  none: {custom_fields: 0, cases: 5}
  some: {custom_fields: 10, cases: 5}
mix: {read_case: 3, save_standard: 2, save_custom: 2, run_script: 1, send_email: 1}
load: {rate_per_s: 20, timeout_s: 5}
warmup_s: 0.5
duration_s: 3
verification: {settle_s: 0.2, script_deadline_s: 3, mail_deadline_s: 3}
"""


@pytest.fixture(scope="module")
def desk() -> Iterator[RunningDesk]:
    with running_desk() as running:
        yield running


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("scenario") / "tiny.yaml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """One whole run, made by hand, in which no save is harmed."""
    return driven(tmp_path_factory.mktemp("runs") / "whole", cells=[("read_case", 0), ("read_case", 500)])


def test_the_help_tells_every_exit_code():
    said = spawned("--help").stdout
    assert [code for code, meaning in MEANINGS.items() if f"{int(code):>5}  {meaning}" not in said] == []


def test_what_init_lays_out_is_ready_for_a_run_on_casedesk(desk, tmp_path):
    assert savepath("init", tmp_path).returncode == 0
    words = (
        "plan",
        tmp_path / "scenario.yaml",
        "--target",
        tmp_path / "target.yaml",
        "--set",
        f"base_url={desk.url}",
    )
    assert savepath(*words).returncode == 0
    checked = savepath(*words, "--check")
    assert (checked.returncode, "0 NO" in checked.stdout) == (0, True), checked.stdout


def test_a_command_that_does_not_exist_names_the_one_that_was_meant():
    done = savepath("comapre")
    assert (done.returncode, "did you mean compare?" in done.stderr) == (Exit.USAGE, True)


@pytest.mark.parametrize(
    ("wrong", "right", "message"),
    [
        ("cases: 5}", "csaes: 5}", "bad.yaml:3:28: cohorts.none.csaes is not a known key (did you mean cases?)"),
        ("custom_fields: 10", "custom_fields: -3", "cohorts.some.custom_fields is -3; expected 0 or more"),
        ("duration_s: 3", "duration_s: 3\nduration_s: 4", "duration_s is given twice (first on line 8)"),
    ],
)
def test_a_wrong_scenario_is_told_and_nothing_is_sent_or_written(wrong, right, message, tmp_path):
    (tmp_path / "bad.yaml").write_text(TINY.replace(wrong, right, 1))
    done = savepath("run", "bad.yaml", "--target", "casedesk", "--out", "out", cwd=tmp_path)
    assert done.returncode == Exit.USAGE
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.yaml"]


def test_an_unknown_target_names_the_one_that_was_meant(tmp_path):
    done = savepath("plan", "smoke", "--target", "casdesk", cwd=tmp_path)
    assert done.returncode == Exit.USAGE
    assert "did you mean casedesk?" in done.stderr


def test_a_plan_sends_nothing_and_tells_rate_rows_and_time(tiny):
    done = savepath("plan", tiny, "--target", "casedesk", "--set", "base_url=http://127.0.0.1:9")
    assert done.returncode == 0
    assert "20 arrivals/s (poisson)" in done.stdout
    assert "Nothing was sent." in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize("scenario", names("scenarios"))
def test_every_plan_fits_80_columns(scenario):
    said = savepath("plan", scenario, "--target", "roundup").stdout
    assert max(map(len, said.splitlines())) <= 80


def test_a_target_that_is_down_is_told_with_what_to_do_and_leaves_nothing(tiny, tmp_path):
    out = tmp_path / "out"
    done = savepath("run", tiny, "--target", "casedesk", "--set", "base_url=http://127.0.0.1:9", "--out", out)
    assert done.returncode == Exit.ABORTED
    assert "does not answer at http://127.0.0.1:9" in done.stderr
    assert "Traceback" not in done.stderr
    assert not out.exists()


def test_a_folder_that_is_used_is_never_written_over(run, tiny, desk):
    before = sorted(run.rglob("*"))
    done = savepath("run", tiny, "--target", "casedesk", "--set", f"base_url={desk.url}", "--out", run)
    assert done.returncode == Exit.USAGE
    assert "not empty" in done.stderr
    assert sorted(run.rglob("*")) == before


def test_an_unfinished_run_is_refused_by_name(run, tmp_path):
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "progress.json").write_text("{}")
    done = savepath("compare", "--before", run, "--after", tmp_path / "cut")
    assert done.returncode == Exit.USAGE
    assert "cut" in done.stderr
    assert "run.json" in done.stderr


def test_a_path_that_is_not_there_is_refused_by_name(run):
    done = savepath("compare", "--before", run, "--after", "nowhere")
    assert (done.returncode, "nowhere" in done.stderr) == (Exit.USAGE, True)


def test_runs_of_different_plans_are_not_compared(tmp_path):
    one, other = driven(tmp_path / "one"), driven(tmp_path / "other", plan_digest="e" * 64)
    done = savepath("compare", "--before", one, "--after", other, "--html", tmp_path / "r.html")
    assert done.returncode == Exit.USAGE
    assert "plan" in done.stderr
    assert not (tmp_path / "r.html").exists()


def test_a_run_that_recorded_nothing_is_refused_by_name(tmp_path):
    empty = driven(tmp_path / "empty", cells=())
    done = savepath("compare", "--before", empty, "--after", empty)
    assert done.returncode == Exit.USAGE
    assert "no sample" in done.stderr


def test_one_run_a_side_is_hold_and_says_that_it_needs_more(run, tmp_path):
    files = {
        flag: tmp_path / name for flag, name in [("--json", "r.json"), ("--html", "r.html"), ("--md", "r.md")]
    }
    words = [word for pair in files.items() for word in pair]
    done = savepath("compare", "--before", run, "--after", run, *words, "--junit", tmp_path / "j.xml")
    assert done.returncode == Exit.HOLD, done.stderr
    assert done.stdout.lstrip().startswith("HOLD") or " HOLD " in done.stdout.splitlines()[0]
    assert all(path.stat().st_size > 500 for path in [*files.values(), tmp_path / "j.xml"])
    assert max(map(len, done.stdout.splitlines()[:-1])) <= 80


@pytest.mark.parametrize(("fail_on", "code"), [("hold", 10), ("escalate", 0), ("never", 0)])
def test_the_exit_of_hold_follows_fail_on(run, fail_on, code):
    assert savepath("compare", "--before", run, "--after", run, "--fail-on", fail_on).returncode == code


def start(desk: RunningDesk, tmp_path: Path) -> tuple[subprocess.Popen[str], Path]:
    """A run of a minute that has begun to record."""
    (tmp_path / "long.yaml").write_text(TINY.replace("duration_s: 3", "duration_s: 60"))
    out = tmp_path / "out"
    words = ["run", tmp_path / "long.yaml", "--target", "casedesk", "--set", f"base_url={desk.url}", "--out", out]
    process = subprocess.Popen(
        [sys.executable, "-m", "savepath", *map(str, words)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 90
    while not any(read_shard(path, SAMPLE_COLUMNS).num_rows > 5 for path in out.glob("shards/*samples*")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "the run did not begin"
        time.sleep(0.1)
    return process, out


def refuse_loss(folder: RunFolder) -> None:
    """Every arrival that was due is in the ledger, and every one that was sent in the samples, once."""
    ledger, samples = folder.read().ledger, folder.read_samples()
    assert ledger.closes
    assert (samples["outcome"] != "aborted").sum() == ledger.recorded
    assert samples["seq"].tolist() == list(range(ledger.scheduled - ledger.unsent))


def test_ctrl_c_once_ends_the_run_in_order_and_keeps_it(desk, tmp_path):
    process, out = start(desk, tmp_path)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=100)
    assert process.returncode == Exit.INTERRUPTED, said
    assert "kept" in said
    assert (RunFolder(out).read().status, RunFolder(out).read().reason) == ("interrupted", "SIGINT")
    refuse_loss(RunFolder(out))
    assert "Traceback" not in said


def test_ctrl_c_twice_ends_at_once_and_leaves_readable_shards_but_no_run_that_could_be_compared(desk, tmp_path):
    process, out = start(desk, tmp_path)
    process.send_signal(signal.SIGINT)
    time.sleep(0.05)  # two keystrokes
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=100)
    assert process.returncode == Exit.INTERRUPTED, said
    assert "Traceback" not in said
    if (out / "run.json").exists():  # the run was through before the second came
        assert "kept" in said
    else:
        assert read_shard(RunFolder(out).shard(0, "samples"), SAMPLE_COLUMNS).num_rows > 5


def test_a_target_that_dies_in_the_middle_aborts_the_run_and_says_so(tmp_path):
    with running_desk() as mortal:
        process, out = start(mortal, tmp_path)
        os.kill(mortal.pid, signal.SIGKILL)
        _, said = process.communicate(timeout=100)
    assert process.returncode == Exit.ABORTED, said
    assert "aborted" in said
    info = RunFolder(out).read()
    assert (info.status, info.reason.startswith("the target is gone: ")) == ("aborted", True)
    refuse_loss(RunFolder(out))
    assert "Traceback" not in said


def test_plan_says_how_many_pairs_tell_a_change_how_long_they_take_and_what_cannot_be_told():
    done = savepath("plan", "field-sweep", "--target", "casedesk", "--detect", "10%")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^by turns, quiet +\d+ \([\d hmin]+\) .* never$", done.stdout, re.MULTILINE)
    assert re.search(r"^both at once, noisy +\d+ \([\d hmin]+\) ", done.stdout, re.MULTILINE)
    assert "Growth up to +10 % is never acted upon" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_plan_learns_noise_from_three_runs_at_least(run, tiny):
    done = savepath("plan", tiny, "--target", "casedesk", "--detect", "10%", "--from", run)
    assert (done.returncode, "--from: 1 run; noise is learnt from 3 or more" in done.stderr) == (Exit.USAGE, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [(["--detect", "much"], "expected something like 10%"), (["--from", "runs"], "no use without --detect")],
)
def test_plan_refuses_what_it_cannot_answer(tiny, words, said):
    done = savepath("plan", tiny, "--target", "casedesk", *words)
    assert (done.returncode, said in done.stderr) == (Exit.USAGE, True)
