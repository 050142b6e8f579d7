"""Planted faults: each kind shows in the data as it would in an incident, and in the list of the truth."""

import json
import time

import httpx
import pytest

from casedesk.faults import FAULTS, Faults, FaultShares
from casedesk.process import running_desk

FIELDS = [{"key": f"f{n}", "label": f"F {n}", "type": "text", "choices": []} for n in range(3)]
OLD = {"f0": "old-value-0", "f1": "old-value-1", "f2": "old-value-2"}
NEW = {"f0": "new-value-0", "f1": "new-value-1", "f2": "new-value-2"}


def until(happened):
    deadline = time.monotonic() + 60
    while not (said := happened()):
        assert time.monotonic() < deadline, "it did not happen within 60 s"
        time.sleep(0.01)
    return said


class Estate:
    """Two tenants with a case each, and the questions that a check would ask."""

    def __init__(self, desk, client, suffix):
        self.desk, self.client = desk, client
        self.cases = []
        for side in ("own", "other"):
            key = f"{side}-{suffix}"
            client.post("/tenants", json={"key": key, "name": key})
            body = {"key": "request", "name": "Request", "scripts_on_save": 2, "fields": FIELDS}
            client.post(f"/tenants/{key}/case-types", json=body)
            created = client.post(
                f"/tenants/{key}/cases", json={"case_type": "request", "title": "T", "fields": OLD}
            )
            self.cases.append(f"/tenants/{key}/cases/{created.json()['id']}")
        self.tenant = f"/tenants/own-{suffix}"
        self.token = f"save-{suffix}"

    def save(self):
        return self.client.patch(self.cases[0], json={"fields": NEW}, headers={"X-Save-Id": self.token})

    def values(self, case=0):
        return self.client.get(self.cases[case]).json()["fields"]

    def scripts(self):
        runs = self.client.get(f"{self.tenant}/script-runs?save_ids={self.token}").json()["runs"]
        return [run["script"] for run in runs]

    def mail(self):
        body = {"to": "a@example.com", "subject": "S", "token": self.token}
        return self.client.post(f"{self.tenant}/emails", json=body)

    def outbox(self, token=None):
        return self.client.get(f"{self.tenant}/outbox?tokens={token or self.token}").json()["mails"][0]

    def planted(self):
        found = self.desk.planted()
        return [(p["fault"], p["detail"]) for p in found if self.token in (p.get("save_id"), p.get("token"))]


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    with running_desk(data=tmp_path_factory.mktemp("desk"), seed=5) as desk:
        yield desk


@pytest.fixture(scope="module")
def client(desk):
    with httpx.Client(base_url=desk.url, trust_env=False, timeout=30) as client:
        yield client


@pytest.fixture
def estate(desk, client, request):
    suffix = request.node.name.removeprefix("test_").replace("_", "-")[:80]
    estate = Estate(desk, client, suffix)
    yield estate
    desk.set_faults()
    for case in estate.cases:
        client.delete(case.rsplit("/cases/", 1)[0])


def test_without_faults_nothing_is_planted_and_all_is_well(estate):
    assert estate.save().status_code == 200
    until(lambda: estate.scripts() == ["script-1", "script-2"])
    assert estate.values() == NEW
    assert estate.planted() == []


def test_a_lost_script_never_runs(desk, estate):
    desk.set_faults(script_lost=1.0)
    estate.save()
    desk.set_faults()
    # Jobs run in order: when a later save's scripts have run, the lost ones never will.
    headers = {"X-Save-Id": f"{estate.token}-later"}
    estate.client.patch(estate.cases[0], json={"title": "later"}, headers=headers)
    later = f"{estate.tenant}/script-runs?save_ids={estate.token}-later"
    until(lambda: len(estate.client.get(later).json()["runs"]) == 2)
    assert estate.scripts() == []
    assert [(fault, d["script"]) for fault, d in estate.planted()] == [
        ("script_lost", "script-1"),
        ("script_lost", "script-2"),
    ]


def test_a_doubled_script_runs_twice(desk, estate):
    desk.set_faults(script_doubled=1.0)
    estate.save()
    until(lambda: estate.scripts() == ["script-1", "script-1", "script-2", "script-2"])
    assert [(fault, d["script"]) for fault, d in estate.planted()] == [
        ("script_doubled", "script-1"),
        ("script_doubled", "script-2"),
    ]


def test_reordered_scripts_run_in_the_opposite_order(desk, estate):
    desk.set_faults(script_reordered=1.0)
    estate.save()
    until(lambda: estate.scripts() == ["script-2", "script-1"])
    assert [fault for fault, _ in estate.planted()] == ["script_reordered"]


def test_a_late_script_runs_that_much_later(desk, estate):
    desk.set_faults(script_late=1.0, script_late_s=0.4)
    estate.save()
    until(lambda: len(estate.scripts()) == 2)
    runs = estate.client.get(f"{estate.tenant}/script-runs?save_ids={estate.token}").json()["runs"]
    assert all(run["started_at"] - run["queued_at"] >= 0.4 for run in runs)
    assert [(fault, d["late_s"]) for fault, d in estate.planted()] == [("script_late", 0.4)] * 2


