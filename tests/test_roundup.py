"""What is peculiar to Roundup 2.6: tables that it makes late, and PostgreSQL below it."""

import importlib.util
import sqlite3

import pytest

from scenarios.errors import InputError
from scenarios.library import load_scenario
from targets.control import preflight
from targets.judgement import Judgement
from targets.mail_sink import running_sink
from targets.roundup_prepare import Postgres, parse_postgres, prepare
from tests import postgres_server
from tests.real_system import Driven
from tests.roundup_server import ENVIRON, running_roundup

pytestmark = pytest.mark.live

SCENARIO = """\
name: field-sweep
seed: 20261123
cohorts: {few: {custom_fields: 10, cases: 1, scripts_on_save: 2}}
mix: {read_case: 30, send_email: 10, send_batch: 5, save_standard: 19, save_custom: 25, run_script: 15}
load: {rate_per_s: 5}
duration_s: 10
"""


@pytest.fixture(scope="module")
def scenario_file(tmp_path_factory):
    file = tmp_path_factory.mktemp("scenario") / "sweep.yaml"
    file.write_text(SCENARIO)
    return file


def test_the_tables_that_roundup_would_make_at_the_first_request_are_there_beforehand(scenario_file, tmp_path):
    prepare(load_scenario(str(scenario_file)), tmp_path, "pw")
    tables = set()
    for name in ("db-session", "db-otk"):
        with sqlite3.connect(tmp_path / "field-sweep-few-01" / "db" / name) as database:
            tables |= {row[0] for row in database.execute("select name from sqlite_master where type = 'table'")}
        database.close()
    assert {"sessions", "otks"} <= tables


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
                calls = {operation: desk.call("few") for operation in desk.scenario.mix}
                assert {desk.do(operation, call) for operation, call in calls.items()} == {Judgement("ok", "")}
                saves = [call for operation, call in calls.items() if operation.saves]
                assert desk.scripts(*saves) == desk.scripts_due(*saves)


def test_without_its_driver_postgresql_is_refused_with_the_remedy(scenario_file, tmp_path):
    if importlib.util.find_spec("psycopg2"):
        pytest.skip("psycopg2 is installed")
    with pytest.raises(InputError, match="psycopg2 is not installed; pip install psycopg2-binary"):
        prepare(load_scenario(str(scenario_file)), tmp_path, "pw", Postgres("/run/pg"))
