"""Provisioning on systems that page, work on after their answer, say nothing, or lead astray."""

import orjson
import pytest
from misbehaving_server import Directory, EndlessPages, Jobs, Pages, Reply, Scripted, Silent, misbehaving

from scenarios.errors import Aborted
from scenarios.library import parse_scenario
from scenarios.model import Operation
from targets.binding import Binding
from targets.call import Call
from targets.mapping import parse_target
from targets.provisioning import provision


def scenario(cases=1, custom_fields=0):
    return parse_scenario(
        f"name: s\ncohorts: {{some: {{custom_fields: {custom_fields}, cases: {cases}}}}}\nmix: {{read_case: 1}}\n"
        "load: {rate_per_s: 1}\nduration_s: 1\n",
        "s",
    )


def made(url, cases_step, wanted=None):
    """The ids of the cases that provisioning found or made."""
    text = f"name: t\nbase_url: {url}\noperations: {{read_case: {{request: GET /x}}}}\nprovision:\n  cases:\n"
    text += cases_step
    wanted = wanted or scenario()
    inventory = provision(parse_target(text, "t.yaml"), wanted, {}, lambda *words: None)
    (tenant,) = inventory.tenants.values()
    return tenant.cases


FIND = {
    "page": '{request: "GET /cases?page={{ page }}", items: cases, key: id}',
    "cursor": '{request: "GET /cases?cursor={{ cursor | default(0, true) }}", items: cases, key: id, next: next}',
    "link": "{request: GET /cases, items: cases, key: id}",
    "url": "{request: GET /cases, items: cases, key: id, next: next}",
}


@pytest.mark.parametrize("number", [1, 3, 7])
@pytest.mark.parametrize("way", FIND)
def test_every_page_is_read(way, number):
    with misbehaving(Pages(way, number)) as url:
        assert made(url, f"    find: {FIND[way]}\n", scenario(number)) == tuple(str(n) for n in range(number))


def test_cursors_that_never_end_are_cut_off():
    with misbehaving(EndlessPages()) as url, pytest.raises(Aborted) as caught:
        made(url, f"    find: {FIND['cursor']}\n")
    assert "the listing does not end: 10 pages in a row brought nothing new" in str(caught.value)


def test_cursors_that_go_in_a_circle_are_cut_off():
    with misbehaving(EndlessPages(circle=3)) as url, pytest.raises(Aborted, match="goes in a circle"):
        made(url, f"    find: {FIND['cursor']}\n")


def test_a_target_that_gives_the_same_page_for_every_number_is_cut_off():
    same = Scripted(Reply(200, {"cases": [{"id": "1"}]}))
    with misbehaving(same) as url, pytest.raises(Aborted, match="10 pages in a row brought nothing new"):
        made(url, f"    find: {FIND['page']}\n")


def test_a_next_page_on_another_host_is_not_followed():
    astray = Scripted(Reply(200, {"cases": [{"id": "1"}], "next": "http://127.0.0.2:9/cases"}))
    with (
        misbehaving(astray) as url,
        pytest.raises(Aborted, match=r"leads to another host, http://127\.0\.0\.2:9/cases"),
    ):
        made(url, f"    find: {FIND['url']}\n")


@pytest.mark.parametrize("body", [b"<html>", b'{"cases": null}', b'{"cases": [{"name": "x"}]}', b"[[[["])
def test_a_list_that_cannot_be_read_ends_the_preparation(body):
    with misbehaving(Scripted(Reply(200, body))) as url, pytest.raises(Aborted, match=f"GET {url}/cases: "):
        made(url, f"    find: {FIND['link']}\n")


# -- jobs ------------------------------------------------------------------------------------------

JOB = """\
    find: {request: GET /cases, items: cases, key: id}
    create:
      request: {method: POST, path: /cases}
      job: {every_s: 0.001, deadline_s: 0.2, failed: "state == 'failed'"}
      id: result.id
"""


def test_a_job_is_asked_about_until_it_is_done():
    with misbehaving(jobs := Jobs(looks=3)) as url:
        assert made(url, JOB) == ("made-1",)
    assert jobs.lines == ["GET /cases", "POST /cases", *["GET /jobs/1"] * 3]


def test_a_job_that_never_ends_is_given_up():
    with (
        misbehaving(Jobs(looks=10**9)) as url,
        pytest.raises(Aborted, match=r"the job is not done after 0\.2 s: .*running"),
    ):
        made(url, JOB)


def test_a_job_that_failed_is_told_with_its_reason():
    failed = Reply(200, {"state": "failed", "why": "no room"})
    with (
        misbehaving(Jobs(looks=2, last=failed)) as url,
        pytest.raises(Aborted, match=r"the job has failed: .*no room"),
    ):
        made(url, JOB)


def test_a_job_on_another_host_is_not_asked_about():
    with (
        misbehaving(Jobs(looks=1, elsewhere="http://127.0.0.2:9/j")) as url,
        pytest.raises(Aborted, match="another host"),
    ):
        made(url, JOB)


def test_a_job_without_an_address_is_told():
    with misbehaving(Scripted(Reply(200, {"cases": []}), Reply(202))) as url, pytest.raises(Aborted) as caught:
        made(url, JOB)
    assert str(caught.value) == (
        "t.yaml:9:12: provision.cases.create.job: headers.location: found nothing; expected text; "
        f"POST {url}/cases: http 202 (no content type): ''"
    )


