"""A whole run on a real PocketBase, whose API takes tokens only: the load generator logs in beside the load."""

import os
import subprocess
import sys

import pytest

from loadgen.run_folder import RunFolder
from scenarios.errors import InputError
from targets.pocketbase_prepare import find_program
from tests.pocketbase_server import ENVIRON, running_pocketbase


def _missing() -> str:
    try:
        find_program()
    except InputError as error:
        return str(error)
    return ""


pytestmark = [pytest.mark.live, pytest.mark.skipif(bool(_missing()), reason=_missing())]

SCENARIO = """\
name: short-sweep
cohorts:
  none: {custom_fields: 0, cases: 3}
  few: {custom_fields: 10, cases: 3, scripts_on_save: 2}
  some: {custom_fields: 50, cases: 3}
mix: {read_case: 30, save_standard: 19, save_custom: 25, run_script: 15}
load: {rate_per_s: 12}
warmup_s: 1
duration_s: 5
verification: {settle_s: 0.5, script_deadline_s: 5, read_back_share: 1}
"""


def test_a_run_on_pocketbase_is_whole_and_every_save_ran_its_scripts_once(tmp_path):
    scenario, out = tmp_path / "sweep.yaml", tmp_path / "run"
    scenario.write_text(SCENARIO)
    with running_pocketbase(scenario, tmp_path / "home") as url:
        words = ("run", scenario, "--target", "pocketbase", "--set", f"base_url={url}", "--out", out)
        done = subprocess.run(
            [sys.executable, "-m", "savepath", *map(str, words)],
            capture_output=True, text=True, env=os.environ | ENVIRON, timeout=100,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    run = RunFolder(out)
    info, samples, effects = run.read(), run.read_samples(), run.read_effects()
    scripts, values = effects[effects["kind"] == "script"], effects[effects["kind"] == "value"]
    saves = samples[samples["operation"].isin(["save_standard", "save_custom", "run_script"])]
    expected = {
        (seq, f"script-{number}")
        for seq, fields in zip(saves["seq"], saves["custom_fields"], strict=True)
        for number in ((1, 2) if fields == 10 else (1,))
    }
    assert (info.status, info.ledger.closes, info.ledger.unsent) == ("complete", True, 0)
    assert set(samples["outcome"]) == {"ok"}
    assert set(zip(scripts["seq"], scripts["name"], strict=True)) == expected
    assert set(scripts["outcome"]) == {"once"}
    assert len(values) == (samples["operation"] == "save_custom").sum() > 0
    assert set(values["outcome"]) <= {"identical", "superseded"}
