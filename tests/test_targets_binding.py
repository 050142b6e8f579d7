"""Arrivals become requests and answers become outcomes, by hand-made cases; then on casedesk."""

import time
import tracemalloc

import orjson
import pytest

from casedesk.process import running_desk
from scenarios.errors import Aborted, InputError
from scenarios.library import parse_scenario
from scenarios.model import FieldType, Operation
from scenarios.tokens import save_id, traceparent
from targets.binding import Binding
from targets.call import Call
from targets.control import ControlClient, preflight
from targets.extraction import Unreadable
from targets.http import Response
from targets.inventory import Inventory, TenantInventory
from targets.judgement import Judgement
from targets.lookups import MailSeen, ScriptRun
from targets.mapping import load_target, parse_target
from targets.provisioning import provision, warm_up

SCENARIO = parse_scenario(
    """\
name: small
seed: 5
cohorts:
  none: {custom_fields: 0, tenants: 1, cases: 2}
  some: {custom_fields: 12, tenants: 2, cases: 3, case_types: 2, scripts_on_save: 2}
mix: {read_case: 1, send_email: 1, send_batch: 1, save_standard: 1, save_custom: 1, run_script: 1}
load: {rate_per_s: 1}
duration_s: 1
""",
    "small.yaml",
)
NONE, SOME, OTHER = SCENARIO.tenants
MAPPING = """\
name: stub
base_url: http://127.0.0.1:1
headers: {Origin: "{{ base_url }}"}
auth: {header: {name: X-Key, value_env: STUB_KEY}}
operations:
  read_case: {request: "GET /{{ tenant.remote.room }}/{{ case }}", success: {condition: id}}
  save_standard:
    precondition: GET /{{ case }}
    request:
      method: PUT
      path: /{{ case }}
      query: {again: [1, 2], left_out: null, t: "{{ save.id }}"}
      headers: {If-Match: "{{ before.headers.etag }}"}
      body: {title: "{{ values.title }}", version: "{{ before.body.version }}"}
    success: {statuses: [204]}
  save_custom: {request: {method: PUT, path: "/{{ case }}", body: {n: "{{ save.seq }}"}}}
  send_batch:
    request: {method: POST, path: /mails, body: {mails: "{{ messages }}"}}
    message: {recipient: "{{ mail.to }}", reference: "{{ mail.token }}"}
fields: {shape: list, under: fields}
verify:
  scripts:
    request: GET /log?t={{ tokens | join(',') }}
    items: runs
    token: save
    begun: saved
    ended: done
"""
KEYS = [f"cf_{number:03d}" for number in range(1, 13)]
INVENTORY = Inventory(
    tenants={
        tenant.key: TenantInventory(
            remote={"room": "a b/c"}, fields={key: f"id-{key}" for key in KEYS}, cases=("11", "12")
        )
        for tenant in SCENARIO.tenants
    }
)


def bind(text=MAPPING, inventory=INVENTORY, environ=None):
    return Binding(parse_target(text, "stub.yaml"), SCENARIO, inventory, environ or {"STUB_KEY": "k"})


BINDING = bind()


def call(seq=7, tenant=SOME, batch_size=1, case="11"):
    return Call(seq, save_id("abcdefabcd", seq), tenant, case, traceparent("abcdefabcd", seq), batch_size)


def answer(status, body=b"", **headers):
    return Response(status, headers, body)


def test_values_in_a_path_are_encoded_and_every_request_is_signed_and_traced():
    request = BINDING.request(Operation.READ_CASE, call())
    assert request.url == "http://127.0.0.1:1/a%20b/c/11"
    assert request.body is None
    assert request.headers == {
        "Origin": "http://127.0.0.1:1",
        "X-Key": "k",
        "traceparent": traceparent("abcdefabcd", 7),
    }


def test_the_answer_read_before_goes_into_the_save():
    assert BINDING.precondition(Operation.SAVE_STANDARD, call()).url == "http://127.0.0.1:1/11"
    before = answer(200, b'{"version": 3}', etag='"v3"')
    request = BINDING.request(Operation.SAVE_STANDARD, call(), before=before)
    assert request.headers["If-Match"] == '"v3"'
    assert orjson.loads(request.body)["version"] == 3
    assert request.url.partition("?")[2] == "again=1&again=2&t=sp-abcdefabcd-0000007"


