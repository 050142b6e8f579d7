"""The mapping of Roundup against a real Roundup 2.6, a system that nobody here wrote."""

import importlib.util
import sqlite3
import sys

import pytest

from scenarios.errors import Aborted, InputError
from scenarios.library import load_scenario
from scenarios.model import Operation
from targets.binding import Judgement
from targets.control import preflight
from targets.mail_sink import running_sink
from targets.roundup_prepare import Postgres, parse_postgres, prepare
from tests import postgres_server
from tests.real_system import Driven
from tests.roundup_server import ENVIRON, running_roundup

pytestmark = pytest.mark.live

#: field-sweep, shortened.
SCENARIO = """\
name: field-sweep
seed: 20261123
cohorts:
  none: {custom_fields: 0, cases: 2}
  few: {custom_fields: 10, cases: 2, scripts_on_save: 2}
  some: {custom_fields: 50, cases: 2}
mix: {read_case: 30, send_email: 10, save_standard: 19, save_custom: 25, run_script: 15}
load: {rate_per_s: 5}
duration_s: 10
"""
OPERATIONS = ("read_case", "send_email", "save_standard", "save_custom", "run_script")
TENANTS = ("none", "few", "some")
CLIENTS = 8
#: Before Python 3.11.8, ast.literal_eval in several threads can fail (CPython gh-106905); Roundup calls it
#: for each request before anything is saved, and answers 500 then: seen in 2 of some 7,700 saves.
KNOWN_ERRORS = ("http 500",) if sys.version_info < (3, 11, 8) else ()


@pytest.fixture(scope="module")
def scenario_file(tmp_path_factory):
    file = tmp_path_factory.mktemp("scenario") / "sweep.yaml"
    file.write_text(SCENARIO)
    return file


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("roundup")


@pytest.fixture(scope="module")
def tracker(scenario_file, home):
    with running_sink() as (smtp_port, sink), running_roundup(scenario_file, home, smtp_port=smtp_port) as url:
        made = Driven("roundup", {"base_url": url, "mail_sink": sink}, scenario_file, ENVIRON)
        with made.client:
            yield made


def test_preflight_tells_the_version(tracker):
    found = preflight(tracker.target, ENVIRON)
    assert found["roundup"].startswith("2.6")
    assert found["backend"] == "sqlite"


