"""What is peculiar to PocketBase 0.40: the last save wins, a script fails its save, passwords of its own."""

import httpx
import pytest

from scenarios.errors import InputError
from scenarios.model import Operation
from targets.judgement import Judgement
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

SCENARIO = """\
name: field-sweep
seed: 20261123
cohorts:
  few: {custom_fields: 10, cases: 1, scripts_on_save: 2}
  some: {custom_fields: 50, cases: 1}
mix: {read_case: 30, save_custom: 25}
load: {rate_per_s: 5}
duration_s: 10
"""
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


def test_after_eight_clients_a_case_holds_all_values_of_one_save_and_not_of_two(desk):
    calls = [desk.call("some") for _ in range(CLIENTS * 4)]
    assert set(desk.do_at_once(Operation.SAVE_CUSTOM, calls, CLIENTS)) == {Judgement("ok", "")}
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


def test_another_password_than_the_home_was_made_with_is_told(desk, home):
    with pytest.raises(InputError, match="was made with another POCKETBASE_PASSWORD"):
        prepare(desk.scenario, home, desk.target.base_url, "some-other-one")


def test_a_password_that_is_too_short_is_told_without_repeating_it(scenario_file, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("POCKETBASE_PASSWORD", "short")
    assert main(["--scenario", str(scenario_file), "--home", str(tmp_path)]) == InputError.exit_code
    assert "POCKETBASE_PASSWORD has 5 characters" in capsys.readouterr().err