def test_a_dropped_value_stays_the_old_one(desk, estate):
    desk.set_faults(value_dropped=1.0)
    assert estate.save().status_code == 200
    ((fault, detail),) = estate.planted()
    assert fault == "value_dropped"
    assert estate.values() == {**NEW, detail["field"]: OLD[detail["field"]]}


def test_a_truncated_value_loses_its_second_half(desk, estate):
    desk.set_faults(value_truncated=1.0)
    assert estate.save().status_code == 200
    ((fault, detail),) = estate.planted()
    assert fault == "value_truncated"
    assert estate.values() == {**NEW, detail["field"]: NEW[detail["field"]][:5]}


def test_a_foreign_write_changes_the_case_of_another_tenant(desk, estate):
    desk.set_faults(foreign_write=1.0)
    assert estate.save().status_code == 200
    ((fault, detail),) = estate.planted()
    assert fault == "foreign_write"
    assert estate.values() == OLD
    assert estate.values(case=1) == NEW
    assert estate.cases[1] == f"/tenants/{detail['tenant']}/cases/{detail['to_case']}"
    logged = [estate.client.get(f"{case}/history").json()["history"] for case in estate.cases]
    assert [{row["field"]: row["after"] for row in rows} for rows in logged] == [{}, NEW]
    assert {(row["save_id"], row["before"]) for row in logged[1]} == {(estate.token, old) for old in OLD.values()}


def test_a_save_acknowledged_and_not_committed_leaves_nothing(desk, estate):
    desk.set_faults(ok_not_committed=1.0, value_dropped=1.0)
    assert estate.save().status_code == 200
    assert estate.values() == OLD
    assert estate.client.get(estate.cases[0]).json()["version"] == 1
    assert [fault for fault, _ in estate.planted()] == ["ok_not_committed"]


def test_a_save_committed_and_reported_as_failed_is_there_with_its_scripts(desk, estate):
    desk.set_faults(committed_but_500=1.0)
    answer = estate.save()
    assert (answer.status_code, answer.json()["error"]) == (500, "internal")
    assert estate.values() == NEW
    until(lambda: estate.scripts() == ["script-1", "script-2"])
    assert [fault for fault, _ in estate.planted()] == ["committed_but_500"]


def test_a_lost_mail_is_never_delivered(desk, estate):
    desk.set_faults(mail_lost=1.0)
    assert estate.mail().status_code == 202
    desk.set_faults()
    later = {"to": "a@example.com", "subject": "S", "token": f"{estate.token}-later"}
    estate.client.post(f"{estate.tenant}/emails", json=later)
    until(lambda: estate.outbox(later["token"])["status"] == "sent")
    assert (estate.outbox()["status"], estate.outbox()["deliveries"]) == ("queued", 0)
    assert estate.planted() == [("mail_lost", {"to": "a@example.com"})]


def test_a_doubled_mail_is_delivered_twice(desk, estate):
    desk.set_faults(mail_doubled=1.0)
    estate.mail()
    until(lambda: estate.outbox()["deliveries"] == 2)
    assert estate.planted() == [("mail_doubled", {"to": "a@example.com"})]


def test_a_misdirected_mail_goes_to_somebody_else(desk, estate):
    desk.set_faults(mail_misdirected=1.0)
    estate.mail()
    until(lambda: estate.outbox()["status"] == "sent")
    assert estate.outbox()["to"] == "astray.a@example.com"
    assert [fault for fault, _ in estate.planted()] == ["mail_misdirected"]


def test_every_fault_has_its_switch():
    assert set(FAULTS) | {"script_late_s"} == set(FaultShares.model_fields)


def test_the_ledger_file_tells_the_same_as_the_list(tmp_path):
    with running_desk(data=tmp_path) as desk, httpx.Client(base_url=desk.url, trust_env=False) as client:
        estate = Estate(desk, client, "ledger")
        desk.set_faults(value_dropped=1.0, script_doubled=1.0)
        estate.save()
        lines = (tmp_path / "planted.jsonl").read_text().splitlines()
        assert [json.loads(line) for line in lines] == desk.planted()
        assert len(lines) == 3


def test_the_share_of_struck_tokens_is_the_share_asked_for(tmp_path):
    faults = Faults(tmp_path / "ledger", seed=1)
    faults.shares = FaultShares(script_lost=0.2)
    struck = sum(faults.strikes("script_lost", f"token-{number}") for number in range(10_000))
    # Five standard deviations of a binomial with n = 10,000 and p = 0.2 are 200.
    assert abs(struck - 2000) < 200


def test_the_same_seed_strikes_the_same_tokens_and_another_seed_others(tmp_path):
    def struck(seed):
        faults = Faults(tmp_path / "ledger", seed=seed)
        faults.shares = FaultShares(mail_lost=0.5)
        return [faults.strikes("mail_lost", f"token-{number}") for number in range(100)]

    assert struck(1) == struck(1) != struck(2)


def test_two_faults_strike_independently(tmp_path):
    faults = Faults(tmp_path / "ledger", seed=1)
    faults.shares = FaultShares(mail_lost=0.5, mail_doubled=0.5)
    tokens = [f"token-{number}" for number in range(4000)]
    both = sum(faults.strikes("mail_lost", t) and faults.strikes("mail_doubled", t) for t in tokens)
    # Five standard deviations of a binomial with n = 4,000 and p = 0.25 are 137.
    assert abs(both - 1000) < 137
