"""Ways to stop a run of two workers while slow answers (2 s) are open, each told to the process that leads."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import httpx
import pytest
from command_line import savepath
from stub_server import Stub, stub_server
from test_loadgen_runs import PATIENCE_S, Case, free_port, start, words
from test_loadgen_workers import KNOWN, SCENARIO, SLOW_S, TARGET, rows

from loadgen.run_folder import RunFolder
from savepath.cleaned import tell_cleaned
from savepath.cleaning import Choice, clean
from scenarios.library import load_scenario
from scenarios.parts import Parts

pytestmark = pytest.mark.live

#: The mapping for who has no inventory: the cases are found, by an answer that is as slow as every other.
FOUND = (
    TARGET
    + """\
provision: {cases: {find: {request: GET /cases, items: cases, key: id}}}
clean_up: {case: "DELETE /cases/{{ case }}"}
"""
)
CASES = b'{"cases": [{"id": "1"}, {"id": "2"}, {"id": "3"}, {"id": "4"}]}'
#: By the name of a case: its answers are held back until this is set, so that some of its requests are open.
HELD: dict[str, threading.Event] = {}


@pytest.fixture(scope="module")
def slow() -> Iterator[Stub]:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(CASES)

    def answer(request: bytes, connection: socket.socket) -> bytes:
        time.sleep(SLOW_S)
        held = HELD.get(request.split(b"/")[1].decode())
        if held is not None:
            held.wait(PATIENCE_S)
        return head + CASES

    with stub_server(answer) as stub:
        yield stub


@pytest.fixture(scope="module")
def room(tmp_path_factory) -> Path:
    room = tmp_path_factory.mktemp("room")
    texts = {
        "slow.yaml": SCENARIO.replace("timeout_s: 10", f"timeout_s: {PATIENCE_S:g}"),
        "desk.yaml": TARGET,
        "found.yaml": FOUND,
        "known.json": KNOWN.model_dump_json(),
    }
    for name, text in texts.items():
        (room / name).write_text(text)
    return room


def begin(name: str, room: Path, slow: Stub, *more: str) -> Case:
    """A leader and its workers, whose requests carry the name of the case."""
    known = ("--target", str(room / "desk.yaml"), "--inventory", str(room / "known.json"), "--workers", "2")
    return start(words(room / "slow.yaml", room / name, f"{slow.url}/{name}", *known, *more), room / name)


def asked(slow: Stub, name: str) -> int:
    return sum(request.startswith(f"GET /{name}/cases/".encode()) for request in slow.requests)


def until_both_recorded(case: Case, folder: Path | None = None) -> None:
    made = RunFolder(folder or case.folder)
    case.until(lambda: all(len(rows(made, worker)) > 2 for worker in (0, 1)))


def hold_answers(case: Case, slow: Stub) -> None:
    """From now on some of its requests are open, however slow this machine is; until ``HELD`` lets them go."""
    name = case.folder.name
    HELD[name] = threading.Event()
    so_far = asked(slow, name)
    case.until(lambda: asked(slow, name) > so_far)


def is_stopping(case: Case) -> bool:
    return json.loads((case.folder / "progress.json").read_text())["phase"] == "drain"


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def child_of(case: Case) -> int:
    """The only one that it has."""
    (child,) = Path(f"/proc/{case.process.pid}/task/{case.process.pid}/children").read_text().split()
    return int(child)


def running(session_led_by: int) -> list[int]:
    """The processes of a session that live: each case is one of its own, and so is a leader that has a parent."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session = stat.read_text().rpartition(")")[2].split()[:4]
        except OSError:  # it has just ended
            continue
        if int(session) == session_led_by and state != "Z":
            found.append(int(stat.parent.name))
    return found


@pytest.fixture
def led(room, slow) -> Iterator[Case]:
    """A run by ``savepath run``, whose child is the leader."""
    command = [sys.executable, "-m", "savepath", "run", str(room / "slow.yaml"), "--out", str(room / "led")]
    command += ["--target", str(room / "found.yaml"), "--set", f"base_url={slow.url}/led", "--workers", "2"]
    case = start(command, room / "led")
    try:
        yield case
    finally:
        case.end()


@pytest.fixture(scope="module")
def ends(room, slow) -> Iterator[Mapping[str, Case]]:
    """All of them at the same time, as they wait most of it."""
    cases = {name: begin(name, room, slow, "--headless") for name in ("term", "twice")}
    cases["run-time"] = begin("run-time", room, slow, "--headless", "--run-time", "3s")
    try:
        for name in ("term", "twice"):
            until_both_recorded(cases[name])
            if name == "twice":
                hold_answers(cases[name], slow)
            cases[name].process.send_signal(signal.SIGTERM)
        cases["twice"].until(lambda: is_stopping(cases["twice"]))
        cases["twice"].process.send_signal(signal.SIGINT)
        for case in cases.values():
            case.wait()
        yield cases
    finally:
        for held in HELD.values():
            held.set()
        for case in cases.values():
            case.end()


