"""A failover in the middle of a run: the run marks it by itself. casedesk moves to a new host."""

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
duration_s: 5
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
    assert {kind[0] for kind in outage["kinds"]} <= {"refused", "timeout"}
    assert {cell["custom_fields"] for cell in outage["cells"] if cell["failed"]} == {0, 30}
    assert all(cell["again_s"] is not None for cell in outage["cells"])
    assert outage["kept"]["checked"] > 0
    assert outage["kept"]["lost"] == 0
    said = called("show", out).stdout
    assert "✗ outage" in said
    assert "not whole afterwards 0" in said
    assert max(map(len, said.splitlines())) <= 80


def progress(out):
    try:
        return json.loads((out / "progress.json").read_text())
    except (OSError, ValueError):
        return {}
