"""Workers of other machines: a cut wire costs nothing, a dead worker is said, a piece is not counted twice."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import gevent
import gevent.socket
import pytest
from stub_server import OK, stub_server
from test_loadgen_workers import KNOWN, SCENARIO, TARGET

from analysis.samples import SAMPLE_COLUMNS
from loadgen.admission import SLIPS, Door
from loadgen.chosen import ChosenTarget
from loadgen.hands import Guest
from loadgen.messages import (
    Ask,
    Channel,
    Done,
    Hello,
    Known,
    Message,
    Order,
    Over,
    Piece,
    Ready,
    Refused,
    Start,
    Tell,
)
from loadgen.pieces import PIECE_BYTES, WINDOW_BYTES, Courier, Shelf, piece_of
from loadgen.plan import plan_for
from loadgen.reception import GREETING_S, Reception
from loadgen.run_folder import RunFolder
from loadgen.shards import read_shard
from loadgen.shipping import stays_below
from scenarios.library import load_scenario
from scenarios.parts import Parts

TRIED = subprocess.run(
    ["unshare", "-n", "ip", "link", "add", "one-end", "type", "veth", "peer", "name", "the-other"],
    capture_output=True, text=True,
)  # fmt: skip


@pytest.mark.live
@pytest.mark.skipif(TRIED.returncode != 0, reason=f"no network namespaces here: {TRIED.stderr.strip()}")
def test_a_worker_that_is_cut_off_for_a_while_loses_nothing_and_one_that_is_killed_makes_the_run_void(tmp_path):
    scenario = SCENARIO.replace("timeout_s: 10", "timeout_s: 2")
    for name, text in (("slow.yaml", scenario), ("desk.yaml", TARGET), ("known.json", KNOWN.model_dump_json())):
        (tmp_path / name).write_text(text)
    here = Path(__file__).parent
    done = subprocess.run(
        ["unshare", "-n", sys.executable, str(here / "two_machines.py"), str(tmp_path)],
        capture_output=True, text=True, timeout=280, env={**os.environ, "TOKEN": "known to both"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    lonely, mortal = told["lonely"], 1 - told["lonely"]
    assert told["grown_in_the_cut"][lonely] == 0 < told["grown_in_the_cut"][mortal]
    assert (told["status"], told["closes"]) == ("aborted", True)
    said = (
        f"worker {mortal} (on {socket.gethostname()}) hung up and did not come back within 10 s and was given up "
    )
    assert told["reason"].startswith(said)
    samples = RunFolder(tmp_path / "run").read_samples()
    plan = load_scenario(str(tmp_path / "slow.yaml"))
    mine = [one.seq for one in Parts(plan, 2).arrivals(lonely)]
    found = samples[samples["worker"] == lonely]
    assert found["seq"].tolist() == mine[: len(found)]
    assert set(found["outcome"]) == {"ok", "timeout"}
    assert told["ledger"]["lost"] >= 88  # in any 10 s of silence its plan has so many at least


def test_pieces_arrive_once_however_often_they_are_sent(tmp_path):
    away, home = tmp_path / "away", tmp_path / "home"
    for folder in (away, home):
        folder.mkdir()
    shard = away / "worker-1-samples.arrow"
    shard.write_bytes(os.urandom(3 * PIECE_BYTES + 10))
    shelf, sent = Shelf(home, 1), []
    courier = Courier(away, lambda piece: sent.append(piece) or True)
    courier.go()
    for piece in sent[:2]:
        courier.took(shelf.take(piece))
    shelf.take(sent[0])  # again
    again = shelf.take(sent[2]).model_copy(update={"again": True})  # the line broke before it was acknowledged
    assert not courier.is_done
    courier.took(again)
    with shard.open("ab") as file:
        file.write(b"what came meanwhile")
    sent.clear()
    courier.go()
    for piece in sent:
        courier.took(shelf.take(piece))
    assert courier.is_done
    assert (home / shard.name).read_bytes() == shard.read_bytes()


def test_no_more_than_a_window_is_on_its_way(tmp_path):
    (tmp_path / "worker-0-samples.arrow").write_bytes(bytes(4 * WINDOW_BYTES))
    sent = []
    Courier(tmp_path, lambda piece: sent.append(len(piece.data)) or True).go()
    assert sum(sent) == WINDOW_BYTES


@pytest.mark.parametrize(
    ("piece", "told"),
    [
        (piece_of("worker-1-samples.arrow", 0, b"x"), "no piece of a shard of its own"),
        (piece_of("../worker-0-samples.arrow", 0, b"x"), "no piece of a shard of its own"),
        (piece_of("worker-0-samples.arrow", 1, b"x"), "at 1, where 0 bytes are"),
        (piece_of("worker-0-samples.arrow", 0, b"x").model_copy(update={"data": b"y"}), "a damaged piece"),
    ],
)
def test_what_is_no_piece_of_the_workers_shards_is_refused(tmp_path, piece, told):
    with pytest.raises(ValueError, match=told):
        Shelf(tmp_path, 0).take(piece)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "stays"),
    [("a.yaml", True), ("data/a.csv", True), ("../a", False), ("/a", False), ("a/../../b", False)],
)
def test_files_of_a_run_stay_below_the_folder_that_they_are_laid_into(name, stays):
    assert stays_below(name) is stays


@pytest.fixture
def reception() -> Iterator[Reception]:
    """Has one place, for those who know the word."""
    order = Order(
        worker=0, workers=1, scenario="smoke", targets={}, folder="", run_key="0123456789", plan_digest="",
        client="measured", allow_python=False,
    )  # fmt: skip
    guest = Guest(order, RunFolder(Path()))
    made = Reception("127.0.0.1:0", Door("the word", lambda: 0.0), [guest], "1.0", lambda _: None)
    yield made
    guest.dismiss()
    made.close()


@pytest.mark.parametrize(
    ("hello", "answer"),
    [
        (Hello(version="1.0", host="h", token="the word"), Order),
        (Hello(version="1.0", host="h", token="another"), "the token is missing or wrong"),
        (Hello(version="1.0", host="h"), "the token is missing or wrong"),
        (Hello(version="0.9", host="h", token="the word"), "this is savepath 0.9, and the run is led by 1.0"),
        (
            Hello(version="1.0", host="h", token="the word", run_key="0123456789", worker=0),
            "the run has its workers",
        ),
    ],
)
def test_who_knows_the_token_and_is_of_the_same_version_gets_the_place(reception, hello, answer):
    waiting = gevent.spawn(reception.await_all, lambda guest: None)
    gevent.sleep(0)
    said = answer_to(reception, hello)
    waiting.kill()
    if isinstance(answer, str):
        assert isinstance(said, Refused)
        assert said.message.startswith(answer)
    else:
        assert isinstance(said, answer)


def answer_to(reception: Reception, hello: Hello) -> Message | None:
    with gevent.socket.create_connection(("127.0.0.1", reception.port)) as sock:
        channel = Channel(sock)
        channel.send(hello)
        return next(channel.messages(), None)


def test_who_guesses_the_token_of_a_run_is_hung_up_on_without_a_word(reception):
    """Its clock stands still: also who knows the token would have to come again later."""
    waiting = gevent.spawn(reception.await_all, lambda guest: None)
    gevent.sleep(0)
    wrong, right = (Hello(version="1.0", host="h", token=token) for token in ("another", "the word"))
    assert all(isinstance(answer_to(reception, wrong), Refused) for _ in range(SLIPS + 1))
    assert answer_to(reception, right) is None
    waiting.kill()


def test_a_stranger_who_says_too_much_is_hung_up_on(reception):
    waiting = gevent.spawn(reception.await_all, lambda guest: None)
    gevent.sleep(0)
    with gevent.socket.create_connection(("127.0.0.1", reception.port)) as sock:
        sock.settimeout(GREETING_S / 2)
        sock.sendall(b"x" * 5000)
        assert sock.recv(1) == b""
    waiting.kill()


@pytest.mark.live
def test_a_worker_from_elsewhere_hands_its_part_over_by_its_own_clock_and_ends_between_runs_when_told(
    tmp_path,
):
    """The test leads; its clock is 1,000 s ahead of that of the worker."""
    ahead_s, scenario = 1000.0, SCENARIO.replace("duration_s: 60", "duration_s: 1")
    (tmp_path / "slow.yaml").write_text(scenario)
    (tmp_path / "desk.yaml").write_text(TARGET)
    folder = RunFolder(tmp_path / "run")
    folder.create()
    with stub_server(lambda request, connection: OK) as stub, socket.create_server(("127.0.0.1", 0)) as door:
        chosen = ChosenTarget(str(tmp_path / "desk.yaml"), {"base_url": stub.url})
        plan = plan_for(load_scenario(str(tmp_path / "slow.yaml")), [chosen.load(allow_python=False)])
        known = Known(mapping="desk.yaml", variables=dict(chosen.variables), fingerprint={}, inventory=KNOWN)
        words = [sys.executable, "-m", "loadgen.worker", "--master", f"127.0.0.1:{door.getsockname()[1]}"]
        process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
        try:
            sock, _ = door.accept()
            channel, shelf, part = Channel(sock), Shelf(folder.shards, 0), None
            for message in channel.messages():
                match message:
                    case Hello():
                        channel.send(
                            Order(
                                worker=0,
                                workers=1,
                                scenario="the.yaml",
                                targets={"": known},
                                folder="",
                                files={"the.yaml": scenario, "desk.yaml": TARGET},
                                run_key="0123456789",
                                plan_digest=plan.digest,
                                client="measured",
                                allow_python=False,
                            )
                        )
                    case Ask():
                        channel.send(Tell(own_s=message.own_s, leader_s=time.monotonic() + ahead_s))
                    case Ready():
                        channel.send(Start(zero_s=time.monotonic() + ahead_s + 0.5))
                    case Piece():
                        channel.send(shelf.take(message))
                    case Done():
                        part = message.part
                        channel.send(Over())
            sock.close()
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
            process.wait()
    rows = [row for path in folder.shards_of(0, "samples") for row in read_shard(path, SAMPLE_COLUMNS).to_pylist()]
    assert sorted(row["seq"] for row in rows) == list(range(20))
    assert (part.arms[""].written, part.arms[""].fired, process.returncode) == (20, 20, -signal.SIGINT)
    assert max(row["sent_s"] - row["scheduled_s"] for row in rows) < 5
    assert said == "savepath worker: worker 0 of 1\n"