def refuse_loss(folder: RunFolder, asked: int) -> None:
    """Everything that was sent was awaited, and is in the run and in its ledger once."""
    ledger, samples = folder.read().ledger, folder.read_samples()
    assert (ledger.closes, ledger.aborted, ledger.lost) == (True, 0, 0)
    assert ledger.recorded == len(samples) == asked
    assert set(samples["outcome"]) == {"ok"}
    for worker in (0, 1):  # each hears of the end in a moment of its own
        sent = samples.loc[samples["worker"] == worker, "seq"].tolist()
        assert sent == plan_of(worker, folder)[: len(sent)]


def plan_of(worker: int, folder: RunFolder) -> list[int]:
    return [one.seq for one in Parts(load_scenario(str(folder.path.parent / "slow.yaml")), 2).arrivals(worker)]


@pytest.mark.parametrize(
    ("name", "code", "reason"), [("term", 143, "SIGTERM"), ("run-time", 0, "--run-time was over")]
)
def test_a_run_of_two_workers_ends_in_order_with_all_that_was_sent_in_its_ledger(ends, slow, name, code, reason):
    case = ends[name]
    assert case.process.returncode == code, case.said
    assert (case.info.status, case.info.reason.startswith(reason)) == ("interrupted", True)
    refuse_loss(RunFolder(case.folder), asked(slow, name))
    by_worker = RunFolder(case.folder).read_samples()["worker"].value_counts().reindex([0, 1], fill_value=0)
    assert {worker.worker: worker.recorded for worker in case.info.workers} == by_worker.to_dict()
    assert "Traceback" not in case.said


def test_the_second_signal_ends_leader_and_workers_at_once_and_keeps_what_was_recorded(ends, slow):
    case = ends["twice"]
    assert case.process.returncode == 130
    kept = sum(len(rows(RunFolder(case.folder), worker)) for worker in (0, 1))
    assert 4 < kept < asked(slow, "twice")  # what was open was not awaited
    assert not (case.folder / "run.json").exists()


def test_workers_whose_leader_is_killed_await_what_is_open_and_end_and_every_command_says_that_it_is_no_run(
    led, slow
):
    until_both_recorded(led)
    hold_answers(led, slow)
    leader = child_of(led)
    assert len(running(leader)) == 3
    os.kill(leader, signal.SIGKILL)
    led.wait()
    HELD["led"].set()
    said = f"the load generator was killed (SIGKILL) and left no run in {led.folder}; what it recorded is in"
    assert (led.process.returncode, said in led.said) == (4, True), led.said
    until(lambda: not running(leader))
    folder = RunFolder(led.folder)
    found = {worker: rows(folder, worker) for worker in (0, 1)}
    assert sum(map(len, found.values())) == asked(slow, "led")
    for worker, samples in found.items():
        assert {row["outcome"] for row in samples} == {"ok"}
        assert sorted(row["seq"] for row in samples) == plan_of(worker, folder)[: len(samples)]
    for command in (("show", led.folder), ("compare", "--before", led.folder, "--after", led.folder)):
        done = savepath(*command)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"{led.folder} has no run.json: the run is unfinished" in done.stderr
        assert re.search("killed, or is still going on; last heard of .* UTC: measure, [0-9]+ req", done.stderr)
    cleaned = clean([led.folder], Choice(), lambda _: None, settle_s=0)
    assert "remains of runs, by tenant: 1 left" in tell_cleaned(cleaned)  # it knows which tokens were sent


def test_nothing_is_left_running(ends):
    until(lambda: not any(running(case.process.pid) for case in ends.values()))


def test_the_stop_button_ends_a_run_of_two_workers_in_order_and_ctrl_c_the_one_that_is_begun_after_it(room, slow):
    port = free_port()
    web = f"http://127.0.0.1:{port}"
    case = begin("web", room, slow, "--web-host", "127.0.0.1", "--web-port", str(port))

    def answers() -> bool:
        try:
            return httpx.get(web, trust_env=False).is_success
        except httpx.TransportError:
            return False

    try:
        case.until(answers)
        for folder in (room / "web", room / "web-2"):
            httpx.post(f"{web}/swarm", data={"user_count": 1, "spawn_rate": 1}, trust_env=False).raise_for_status()
            until_both_recorded(case, folder)
            if folder.name == "web":
                httpx.post(f"{web}/stop", timeout=PATIENCE_S, trust_env=False).raise_for_status()
        case.process.send_signal(signal.SIGINT)
        case.wait()
        until(lambda: not running(case.process.pid))
    finally:
        case.end()
    first = RunFolder(room / "web").read().ledger.recorded
    for name, number in (("web", first), ("web-2", asked(slow, "web") - first)):
        refuse_loss(RunFolder(room / name), number)
    assert [RunFolder(room / name).read().reason for name in ("web", "web-2")] == [
        "stopped before the schedule was through", "SIGINT",
    ]  # fmt: skip
    assert case.process.returncode == 130
