"""The mapping of Request Tracker against a real one; opted in, since it takes Debian packages: make test-rt."""

import os
from pathlib import Path

import pytest

from scenarios.errors import InputError
from scenarios.library import load_scenario
from scenarios.model import Operation
from targets.binding import Judgement
from targets.control import preflight
from targets.request_tracker_prepare import PASSWORD_ENV, READY, initial_data, obstacle, prepare
from tests.real_system import Driven, running_module

ENVIRON = {PASSWORD_ENV: "only-for-tests"}
SCENARIO = """\
name: field-sweep
seed: 20261123
cohorts:
  none: {custom_fields: 0, cases: 2}
  few: {custom_fields: 10, cases: 2, scripts_on_save: 2}
  some: {custom_fields: 50, cases: 2}
mix: {read_case: 30, save_standard: 19, save_custom: 25, run_script: 15}
load: {rate_per_s: 5}
duration_s: 10
"""
OPERATIONS = ("read_case", "save_standard", "save_custom", "run_script")
TENANTS = ("none", "few", "some")
SCRIPTS = ("1", "2")


def _left_out() -> str:
    return obstacle() if os.environ.get("SAVEPATH_TEST_RT") == "1" else "set SAVEPATH_TEST_RT=1 to drive it"


@pytest.fixture(scope="module")
def scenario_file(tmp_path_factory):
    file = tmp_path_factory.mktemp("scenario") / "sweep.yaml"
    file.write_text(SCENARIO)
    return file


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("rt")


@pytest.fixture(scope="module")
def desk(scenario_file: Path, home: Path):
    if _left_out():
        pytest.skip(f"Request Tracker: {_left_out()}")
    words = ["--scenario", str(scenario_file), "--home", str(home), "--serve"]
    with running_module("targets.request_tracker_prepare", words, READY, ENVIRON) as url:
        made = Driven("request-tracker", {"base_url": url}, scenario_file, ENVIRON)
        with made.client:
            yield made


def test_each_tenant_has_a_queue_and_a_scrip_for_each_script(scenario_file):
    text = initial_data(load_scenario(str(scenario_file)))
    assert text.count("Stage => 'TransactionBatch'") == 1 + 2 + 1
    assert "{ Name => 'field-sweep-some-01' }, { Name => 'scriptrun' }" in text
    assert text.count("Queue => ['field-sweep-some-01']") == 1 + 50


@pytest.mark.live
def test_preflight_tells_the_version(desk):
    assert preflight(desk.target, ENVIRON)["request_tracker"].startswith("5.")


@pytest.mark.live
@pytest.mark.parametrize("cohort", TENANTS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_succeeds_on_request_tracker(desk, operation, cohort):
    operation = Operation(operation)
    if operation.possible_for(desk.scenario.cohorts[cohort]):
        assert desk.do(operation, desk.call(cohort)) == Judgement("ok", "")


@pytest.mark.live
@pytest.mark.parametrize("operation", ["save_standard", "save_custom", "run_script"])
def test_each_script_of_a_save_is_found_exactly_once_by_its_token(desk, operation):
    call = desk.call("few")
    desk.do(Operation(operation), call)
    assert desk.scripts(call) == [(call.token, name) for name in SCRIPTS]
    assert desk.binding.expected_scripts(call.tenant) == SCRIPTS


@pytest.mark.live
def test_with_four_clients_on_two_cases_every_acknowledged_save_runs_its_scripts_once(desk):
    calls = [desk.call("few", case=number % 2) for number in range(24)]
    outcomes = desk.do_at_once(Operation.SAVE_CUSTOM, calls, 4)
    saved = [call for call, judgement in zip(calls, outcomes, strict=True) if judgement.outcome == "ok"]
    assert len(saved) > 0
    runs = desk.scripts(*calls)
    assert [(call.token, name) for call in saved for name in SCRIPTS if runs.count((call.token, name)) != 1] == []


@pytest.mark.live
def test_provisioning_again_makes_nothing(desk):
    assert desk.provision() == desk.inventory


@pytest.mark.live
def test_preparing_again_keeps_what_is_there_and_refuses_another_scenario(desk, home):
    prepare(desk.scenario, home, "pw")
    more = desk.scenario.cohorts["few"].model_copy(update={"custom_fields": 12})
    with pytest.raises(InputError, match="was made for another scenario"):
        prepare(desk.scenario.model_copy(update={"cohorts": {"few": more}}), home, "pw")
