"""Quotas: a plan over one is told with numbers, and preparation keeps its pace."""

import pytest
from misbehaving_server import Reply, Scripted, misbehaving

from scenarios.library import parse_scenario
from scenarios.load import Load, Point
from targets.control import ControlClient
from targets.http import Request
from targets.mapping import parse_target
from targets.quotas import over_quota

OPERATIONS = """\
  read_case: {request: "GET /cases/{{ case }}"}
  save_standard:
    precondition: GET /cases/{{ case }}
    request: {method: PUT, path: "/cases/{{ case }}"}
  send_batch: {request: {method: POST, path: /mails, body: {to: "{{ mail.to }}"}}}
"""


def target(quota, more="", url="http://127.0.0.1:1"):
    return parse_target(f"name: t\nbase_url: {url}\nquotas: [{quota}]\noperations:\n{OPERATIONS}{more}", "t.yaml")


def scenario(mix="read_case: 1", rate=10, cases=1, tenants=1, more=""):
    """Evenly spaced arrivals for 60 s."""
    return parse_scenario(
        f"name: s\ncohorts: {{some: {{custom_fields: 0, cases: {cases}, tenants: {tenants}}}}}\nmix: {{{mix}}}\n"
        f"load: {{rate_per_s: {rate}, arrivals: constant}}\nwarmup_s: 0\nduration_s: 60\nbatch_size: 5\n{more}",
        "s.yaml",
    )


def test_a_plan_without_quotas_is_within_them():
    assert over_quota(target(""), scenario()) == ()


@pytest.mark.parametrize(("requests", "fits"), [(100, True), (99, False)])
def test_ten_a_second_are_a_hundred_in_ten_seconds(requests, fits):
    reasons = over_quota(target(f"{{requests: {requests}, in_s: 10}}"), scenario())
    assert (reasons == ()) is fits


def test_a_reason_tells_the_numbers_and_the_rate_that_fits():
    (reason,) = over_quota(target("{requests: 25, in_s: 10}"), scenario())
    assert reason == (
        "t allows 25 requests in 10 s per account; the plan sends up to 100; "
        "set load.rate_per_s to 2.5 or less (it is 10)"
    )


def test_a_late_step_is_over_a_quota_as_well():
    steps = (Point(at_s=0, times=1), Point(at_s=50, times=4))
    late = scenario().model_copy(update={"load": Load(rate_per_s=10, arrivals="constant", steps=steps)})
    (reason,) = over_quota(target("{requests: 25, in_s: 1}"), late)
    assert "the plan sends up to 40; set load.rate_per_s to 6.2 or less (it is 10)" in reason


def test_of_two_targets_at_once_each_gets_half():
    quota = target("{requests: 340, in_s: 60}")  # 600 in all, about 300 each
    assert (len(over_quota(quota, scenario())), over_quota(quota, scenario(), at_once=True)) == (1, ())


def test_the_read_before_a_save_and_each_mail_of_a_batch_count():
    (saves,) = over_quota(target("{requests: 2, in_s: 1}"), scenario("save_standard: 1"))
    (mails,) = over_quota(target("{requests: 5, in_s: 1}"), scenario("send_batch: 1"))
    assert "sends up to 20;" in saves
    assert "sends up to 50;" in mails


def test_an_arrival_that_cannot_fit_is_told():
    (reason,) = over_quota(target("{requests: 4, in_s: 1}"), scenario("send_batch: 1"))
    assert reason.endswith("; a single send_batch takes 5: lower batch_size")


def test_a_quota_of_some_operations_counts_those():
    quota = "{requests: 2, in_s: 60, operations: [save_standard]}"
    assert over_quota(target(quota), scenario("read_case: 1")) == ()
    (reason,) = over_quota(target(quota), scenario("save_standard: 1", rate=1))
    assert "2 requests in 60 s per account (save_standard); the plan sends up to 120" in reason


def test_a_quota_of_a_tenant_is_told_with_its_name():
    quota = "{per: tenant, requests: 30, in_s: 60}"
    (reason,) = over_quota(target(quota), scenario(rate=1))
    assert "the plan sends up to 60 of tenant s-some-01; set load.rate_per_s to 0.5 or less" in reason
    assert reason.endswith(", or spread it over more tenants")
    assert over_quota(target(quota), scenario(rate=1, tenants=10)) == ()


def test_a_quota_of_a_record_is_told_with_its_number():
    quota = "{per: record, requests: 30, in_s: 60}"
    (reason,) = over_quota(target(quota), scenario(rate=1))
    assert "the plan sends up to 60 of case s-some-01 number 1; " in reason
    assert over_quota(target(quota), scenario(rate=1, cases=50)) == ()
    assert over_quota(target(quota), scenario("send_batch: 1", rate=1)) == ()


def test_verification_counts_in_the_quota_of_an_account():
    more = 'verify: {values: {request: "GET /cases/{{ case }}"}}\n'
    quota = "{requests: 200, in_s: 10}"
    assert over_quota(target(quota), scenario()) == ()
    (reason,) = over_quota(target(quota, more), scenario())
    assert "sends up to 100 and its verification 200; set verification.rate_per_s to 10 or less" in reason
    assert over_quota(target(quota, more), scenario(more="verification: {rate_per_s: 10}\n")) == ()


def test_the_control_client_keeps_the_pace():
    waits = []
    with misbehaving(Scripted(Reply())) as url:
        system = target("{requests: 100, in_s: 60}, {per: tenant, requests: 10, in_s: 60}", url=url)
        with ControlClient(system, sleep=waits.append) as client:
            for _ in range(3):
                client.send(Request("GET", f"{url}/x"))
    assert waits[0] == 0
    assert 5 < waits[1] <= 6
    assert 11 < waits[2] <= 12