def test_a_save_whose_read_before_failed_cannot_be_made():
    with pytest.raises(Unreadable, match="the read before answered http 503"):
        BINDING.request(Operation.SAVE_STANDARD, call(), before=answer(503))


def test_an_operation_without_a_precondition_reads_nothing_before():
    assert BINDING.precondition(Operation.READ_CASE, call()) is None


def test_a_custom_save_writes_every_field_and_carries_its_token():
    body = orjson.loads(BINDING.request(Operation.SAVE_CUSTOM, call()).body)
    written = {one["id"].removeprefix("id-"): one["value"] for one in body["fields"]}
    assert body["n"] == 7
    assert list(written) == KEYS
    assert written == BINDING.values_saved(SOME, 7, call().token)
    assert written["cf_001"] == "sp-abcdefabcd-0000007"


def test_each_message_of_a_batch_has_a_token_and_a_recipient_of_its_own():
    three = call(seq=999, batch_size=3)
    mails = orjson.loads(BINDING.request(Operation.SEND_BATCH, three).body)["mails"]
    assert [mail["reference"] for mail in mails] == [f"sp-abcdefabcd-00003e7-{number}" for number in range(3)]
    assert [mail["recipient"] for mail in mails] == [f"user-{n}@savepath.test" for n in (999, 0, 1)]
    assert tuple(mail["reference"] for mail in mails) == BINDING.mail_tokens(Operation.SEND_BATCH, three)
    assert tuple(mail["recipient"] for mail in mails) == BINDING.mail_recipients(Operation.SEND_BATCH, three)


def test_what_the_mapping_leaves_out_is_not_supported():
    assert [op for op in Operation if not BINDING.supports(op)] == ["send_email"]
    assert (BINDING.checks_mails, BINDING.reads_values, BINDING.script_batch) == (False, False, 50)


@pytest.mark.parametrize(
    ("operation", "response", "judgement"),
    [
        ("read_case", answer(200, b'{"id": 0}'), Judgement("ok", "")),
        ("read_case", answer(200, b'{"id": ""}'), Judgement("invalid", "success condition not met")),
        ("read_case", answer(200, b"{}"), Judgement("invalid", "success condition not met")),
        ("read_case", answer(200, b"<html>"), Judgement("invalid", "not json")),
        ("read_case", answer(200), Judgement("invalid", "not json")),
        ("read_case", answer(302), Judgement("invalid", "unexpected http 302")),
        ("read_case", answer(503, b"{}"), Judgement("http_error", "http 503")),
        ("save_standard", answer(204), Judgement("ok", "")),
        ("save_standard", answer(200, b"{}"), Judgement("invalid", "unexpected http 200")),
        ("save_standard", answer(412), Judgement("conflict", "version conflict")),
        ("save_standard", answer(409), Judgement("http_error", "http 409")),
        ("save_custom", answer(200, b"<html>"), Judgement("invalid", "not json")),
    ],
)
def test_an_answer_is_judged(operation, response, judgement):
    assert BINDING.judge(Operation(operation), response) == judgement


def test_script_runs_are_read_with_the_delay_that_the_target_tells():
    runs = b"""{"runs": [{"save": "a", "name": "s", "saved": 10, "done": 12.5},
        {"save": "b", "name": "s", "saved": "2026-01-01T00:00:00Z", "done": "2026-01-01T00:00:01+00:00"},
        {"save": "c", "name": "s", "done": 3}]}"""
    assert BINDING.script_runs(answer(200, runs)) == [
        ScriptRun("a", "s", 2.5, 12.5),
        ScriptRun("b", "s", 1.0, 1767225601.0),
        ScriptRun("c", "s", None, 3.0),
    ]


@pytest.mark.parametrize(
    "response",
    [
        answer(500, b'{"runs": []}'),
        answer(200, b"<html>"),
        answer(200, b'{"runs": null}'),
        answer(200, b'{"runs": [{"name": "s"}]}'),
        answer(200, b'{"runs": [{"save": "a", "name": "s", "saved": "soon", "done": 1}]}'),
    ],
)
def test_a_lookup_that_cannot_be_read_is_never_taken_for_an_empty_one(response):
    with pytest.raises(Unreadable):
        BINDING.script_runs(response)


