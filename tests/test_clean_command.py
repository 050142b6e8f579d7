"""``savepath clean`` on casedesk: nothing is left of a run, whole or killed, and nothing else is touched."""

import re
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import httpx
import orjson
import pytest
from command_line import called, savepath
from test_safety import Listener

from casedesk.process import running_desk
from savepath.cleaned import exit_code, tell_cleaned
from savepath.cleaning import Choice, clean
from scenarios.errors import InputError, Refused
from scenarios.library import load_scenario
from targets.footprint import Footprint, Heading, Tokens, read_footprint
from targets.mapping import load_target
from targets.provisioning import provision
from tests.real_system import kill

pytestmark = pytest.mark.live

SCENARIO = """\
name: {name}
cohorts: {{some: {{custom_fields: 3, cases: {cases}, scripts_on_save: 2}}}}
mix: {{save_standard: 2, save_custom: 2, send_email: 1, send_batch: 1}}
load: {{rate_per_s: 30, timeout_s: 5}}
warmup_s: 0
duration_s: {duration_s}
batch_size: 3
verification: {{settle_s: 0.1, script_deadline_s: 2, mail_deadline_s: 2}}
"""
PATIENCE_S = 100
MAPPING = (Path(__file__).parent.parent / "targets" / "casedesk.yaml").read_text()


class Desk:
    """A desk, its database, and runs on it."""

    def __init__(self, url, data, folder):
        self.url = url
        self.data = data
        self.folder = folder

    def scenario(self, name, cases=4, duration_s=1):
        path = self.folder / f"{name}.yaml"
        path.write_text(SCENARIO.format(name=name, cases=cases, duration_s=duration_s))
        return path

    def words(self, scenario, out, target="casedesk"):
        words = ("run", scenario, "--target", target, "--set", f"base_url={self.url}", "--out", out, "--quiet")
        return [str(word) for word in words]

    def rows(self):
        """What is in the tables, by the number of rows; without those that are empty."""
        with sqlite3.connect(self.data / "casedesk.sqlite") as database:
            tables = [row[0] for row in database.execute("select name from sqlite_master where type = 'table'")]
            counts = {name: database.execute(f"select count(*) from {name}").fetchone()[0] for name in tables}
        database.close()
        return {name: number for name, number in counts.items() if number}


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clean")
    with running_desk(data=folder / "data") as running:
        yield Desk(running.url, folder / "data", folder)


def wait_until(true):
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_after_a_run_nothing_is_left_and_a_second_call_asks_nothing(desk, tmp_path):
    out = tmp_path / "run"
    assert savepath(*desk.words(desk.scenario("whole"), out)).returncode == 0
    assert {
        "tenants",
        "case_types",
        "custom_fields",
        "cases",
        "saves",
        "outbox",
        "script_runs",
    } <= desk.rows().keys()
    first, second = called("clean", out), called("clean", out, "--json")
    assert (first.return_value, first.stdout.splitlines()[1:]) == (0, ["  tenants: 1 removed", "Nothing is left."])
    assert desk.rows() == {}
    assert second.return_value == 0
    assert {one["clean_before"] for one in orjson.loads(second.stdout)} == {True}


def test_a_mapping_can_want_it_at_the_end_of_each_run_and_what_was_there_before_stays(desk, tmp_path):
    scenario = load_scenario(str(desk.scenario("found")))
    provision(load_target("casedesk", {"base_url": desk.url}), scenario, {}, lambda *words: None)
    before = desk.rows()
    mapping = tmp_path / "desk.yaml"
    mapping.write_text(MAPPING.replace("clean_up:\n", "clean_up:\n  after: remove\n"))
    assert savepath(*desk.words(desk.scenario("found"), tmp_path / "run", mapping)).returncode == 0
    after = desk.rows()
    assert {name: after[name] for name in before} == before
    # What a save wrote into a case that was there is that case's own history.
    assert after.keys() - before.keys() == {"saves", "history", "scores"}
    httpx.delete(f"{desk.url}/tenants/{scenario.tenant_keys[0]}", timeout=30).raise_for_status()


@pytest.mark.parametrize(
    ("moment", "cases", "mark"), [("preparing", 400, b'"id":"'), ("driving", 4, b'"line":"tokens"')]
)
def test_after_a_kill_in_the_middle_nothing_is_left(desk, tmp_path, moment, cases, mark):
    out = tmp_path / "run"
    words = desk.words(desk.scenario(moment, cases, duration_s=60), out)
    child = subprocess.Popen([sys.executable, "-m", "savepath", *words])
    footprints = out / "footprint"
    wait_until(
        lambda: sum(path.read_bytes().count(mark) for path in footprints.glob("*")) > (moment == "preparing") * 9
    )
    if moment == "driving":
        wait_until(lambda: "outbox" in desk.rows())
    kill(child)
    assert desk.rows().keys() >= {"tenants", "cases"}
    cleaned = clean([out], Choice(), lambda _: None, settle_s=1)
    assert (exit_code(cleaned), desk.rows()) == (0, {}), tell_cleaned(cleaned)


# -- what is refused --------------------------------------------------------------------------------


def footprint(folder, address="http://127.0.0.1:8700", mapping="casedesk"):
    heading = Heading(scenario="s", tenants=("s-some-01",), mapping=str(mapping), address=address)
    made = Footprint(folder, "run", heading)
    made.announce(Tokens(run_key="0123456789", tenants={"s-some-01": {}}))
    made.close()
    return made.path


def error(folder, **choice):
    (cleaned,) = clean([folder], Choice(**choice), lambda _: None, settle_s=0)
    return cleaned.error


def test_a_mapping_that_leads_elsewhere_by_now_is_asked_about(tmp_path):
    footprint(tmp_path, address="http://127.0.0.1:1")
    said = error(tmp_path)
    assert isinstance(said, InputError)
    assert "it was made at http://127.0.0.1:1, and the mapping leads to http://127.0.0.1:8700 now" in str(said)


def test_production_is_cleaned_only_where_it_is_meant(tmp_path):
    mapping = tmp_path / "desk.yaml"
    with Listener() as listener:
        there = f"environment: production\nbase_url: http://127.0.0.1:{listener.port}"
        mapping.write_text(re.sub("(?m)^base_url: .*$", there, MAPPING))
        path = footprint(tmp_path, f"http://127.0.0.1:{listener.port}", mapping)
        assert isinstance(error(tmp_path), Refused)
    assert listener.connections == 0
    assert not read_footprint(path).closed


def test_a_mapping_that_is_gone_can_be_named_where_it_is_now(tmp_path):
    footprint(tmp_path, mapping=tmp_path / "gone.yaml")
    assert "--target" in str(error(tmp_path))


def test_a_folder_without_a_footprint_is_told():
    with pytest.raises(InputError, match="holds no footprint"):
        clean([Path(__file__).parent], Choice(), lambda _: None)