@pytest.mark.parametrize("cohort", TENANTS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_succeeds_on_roundup(tracker, operation, cohort):
    operation = Operation(operation)
    if operation.possible_for(tracker.scenario.cohorts[cohort]):
        assert tracker.do(operation, tracker.call(cohort)) == Judgement("ok", "")


@pytest.mark.parametrize("cohort", ["few", "some"])
def test_values_of_every_type_are_read_back_as_they_were_written(tracker, cohort):
    call = tracker.call(cohort)
    tracker.do(Operation.SAVE_CUSTOM, call)
    read = tracker.read_back(call)
    assert read.token == call.token
    assert read.values == tracker.binding.values_saved(call.tenant, call.seq, call.token)


@pytest.mark.parametrize("operation", ["save_standard", "save_custom", "run_script"])
def test_each_script_of_a_save_is_found_exactly_once_by_its_token(tracker, operation):
    call = tracker.call("few")
    tracker.do(Operation(operation), call)
    assert tracker.scripts(call) == [(call.token, "script-1"), (call.token, "script-2")]
    assert tracker.binding.expected_scripts(call.tenant) == ("script-1", "script-2")


def test_a_save_over_someone_elses_is_a_conflict_and_runs_no_script(tracker):
    first, second = tracker.call("few"), tracker.call("few")
    before = tracker.client.send(tracker.binding.precondition(Operation.SAVE_CUSTOM, second))
    assert tracker.do(Operation.SAVE_CUSTOM, first) == Judgement("ok", "")
    assert tracker.do(Operation.SAVE_CUSTOM, second, before) == Judgement("conflict", "version conflict")
    assert tracker.scripts(second) == []


def test_many_tokens_are_looked_up_at_once(tracker):
    calls = [tracker.call("few", case=number % 2) for number in range(12)]
    for call in calls:
        assert tracker.do(Operation.SAVE_STANDARD, call) == Judgement("ok", "")
    assert tracker.binding.script_batch >= 100
    assert tracker.scripts(*calls) == sorted(
        (call.token, name) for call in calls for name in ("script-1", "script-2")
    )


def test_a_token_that_was_never_saved_has_no_script_runs(tracker):
    assert tracker.scripts(tracker.call("few")) == []


def test_with_eight_clients_on_two_cases_every_acknowledged_save_runs_its_scripts_once(tracker):
    calls = [tracker.call("few", case=number % 2) for number in range(CLIENTS * 8)]
    outcomes = tracker.do_at_once(Operation.SAVE_CUSTOM, calls, CLIENTS)
    assert {judgement.detail for judgement in outcomes} <= {"", "version conflict", *KNOWN_ERRORS}
    saved = [call for call, judgement in zip(calls, outcomes, strict=True) if judgement.outcome == "ok"]
    assert tracker.scripts(*calls) == sorted(
        (call.token, name) for call in saved for name in ("script-1", "script-2")
    )


def test_a_mail_arrives_once_at_the_one_it_was_sent_to(tracker):
    call = tracker.call("few")
    assert tracker.do(Operation.SEND_EMAIL, call) == Judgement("ok", "")
    lookup = tracker.binding.look_up_mails(call.tenant, [call.token])
    seen = tracker.binding.mails_seen(tracker.client.send(lookup))
    assert [(mail.token, mail.recipient, mail.count) for mail in seen] == [
        (call.token, *tracker.binding.mail_recipients(Operation.SEND_EMAIL, call), 1)
    ]


def test_the_tables_that_roundup_would_make_at_the_first_request_are_there_beforehand(tracker, tmp_path):
    prepare(tracker.scenario, tmp_path, "pw")
    tables = set()
    for name in ("db-session", "db-otk"):
        with sqlite3.connect(tmp_path / "field-sweep-few-01" / "db" / name) as database:
            tables |= {row[0] for row in database.execute("select name from sqlite_master where type = 'table'")}
        database.close()
    assert {"sessions", "otks"} <= tables


def test_provisioning_again_makes_nothing(tracker):
    assert tracker.provision() == tracker.inventory


def test_a_tracker_without_the_fields_is_named_with_what_is_missing(tracker):
    more = tracker.scenario.cohorts["few"].model_copy(update={"custom_fields": 12})
    scenario = tracker.scenario.model_copy(update={"cohorts": {**tracker.scenario.cohorts, "few": more}})
    with pytest.raises(Aborted, match="has no cf_011, cf_012 of tenant field-sweep-few-01"):
        tracker.provision(scenario)


def test_a_tenant_without_a_tracker_is_named(tracker):
    with pytest.raises(Aborted, match="has no other-none-01, other-few-01, other-some-01"):
        tracker.provision(tracker.scenario.model_copy(update={"name": "other"}))


def test_preparing_again_keeps_the_trackers_and_refuses_others(tracker, home):
    prepare(tracker.scenario, home, "pw")
    more = tracker.scenario.cohorts["few"].model_copy(update={"custom_fields": 12})
    changed = tracker.scenario.model_copy(update={"cohorts": {**tracker.scenario.cohorts, "few": more}})
    with pytest.raises(
        InputError, match=r"field-sweep-few-01 is a tracker for another scenario \(schema.py differs\)"
    ):
        prepare(changed, home, "pw")


def test_the_code_of_a_tracker_knows_nothing_of_this_machine(tracker, home):
    written = [path.read_text() for path in home.rglob("*") if path.suffix in (".py", ".ini")]
    assert len(written) == 6 * len(TENANTS)
    assert [text for text in written if str(home) in text] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/run/pg", Postgres("/run/pg", 5432, "postgres")),
        ("host=/run/pg user=me port=6000", Postgres("/run/pg", 6000, "me")),
    ],
)
def test_where_postgresql_is_can_be_told(text, expected):
    assert parse_postgres(text) == expected


@pytest.mark.parametrize("text", ["", "user=me", "host=a port=x", "host=a password=secret"])
def test_what_does_not_tell_where_postgresql_is_is_refused(text):
    with pytest.raises(InputError, match="expected host, port and user") as caught:
        parse_postgres(text)
    assert "secret" not in str(caught.value)


def _no_postgres() -> str:
    driver = importlib.util.find_spec("psycopg2")
    return postgres_server.obstacle() or ("" if driver else "psycopg2, PostgreSQL's driver, is not installed")


@pytest.mark.skipif(bool(_no_postgres()), reason=_no_postgres())
def test_roundup_on_postgresql_does_every_operation_and_runs_each_script_once(scenario_file, tmp_path):
    with postgres_server.running_postgres() as cluster, running_sink() as (smtp_port, sink):
        where = f"host={cluster.socket_folder} user={postgres_server.USER}"
        with running_roundup(scenario_file, tmp_path, smtp_port=smtp_port, postgres=where) as url:
            desk = Driven("roundup", {"base_url": url, "mail_sink": sink}, scenario_file, ENVIRON)
            with desk.client:
                assert preflight(desk.target, ENVIRON)["backend"] == "postgresql"
                calls = [(Operation(name), desk.call("few")) for name in OPERATIONS]
                for operation, call in calls:
                    assert desk.do(operation, call) == Judgement("ok", "")
                saves = [call for operation, call in calls if operation.saves]
                assert desk.scripts(*saves) == sorted(
                    (call.token, name) for call in saves for name in ("script-1", "script-2")
                )


def test_without_its_driver_postgresql_is_refused_with_the_remedy(scenario_file, tmp_path):
    if importlib.util.find_spec("psycopg2"):
        pytest.skip("psycopg2 is installed")
    with pytest.raises(InputError, match="psycopg2 is not installed; pip install psycopg2-binary"):
        prepare(load_scenario(str(scenario_file)), tmp_path, "pw", Postgres("/run/pg"))
