"""The first example of docs/writing-a-target.md, driven: an API of one's own in fewer than thirty lines."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from house_desk import KEY, HouseDesk, serving

from loadgen.run_folder import RunFolder
from savepath.cli import cli
from savepath.loading import load_run
from scenarios.library import parse_scenario

pytestmark = pytest.mark.live

PAGE = Path(__file__).parent.parent / "docs" / "writing-a-target.md"
MAPPING = re.search(r"^```yaml\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)[1]
SCENARIO = """\
name: own
cohorts:
  none: {custom_fields: 0, cases: 3}
  some: {custom_fields: 12, cases: 3}
mix: {read_case: 1, save_standard: 1, save_custom: 1, send_email: 1, run_script: 1}
load: {rate_per_s: 30}
warmup_s: 0.2
duration_s: 2
verification: {settle_s: 0.1, read_back_share: 1, rate_per_s: 100}
"""
OPERATIONS = {"read_case", "save_standard", "save_custom", "send_email", "run_script"}


@pytest.fixture(scope="module")
def driven(tmp_path_factory):
    """The desk after a run, and the run."""
    room = tmp_path_factory.mktemp("own")
    (room / "own.yaml").write_text(SCENARIO)
    (room / "desk.yaml").write_text(MAPPING)
    tenants = [tenant.key for tenant in parse_scenario(SCENARIO, "own").tenants]
    with serving(HouseDesk(tenants, cases=3)) as desk:
        words = [str(room / "own.yaml"), "--target", str(room / "desk.yaml"), "--set", f"base_url={desk.url}"]
        result = CliRunner().invoke(cli, ["run", *words, "--out", str(room / "run")], env={"DESK_KEY": KEY})
    assert result.exit_code == 0, result.output
    return desk, RunFolder(room / "run")


def test_it_takes_fewer_than_thirty_lines():
    assert len(MAPPING.splitlines()) < 30


def test_all_five_operations_succeed(driven):
    _, run = driven
    samples = run.read_samples()
    assert set(samples["operation"]) == OPERATIONS
    assert set(samples["outcome"]) == {"ok"}
    assert run.read().ledger.closes


def test_every_effect_is_found_once_and_is_what_the_desk_did(driven):
    desk, run = driven
    effects = run.read_effects()
    found = {kind: set(rows["outcome"]) for kind, rows in effects.groupby("kind")}
    assert found["script"] == {"once"}
    assert found["mail"] == {"once"}
    assert found["value"] <= {"identical", "superseded"}
    saves = run.read_samples()["operation"].isin(["save_standard", "save_custom", "run_script"]).sum()
    assert len(desk.log) == saves == (effects["kind"] == "script").sum()
    assert len(desk.mails) == (effects["kind"] == "mail").sum()


def test_the_trace_id_that_a_report_tells_is_the_one_that_the_request_carried(driven):
    desk, run = driven
    carried = [header.split("-")[1] for header in desk.traces]
    assert len(set(carried)) == len(desk.log)
    notable = load_run(run.path).notable
    told = notable[notable["operation"].isin(["save_standard", "save_custom", "run_script"])]["trace_id"]
    assert len(told) >= 3
    assert set(told) <= set(carried)
