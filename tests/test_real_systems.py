"""What holds on every real system: each does all its operations, and the mapping tells the truth about them.

Roundup, PocketBase and Request Tracker differ in how clients log in, where custom fields stand, when
scripts run and whether a save can be refused. None of that shows here; what is peculiar to one of
them is in the file of its name.
"""

import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from loadgen.run_folder import RunFolder
from loadgen.values import same_values
from savepath.cleaned import exit_code, tell_cleaned
from savepath.cleaning import Choice, clean
from scenarios.errors import Aborted, InputError
from scenarios.model import Operation
from targets import pocketbase_prepare, request_tracker_prepare, roundup_prepare
from targets.control import preflight
from targets.judgement import Judgement
from targets.mail_sink import running_sink
from tests import pocketbase_server, request_tracker_server, roundup_server
from tests.real_system import Driven, acceptable_details, kill

pytestmark = pytest.mark.live

#: field-sweep, shortened.
SCENARIO = """\
name: field-sweep
seed: 20261123
cohorts:
  none: {{custom_fields: 0, cases: 2}}
  few: {{custom_fields: 10, cases: 2, scripts_on_save: 2}}
  some: {{custom_fields: 50, cases: 2}}
mix: {{read_case: 30, {mails}save_standard: 19, save_custom: 25, run_script: 15}}
load: {{rate_per_s: {rate_per_s}}}
batch_size: 3
warmup_s: 0.5
duration_s: {duration_s}
verification: {{settle_s: 0.5, read_back_share: 1}}
"""
MAILS = "send_email: 10, send_batch: 5, "
COHORTS = ("none", "few", "some")
SAVES = (Operation.SAVE_STANDARD, Operation.SAVE_CUSTOM, Operation.RUN_SCRIPT)


@dataclass(frozen=True, slots=True)
class System:
    """A real system: how it is served and prepared again, and what it has.

    ``serve`` takes the scenario's file, a home and the port of the mail sink; ``prepare`` takes a
    scenario, the home and the URL. ``fact`` and ``version`` are what the fingerprint must say, ``rows`` counts
    what stands in the database below the home, ``values`` is what may be found of values that were saved while
    others saved the same case.
    """

    target: str
    serve: Callable[[Path, Path, int], AbstractContextManager[str]]
    prepare: Callable[..., None]
    environ: dict[str, str]
    fact: str
    version: str
    mails: bool
    rows: Callable[[Path], dict[str, int]]
    values: frozenset[str] = frozenset({"identical", "superseded"})
    clients: int = 8
    rate_per_s: int = 12
    duration_s: int = 3
    settle_s: float = 1
    obstacle: Callable[[], str] = lambda: ""

    @property
    def password(self) -> str:
        (password,) = self.environ.values()
        return password


def _no_pocketbase() -> str:
    try:
        pocketbase_prepare.find_program()
    except InputError as error:
        return str(error)
    return ""


def _no_request_tracker() -> str:
    if os.environ.get("SAVEPATH_TEST_RT") != "1":
        return "Request Tracker is driven by make test-rt"
    return request_tracker_prepare.obstacle()


def _roundup_rows(home: Path) -> dict[str, int]:
    """Of all trackers, without what is retired."""
    counts = dict.fromkeys(("_issue", "_msg", "_scriptrun"), 0)
    for file in home.glob("*/db/db"):
        for table in counts:
            counts[table] += _count(file, f"select count(*) from {table} where __retired__ = 0")
    return counts


def _pocketbase_rows(home: Path) -> dict[str, int]:
    tables = ("field_sweep_few_01", "field_sweep_none_01", "field_sweep_some_01", "scriptrun")
    return {table: _count(home / "data" / "data.db", f"select count(*) from {table}") for table in tables}


def _request_tracker_rows(home: Path) -> dict[str, int]:
    """Cases and script runs, without those that are deleted: RT keeps them, out of sight."""
    of_queues = "select count(*) from Tickets join Queues on Queues.id = Tickets.Queue"
    counted = f"{of_queues} where Tickets.Status <> 'deleted' and Queues.Name"
    file = home / "rt.sqlite3"
    return {
        "cases": _count(file, f"{counted} <> 'scriptrun'"),
        "script_runs": _count(file, f"{counted} = 'scriptrun'"),
    }


