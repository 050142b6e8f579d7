"""Answers that are hard to judge: composite ones, conflicts, broken and hostile bodies."""

import pytest
from misbehaving_server import Arrays, Composite, Versioned, misbehaving

from scenarios.library import parse_scenario
from scenarios.model import Operation
from targets.binding import Binding
from targets.call import Call
from targets.control import ControlClient
from targets.http import Response
from targets.inventory import Inventory, TenantInventory
from targets.judgement import Judgement
from targets.mapping import parse_target

SCENARIO = parse_scenario(
    "name: s\ncohorts: {some: {custom_fields: 3}}\nmix: {read_case: 1}\nload: {rate_per_s: 1}\nduration_s: 1\n",
    "s",
)
(TENANT,) = SCENARIO.tenants
INVENTORY = Inventory(
    tenants={TENANT.key: TenantInventory(fields={f"cf_00{n}": f"cf_00{n}" for n in (1, 2, 3)}, cases=("7",))}
)
OK = Judgement("ok", "")
NOT_MET = Judgement("invalid", "success condition not met")
PARTIAL = Judgement("invalid", "partial success")
CONFLICT = Judgement("conflict", "version conflict")


def bind(operations, url="http://127.0.0.1:1"):
    return Binding(parse_target(f"name: t\nbase_url: {url}\n{operations}", "t"), SCENARIO, INVENTORY, {})


def call(seq=1, batch_size=1):
    return Call(seq, f"sp-0123456789-000000{seq}", TENANT, "7", "", batch_size)


# -- composite answers -----------------------------------------------------------------------------

BATCH = """\
operations:
  send_batch:
    request: {method: POST, path: /mails, body: {messages: "{{ messages }}"}}
    success: {items: results, each: "status == `201`"}
"""


@pytest.mark.parametrize(
    ("refused", "judgement"), [((), OK), ((1,), PARTIAL), ((0, 2), PARTIAL), ((0, 1, 2), NOT_MET)]
)
def test_a_composite_answer_is_as_good_as_all_of_its_items(refused, judgement):
    with misbehaving(Composite(refused)) as url:
        binding = bind(BATCH, url)
        with ControlClient(binding._target) as client:
            response = client.send(binding.request(Operation.SEND_BATCH, call(batch_size=3)))
    assert response.status == 207
    assert binding.judge(Operation.SEND_BATCH, response) == judgement


@pytest.mark.parametrize(
    "body", [b'{"results": []}', b'{"results": null}', b'{"results": {"status": 201}}', b"[]"]
)
def test_a_composite_answer_without_items_is_no_success(body):
    assert bind(BATCH).judge(Operation.SEND_BATCH, Response(207, {}, body)) == NOT_MET


def test_items_without_a_condition_on_each_are_a_mistake():
    from scenarios.errors import InputError

    with pytest.raises(InputError, match="items and each belong together"):
        bind(BATCH.replace(', each: "status == `201`"', ""))


# -- conflicts -------------------------------------------------------------------------------------

BY_ETAG = """\
operations:
  save_standard:
    precondition: GET /cases/{{ case }}
    request:
      method: PUT
      path: /cases/{{ case }}
      headers: {If-Match: "{{ before.headers.etag }}"}
      body: {title: "{{ values.title }}"}
"""
BY_STAMP = """\
operations:
  save_standard:
    precondition: GET /cases/{{ case }}
    request: {method: PUT, path: "/cases/{{ case }}", body: {version: "{{ before.body.version }}"}}
    conflict: {condition: "errors[?code == 'STALE']"}
    success: {condition: version}
"""


@pytest.mark.parametrize(("text", "stamp_in_body"), [(BY_ETAG, False), (BY_STAMP, True)])
def test_a_save_that_came_second_is_a_conflict_and_not_an_error(text, stamp_in_body):
    with misbehaving(Versioned(stamp_in_body=stamp_in_body)) as url:
        binding = bind(text, url)
        operation = Operation.SAVE_STANDARD
        with ControlClient(binding._target) as client:
            before = client.send(binding.precondition(operation, call()))
            both = [client.send(binding.request(operation, call(seq), before=before)) for seq in (1, 2)]
    assert [binding.judge(operation, response) for response in both] == [OK, CONFLICT]


