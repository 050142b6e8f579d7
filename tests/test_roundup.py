"""The mapping of Roundup against a real Roundup 2.6, a system that nobody here wrote."""

import pytest

from scenarios.errors import Aborted, InputError
from scenarios.library import load_scenario
from scenarios.model import Operation
from scenarios.tokens import new_run_key, save_id, traceparent
from targets.binding import Binding, Call, Judgement
from targets.control import ControlClient, preflight
from targets.mapping import load_target
from targets.provisioning import provision
from targets.roundup_prepare import prepare
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
mix: {read_case: 30, save_standard: 19, save_custom: 25, run_script: 15}
load: {rate_per_s: 5}
duration_s: 10
"""
OPERATIONS = ("read_case", "save_standard", "save_custom", "run_script")
TENANTS = ("none", "few", "some")


class Tracker:
    """The served trackers with the scenario provisioned on them."""

    def __init__(self, url, scenario):
        self.scenario = scenario
        self.target = load_target("roundup", {"base_url": url})
        self.inventory = self.provision()
        self.binding = Binding(self.target, scenario, self.inventory, ENVIRON)
        self.client = ControlClient(self.target)
        self.run_key = new_run_key()
        self.seq = 0

    def provision(self, scenario=None):
        return provision(self.target, scenario or self.scenario, ENVIRON, lambda *words: None)

    def call(self, cohort):
        """A new arrival at the first case of the cohort's tenant."""
        self.seq += 1
        (tenant,) = (tenant for tenant in self.scenario.tenants if tenant.cohort == cohort)
        case = self.inventory.tenants[tenant.key].cases[0]
        token = save_id(self.run_key, self.seq)
        return Call(self.seq, token, tenant, case, traceparent(self.run_key, self.seq))

    def do(self, operation, call, before=None):
        """What became of one operation; ``before`` stands for the answer to the read before it."""
        read = self.binding.precondition(operation, call)
        before = before or (self.client.send(read) if read else None)
        response = self.client.send(self.binding.request(operation, call, before=before))
        return self.binding.judge(operation, response)

    def scripts(self, call):
        runs = self.binding.script_runs(self.client.send(self.binding.look_up_scripts(call.tenant, [call.token])))
        return [(run.token, run.name) for run in runs]


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
    with running_roundup(scenario_file, home) as url:
        made = Tracker(url, load_scenario(str(scenario_file)))
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
    response = tracker.client.send(tracker.binding.read_back(call))
    read = tracker.binding.values_read(call.tenant, response)
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
    assert len(written) == 4 * len(TENANTS)
    assert [text for text in written if str(home) in text] == []
