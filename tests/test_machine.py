"""A machine that fails the run: its disk is full or cannot be written, its clock jumps."""

import ast
import ctypes
import json
import multiprocessing
import os
import resource
import struct
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from command_line import called, savepath
from run_examples import driven
from slow_disk import obstacle
from test_architecture import ROOT
from window_examples import whole_state

from casedesk.process import running_desk
from loadgen.run_folder import RunFolder, refuse_used
from savepath.cleaned import exit_code
from savepath.cleaning import Choice, clean
from scenarios.errors import InputError

SCENARIO = """\
name: full
cohorts: {some: {custom_fields: 3, cases: 4, scripts_on_save: 1}}
mix: {read_case: 2, save_standard: 2, save_custom: 2, send_email: 1}
load: {rate_per_s: 100, timeout_s: 2}
warmup_s: 0
duration_s: 10
"""
#: So long no file may become; the shard of the samples is, after some seconds.
FILE_MAX = 30_000


@pytest.mark.live
def test_a_full_disk_ends_the_run_with_a_word_and_what_it_made_can_be_removed(tmp_path):
    (tmp_path / "s.yaml").write_text(SCENARIO)
    out = tmp_path / "run"
    with running_desk() as desk:
        words = ["run", "s.yaml", "--target", "casedesk", "--set", f"base_url={desk.url}", "--out", "run"]
        done = subprocess.run(
            [sys.executable, "-m", "savepath", *words],
            cwd=tmp_path, capture_output=True, text=True, timeout=280,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_MAX, FILE_MAX)),
        )  # fmt: skip
        assert done.returncode == 4
        assert "run cannot be written: File too large" in done.stderr
        assert "Traceback" not in done.stderr
        assert not (out / "run.json").exists()
        assert "the run is unfinished" in str(called("show", out).exception)
        assert exit_code(clean([out], Choice(), lambda _: None, settle_s=0)) == 0


def test_a_folder_that_cannot_be_made_is_told_before_anything_is_sent(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"/proc/sys cannot be written; choose another folder"):
        refuse_used(ROOT / "/proc/sys/runs/first")


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """A run and a watch in a folder that can only be read, and what asks there without the rights of root."""
    room = tmp_path_factory.mktemp("archive")
    driven(room / "run")
    whole_state(room / "state")
    there = [room, *room.rglob("*")]
    for path in there:
        path.chmod(0o555 if path.is_dir() else 0o444)
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork"), initializer=give_up_rights) as nobody:
        yield lambda words: nobody.submit(savepath, *words.format(room).split()).result()
    for path in there:
        path.chmod(0o755 if path.is_dir() else 0o644)


def give_up_rights():
    """What a mode forbids is forbidden to root too, who is left without capabilities."""
    header = struct.pack("Ii", 0x20080522, 0)
    assert ctypes.CDLL(None).capset(header, bytes(24)) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("watch --state {0}/state --note moved", "/state/decisions.jsonl cannot be written (Permission denied)"),
        (
            "watch --state {0}/state --follow {0} --baseline {0}",
            "/.lock cannot be written (Permission denied)",
        ),
        ("compare --before {0}/run --after {0}/run --json {0}/r", "/r: Permission denied"),
        ("report {0}/state --html {0}/state/r", "/state/r: Permission denied"),
        ("import k6 {0}/k6.csv --out {0}/new", " cannot be written; choose another folder"),
        ("init {0}/new", "/new/.env.example: Permission denied; written so far: nothing"),
        ("demo --out {0}/new", " cannot be written; choose another folder"),
    ],
)
def test_a_folder_that_can_only_be_read_is_told_by_every_command_that_writes(archive, words, said):
    ended = archive(words)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.endswith(f"{said}\n")


def test_what_lies_in_a_folder_that_can_only_be_read_is_told_as_from_any_other(archive):
    """Nothing is written beside a run or a watch in order to read it."""
    asked = ("show {0}/run", "compare --before {0}/run --after {0}/run", "gate --state {0}/state")
    assert [archive(words).returncode for words in (*asked, "report {0}/state")] == [0, 20, 0, 0]


def test_an_output_that_goes_to_a_full_disk_is_told():
    with Path("/dev/full").open("w") as full:
        words = [sys.executable, "-m", "savepath", "schema", "scenario"]
        ended = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True)
    said = "savepath: this machine: No space left on device; what was being written is not whole\n"
    assert (ended.returncode, ended.stderr) == (4, said)


STEADY = SCENARIO.replace("rate_per_s: 100", "rate_per_s: 40").replace("duration_s: 10", "duration_s: 4")


@pytest.mark.live
@pytest.mark.skipif(bool(obstacle()), reason=obstacle())
def test_a_time_of_day_that_jumps_an_hour_forward_and_two_back_changes_nothing_in_a_run(tmp_path):
    (tmp_path / "s.yaml").write_text(STEADY)
    shim, jump, out = tmp_path / "clock.so", tmp_path / "jump", tmp_path / "run"
    compiled = ("gcc", "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o", shim)
    subprocess.run([*compiled, ROOT / "tests" / "clock_jump.c"], check=True)
    jump.write_bytes(struct.pack("q", 0))
    environ = {**os.environ, "LD_PRELOAD": str(shim), "CLOCK_JUMP": str(jump)}
    with running_desk() as desk, jump.open("r+b", buffering=0) as seconds:
        words = [
            "run",
            "s.yaml",
            "--target",
            "casedesk",
            "--set",
            f"base_url={desk.url}",
            "--out",
            "run",
            "--quiet",
        ]
        child = subprocess.Popen([sys.executable, "-m", "savepath", *words], cwd=tmp_path, env=environ)
        for recorded, jump_s in ((30, 3600), (80, -3600)):
            while progress(out).get("recorded", 0) < recorded:
                assert child.poll() is None
                time.sleep(0.02)
            os.pwrite(seconds.fileno(), struct.pack("q", jump_s), 0)
        clock = "import time; print(time.time())"
        told = subprocess.run(
            [sys.executable, "-c", clock], env=environ, capture_output=True, text=True, check=True
        )
        assert child.wait(280) == 0
    assert time.time() - float(told.stdout) > 3500  # the jump is one
    info, samples, effects = (getattr(RunFolder(out), name)() for name in ("read", "read_samples", "read_effects"))
    took_s = samples["done_s"] - samples["scheduled_s"]
    assert (info.status, info.ledger.closes, info.ledger.recorded) == ("complete", True, 160)
    assert 0 < took_s.min() <= took_s.max() < 60
    assert info.ended_s < 60
    assert set(effects["outcome"]) <= {"once", "identical", "superseded"}


def progress(out):
    try:
        return json.loads((out / "progress.json").read_text())
    except (OSError, ValueError):
        return {}


#: Where the time of day may be read, and why a jump of it does no harm there.
TIME_OF_DAY = {
    "loadgen/session.py",  # when the run began, once, for people; and the name of its folder
    "loadgen/locust_tables.py",  # Locust's own tables, which are no data
    "targets/control.py",  # what is left until a moment that Retry-After names
    "targets/mail_sink.py",  # when a mail came, as mail servers write it
    "targets/readiness.py",  # how far the target's clock is off, which is what it is for
}


def test_no_time_is_measured_by_the_time_of_day_which_may_jump():
    found = set()
    for room in ("loadgen", "targets"):
        for file in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Attribute) and ast.unparse(node) in ("time.time", "datetime.now"):
                    found.add(str(file.relative_to(ROOT)))
    assert found <= TIME_OF_DAY
    assert "loadgen/session.py" in found
