"""The mapping of PocketBase against a real PocketBase 0.40: tokens for auth, no entity tags, fields by API."""

import httpx
import pytest

from scenarios.errors import Aborted, InputError
from scenarios.model import Operation
from targets.binding import Judgement
from targets.control import preflight
from targets.pocketbase_prepare import PASSWORD_ENV, find_program, log_in, main, prepare
from tests.pocketbase_server import ENVIRON, running_pocketbase
from tests.real_system import Driven


def _missing() -> str:
    try:
        find_program()
    except InputError as error:
        return str(error)
    return ""


pytestmark = [pytest.mark.live, pytest.mark.skipif(bool(_missing()), reason=_missing())]

#: field-sweep, shortened.
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
PASSWORD = ENVIRON[PASSWORD_ENV]
CLIENTS = 8


@pytest.fixture(scope="module")
def scenario_file(tmp_path_factory):
    file = tmp_path_factory.mktemp("scenario") / "sweep.yaml"
    file.write_text(SCENARIO)
    return file


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("pocketbase")


@pytest.fixture(scope="module")
def desk(scenario_file, home):
    with running_pocketbase(scenario_file, home) as url:
        made = Driven("pocketbase", {"base_url": url}, scenario_file, ENVIRON)
        with made.client:
            yield made


def with_fields(scenario, cohort, custom_fields):
    changed = scenario.cohorts[cohort].model_copy(update={"custom_fields": custom_fields})
    return scenario.model_copy(update={"cohorts": {**scenario.cohorts, cohort: changed}})


def test_preflight_tells_the_version(desk):
    assert preflight(desk.target, desk.environ)["pocketbase"].startswith("PocketBase 0.40.")


@pytest.mark.parametrize("cohort", TENANTS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_succeeds_on_pocketbase(desk, operation, cohort):
    operation = Operation(operation)
    if operation.possible_for(desk.scenario.cohorts[cohort]):
        assert desk.do(operation, desk.call(cohort)) == Judgement("ok", "")


@pytest.mark.parametrize("cohort", ["few", "some"])
def test_values_of_every_type_are_read_back_as_they_were_written(desk, cohort):
    call = desk.call(cohort)
    desk.do(Operation.SAVE_CUSTOM, call)
    read = desk.read_back(call)
    assert read.token == call.token
    assert read.values == desk.binding.values_saved(call.tenant, call.seq, call.token)


@pytest.mark.parametrize("operation", ["save_standard", "save_custom", "run_script"])
def test_each_script_of_a_save_is_found_exactly_once_by_its_token(desk, operation):
    call = desk.call("few")
    desk.do(Operation(operation), call)
    assert desk.scripts(call) == [(call.token, "script-1"), (call.token, "script-2")]


def test_with_eight_clients_on_two_cases_every_save_runs_its_scripts_once(desk):
    calls = [desk.call("few", case=number % 2) for number in range(CLIENTS * 8)]
    outcomes = desk.do_at_once(Operation.SAVE_CUSTOM, calls, CLIENTS)
    assert outcomes == [Judgement("ok", "")] * len(calls)
    assert desk.scripts(*calls) == sorted(
        (call.token, name) for call in calls for name in ("script-1", "script-2")
    )


def test_after_eight_clients_a_case_holds_all_values_of_one_save_and_not_of_two(desk):
    calls = [desk.call("some") for _ in range(CLIENTS * 4)]
    desk.do_at_once(Operation.SAVE_CUSTOM, calls, CLIENTS)
    read = desk.read_back(calls[0])
    (writer,) = [call for call in calls if call.token == read.token]
    assert read.values == desk.binding.values_saved(writer.tenant, writer.seq, writer.token)


def test_a_save_whose_script_fails_is_not_saved(desk):
    first, second = desk.call("few"), desk.call("few")
    desk.do(Operation.SAVE_CUSTOM, first)
    log = f"{desk.target.base_url}/api/collections/scriptrun"
    headers = {"Authorization": log_in(desk.target.base_url, PASSWORD)}
    fields = httpx.get(log, headers=headers).json()["fields"]
    impossible = [*fields, {"name": "impossible", "type": "text", "required": True}]
    httpx.patch(log, headers=headers, json={"fields": impossible}).raise_for_status()
    try:
        judgement = desk.do(Operation.SAVE_CUSTOM, second)
    finally:
        httpx.patch(log, headers=headers, json={"fields": fields}).raise_for_status()
    assert judgement.outcome == "http_error"
    assert desk.read_back(second).token == first.token
    assert desk.scripts(second) == []


def test_provisioning_again_makes_nothing(desk):
    assert desk.provision() == desk.inventory


def test_a_collection_without_the_fields_is_named_with_what_is_missing(desk):
    with pytest.raises(Aborted, match="has no cf_011, cf_012 of tenant field-sweep-few-01"):
        desk.provision(with_fields(desk.scenario, "few", 12))


def test_preparing_again_keeps_what_is_there_and_refuses_another_scenario(desk, home):
    prepare(desk.scenario, home, desk.target.base_url, PASSWORD)
    with pytest.raises(InputError, match="field_sweep_few_01 was made for 15 fields, the scenario has 17"):
        prepare(with_fields(desk.scenario, "few", 12), home, desk.target.base_url, PASSWORD)


def test_another_password_than_the_home_was_made_with_is_told(desk, home):
    with pytest.raises(InputError, match="was made with another POCKETBASE_PASSWORD"):
        prepare(desk.scenario, home, desk.target.base_url, "some-other-one")


def test_a_password_that_is_too_short_is_told_without_repeating_it(scenario_file, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("POCKETBASE_PASSWORD", "short")
    assert main(["--scenario", str(scenario_file), "--home", str(tmp_path)]) == InputError.exit_code
    assert "POCKETBASE_PASSWORD has 5 characters" in capsys.readouterr().err


def test_the_password_stands_in_no_file_of_the_code(desk, home):
    written = [path.read_text() for path in home.rglob("*.js")]
    assert len(written) == 3
    assert [text for text in written if PASSWORD in text] == []