# -- an empty answer -------------------------------------------------------------------------------


def test_what_an_empty_answer_does_not_tell_is_read_afterwards():
    step = """\
    find: {request: GET /nothing, items: "cases[?id == 'none']", key: id}
    create:
      request: {method: POST, path: /cases, body: {reference: "{{ save.id }}"}}
      read: GET /cases?reference={{ save.id }}
      id: cases[-1].id
"""
    with misbehaving(Silent()) as url:
        assert made(url, step) == ("id-0",)


def test_an_id_is_taken_out_of_the_location():
    step = """\
    find: {request: GET /nothing, items: "cases[?id == 'none']", key: id}
    create:
      request: {method: POST, path: /cases, body: {reference: "{{ save.id }}"}}
      id: {answer: headers.location, after: /, until: "?"}
"""
    with misbehaving(Silent()) as url:
        assert made(url, step) == ("1",)


def test_what_was_answered_may_be_used_to_read():
    step = """\
    find: {request: GET /nothing, items: "cases[?id == 'none']", key: id}
    create:
      request: {method: POST, path: /cases, body: {reference: "{{ save.id }}"}}
      read: GET /cases?from={{ made.headers.location }}
      id: cases[0].reference
"""
    with misbehaving(silent := Silent()) as url:
        assert made(url, step) == ("sp-0000000000-0000001",)
    assert silent.asked[-1].query == {"from": "/things/1?view=full"}


# -- names and numbers -----------------------------------------------------------------------------

DIRECTORY = """\
name: t
base_url: http://127.0.0.1:1
operations:
  save_custom: {request: {method: PATCH, path: "/tenants/{{ tenant.remote.id }}/cases/{{ case }}"}}
fields: {shape: list, under: values}
provision:
  tenants: {find: {request: GET /tenants, key: title, id: number}}
  fields: {request: "GET /tenants/{{ tenant.remote.id }}/fields", items: all, key: k, id: n}
  cases:
    find: {request: "GET /tenants/{{ tenant.remote.id }}/cases"}
    create: {request: {method: POST, path: "/tenants/{{ tenant.remote.id }}/cases"}, id: id}
"""
CREATE_FIELDS = DIRECTORY.replace(
    '  fields: {request: "GET /tenants/{{ tenant.remote.id }}/fields", items: all, key: k, id: n}\n',
    """\
  fields:
    find: {request: "GET /tenants/{{ tenant.remote.id }}/fields", items: all, key: k, id: n}
    create:
      request:
        method: POST
        path: /tenants/{{ tenant.remote.id }}/fields
        body: {k: "{{ field.key }}", kind: "{{ field.type }}", choices: "{{ field.choices }}"}
      id: n
""",
)
TWO = parse_scenario(
    "name: s\ncohorts: {some: {custom_fields: 3, tenants: 2, cases: 2}}\nmix: {save_custom: 1}\n"
    "load: {rate_per_s: 1}\nduration_s: 1\n",
    "s",
)
KEYS = ("cf_001", "cf_002", "cf_003")


def prepare(url, text=DIRECTORY):
    target = parse_target(text, "t.yaml", {"base_url": url})
    return target, provision(target, TWO, {}, lambda *words: None)


def test_tenants_and_fields_are_looked_up_by_name_and_used_by_number():
    with misbehaving(Directory([tenant.key for tenant in TWO.tenants], KEYS)) as url:
        target, inventory = prepare(url)
    assert {key: known.remote for key, known in inventory.tenants.items()} == {
        "s-some-01": {"id": "100"},
        "s-some-02": {"id": "101"},
    }
    binding = Binding(target, TWO, inventory, {})
    numbers_of = {"s-some-01": ["100000", "100001", "100002"], "s-some-02": ["101000", "101001", "101002"]}
    for tenant in TWO.tenants:
        case = inventory.tenants[tenant.key].cases[0]
        request = binding.request(Operation.SAVE_CUSTOM, Call(1, "sp-1", tenant, case, ""))
        assert [one["id"] for one in orjson.loads(request.body)["values"]] == numbers_of[tenant.key]


def test_fields_that_people_make_are_counted_and_the_missing_ones_named():
    with (
        misbehaving(Directory([tenant.key for tenant in TWO.tenants], KEYS[:1])) as url,
        pytest.raises(Aborted) as caught,
    ):
        prepare(url)
    assert str(caught.value) == (
        "the target t has no cf_002, cf_003 of tenant s-some-01: 1 custom fields of the 3 that the scenario "
        "wants; its custom fields are prepared beforehand"
    )


def test_fields_that_may_be_made_are_made():
    with misbehaving(directory := Directory([tenant.key for tenant in TWO.tenants], KEYS[:1])) as url:
        _, inventory = prepare(url, CREATE_FIELDS)
        assert {key: str(n) for key, n in directory.fields["101"].items()} == inventory.tenants["s-some-02"].fields
        before = len(directory.asked)
        prepare(url, CREATE_FIELDS)
    made = [
        asked for asked in directory.asked[before:] if asked.method == "POST" and asked.path.endswith("fields")
    ]
    assert made == []


def test_new_cases_have_every_field_even_where_a_save_writes_some():
    text = DIRECTORY.replace("under: values}", "under: values, per_save: 2}")
    with misbehaving(directory := Directory([tenant.key for tenant in TWO.tenants], KEYS)) as url:
        prepare(url, text)
    assert {len(case["values"]) for case in directory.cases.values()} == {3}