def test_lookups_leave_nothing_behind_however_many_tokens_they_carry():
    binding, number = bind(environ={"STUB_KEY": "k"}), 500
    binding.look_up_scripts(SOME, ["first"])
    tracemalloc.start()
    for first in range(0, 50 * number, 50):
        binding.look_up_scripts(SOME, [save_id("0123456789", seq) for seq in range(first, first + 50)])
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept / number < 100  # one of 50 tokens has more than a thousand bytes


def test_as_many_scripts_are_expected_as_the_tenant_has():
    assert BINDING.expected_scripts(SOME) == ("script-1", "script-2")
    assert bind(MAPPING[: MAPPING.index("verify:")]).expected_scripts(SOME) == ()


def test_a_missing_secret_is_named():
    with pytest.raises(InputError, match="STUB_KEY is not set; the target stub needs it"):
        bind(environ={"OTHER": "x"})


def inventory_with(**changes):
    return Inventory(
        tenants={**INVENTORY.tenants, SOME.key: INVENTORY.tenants[SOME.key].model_copy(update=changes)}
    )


@pytest.mark.parametrize(
    ("inventory", "message"),
    [
        (Inventory(tenants={}), "the inventory has no tenant small-none-01"),
        (inventory_with(cases=()), "the inventory has no cases of small-some-01"),
        (inventory_with(fields={}), "has no remote name for cf_001, cf_002, cf_003, cf_004, cf_005 and 7 more"),
        (
            inventory_with(remote={}),
            "operations.read_case cannot be filled in for small-some-01: tenant.remote.room",
        ),
    ],
)
def test_what_the_inventory_lacks_is_known_before_the_run(inventory, message):
    with pytest.raises(InputError, match=message):
        bind(inventory=inventory)


def test_a_choice_that_holds_the_separator_is_refused():
    text = MAPPING.replace(
        "under: fields}", "under: fields, codecs: {multi_choice: {kind: joined, separator: e}}}"
    )
    scenario = SCENARIO.model_copy(update={"field_types": {FieldType.MULTI_CHOICE: 1}})
    with pytest.raises(InputError, match="holds the separator 'e'"):
        Binding(parse_target(text, "stub.yaml"), scenario, INVENTORY, {"STUB_KEY": "k"})


# -- on casedesk ---------------------------------------------------------------------------------


class Desk:
    """A casedesk with the scenario on it, and a way to do one operation."""

    def __init__(self, running):
        self.running = running
        self.target = load_target("casedesk", {"base_url": running.url})
        self.progress = []
        self.inventory = self.provision()
        self.binding = Binding(self.target, SCENARIO, self.inventory, {})
        self.client = ControlClient(self.target)

    def provision(self, scenario=SCENARIO):
        return provision(self.target, scenario, {}, lambda *words: self.progress.append(words))

    def call(self, seq, tenant=SOME):
        return call(seq, tenant, batch_size=3, case=self.inventory.tenants[tenant.key].cases[0])

    def do(self, operation, one):
        return self.client.send(self.binding.request(operation, one))


@pytest.fixture(scope="module")
def desk():
    with running_desk() as running:
        made = Desk(running)
        with made.client:
            yield made


def poll(look, enough):
    """What ``look`` gives once ``enough`` of it is true; as it is after a minute."""
    end = time.monotonic() + 60
    found = look()
    while not enough(found) and time.monotonic() < end:
        time.sleep(0.02)
        found = look()
    return found


def test_provisioning_makes_what_the_scenario_says(desk):
    assert {key: len(tenant.cases) for key, tenant in desk.inventory.tenants.items()} == {
        NONE.key: 2,
        SOME.key: 3,
        OTHER.key: 3,
    }
    assert desk.progress[-1] == ("cases", 8, 8)
    types = [
        orjson.loads(desk.do(Operation.READ_CASE, desk.call(1)._replace(case=case)).body)["case_type"]
        for case in desk.inventory.tenants[SOME.key].cases
    ]
    assert sorted(types) == ["type-1", "type-1", "type-2"]


def test_provisioning_again_makes_nothing(desk):
    desk.progress.clear()
    assert desk.provision() == desk.inventory
    assert {what for what, _, _ in desk.progress} == {"tenants"}


