"""A failover in the middle of a run: it is marked by itself, and told. casedesk moves to a new host."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
from command_line import called

from casedesk.process import running_desk
from loadgen.run_folder import RunFolder

pytestmark = pytest.mark.live

SCENARIO = """\
name: moved
cohorts: {none: {custom_fields: 0, cases: 5}, some: {custom_fields: 30, cases: 5, scripts_on_save: 1}}
mix: {read_case: 1, save_standard: 1, save_custom: 1}
load: {rate_per_s: 40, arrivals: constant, timeout_s: 5}
warmup_s: 0.5
duration_s: 10
verification: {settle_s: 0.1, script_deadline_s: 2, read_back_share: 1, rate_per_s: 100}
"""


@contextmanager
def driven(room, url, codes=(0,)):
    """A run in ``room / "run"`` that has recorded thirty arrivals; it has ended in order when the block is over.

    There are nine seconds left then: a busy machine may take some of them to notice.
    """
    (room / "s.yaml").write_text(SCENARIO)
    words = ["run", "s.yaml", "--target", "casedesk", "--set", f"base_url={url}", "--out", "run"]
    with (room / "said.txt").open("w") as said:
        child = subprocess.Popen([sys.executable, "-m", "savepath", *words], cwd=room, stderr=said)
    while progress(room / "run").get("recorded", 0) < 30:
        assert child.poll() is None
        time.sleep(0.02)
    yield
    assert child.wait(60) in codes


#: A desk that has loaded everything and starts at a word: a machine under load takes seconds to load it.
WAITING = """\
import sys
from casedesk.__main__ import main
print("loaded", flush=True)
sys.stdin.readline()
sys.exit(main(sys.argv[1:]))
"""


@contextmanager
def waiting_desk(url, data):
    """A desk for the address and the data of another; it starts when its standard input has a line."""
    words = [sys.executable, "-c", WAITING, "--port", url.rpartition(":")[2], "--data", str(data)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "loaded\n"
        try:
            yield child
        finally:
            child.kill()


def test_a_target_that_is_killed_and_started_again_has_lost_no_save(tmp_path):
    data, out = tmp_path / "data", tmp_path / "run"
    # On a machine so busy that it is back after three seconds only, the run ends instead, as it must.
    codes = (0, 4)
    with running_desk(data=data) as desk, waiting_desk(desk.url, data) as again, driven(tmp_path, desk.url, codes):
        os.kill(desk.pid, signal.SIGKILL)
        again.stdin.write("now\n")
        again.stdin.flush()
    info = RunFolder(out).read()
    (outage,) = RunFolder(out).read_outages()[""]
    assert info.ledger.closes
    assert outage.failed > 0
    assert outage.kept.acknowledged > 0
    assert outage.kept.lost == 0


def test_a_move_to_a_new_host_is_marked_with_its_length_and_the_saves_before_it_survive(tmp_path):
    out = tmp_path / "run"
    with running_desk() as desk, driven(tmp_path, desk.url):
        desk.move_host()
    found = json.loads(called("show", out, "--json").stdout)
    (outage,) = found["outages"][""]
    # The host is away for half a second; how much later the first is answered is the machine's affair.
    assert outage["ended_s"] - outage["begun_s"] >= 0.4
    assert {kind["outcome"] for kind in outage["kinds"]} <= {"refused", "timeout"}
    assert {cell["custom_fields"] for cell in outage["cells"] if cell["failed"]} == {0, 30}
    assert any(cell["again_s"] is not None for cell in outage["cells"])
    assert outage["kept"]["checked"] > 0
    assert outage["kept"]["lost"] == 0
    assert RunFolder(out).read().outages == 1
    assert "1 outage in run;" in (tmp_path / "said.txt").read_text()
    said = called("show", out).stdout
    assert "✗ outage" in said
    assert " 0 not whole afterwards" in said
    assert max(map(len, said.splitlines())) <= 80
    # In a comparison it is told of its run, in every format; here the run stands on both sides.
    made = ("--json", tmp_path / "r.json", "--html", tmp_path / "r.html")
    told = called("compare", "--before", out, "--after", out, *made, "--fail-on", "never").stdout
    results = json.loads((tmp_path / "r.json").read_text())["details"]["outages"]
    assert [one["side"] for one in results] == ["before", "after"]
    assert results[1]["outage"]["kept"] == outage["kept"]
    assert "1 outage in the runs after, 1 before." in told
    assert '<section id="outages">' in (tmp_path / "r.html").read_text()


def progress(out):
    try:
        return json.loads((out / "progress.json").read_text())
    except (OSError, ValueError):
        return {}
