"""Several workers on one plan: how each way to stop ends with slow answers open, and what a lost one leaves."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
import pyarrow as pa
import pytest
from stub_server import OK, Stub, stub_server

from analysis.samples import EFFECT_COLUMNS, SAMPLE_COLUMNS
from loadgen.chosen import ChosenTarget, Workers
from loadgen.ending import Progress, progress_of_all
from loadgen.messages import Channel, Known, Leave, Order, Ready, Second, Start, Stop
from loadgen.plan import plan_for
from loadgen.run_folder import RunFolder
from loadgen.session import Session
from loadgen.settings import Settings
from loadgen.shards import read_shard, shard_schema
from loadgen.tables import call_foreign
from scenarios.library import load_scenario
from scenarios.parts import Parts
from targets.inventory import Inventory, TenantInventory
from tests.run_examples import driven

PATIENCE_S = 100.0
SLOW_S = 2.0

SCENARIO = """\
name: slow
cohorts: {some: {custom_fields: 0, cases: 4, scripts_on_save: 0}}
mix: {read_case: 1}
load: {rate_per_s: 20, arrivals: constant, timeout_s: 10}
warmup_s: 0
duration_s: 60
"""
TARGET = """\
name: slow-desk
base_url: http://127.0.0.1:9
environment: test
warm_up: 0
operations: {read_case: {request: "GET /cases/{{ case }}"}}
"""
KNOWN = Inventory(tenants={"slow-some-01": TenantInventory(cases=("1", "2", "3", "4"))})


@pytest.fixture
def slow() -> Iterator[Stub]:
    def answer(request: bytes, connection: socket.socket) -> bytes:
        time.sleep(SLOW_S)
        return OK

    with stub_server(answer) as stub:
        yield stub


@pytest.fixture
def room(tmp_path) -> Path:
    for name, text in (("slow.yaml", SCENARIO), ("desk.yaml", TARGET), ("known.json", KNOWN.model_dump_json())):
        (tmp_path / name).write_text(text)
    return tmp_path


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        gevent.sleep(0.05)


def rows(folder: RunFolder, worker: int):
    return [
        row for path in folder.shards_of(worker, "samples") for row in read_shard(path, SAMPLE_COLUMNS).to_pylist()
    ]


def children() -> dict[int, list[str]]:
    """The processes that this one has started, with their command lines."""
    found = {}
    for listed in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):  # a thread that has just ended
            for pid in listed.read_text().split():
                found[int(pid)] = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return found


@pytest.mark.live
def test_a_killed_worker_is_said_by_its_number_and_the_run_is_void_and_the_others_lose_nothing(slow, room):
    chosen = ChosenTarget(str(room / "desk.yaml"), {"base_url": slow.url}, room / "known.json")
    session = Session(
        Settings(str(room / "slow.yaml"), chosen, run_dir=room / "run", workers=Workers(2)), say=lambda _: None
    )
    session.prepare()
    pids = [pid for pid, words in children().items() if "loadgen.worker" in words]
    session.start()
    until(lambda: len(rows(session.folder, 0)) > 4 and len(rows(session.folder, 1)) > 4)
    os.kill(max(pids), signal.SIGKILL)
    assert session.finished.wait(PATIENCE_S)
    info, samples = session.folder.read(), session.folder.read_samples()
    told = rf"worker 1 \(process {max(pids)}\) was killed \(SIGKILL\) ([\d.]+) s into the measured window; .* void"
    found = re.fullmatch(told, info.reason)
    assert (info.status, bool(found), session.ending.exit_code) == ("aborted", True, 4)
    assert (info.ledger.closes, info.ledger.aborted, info.ledger.unsent > 0) == (True, 0, True)
    assert f"+ lost {info.ledger.lost}" in str(info.ledger)
    whole, lost = info.workers
    # Lost is what was due until it was missed, a moment told to .1 s, and has no row: at least what was sent.
    mine = [one.at_s for one in Parts(load_scenario(str(room / "slow.yaml")), 2).arrivals(1)]
    first, last = (sum(at_s <= float(found[1]) + slip_s for at_s in mine) for slip_s in (-0.06, 0.06))
    assert first <= info.ledger.lost + lost.recorded <= last
    assert info.ledger.lost >= len(slow.requests) - len(samples) > 0
    assert (whole.reason, whole.lost, whole.recorded) == ("", 0, (samples["worker"] == 0).sum())
    assert (lost.lost, lost.recorded) == (info.ledger.lost, (samples["worker"] == 1).sum())
    assert not [words for words in children().values() if "loadgen.worker" in words]


@pytest.fixture
def worker(slow, room) -> Iterator[tuple[subprocess.Popen[bytes], Channel, RunFolder]]:
    """Worker 1 of two, driving; the test leads it."""
    folder = RunFolder(room / "run")
    folder.create()
    chosen = ChosenTarget(str(room / "desk.yaml"), {"base_url": slow.url})
    plan = plan_for(load_scenario(str(room / "slow.yaml")), [chosen.load(allow_python=False)])
    known = Known(mapping=chosen.mapping, variables=dict(chosen.variables), fingerprint={}, inventory=KNOWN)
    ours, theirs = socket.socketpair()
    process = subprocess.Popen(
        [sys.executable, "-m", "loadgen.worker", "--channel", str(theirs.fileno())], pass_fds=[theirs.fileno()]
    )
    theirs.close()
    ours.settimeout(PATIENCE_S)
    channel = Channel(ours)
    try:
        channel.send(
            Order(
                worker=1,
                workers=2,
                scenario=str(room / "slow.yaml"),
                targets={"": known},
                folder=str(folder.path),
                run_key="0123456789",
                plan_digest=plan.digest,
                client="measured",
                allow_python=False,
            )
        )
        messages = channel.messages()
        assert isinstance(next(messages), Ready)
        channel.send(Start(zero_s=time.monotonic() + 0.1))
        while not (isinstance(said := next(messages), Second) and said.progress.recorded > 4):
            pass
        yield process, channel, folder
    finally:
        channel.close()
        process.kill()
        process.wait()


@pytest.mark.live
def test_a_worker_asks_for_the_end_when_it_is_terminated_and_ends_in_order_when_its_leader_is_gone(worker, slow):
    process, channel, folder = worker
    process.send_signal(signal.SIGTERM)
    stop = next(message for message in channel.messages() if isinstance(message, Stop))
    assert (stop.ending.status, stop.ending.reason) == ("interrupted", "worker 1 was told to end (SIGTERM)")
    assert process.poll() is None
    channel.close()
    assert process.wait(PATIENCE_S) == 4  # nobody took its counts
    found = rows(folder, 1)
    assert (len(found), {row["outcome"] for row in found}) == (len(slow.requests), {"ok"})
    mine = [one.seq for one in Parts(load_scenario(str(folder.path.parent / "slow.yaml")), 2).arrivals(1)]
    assert sorted(row["seq"] for row in found) == mine[: len(found)]


@pytest.mark.live
def test_a_worker_that_must_leave_at_once_keeps_what_is_recorded(worker, slow):
    process, channel, folder = worker
    channel.send(Leave())
    assert process.wait(PATIENCE_S) == 1
    assert 4 < len(rows(folder, 1)) <= len(slow.requests) - 15


def test_the_progress_of_several_workers_is_that_of_the_last_of_them():
    parts = [
        Progress(phase="verify", recorded=10, failures=1, pending_effects=2),
        Progress(phase="drain", recorded=5, in_flight=3, lag_p99_s=0.02),
    ]
    assert progress_of_all(parts) == Progress(
        phase="drain", recorded=15, failures=1, in_flight=3, pending_effects=2, lag_p99_s=0.02
    )


def test_a_value_that_one_worker_calls_lost_and_another_has_seen_is_foreign(tmp_path):
    rows = RunFolder(driven(tmp_path / "run")).read_effects().to_dict("records")[:4]
    outcomes = ("lost", "identical", "lost", "lost")
    for row, kind, outcome in zip(rows, ("value", "value", "script", "value"), outcomes, strict=True):
        row.update(kind=kind, outcome=outcome)
    effects = pa.Table.from_pylist(rows, schema=shard_schema(EFFECT_COLUMNS))
    changed, moved = call_foreign(effects, {row["seq"] for row in rows[:3]})
    assert changed["outcome"].to_pylist() == ["foreign", "identical", "lost", "lost"]
    assert moved == {"": 1}