def _count(file: Path, query: str) -> int:
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as database:
        (number,) = database.execute(query).fetchone()
    database.close()
    return number


ROUNDUP = System(
    target="roundup",
    serve=lambda scenario, home, smtp: roundup_server.running_roundup(scenario, home, smtp_port=smtp),
    prepare=lambda scenario, home, url: roundup_prepare.prepare(scenario, home, ROUNDUP.password),
    environ=roundup_server.ENVIRON,
    fact="roundup",
    version="2.6",
    mails=True,
    rows=_roundup_rows,
    # Roundup does not write a value that is what it read; meanwhile it may have become another's.
    values=frozenset({"identical", "superseded", "partial"}),
)
POCKETBASE = System(
    target="pocketbase",
    serve=lambda scenario, home, smtp: pocketbase_server.running_pocketbase(scenario, home),
    prepare=lambda scenario, home, url: pocketbase_prepare.prepare(scenario, home, url, POCKETBASE.password),
    environ=pocketbase_server.ENVIRON,
    fact="pocketbase",
    version="PocketBase 0.40.",
    mails=False,
    rows=_pocketbase_rows,
    obstacle=_no_pocketbase,
)
REQUEST_TRACKER = System(
    target="request-tracker",
    serve=lambda scenario, home, smtp: request_tracker_server.running_request_tracker(
        scenario, home, smtp_port=smtp
    ),
    prepare=lambda scenario, home, url: request_tracker_prepare.prepare(scenario, home, REQUEST_TRACKER.password),
    environ=request_tracker_server.ENVIRON,
    fact="request_tracker",
    version="5.",
    mails=True,
    rows=_request_tracker_rows,
    # Request Tracker writes field by field, so that who reads meanwhile sees a part of a save.
    values=frozenset({"identical", "superseded", "partial"}),
    clients=4,
    rate_per_s=1,  # a save of 50 fields takes it a second, a batch of three mails two
    duration_s=20,
    settle_s=10,  # a save that its client gave up on goes on, and its scripts come last
    obstacle=_no_request_tracker,
)


@dataclass(frozen=True, slots=True)
class Served:
    """A system that is served, and what a run on it needs to be told."""

    system: System
    scenario_file: Path
    home: Path
    settings: dict[str, str]


@pytest.fixture(scope="module", params=[ROUNDUP, POCKETBASE, REQUEST_TRACKER], ids=lambda system: system.target)
def served(request, tmp_path_factory):
    system = request.param
    if system.obstacle():
        pytest.skip(system.obstacle())
    folder = tmp_path_factory.mktemp(system.target)
    scenario, home = folder / "sweep.yaml", folder / "home"
    mails = MAILS if system.mails else ""
    scenario.write_text(SCENARIO.format(mails=mails, rate_per_s=system.rate_per_s, duration_s=system.duration_s))
    with running_sink() as (smtp_port, sink), system.serve(scenario, home, smtp_port) as url:
        settings = {"base_url": url} | ({"mail_sink": sink} if system.mails else {})
        yield Served(system, scenario, home, settings)


@pytest.fixture(scope="module")
def desk(served):
    made = Driven(served.system.target, served.settings, served.scenario_file, served.system.environ)
    with made.client:
        yield made


@pytest.fixture
def mailing(served, desk):
    if not served.system.mails:
        pytest.skip(f"{served.system.target} sends no mail about cases")
    return desk


def with_fields(scenario, cohort, custom_fields):
    changed = scenario.cohorts[cohort].model_copy(update={"custom_fields": custom_fields})
    return scenario.model_copy(update={"cohorts": {**scenario.cohorts, cohort: changed}})


def test_preflight_tells_the_version(served, desk):
    assert preflight(desk.target, desk.environ)[served.system.fact].startswith(served.system.version)


@pytest.mark.parametrize("cohort", COHORTS)
def test_every_operation_of_the_mix_succeeds(desk, cohort):
    mix = [one for one in desk.scenario.mix if one.possible_for(desk.scenario.cohorts[cohort])]
    done = {operation: desk.do(operation, desk.call(cohort)) for operation in mix}
    assert done == dict.fromkeys(mix, Judgement("ok", ""))


