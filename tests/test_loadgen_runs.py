"""Whole runs of plain Locust against casedesk: how they end, what they leave, what they find."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from analysis.samples import SAMPLE_COLUMNS
from casedesk.process import RunningDesk, running_desk
from loadgen.run_folder import RunFolder
from loadgen.run_info import RunInfo
from loadgen.shards import read_shard
from scenarios.arrivals import arrivals
from scenarios.library import parse_scenario
from targets.mapping import load_target
from targets.provisioning import provision

pytestmark = pytest.mark.live

LOCUSTFILE = Path(__file__).parent.parent / "locustfiles" / "save_path.py"
PATIENCE_S = 100.0

TINY = """\
name: tiny
cohorts:
  none: {custom_fields: 0, cases: 5}
  some: {custom_fields: 10, cases: 5, scripts_on_save: 2}
mix: {read_case: 3, save_standard: 3, save_custom: 4, run_script: 1, send_email: 2, send_batch: 1}
load: {rate_per_s: 30}
warmup_s: 0.3
duration_s: 1.5
batch_size: 3
verification: {settle_s: 0.1, read_back_share: 1, rate_per_s: 100}
"""
LONG = TINY.replace("duration_s: 1.5", "duration_s: 60")
GUARDED = LONG + "abort: [p50 > 0 ms over 1 s]\n"


@dataclass
class Case:
    """A Locust process and the run folder that it was told to make."""

    process: subprocess.Popen[str]
    folder: Path
    said: str = ""

    @property
    def info(self) -> RunInfo:
        return RunFolder(self.folder).read()

    def wait(self) -> None:
        _, self.said = self.process.communicate(timeout=PATIENCE_S)

    def end(self) -> None:
        """Leave nothing of it, whatever became of the test: an open pipe would be blamed on a later one."""
        self.process.kill()
        self.process.wait()
        assert self.process.stderr is not None
        self.process.stderr.close()

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def until_recorded(self, folder: Path | None = None) -> None:
        shard = RunFolder(folder or self.folder).shard(0, "samples")
        self.until(lambda: shard.exists() and read_shard(shard, SAMPLE_COLUMNS).num_rows > 5)


def words(scenario: Path, folder: Path, url: str, *more: str) -> list[str]:
    said = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--only-summary", "--scenario", str(scenario)]
    return [*said, "--set", f"base_url={url}", "--run-dir", str(folder), *more]


def start(command: list[str], folder: Path) -> Case:
    process = subprocess.Popen(
        command, cwd=folder.parent, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    return Case(process, folder)


def beneath(command: list[str], then: str) -> list[str]:
    """The command as the child of a process that then does something, or ends; it is told which that is."""
    code = f"child = subprocess.Popen([*{command!r}, '--stop-with-parent', str(os.getpid())])"
    return [sys.executable, "-c", f"import os, subprocess\n{code}\n{then}"]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@pytest.fixture(scope="module")
def desk() -> Iterator[RunningDesk]:
    with running_desk() as running:
        yield running


@pytest.fixture(scope="module")
def room(desk, tmp_path_factory) -> Path:
    """The scenario files, and the tenants and cases of them on the desk."""
    room = tmp_path_factory.mktemp("room")
    for name, text in (("tiny", TINY), ("long", LONG), ("guarded", GUARDED)):
        (room / f"{name}.yaml").write_text(text)
    target = load_target("casedesk", {"base_url": desk.url})
    inventory = provision(target, parse_scenario(TINY, "tiny.yaml"), os.environ, lambda *_: None)
    (room / "inventory.json").write_text(inventory.model_dump_json())
    return room


@pytest.fixture(scope="module")
def ends(desk, room) -> Iterator[Mapping[str, Case]]:
    """Ways in which a run ends, all at the same time: most of them wait most of the time.

    How it ends after one Ctrl-C or two, and where the target is gone, ``test_cli`` sees through ``savepath run``;
    after a request to terminate or a time, ``test_stopping_workers``.
    """
    known = ["--headless", "--inventory", str(room / "inventory.json")]
    cases: dict[str, Case] = {}

    def begin(name: str, scenario: str, url: str, *more: str) -> None:
        cases[name] = start(words(room / f"{scenario}.yaml", room / name, url, *more), room / name)

    try:
        begin("complete", "tiny", desk.url, *known, "--label", "side=before", "--purpose", "a test")
        begin("rule", "guarded", desk.url, *known)
        begin("down", "tiny", "http://127.0.0.1:9", *known)
        orphan = words(room / "long.yaml", room / "born-orphan", desk.url, *known)
        cases["born-orphan"] = start(beneath(orphan, then=""), room / "born-orphan")
        for case in cases.values():
            case.wait()
        yield cases
    finally:
        for case in cases.values():
            case.end()


@pytest.mark.parametrize(
    ("name", "code", "status", "reason"),
    [
        ("complete", 0, "complete", ""),
        ("rule", 4, "aborted", "p50 > 0 ms over 1 s: it is .* m?s"),
    ],
)
def test_a_run_ends_with_its_code_its_status_and_its_reason(ends, name, code, status, reason):
    case = ends[name]
    assert case.process.returncode == code, case.said
    assert (case.info.status, bool(re.fullmatch(reason, case.info.reason))) == (status, True)
    assert "Traceback" not in case.said


@pytest.mark.parametrize("name", ["complete", "rule"])
def test_nothing_is_lost_however_a_run_ends(ends, name):
    ledger, samples = ends[name].info.ledger, RunFolder(ends[name].folder).read_samples()
    assert ledger.closes
    assert (samples["outcome"] != "aborted").sum() == ledger.recorded
    assert samples["seq"].tolist() == list(range(ledger.scheduled - ledger.unsent))
    assert f"{ledger}" in ends[name].said


def test_a_run_that_came_to_its_end_has_sent_the_whole_schedule(ends):
    planned = list(arrivals(parse_scenario(TINY, "tiny.yaml")))
    samples = RunFolder(ends["complete"].folder).read_samples()
    assert samples["scheduled_s"].tolist() == [round(a.at_s, 6) for a in planned]
    assert samples["operation"].tolist() == [str(a.operation) for a in planned]
    assert ends["complete"].info.ledger.unsent == 0


def test_what_was_said_of_a_run_stands_in_its_facts(ends):
    info = ends["complete"].info
    assert (info.labels, info.purpose) == ({"side": "before"}, "a test")
    assert (info.id, info.scenario, info.target) == ("complete", "tiny", "casedesk")
    assert info.fingerprint["disk"] == "healthy"
    assert (info.stored_cases, info.generator.in_flight_peak >= 1) == (10, True)


def test_the_progress_of_a_finished_run_says_done(ends):
    progress = json.loads((ends["complete"].folder / "progress.json").read_text())
    ledger = ends["complete"].info.ledger
    assert (progress["phase"], progress["scheduled"], progress["recorded"]) == (
        "done", ledger.scheduled, ledger.recorded,
    )  # fmt: skip


def test_every_save_ran_its_scripts_once_and_every_mail_arrived_once(ends):
    folder = RunFolder(ends["complete"].folder)
    samples, effects = folder.read_samples(), folder.read_effects()
    saves = samples[samples["operation"].isin(["save_standard", "save_custom", "run_script"])]
    expected = {(seq, f"script-{n}") for seq, fields in zip(saves["seq"], saves["custom_fields"], strict=True)
                for n in ((1, 2) if fields else (1,))}  # fmt: skip
    scripts, mails = effects[effects["kind"] == "script"], effects[effects["kind"] == "mail"]
    assert set(zip(scripts["seq"], scripts["name"], strict=True)) == expected
    sent = (samples["operation"] == "send_email").sum() + 3 * (samples["operation"] == "send_batch").sum()
    assert len(mails) == sent
    assert set(scripts["outcome"]) | set(mails["outcome"]) == {"once"}


def test_what_cannot_begin_says_so_and_leaves_the_reason(ends):
    case, message = ends["down"], "does not answer at http://127.0.0.1:9"
    failure = json.loads((case.folder / "failure.json").read_text())
    assert (case.process.returncode, failure["exit_code"]) == (4, 4)
    assert message in failure["message"]
    assert message in case.said
    assert "Traceback" not in case.said
    assert not (case.folder / "run.json").exists()


def test_a_run_whose_parent_is_gone_before_it_could_look_does_not_begin(ends):
    folder = RunFolder(ends["born-orphan"].folder)
    assert not (folder.path / "run.json").exists()
    assert [read_shard(one, SAMPLE_COLUMNS).num_rows for one in folder.shards_of(0, "samples")] in ([], [0])


def test_the_web_interface_stops_and_starts_runs_each_with_a_folder_of_its_own(desk, room):
    port = free_port()
    web = f"http://127.0.0.1:{port}"
    more = ["--inventory", str(room / "inventory.json"), "--web-port", str(port)]
    case = start(words(room / "long.yaml", room / "web", desk.url, *more), room / "web")

    def answers() -> bool:
        try:
            return httpx.get(web, trust_env=False).is_success
        except httpx.TransportError:
            return False

    def seen(tab: str) -> list[dict[str, object]]:
        told = httpx.get(f"{web}/stats/requests", trust_env=False).json()["extended_stats"]
        return next(one["data"] for one in told if one["key"] == tab)

    try:
        case.until(answers)
        page = httpx.get(web, trust_env=False).text
        for folder in (room / "web", room / "web-2"):
            httpx.post(f"{web}/swarm", data={"user_count": 1, "spawn_rate": 1}, trust_env=False).raise_for_status()
            case.until_recorded(folder)
            case.until(lambda: bool(seen("by-custom-fields")))
            httpx.post(f"{web}/stop", timeout=PATIENCE_S, trust_env=False).raise_for_status()
            assert RunFolder(folder).read().ledger.closes
        case.process.send_signal(signal.SIGINT)
        case.wait()
    finally:
        case.end()
    assert case.process.returncode == 130
    assert '"title": "By custom fields"' in page
    assert [RunFolder(room / name).read().status for name in ("web", "web-2")] == ["interrupted"] * 2


def test_a_run_ends_in_order_when_its_parent_is_gone(desk, room):
    folder = room / "orphan"
    command = words(
        room / "long.yaml", folder, desk.url, "--headless", "--inventory", str(room / "inventory.json")
    )
    parent = start(beneath(command, then="child.wait()"), folder)
    try:
        parent.until_recorded()
    finally:
        parent.process.kill()
        # The child holds the same pipe: it is through when the pipe is closed.
        parent.wait()
    info = parent.info
    assert (info.status, info.reason, info.ledger.closes) == ("interrupted", "the parent process ended", True)
