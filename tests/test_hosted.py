"""The mappings for Zendesk and ServiceNow, against imitations of their documented APIs."""

from pathlib import Path

import pytest
from hosted_imitations import ServiceNow, Zendesk
from misbehaving_server import misbehaving
from real_system import Driven

from scenarios.errors import Aborted
from scenarios.fields import define_fields
from scenarios.library import parse_scenario
from scenarios.model import Operation
from targets.mapping import load_target
from targets.quotas import over_quota
from targets.readiness import ask

SCENARIO = """\
name: h
cohorts: {none: {custom_fields: 0, cases: 1}, some: {custom_fields: 7, cases: 3}}
mix: {read_case: 1, save_standard: 1, save_custom: 1, run_script: 1}
field_types: {text: 3, number: 2, date: 2, checkbox: 2}
load: {rate_per_s: 1}
duration_s: 60
batch_size: 3
"""
ENVIRON = {"ZENDESK_AUTHORIZATION": "Bearer zd-t0ken", "SERVICENOW_PASSWORD": "sn-p4ss"}
KEYS = [field.key for field in define_fields(parse_scenario(SCENARIO, "h"), 7)]


@pytest.fixture(scope="module")
def scenario_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("hosted") / "h.yaml"
    path.write_text(SCENARIO)
    return path


@pytest.fixture(scope="module")
def zendesk(scenario_file):
    product = Zendesk(KEYS)
    product.busy = 2
    with misbehaving(product) as url:
        driven = Driven("zendesk", {"base_url": url, "script_log": url}, scenario_file, ENVIRON)
        with driven.client:
            yield product, driven


@pytest.fixture(scope="module")
def servicenow(scenario_file):
    product = ServiceNow(KEYS)
    product.busy = 2
    with misbehaving(product) as url:
        driven = Driven("servicenow", {"base_url": url}, scenario_file, ENVIRON)
        with driven.client:
            yield product, driven


@pytest.fixture(params=["zendesk", "servicenow"])
def hosted(request):
    return request.getfixturevalue(request.param)


def test_preparation_turns_every_page_and_waits_where_it_is_told_to(hosted):
    product, driven = hosted
    assert product.busy == 0
    assert sum(len(known.cases) for known in driven.inventory.tenants.values()) == 4
    assert len(driven.inventory.tenants["h-some-01"].fields) == 7
    before = len(product.asked)
    assert driven.provision() == driven.inventory
    assert {asked.method for asked in product.asked[before:]} == {"GET"}


@pytest.mark.parametrize("cohort", ["none", "some"])
@pytest.mark.parametrize("operation", list(Operation))
def test_every_operation_that_the_mapping_has_succeeds(hosted, operation, cohort):
    _, driven = hosted
    if not driven.binding.supports(operation):
        pytest.skip(f"{driven.target.name} has no {operation}")
    call = driven.call(cohort)
    answers = [driven.client.send(request) for request in driven.binding.requests(operation, call)]
    assert {driven.binding.judge(operation, answer).outcome for answer in answers} == {"ok"}


def test_a_custom_save_is_read_back_as_it_was_written_and_its_script_is_found_once(hosted):
    _, driven = hosted
    call = driven.call("some", case=1)
    assert driven.do(Operation.SAVE_CUSTOM, call).outcome == "ok"
    read = driven.read_back(call)
    assert read.token == call.token
    assert read.values == driven.binding.values_saved(call.tenant, call.seq, call.token)
    assert driven.scripts(call) == [(call.token, "script-1")]


def test_a_quota_that_is_used_up_is_a_failure_of_the_request(hosted):
    product, driven = hosted
    product.busy = 100
    answer = driven.client.send(driven.binding.request(Operation.READ_CASE, driven.call("none")))
    product.busy = 0
    assert driven.binding.judge(Operation.READ_CASE, answer).detail == "http 429"


def test_mails_of_servicenow_are_found_in_its_own_record(servicenow):
    _, driven = servicenow
    call = driven.call("none")
    call = type(call)(call.seq, call.token, call.tenant, call.case, call.traceparent, batch_size=3)
    for request in driven.binding.requests(Operation.SEND_BATCH, call):
        driven.client.expect(request)
    tokens = driven.binding.mail_tokens(Operation.SEND_BATCH, call)
    seen = driven.binding.mails_seen(driven.client.send(driven.binding.look_up_mails(call.tenant, tokens[:2])))
    recipients = driven.binding.mail_recipients(Operation.SEND_BATCH, call)
    assert [(mail.token, mail.recipient, mail.count) for mail in seen] == [
        (token, to, 1) for token, to in zip(tokens[:2], recipients[:2], strict=True)
    ]


def test_the_thirty_first_update_of_a_ticket_in_ten_minutes_is_refused(zendesk):
    _, driven = zendesk
    call = driven.call("some", case=2)
    request = driven.binding.request(Operation.SAVE_STANDARD, call)
    assert {driven.client.send(request).status for _ in range(30)} == {200}
    with pytest.raises(Aborted, match="http 429, come back in 93 s; at most 60 s are waited"):
        driven.client.send(request)


def test_a_plan_over_zendesks_limits_is_refused_before_anything_is_sent():
    often = parse_scenario(SCENARIO.replace("rate_per_s: 1", "rate_per_s: 5"), "h")
    reasons = over_quota(load_target("zendesk"), often)
    assert any("100 requests in 60 s per account (save_standard, save_custom, run_script)" in r for r in reasons)
    assert any("30 requests in 600 s per record" in r for r in reasons)


def test_the_check_has_nothing_to_complain_of(hosted):
    _, driven = hosted
    answers = list(ask(driven.target, driven.scenario, ENVIRON))
    assert [answer for answer in answers if answer.word == "no"] == []
    assert [answer.word for answer in answers if answer.question == "clean up"] == ["ok"]


def test_an_agent_who_may_not_delete_is_told_by_the_check(zendesk):
    product, driven = zendesk
    product.role = "agent"
    answers = list(ask(driven.target, driven.scenario, ENVIRON))
    product.role = "admin"
    assert [answer.question for answer in answers if answer.word == "no"] == ["clean up"]


def test_clean_up_removes_companies_cases_and_what_saves_and_mails_left(hosted):
    product, driven = hosted
    assert {fate.word for fate in driven.clean()} <= {"removed", "gone"}
    if isinstance(product, Zendesk):
        assert (product.tickets, product.organizations) == ({}, {})
    else:
        made = ("core_company", "incident", "u_savepath_log", "sys_email")
        assert {name: product.tables[name] for name in made} == {name: [] for name in made}