def test_an_error_that_is_no_conflict_stays_an_error():
    binding = bind(BY_STAMP)
    for body in (b'{"errors": [{"code": "OTHER"}]}', b"<html>", b""):
        response = Response(422, {}, body)
        assert binding.judge(Operation.SAVE_STANDARD, response) == Judgement("http_error", "http 422")


def test_a_list_of_statuses_is_enough_for_a_conflict():
    binding = bind(BY_ETAG + "    conflict: [409]\n")
    assert binding.judge(Operation.SAVE_STANDARD, Response(409, {}, b"")) == CONFLICT


# -- conditions on more than the body --------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "judgement"),
    [
        ('{answer: "status == `201`"}', OK),
        ("{answer: headers.location}", OK),
        ("{answer: body.id}", OK),
        ('{answer: headers."x-rate-limit"}', NOT_MET),
        ("{body: id}", OK),
    ],
)
def test_a_condition_may_look_at_status_and_headers(condition, judgement):
    condition = condition.replace('headers."x-rate-limit"', "'headers.\"x-rate-limit\"'")
    binding = bind(f'operations: {{read_case: {{request: "GET /x", success: {{condition: {condition}}}}}}}\n')
    response = Response(201, {"location": "/x/7"}, b'{"id": "7"}')
    assert binding.judge(Operation.READ_CASE, response) == judgement


# -- broken and hostile bodies ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "judgement"),
    [
        (b'{"id": NaN}', Judgement("invalid", "not json")),
        (b'{"id": 1e999}', Judgement("invalid", "not json")),
        (b'{"id": "\xff\xfe"}', Judgement("invalid", "not json")),
        (b'{"id": "\\ud800"}', Judgement("invalid", "not json")),
        (b"[" * 100_000 + b"]" * 100_000, Judgement("invalid", "not json")),
        (b'{"id": ' + b"[" * 1000 + b"]" * 1000 + b"}", OK),
        (b"[1, 2]", NOT_MET),
        (b'"text"', NOT_MET),
        (b"null", NOT_MET),
        (b'{"id": 1', Judgement("invalid", "not json")),
        (b'\xef\xbb\xbf{"id": 1}', Judgement("invalid", "not json")),
    ],
)
def test_a_broken_body_has_an_outcome_of_its_own(body, judgement):
    binding = bind('operations: {read_case: {request: "GET /x", success: {condition: id}}}\n')
    assert binding.judge(Operation.READ_CASE, Response(200, {}, body)) == judgement


@pytest.mark.parametrize(
    "expression", ["sort_by(@, &id)", "ceil(id)", "max(id)", "sum(id)", "join(',', id)", "abs(@)"]
)
def test_a_condition_that_does_not_fit_the_answer_is_not_met(expression):
    binding = bind(f'operations: {{read_case: {{request: "GET /x", success: {{condition: "{expression}"}}}}}}\n')
    for body in (b'{"id": 1e300}', b'{"id": [1, "a", null]}', b'[{"id": 1}, {"id": "a"}]', b"3"):
        assert binding.judge(Operation.READ_CASE, Response(200, {}, body)) in (OK, NOT_MET)


# -- bare lists ------------------------------------------------------------------------------------

ARRAYS = """\
operations:
  save_custom:
    request: {method: PATCH, path: "/cases/{{ case }}", body: [{path: reference, value: "{{ save.id }}"}]}
    success: {items: "@", each: done}
fields: {shape: list, id_key: path}
verify: {values: {request: "GET /cases/{{ case }}"}}
"""


def test_a_body_that_is_a_list_is_sent_judged_and_read_back():
    with misbehaving(desk := Arrays()) as url:
        binding = bind(ARRAYS, url)
        with ControlClient(parse_target(f"name: t\nbase_url: {url}\n{ARRAYS}", "t")) as client:
            answer = client.send(binding.request(Operation.SAVE_CUSTOM, call()))
            assert binding.judge(Operation.SAVE_CUSTOM, answer) == OK
            read = binding.values_read(TENANT, client.send(binding.read_back(TENANT, "7")))
    assert [one["path"] for one in desk.asked[0].json] == ["reference", "cf_001", "cf_002", "cf_003"]
    assert read.values == binding.values_saved(TENANT, 1, call().token)