@pytest.mark.parametrize("cohort", ["few", "some"])
def test_values_of_every_type_are_read_back_as_they_were_written(desk, cohort):
    call = desk.call(cohort)
    desk.do(Operation.SAVE_CUSTOM, call)
    read, saved = desk.read_back(call), desk.binding.values_saved(call.tenant, call.seq, call.token)
    assert read.token == call.token
    assert read.values.keys() == saved.keys()
    assert same_values(saved, read.values)


def test_each_script_of_every_kind_of_save_is_found_exactly_once_by_its_token(desk):
    calls = {operation: desk.call("few") for operation in SAVES}
    for operation, call in calls.items():
        desk.do(operation, call)
    assert desk.scripts(*calls.values()) == desk.scripts_due(*calls.values())


def test_many_tokens_are_looked_up_at_once(desk):
    calls = [desk.call("few", case=number % 2) for number in range(12)]
    for call in calls:
        assert desk.do(Operation.SAVE_STANDARD, call) == Judgement("ok", "")
    assert desk.binding.script_batch >= len(calls)
    assert desk.scripts(*calls) == desk.scripts_due(*calls)


def test_a_token_that_was_never_saved_has_no_script_runs(desk):
    assert desk.scripts(desk.call("few")) == []


def test_with_clients_at_once_on_two_cases_the_scripts_of_the_acknowledged_saves_run_once_each(served, desk):
    calls = [desk.call("few", case=number % 2) for number in range(served.system.clients * 4)]
    outcomes = desk.do_at_once(Operation.SAVE_CUSTOM, calls, served.system.clients)
    assert {judgement.detail for judgement in outcomes} <= acceptable_details(desk.target)
    saved = [call for call, judgement in zip(calls, outcomes, strict=True) if judgement.outcome == "ok"]
    assert len(saved) > 0
    assert desk.scripts(*calls) == desk.scripts_due(*saved)


def test_a_save_of_what_somebody_else_has_saved_meanwhile_is_a_conflict_and_runs_no_script(desk):
    first, second = desk.call("few"), desk.call("few")
    stale = desk.binding.precondition(Operation.SAVE_CUSTOM, second)
    if stale is None:
        pytest.skip(f"{desk.target.name} has no entity tag: the last save wins")
    before = desk.client.send(stale)
    assert desk.do(Operation.SAVE_CUSTOM, first) == Judgement("ok", "")
    assert desk.do(Operation.SAVE_CUSTOM, second, before) == Judgement("conflict", "version conflict")
    assert desk.scripts(second) == []


@pytest.mark.parametrize("operation", [Operation.SEND_EMAIL, Operation.SEND_BATCH])
def test_each_mail_arrives_once_at_the_one_it_was_sent_to(mailing, operation):
    call = mailing.call("few")
    assert mailing.do(operation, call) == Judgement("ok", "")
    tokens = mailing.binding.mail_tokens(operation, call)
    recipients = mailing.binding.mail_recipients(operation, call)
    assert len(tokens) == (3 if operation is Operation.SEND_BATCH else 1)
    assert mailing.mails(operation, call) == [(*one, 1) for one in zip(tokens, recipients, strict=True)]


def words_of_a_run(served, scenario_file, out):
    settings = [word for key, value in served.settings.items() for word in ("--set", f"{key}={value}")]
    words = ("run", scenario_file, "--target", served.system.target, *settings, "--out", out, "--quiet")
    return [sys.executable, "-m", "savepath", *map(str, words)]