def test_an_inventory_survives_its_journey_as_json(desk):
    assert Inventory.model_validate_json(desk.inventory.model_dump_json()) == desk.inventory


def test_a_tenant_with_other_fields_is_not_measured_by_mistake(desk):
    fewer = SCENARIO.cohorts["some"].model_copy(update={"custom_fields": 11})
    scenario = SCENARIO.model_copy(update={"cohorts": {**SCENARIO.cohorts, "some": fewer}})
    with pytest.raises(Aborted, match="type-1 of tenant small-some-01 is there, but not as the scenario wants it"):
        desk.provision(scenario)


@pytest.mark.parametrize("tenant", [NONE, SOME])
@pytest.mark.parametrize("operation", list(Operation))
def test_every_operation_succeeds_on_casedesk(desk, operation, tenant):
    if operation.possible_for(SCENARIO.cohorts[tenant.cohort]):
        response = desk.do(operation, desk.call(100, tenant))
        assert desk.binding.judge(operation, response) == Judgement("ok", "")


def test_a_custom_save_is_read_back_as_it_was_written(desk):
    one = desk.call(201)
    desk.do(Operation.SAVE_CUSTOM, one)
    read = desk.binding.values_read(SOME, desk.client.send(desk.binding.read_back(one.tenant, one.case)))
    assert read.token == one.token
    assert read.values == desk.binding.values_saved(SOME, 201, one.token)


def test_cases_that_no_run_has_saved_carry_tokens_of_no_run(desk):
    calls = [desk.call(0)._replace(case=case, tenant=OTHER) for case in desk.inventory.tenants[OTHER.key].cases]
    reads = [
        desk.binding.values_read(OTHER, desk.client.send(desk.binding.read_back(one.tenant, one.case)))
        for one in calls
    ]
    assert sorted(read.token for read in reads) == [f"sp-0000000000-000000{number}" for number in (1, 2, 3)]


def test_each_script_of_a_save_is_found_once_by_its_token(desk):
    one = desk.call(301)
    desk.do(Operation.RUN_SCRIPT, one)
    look = desk.binding.look_up_scripts(SOME, [one.token, "sp-nobody"])
    runs = poll(lambda: desk.binding.script_runs(desk.client.send(look)), lambda found: len(found) == 2)
    assert [(run.token, run.name) for run in runs] == [(one.token, "script-1"), (one.token, "script-2")]
    assert all(0 <= run.delay_s < 10 for run in runs)


def test_each_mail_of_a_batch_is_found_once_by_its_token(desk):
    one = desk.call(401)
    desk.do(Operation.SEND_BATCH, one)
    tokens = desk.binding.mail_tokens(Operation.SEND_BATCH, one)
    look = desk.binding.look_up_mails(SOME, tokens)
    seen = poll(lambda: desk.binding.mails_seen(desk.client.send(look)), lambda found: len(found) == 3)
    recipients = desk.binding.mail_recipients(Operation.SEND_BATCH, one)
    assert [(mail.token, mail.recipient, mail.count) for mail in seen] == [
        (token, recipient, 1) for token, recipient in zip(tokens, recipients, strict=True)
    ]


def test_a_mail_that_still_waits_has_not_been_seen():
    waiting = b'{"mails": [{"token": "a", "to": "b", "deliveries": 0, "queued_at": 1.0, "sent_at": null}]}'
    sent = waiting.replace(b'"deliveries": 0', b'"deliveries": 2').replace(b"null", b"1.5")
    mapping = load_target("casedesk")
    inventory = Inventory(
        tenants={t.key: TenantInventory(fields={key: key for key in KEYS}, cases=("1",)) for t in SCENARIO.tenants}
    )
    binding = Binding(mapping, SCENARIO, inventory, {})
    assert binding.mails_seen(answer(200, waiting)) == []
    assert binding.mails_seen(answer(200, sent)) == [MailSeen("a", "b", 2, 0.5)]


def test_preflight_tells_the_disk(desk):
    assert preflight(desk.target, {})["disk"] == "healthy"


def test_warming_up_reads(desk):
    warm_up(desk.target, SCENARIO, desk.inventory, {})
