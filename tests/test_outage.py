"""A failover in the middle of a run: it is marked by itself, and told. casedesk moves to a new host."""

import json
import subprocess
import sys
import time

import pytest
from command_line import called

from casedesk.process import running_desk

pytestmark = pytest.mark.live

SCENARIO = """\
name: moved
cohorts: {none: {custom_fields: 0, cases: 5}, some: {custom_fields: 30, cases: 5, scripts_on_save: 1}}
mix: {read_case: 1, save_standard: 1, save_custom: 1}
load: {rate_per_s: 40, arrivals: constant, timeout_s: 2}
warmup_s: 0.5
duration_s: 4
verification: {settle_s: 0.1, script_deadline_s: 2, read_back_share: 1, rate_per_s: 100}
"""


def test_a_move_to_a_new_host_is_marked_with_its_length_and_the_saves_before_it_survive(tmp_path):
    (tmp_path / "s.yaml").write_text(SCENARIO)
    out = tmp_path / "run"
    with running_desk() as desk:
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
        child = subprocess.Popen([sys.executable, "-m", "savepath", *words], cwd=tmp_path)
        while progress(out).get("recorded", 0) < 60:
            assert child.poll() is None
            time.sleep(0.02)
        desk.move_host()
        assert child.wait(60) == 0
    found = json.loads(called("show", out, "--json").stdout)
    (outage,) = found["outages"][""]
    # The host is away for half a second; the first that is answered comes a little later, on a busy machine more.
    assert 0.4 <= outage["ended_s"] - outage["begun_s"] <= 3
    assert {kind["outcome"] for kind in outage["kinds"]} <= {"refused", "timeout"}
    assert {cell["custom_fields"] for cell in outage["cells"] if cell["failed"]} == {0, 30}
    assert all(cell["again_s"] is not None for cell in outage["cells"])
    assert outage["kept"]["checked"] > 0
    assert outage["kept"]["lost"] == 0
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