def test_a_run_is_whole_finds_every_effect_once_and_leaves_nothing_when_it_is_cleaned_up(
    served, tmp_path, monkeypatch
):
    out, system = tmp_path / "run", served.system
    before = system.rows(served.home)
    done = subprocess.run(
        words_of_a_run(served, served.scenario_file, out),
        capture_output=True, text=True, env=os.environ | system.environ, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    run = RunFolder(out)
    info, samples, effects = run.read(), run.read_samples(), run.read_effects()
    found = {kind: set(rows["outcome"]) for kind, rows in effects.groupby("kind", observed=True)}
    assert (info.status, info.ledger.closes, info.ledger.unsent) == ("complete", True, 0)
    assert set(samples["outcome"]) <= {"ok", "conflict"}
    assert found.pop("value") <= system.values
    assert found == {"script": {"once"}} | ({"mail": {"once"}} if system.mails else {})
    assert script_effects(effects) == scripts_due(samples)
    clean_up(served, out, monkeypatch)
    assert system.rows(served.home) == before


def test_after_a_kill_in_the_middle_of_a_run_its_clean_up_leaves_nothing(served, tmp_path, monkeypatch):
    before, more, out = served.system.rows(served.home), tmp_path / "more.yaml", tmp_path / "run"
    text = served.scenario_file.read_text().replace("cases: 2", "cases: 3")
    more.write_text(re.sub("duration_s: .*", "duration_s: 60", text))
    child = subprocess.Popen(words_of_a_run(served, more, out), env=os.environ | served.system.environ)
    deadline = time.monotonic() + 280
    while not any(path.stat().st_size > 1000 for path in out.glob("shards/*samples*")):
        assert child.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    kill(child)
    assert (
        sum(served.system.rows(served.home).values()) > sum(before.values()) + 3
    )  # the cases, and what saves left
    clean_up(served, out, monkeypatch)
    assert served.system.rows(served.home) == before


def clean_up(served, out, monkeypatch):
    """As ``savepath clean`` does, which waits longer for requests that are under way."""
    for name, value in served.system.environ.items():
        monkeypatch.setenv(name, value)
    cleaned = clean([out], Choice(), lambda _: None, settle_s=served.system.settle_s)
    assert exit_code(cleaned) == 0, tell_cleaned(cleaned)


def script_effects(effects):
    scripts = effects[effects["kind"] == "script"]
    return scripts.groupby("seq").size().to_dict()


def scripts_due(samples):
    """Two scripts after an acknowledged save of the tenant with ten fields, one elsewhere."""
    saves = samples[samples["operation"].isin([str(one) for one in SAVES]) & (samples["outcome"] == "ok")]
    return {
        seq: 2 if fields == 10 else 1 for seq, fields in zip(saves["seq"], saves["custom_fields"], strict=True)
    }


def test_clean_up_leaves_what_was_there_and_nothing_else(served, desk, tmp_path):
    more = tmp_path / "more.yaml"
    more.write_text(served.scenario_file.read_text().replace("cases: 2", "cases: 3"))
    before = served.system.rows(served.home)
    other = Driven(served.system.target, served.settings, more, served.system.environ)
    with other.client:
        for operation in other.scenario.mix:
            assert other.do(operation, other.call("few", case=2)) == Judgement("ok", "")
        assert all(number > before[table] for table, number in served.system.rows(served.home).items())
        fates = other.clean()
    assert [fate for fate in fates if not fate.is_settled] == []
    assert served.system.rows(served.home) == before


def test_provisioning_again_makes_nothing(desk):
    assert desk.provision() == desk.inventory


def test_a_tenant_without_the_fields_is_named_with_what_is_missing(desk):
    with pytest.raises(Aborted, match="has no cf_011, cf_012 of tenant field-sweep-few-01"):
        desk.provision(with_fields(desk.scenario, "few", 12))


def test_a_tenant_that_was_not_prepared_is_named(desk):
    with pytest.raises(Aborted, match="has no other-none-01, other-few-01, other-some-01"):
        desk.provision(desk.scenario.model_copy(update={"name": "other"}))


def test_preparing_again_keeps_what_is_there_and_refuses_another_scenario(served, desk):
    url = served.settings["base_url"]
    served.system.prepare(desk.scenario, served.home, url)
    with pytest.raises(InputError, match="choose another --home or remove it"):
        served.system.prepare(with_fields(desk.scenario, "few", 12), served.home, url)


def test_neither_the_password_nor_this_machine_stands_in_what_was_written(served, desk):
    code = [path for path in served.home.rglob("*") if path.suffix in (".py", ".ini", ".js", ".pm")]
    code += served.home.glob("initialdata")
    assert len(code) >= 2
    for text in (path.read_text() for path in code):
        assert served.system.password not in text
        assert str(served.home) not in text
