"""Each fault that casedesk can be given is found alone: exactly what its own log asks for, and nothing else."""

import httpx
import pytest

from casedesk.faults import FAULTS
from casedesk.process import running_desk
from loadgen.chosen import ChosenTarget, Workers
from loadgen.run_folder import RunFolder
from loadgen.session import Session
from loadgen.settings import Settings
from scenarios.library import load_scenario
from tests.planted_truth import broken, expected_rows, found_rows, read_desk

pytestmark = pytest.mark.live

#: Eight clients at most, on four cases of two tenants.
SCENARIO = """\
cohorts: {few: {custom_fields: 8, tenants: 2, cases: 2, scripts_on_save: 2}}
mix: {save_custom: 6, save_standard: 2, send_email: 3, send_batch: 1}
load: {rate_per_s: 80, arrivals: constant, in_flight_max: 8, timeout_s: 10}
warmup_s: 0
duration_s: 0.5
batch_size: 3
verification: {settle_s: 0.3, script_deadline_s: 3, mail_deadline_s: 3, read_back_share: 1, rate_per_s: 100}
"""
#: Of 14 custom saves, 21 saves and 23 mails none is struck once in 10^8 runs.
SHARE = 0.75
#: A script that is so late, and comes so much sooner than it would be given up, is late on a busy machine too.
LATE_S, SETTLE_OF_LATE_S = 3.3, 1.5

#: fault -> the outcomes that it must come to be, and no others.
OUTCOMES = {
    "script_lost": {("script", "missed")},
    "script_doubled": {("script", "doubled")},
    "script_late": {("script", "late")},
    "script_reordered": {("script", "out_of_order")},
    "value_dropped": {("value", "partial")},
    "value_truncated": {("value", "partial")},
    "foreign_write": {("value", "foreign")},
    "mail_lost": {("mail", "missed")},
    "mail_doubled": {("mail", "doubled")},
    "mail_misdirected": {("mail", "wrong_recipient")},
    "ok_not_committed": {("script", "missed"), ("value", "lost")},
    "committed_but_500": {("value", "failed_but_saved")},
}

#: What a busy machine may bring about without any fault; held against the desk's own log as everything is.
NOBODYS_FAULT = {("script", "late"), ("mail", "late")}


@pytest.fixture(scope="module")
def desk():
    with running_desk(seed=7) as desk:
        yield desk


@pytest.fixture
def drive(desk, tmp_path):
    """Drives the scenario on the desk with these faults; what was found, and what the desk says of it."""
    file = tmp_path / "planted.yaml"

    def run(name, scenario=SCENARIO, workers=1, **faults):
        # Tenants of its own, or a save might write what the run before has left there, and change nothing.
        file.write_text(f"name: {name}\n{scenario}")
        target = ChosenTarget("casedesk", {"base_url": desk.url})
        settings = Settings(str(file), target, run_dir=tmp_path / "run", workers=Workers(workers))
        session = Session(settings, say=lambda _: None)
        session.prepare()
        desk.set_faults(**faults)
        session.start()
        session.finished.wait()
        desk.set_faults()
        folder = RunFolder(tmp_path / "run")
        info, samples = folder.read(), folder.read_samples().to_dict("records")
        assert (info.status, info.ledger.closes) == ("complete", True)
        scenario = load_scenario(str(file))
        expected = expected_rows(scenario, info.key, samples, read_desk(desk.url, scenario, info.key, samples))
        for tenant in scenario.tenants:
            httpx.delete(f"{desk.url}/tenants/{tenant.key}", trust_env=False)
        return found_rows(folder.read_effects().to_dict("records")), expected

    return run


def test_every_fault_is_looked_for():
    assert set(OUTCOMES) == set(FAULTS)


def test_without_faults_everything_is_good_and_nothing_is_left_open(drive):
    found, expected = drive("nothing-planted")
    assert found == expected
    assert found.total() > 60
    assert set(broken(found)) <= NOBODYS_FAULT


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found_wherever_it_struck_and_nowhere_else(drive, fault):
    late = {}
    if fault == "script_late":
        scenario = SCENARIO.replace("settle_s: 0.3", f"settle_s: {SETTLE_OF_LATE_S}")
        late = {"script_late_s": LATE_S, "scenario": scenario}
    found, expected = drive(fault.replace("_", "-"), **{fault: SHARE}, **late)
    assert found == expected
    assert OUTCOMES[fault] <= set(broken(found)) <= OUTCOMES[fault] | NOBODYS_FAULT


def test_two_workers_find_what_is_planted_together_as_one_does(drive):
    # One fault hides another of the same save; twice as long, there is one without any of a kind in 10^7 runs.
    shares = {"foreign_write": 0.5, "script_doubled": 0.25, "script_reordered": 0.75, "value_truncated": 0.9}
    shares |= {"mail_lost": 0.5}
    longer = SCENARIO.replace("duration_s: 0.5", "duration_s: 1")
    found, expected = drive("two-workers", longer, workers=2, **shares)
    assert found == expected
    assert set().union(*(OUTCOMES[name] for name in shares)) <= set(broken(found))
