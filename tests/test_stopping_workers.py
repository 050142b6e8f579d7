"""Ways to stop a run of two workers while slow answers (2 s) are open, each told to the process that leads."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import httpx
import pytest
from stub_server import OK, Stub, stub_server
from test_loadgen_runs import PATIENCE_S, Case, free_port, start, words
from test_loadgen_workers import KNOWN, SCENARIO, SLOW_S, TARGET, rows

from loadgen.run_folder import RunFolder
from scenarios.library import load_scenario
from scenarios.parts import Parts

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def slow() -> Iterator[Stub]:
    def answer(request: bytes, connection: socket.socket) -> bytes:
        time.sleep(SLOW_S)
        return OK

    with stub_server(answer) as stub:
        yield stub


@pytest.fixture(scope="module")
def room(tmp_path_factory) -> Path:
    room = tmp_path_factory.mktemp("room")
    for name, text in (("slow.yaml", SCENARIO), ("desk.yaml", TARGET), ("known.json", KNOWN.model_dump_json())):
        (room / name).write_text(text)
    return room


def begin(name: str, room: Path, slow: Stub, *more: str) -> Case:
    """A leader and its workers, whose requests carry the name of the case."""
    known = ("--target", str(room / "desk.yaml"), "--inventory", str(room / "known.json"), "--workers", "2")
    return start(words(room / "slow.yaml", room / name, f"{slow.url}/{name}", *known, *more), room / name)


def asked(slow: Stub, name: str) -> int:
    return sum(request.startswith(f"GET /{name}/".encode()) for request in slow.requests)


def until_both_recorded(case: Case, folder: Path | None = None) -> None:
    made = RunFolder(folder or case.folder)
    case.until(lambda: all(len(rows(made, worker)) > 2 for worker in (0, 1)))


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def running(case: Case) -> list[int]:
    """The processes of the case that live: each case is a session of its own."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session = stat.read_text().rpartition(")")[2].split()[:4]
        except OSError:  # it has just ended
            continue
        if int(session) == case.process.pid and state != "Z":
            found.append(int(stat.parent.name))
    return found


@pytest.fixture(scope="module")
def ends(room, slow) -> Iterator[Mapping[str, Case]]:
    """All of them at the same time, as they wait most of it."""
    cases = {name: begin(name, room, slow, "--headless") for name in ("term", "twice")}
    cases["run-time"] = begin("run-time", room, slow, "--headless", "--run-time", "3s")
    try:
        for name in ("term", "twice"):
            until_both_recorded(cases[name])
            cases[name].process.send_signal(signal.SIGTERM)
        time.sleep(0.3)  # somebody who has no patience
        cases["twice"].process.send_signal(signal.SIGINT)
        for case in cases.values():
            case.wait()
        yield cases
    finally:
        for case in cases.values():
            case.process.kill()
            case.process.wait()


def refuse_loss(folder: RunFolder, asked: int) -> None:
    """Everything that was sent was awaited, and is in the run and in its ledger once."""
    ledger, samples = folder.read().ledger, folder.read_samples()
    assert (ledger.closes, ledger.aborted, ledger.lost) == (True, 0, 0)
    assert ledger.recorded == len(samples) == asked
    assert set(samples["outcome"]) == {"ok"}
    for worker in (0, 1):  # each hears of the end in a moment of its own
        mine = [one.seq for one in Parts(load_scenario(str(folder.path.parent / "slow.yaml")), 2).arrivals(worker)]
        sent = samples.loc[samples["worker"] == worker, "seq"].tolist()
        assert sent == mine[: len(sent)]


@pytest.mark.parametrize(
    ("name", "code", "reason"), [("term", 143, "SIGTERM"), ("run-time", 0, "--run-time was over")]
)
def test_a_run_of_two_workers_ends_in_order_with_all_that_was_sent_in_its_ledger(ends, slow, name, code, reason):
    case = ends[name]
    assert case.process.returncode == code, case.said
    assert (case.info.status, case.info.reason.startswith(reason)) == ("interrupted", True)
    refuse_loss(RunFolder(case.folder), asked(slow, name))
    assert "Traceback" not in case.said


def test_the_second_signal_ends_leader_and_workers_at_once_and_keeps_what_was_recorded(ends, slow):
    case = ends["twice"]
    assert case.process.returncode == 130
    kept = sum(len(rows(RunFolder(case.folder), worker)) for worker in (0, 1))
    # 40 were open, and none of them was awaited.
    assert 4 < kept <= asked(slow, "twice") - 20
    assert not (case.folder / "run.json").exists()


def test_nothing_is_left_running(ends):
    until(lambda: not any(running(case) for case in ends.values()))


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
        until(lambda: not running(case))
    finally:
        case.process.kill()
        case.process.wait()
    first = RunFolder(room / "web").read().ledger.recorded
    for name, number in (("web", first), ("web-2", asked(slow, "web") - first)):
        refuse_loss(RunFolder(room / name), number)
    assert [RunFolder(room / name).read().reason for name in ("web", "web-2")] == [
        "stopped before the schedule was through", "SIGINT",
    ]  # fmt: skip
    assert case.process.returncode == 130
