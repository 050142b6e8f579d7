"""The watch as a service: runs that others write, the journal that survives, and the gate."""

import contextlib
import io
import json
import math
import os
import resource
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from command_line import called
from stub_server import OK, stub_server

from analysis.findings import Verdict
from benchmarks.watch_survival import decisions
from benchmarks.watched_runs import BEGIN, BLOCK_S, write_run
from savepath.cli import cli
from savepath.watching.agreed import Agreed, read_agreed
from savepath.watching.beginning import Wanted, watch
from savepath.watching.blocks_of_runs import blocks_of
from savepath.watching.cutting import at_hour, cut_to_block
from savepath.watching.gatekeeping import ask
from savepath.watching.journal import Journal
from savepath.watching.pacing import Now, turn_at
from savepath.watching.state import only_watch
from savepath.watching.thinning import run_of, thin
from scenarios.errors import InputError
from scenarios.library import parse_scenario

ROOT = Path(__file__).parent.parent
#: Runs before the change, two more than a baseline needs; and after it, until growth by half is beyond doubt.
BEFORE, AFTER = 12, 6


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Runs before a change, quiet ones after it, and some that grow by half."""
    room = tmp_path_factory.mktemp("runs")
    for number in range(BEFORE + 2 * AFTER):
        quiet, name = number < BEFORE + AFTER, "before" if number < BEFORE else "after"
        write_run(room / (name if quiet else "grown"), number, growth=0.0 if quiet else 0.5)
    return room


def wanted(runs: Path, state: Path, after: str = "after", **changes) -> Wanted:
    terms = {"lasts_s": 0.01, "block_s": BLOCK_S, "settle_s": 100.0, "day_s": 200.0, "required_events": ()}
    terms |= {"until_clear": False, "scenario": "", "target": "", "follow": runs / after} | changes
    return Wanted(state=state, baseline=(runs / "before",), **terms)


@pytest.fixture(scope="module")
def told(runs, tmp_path_factory):
    """A watch of the runs that grow, on the command line; what it said, and what its webhook was told."""
    taken = []

    def take(request, connection):
        taken.append(json.loads(request.partition(b"\r\n\r\n")[2]))
        return OK

    room = tmp_path_factory.mktemp("watched")
    terms = ["--for", "0.01s", "--every", "20s", "--settle", "100s", "--day", "200s", "--listen", "127.0.0.1:0"]
    with stub_server(take) as stub:
        done = called(
            "watch", "--follow", runs / "grown", "--baseline", runs / "before", "--state", room / "grown",
            *terms, "--webhook-env", "HOOK", HOOK=stub.url,
        )  # fmt: skip
    return room, done, taken, stub.url


@pytest.fixture(scope="module")
def watched(runs, told):
    """A state folder after the quiet runs, and one after those that grow."""
    room = told[0]
    watch(wanted(runs, room / "after"), lambda line: None)
    return room


@pytest.fixture
def quiet(watched, tmp_path):
    """A state folder of its own after the quiet runs."""
    return Path(shutil.copytree(watched / "after", tmp_path / "state"))


@pytest.fixture
def grown(watched, tmp_path):
    """A state folder of its own after the runs that grow."""
    return Path(shutil.copytree(watched / "grown", tmp_path / "state"))


def age(state: Path, seconds: float, **said) -> None:
    """Let a journal be so old, and its watch dead; ``said`` is what it decided."""
    path = state / "decisions.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    old = {"written_s": time.time() - seconds} | said
    kept = [line | old for line in lines if line["kind"] == "decision"]
    path.write_text("".join(json.dumps(line) + "\n" for line in kept))


def test_growth_after_the_change_escalates_says_where_and_is_told_to_the_webhook(told):
    room, done, taken, secret = told
    assert done.return_value == 20
    assert len(decisions(room / "grown")) == AFTER
    assert "ESCALATE growth of" in done.stdout.splitlines()[-1]
    assert [one["verdict"] for one in taken] == ["ESCALATE"]
    assert "status page: http://127.0.0.1:" in done.stderr
    assert "--ack" in done.stderr
    assert secret not in done.output


def test_the_gate_says_escalate_until_it_is_acknowledged_even_of_a_dead_watch(grown):
    gate = CliRunner().invoke(cli, ["gate", "--state", str(grown)], standalone_mode=False)
    assert (gate.return_value, gate.output[:9]) == (20, "ESCALATE:")
    age(grown, 1e6)
    assert ask(grown, time.time()).verdict is Verdict.ESCALATE
    CliRunner().invoke(cli, ["watch", "--state", str(grown), "--ack"], standalone_mode=False)
    assert ask(grown, time.time()).verdict is Verdict.HOLD


def test_of_a_run_of_two_targets_the_after_side_is_watched_and_of_the_other_only_its_times_are_kept(
    tmp_path,
):
    write_run(tmp_path, 0, beside=True)
    (block,) = blocks_of(tmp_path / "run-000", BLOCK_S)
    assert [(one.operation, one.requests, one.failures) for one in block.counts] == [
        (name, 75, 0) for name in ("read_case", "save_custom", "save_standard")
    ]
    assert (block.refused, block.effects, block.fault) == ("", (), "")
    assert [math.exp(one.mean_log_s) for one in block.versus] == pytest.approx([0.05] * 9, rel=0.01)


@pytest.mark.parametrize(
    ("refused", "said", "failures"),
    [
        ({0: "one", 1: "one"}, "2 of 2 requests of one were answered 401", 0),
        ({0: "t"}, "", 1),
        ({0: "t", 3: "t", 5: "one"}, "3 of 225 requests of one and t were answered 401", 0),
    ],
    ids=["one tenant of many is shut out", "a token was renewed late", "more than a renewal costs"],
)
def test_refused_credentials_are_told_by_tenant_and_are_no_failures(tmp_path, refused, said, failures):
    write_run(tmp_path, 0, refused=refused)
    (block,) = blocks_of(tmp_path / "run-000", BLOCK_S)
    assert (block.refused, block.counts[0].failures) == (said, failures)
    assert block.requests == 225 - (len(refused) if said else 0)


@pytest.mark.parametrize(
    ("lasts_s", "block_s", "requests"),
    [(24, 4, [15, 12, 12, 12, 12, 12]), (600, 30, [6, 3, 3, 3, 6, *[3, 3, 3, 3, 6] * 3])],
    ids=["blocks shorter than a slice", "slices of 20 s across the ends of blocks"],
)
def test_a_long_run_is_cut_where_its_blocks_end(tmp_path, lasts_s, block_s, requests):
    """25 requests of each operation and cohort, evenly from 0 to a tenth of a second before the end."""
    write_run(tmp_path, 0, lasts_s=lasts_s)
    found = blocks_of(tmp_path / "run-000", block_s)
    assert [one.counts[0].requests for one in found] == requests
    assert [one.start_s - found[0].start_s for one in found] == [block_s * n for n in range(len(requests))]


def test_runs_of_two_targets_are_followed_and_held_against_the_old_environment(tmp_path):
    for number in range(BEFORE + AFTER):
        grown = number >= BEFORE
        write_run(tmp_path / ("grown" if grown else "before"), number, 0.5 * grown, beside=True)
    said = []
    watch(wanted(tmp_path, tmp_path / "state", "grown"), said.append)
    assert "times as long as in the old environment at the same moments" in said[-1]
    assert any(
        name.endswith("against the old environment") for name in decisions(tmp_path / "state")[-1]["shifts"]
    )


def test_quiet_runs_hold_with_a_reason_and_each_decision_has_its_block(quiet):
    found = decisions(quiet)
    assert [line["run"] for line in found] == [f"run-{n:03d}" for n in range(BEFORE, BEFORE + AFTER)]
    assert found[0]["reasons"][-1]["code"] == "settling"
    assert found[0]["block"]["start_s"] == BEGIN.timestamp() + BEFORE * BLOCK_S


@pytest.mark.parametrize("share", [0.0, 0.5, 0.77, 0.999])
def test_a_journal_torn_anywhere_goes_on_to_the_decisions_of_an_undisturbed_watch(runs, watched, grown, share):
    path = grown / "decisions.jsonl"
    os.truncate(path, int(share * path.stat().st_size))
    watch(wanted(runs, grown, "grown"), lambda line: None)
    assert decisions(grown) == decisions(watched / "grown")


def test_a_watch_that_is_killed_three_times_decides_as_one_that_nobody_disturbed(runs, watched, tmp_path):
    state = tmp_path / "state"
    kills = [sys.executable, "-m", "benchmarks.watch_survival", runs, state, "1", "4000", "9000"]
    said = subprocess.run(kills, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert said.split() == ["True"] * 3
    watch(wanted(runs, state, "grown"), lambda line: None)
    assert decisions(state) == decisions(watched / "grown")


@pytest.mark.parametrize("told_left", [True, False], ids=["this version's journal", "that of the one before"])
def test_a_watch_goes_on_with_the_rest_of_a_run_and_reads_no_other_again(runs, tmp_path, capsys, told_left):
    """Three runs of three blocks; the watch was killed after the first block of the third."""
    for number in range(4, 7):
        write_run(tmp_path / "long", number, lasts_s=3 * BLOCK_S)
    whole, state = tmp_path / "whole", tmp_path / "state"
    asked = {"follow": tmp_path / "long"}
    watch(wanted(runs, whole, **asked), lambda line: None)
    expected = decisions(whole)
    assert [line["run"] for line in expected] == [f"run-{4 + n // 3:03d}" for n in range(9)]
    shutil.copytree(whole, state)
    kept = expected[:7] if told_left else [{k: v for k, v in one.items() if k != "left"} for one in expected[:7]]
    text = "".join(json.dumps(line | {"written_s": 0.0}) + "\n" for line in kept)
    (state / "decisions.jsonl").write_text(text)
    (tmp_path / "long" / "run-004" / "run.json").write_text("not read again")
    watch(wanted(runs, state, **asked), lambda line: None)
    assert [one["block"] for one in decisions(state)] == [one["block"] for one in expected]
    assert ("left out" in capsys.readouterr().err) != told_left


def test_a_full_disk_is_said_and_waited_for_and_no_decision_is_lost_or_made_twice(runs, watched, tmp_path):
    state, said = tmp_path / "state", io.StringIO()
    watch(wanted(runs, state, "nothing there"), lambda line: None)
    (state / "decisions.jsonl").write_bytes(b"")
    watcher = threading.Thread(target=watch, args=(wanted(runs, state, "grown"), lambda line: None))
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, hard))  # no file of this process may be longer
    try:
        with contextlib.redirect_stderr(said):
            watcher.start()
            while watcher.is_alive() and "cannot be written" not in said.getvalue():
                watcher.join(0.05)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert "decisions.jsonl cannot be written (File too large); it is tried until it can" in said.getvalue()
    assert 1 <= len(decisions(state)) < AFTER
    watcher.join()
    assert decisions(state) == decisions(watched / "grown")


@pytest.mark.parametrize(
    ("jump_s", "number", "left_s"),
    [(0, 8, 13.0), (3600, 188, 13.0), (-3600, 8, 20.0)],
    ids=["no jump", "an hour ahead", "an hour back"],
)
def test_a_clock_that_jumps_neither_stops_the_watch_nor_repeats_a_block(jump_s, number, left_s):
    agreed = Agreed(block_s=BLOCK_S, settle_s=1, begun_s=1000.0, lasts_s=1e6, tolerance=0.1, source="s")
    now = Now(1000.0 + 8 * BLOCK_S + 7 + jump_s, 50.0)
    turn = turn_at(agreed, now, before=7)
    assert (turn.number, turn.left_s(now)) == (number, left_s)


def test_a_daily_profile_follows_the_clock_and_everything_else_is_cut_to_the_block():
    text = (
        "name: d\ncohorts: {c: {custom_fields: 0, cases: 1}}\nmix: {read_case: 1}\nduration_s: 60\nwarmup_s: 5\n"
    )
    steady = parse_scenario(text + "load: {rate_per_s: 1}\n", "d.yaml")
    daily = parse_scenario(text + "load: {rate_per_s: 1, daily: {starts_at_h: 8}}\n", "d.yaml")
    assert at_hour(steady, 45_000.0) == steady
    assert at_hour(daily, 10 * 86_400 + 45_000.0).load.daily.starts_at_h == 12.5
    cut = cut_to_block(daily, 300.0)
    assert (cut.warmup_s, cut.duration_s) == (5, 265)


def test_a_recording_is_refused_before_it_would_be_looked_for_beside_the_state(runs, tmp_path):
    text = "name: d\ncohorts: {c: {custom_fields: 0, cases: 1}}\nmix: {read_case: 1}\nduration_s: 9\nwarmup_s: 0\n"
    (tmp_path / "d.yaml").write_text(text + "load: {replay: a.csv}\n")
    (tmp_path / "a.csv").write_text("at_s\n0.5\n1\n")
    asked = wanted(runs, tmp_path / "state", follow=None, scenario=str(tmp_path / "d.yaml"), target="casedesk")
    with pytest.raises(InputError, match=r"scenario d has load\.replay, of which every block would send the same"):
        watch(asked, lambda line: None)


def test_of_quiet_days_one_run_an_hour_is_kept_and_then_one_a_day_and_what_was_news_stays(tmp_path):
    news = {0, 100, 700}
    for number in range(3 * 288):
        run_of(tmp_path, number).mkdir()
        thin(tmp_path, number, news=number in news)
    kept = {int(path.name[6:]) for path in tmp_path.iterdir()}
    assert kept == news | {288} | set(range(2 * 288, 3 * 288, 12))


def test_no_watch_no_decision_a_dead_watch_and_a_broken_journal_are_hold_for_the_gate(quiet, tmp_path):
    assert ask(tmp_path / "none", 0.0).verdict is Verdict.HOLD
    path = quiet / "decisions.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    clear = [line | {"verdict": "CLEAR", "sentence": "fine"} for line in lines if line["kind"] == "decision"]
    path.write_text("".join(json.dumps(line) + "\n" for line in clear))
    written_s = clear[-1]["written_s"]
    assert ask(quiet, written_s + 1).verdict is Verdict.CLEAR
    assert ask(quiet, written_s + 121).reason.startswith("the watch has been silent for 2 min")
    path.write_text(path.read_text()[:-30])  # torn: the decision before it counts
    assert ask(quiet, written_s + 1).verdict is Verdict.CLEAR
    path.write_text("not JSON\n" + path.read_text())
    assert "decisions.jsonl:1" in ask(quiet, written_s + 1).reason
    assert ask(quiet, written_s + 1).verdict is Verdict.HOLD
    path.write_text("")
    assert ask(quiet, written_s + 1).verdict is Verdict.HOLD


@pytest.mark.parametrize(("dead_s", "code"), [(60, 0), (3600, 10)])
def test_a_watch_that_is_begun_again_and_finds_its_window_over_is_clear_only_if_it_had_just_died(
    runs, quiet, dead_s, code
):
    age(quiet, dead_s, verdict="CLEAR", sentence="fine")
    assert watch(wanted(runs, quiet), lambda line: None) == code
    called("watch", "--state", quiet, "--note", "days later")
    answer = ask(quiet, time.time() + 1e6)
    assert answer.verdict is (Verdict.HOLD if code else Verdict.CLEAR)
    assert ("so nothing is known; was CLEAR" in answer.reason) is bool(code)


def test_a_note_and_an_event_are_kept_in_the_journal(quiet):
    for flag, text in (("--note", "deployed billing 7.1"), ("--seen", "failover")):
        CliRunner().invoke(cli, ["watch", "--state", str(quiet), flag, text], standalone_mode=False)
    assert [(line["kind"], line["text"]) for line in Journal(quiet).read()[-2:]] == [
        ("note", "deployed billing 7.1"),
        ("event", "failover"),
    ]


def test_decisions_after_a_note_are_marked_and_the_first_says_so(runs, quiet):
    (quiet / "decisions.jsonl").write_text("")
    called("watch", "--state", quiet, "--note", "deployed billing 7.1")
    said = []
    watch(wanted(runs, quiet), said.append)
    assert [line["note"]["text"] for line in decisions(quiet)] == ["deployed billing 7.1"] * AFTER
    assert ["[after: deployed billing 7.1]" in line for line in said] == [True] + [False] * (AFTER - 1)


def test_what_the_scenario_agreed_and_whom_it_drives_is_kept_with_the_watch(quiet):
    agreed = read_agreed(quiet)
    assert agreed.tenants == {10: ("t",), 100: ("t",), 500: ("t",)}
    assert [(one.operation, one.custom_fields, one.p95_s) for one in agreed.objectives] == [
        ("save_custom", 500, 0.8), ("read_case", 100, 0.4),
    ]  # fmt: skip


def test_a_peak_is_required_only_where_the_load_has_one(runs, tmp_path):
    with pytest.raises(InputError, match="--require peak: no hour of the baseline's day stands out"):
        watch(wanted(runs, tmp_path / "state", required_events=("peak",)), lambda line: None)


def test_a_second_watch_on_the_same_state_is_refused(runs, quiet):
    with only_watch(quiet), pytest.raises(InputError, match="another watch is at work"):
        watch(wanted(runs, quiet), lambda line: None)


def test_a_watch_does_not_go_on_under_other_terms(runs, quiet):
    with pytest.raises(InputError, match=r"--settle: the watch in .* was begun with 100 s, not 9 s"):
        watch(wanted(runs, quiet, settle_s=9.0), lambda line: None)


def test_a_baseline_that_is_too_short_is_refused_before_anything_is_written(runs, tmp_path):
    few = Wanted(**{name: getattr(wanted(runs, tmp_path / "state"), name) for name in Wanted.__slots__}
                 | {"baseline": (runs / "before" / "run-000",)})  # fmt: skip
    with pytest.raises(
        InputError, match="--baseline: a baseline of 1 usable blocks is too short; expected 10 or more"
    ):
        watch(few, lambda line: None)
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("words", [["--for", "72"], ["--every", "soon"], ["--for", "-1h"]])
def test_a_length_of_time_needs_its_unit(words, tmp_path):
    done = CliRunner().invoke(cli, ["watch", "--state", str(tmp_path), *words])
    assert "is no length of time; write 90s, 5m, 72h or 3d" in done.output
