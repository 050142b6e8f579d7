"""A mapping and an answer that do not fit: told with the place in the file and what the server answered."""

import pytest
from misbehaving_server import ExpiringTokens, Reply, Scripted, misbehaving

from scenarios.errors import Aborted
from scenarios.library import parse_scenario
from targets.complaints import Complaints
from targets.control import preflight
from targets.credentials import Credentials
from targets.footprint import Heading, Made, Making, Recorded
from targets.http import Request, Response
from targets.mapping import parse_target
from targets.places import place_of
from targets.provisioning import provision
from targets.removal import Fate, remove

SCENARIO = parse_scenario(
    "name: s\ncohorts: {one: {custom_fields: 0, cases: 1}}\nmix: {read_case: 1}\n"
    "load: {rate_per_s: 1}\nduration_s: 1\n",
    "s",
)
MAPPING = """\
name: desk
base_url: http://127.0.0.1:1
auth: {header: {name: X-Key, value_env: DESK_KEY}}
operations:
  read_case: {request: "GET /cases/{{ case }}"}
provision:
  cases:
    find:
      request: GET /cases?tenant={{ tenant.key }}
      items: data.cases
      key: number
      next: next
    create:
      request: {method: POST, path: /cases}
      read: GET /cases/{{ made.body.number }}
      id: case.id
clean_up: {case: "DELETE /cases/{{ case }}/{{ tenant.remote.room }}"}
"""
ENVIRON = {"DESK_KEY": "Key hunter-22"}
EMPTY = {"data": {"cases": []}}
TENANT = "s-one-01"
HEADING = Heading(scenario="s", tenants=(TENANT,), mapping="desk.yaml", address="http://127.0.0.1:1")


def prepared(*replies):
    """The complaint, with URLs shortened to their paths."""
    with misbehaving(Scripted(*replies)) as url:
        target = parse_target(MAPPING, "desk.yaml", {"base_url": url})
        with pytest.raises(Aborted) as caught:
            provision(target, SCENARIO, ENVIRON, lambda *words: None)
    return str(caught.value).replace(url, "").replace(SCENARIO.tenants[0].key, "T")


@pytest.mark.parametrize(
    ("replies", "said"),
    [
        (
            [Reply(200, {"data": {"tickets": []}})],
            "desk.yaml:10:14: provision.cases.find.items: data.cases: found nothing; expected a list; "
            'GET /cases?tenant=T: http 200 (application/json): \'{"data":{"tickets":[]}}\'',
        ),
        (
            [Reply(200, {"data": {"cases": [{"id": 1}]}})],
            "desk.yaml:11:12: provision.cases.find.key: number: found nothing; expected text; "
            'GET /cases?tenant=T: http 200 (application/json): \'{"data":{"cases":[{"id":1}]}}\'',
        ),
        (
            [Reply(200, {**EMPTY, "next": 7})],
            "desk.yaml:12:13: provision.cases.find.next: next: expected the URL of the next page; "
            'GET /cases?tenant=T: http 200 (application/json): \'{"data":{"cases":[]},"next":7}\'',
        ),
        (
            [Reply(200, EMPTY), Reply(201, {"id": 7})],
            "desk.yaml:15:13: provision.cases.create.read: cannot be filled in: made.body.number is not there",
        ),
        (
            [Reply(200, EMPTY), Reply(201, {"number": 7}), Reply(200, {"case": {"key": "K"}})],
            "desk.yaml:16:11: provision.cases.create.id: case.id: found nothing; expected text; "
            'GET /cases/7: http 200 (application/json): \'{"case":{"key":"K"}}\'',
        ),
    ],
)
def test_what_an_answer_does_not_have_is_told_with_line_column_and_answer(replies, said):
    assert prepared(*replies) == said


def test_a_request_that_cannot_be_made_is_told_with_its_place():
    made = Made(kind="case", tenant=TENANT, id="1")
    recorded = Recorded(HEADING, [Making(kind="case", tenant=TENANT, number=1)], [made])
    fates = []
    with misbehaving(Scripted(Reply(200))) as url:
        remove(parse_target(MAPPING, "desk.yaml", {"base_url": url}), recorded, ENVIRON, fates.append)
    why = "desk.yaml:17:18: clean_up.case: cannot be filled in: tenant.remote.room is not there"
    assert fates == [Fate("case", TENANT, "1", "left", why)]


def test_a_value_of_the_fingerprint_is_told_by_its_name():
    text = MAPPING + "fingerprint:\n  request: GET /version\n  values: {a: version, b: max(version)}\n"
    with misbehaving(Scripted(Reply(200, {"version": [1, "x"]}))) as url, pytest.raises(Aborted) as caught:
        preflight(parse_target(text, "desk.yaml", {"base_url": url}), ENVIRON)
    assert str(caught.value).startswith("desk.yaml:20:27: fingerprint.values.b: max(version): ")


# -- secrets ---------------------------------------------------------------------------------------


def test_secrets_are_masked_even_where_the_target_repeats_them():
    said = prepared(Reply(500, {"you": "sent Key hunter-22", "again": "hunter-22"}))
    assert (
        said == 'GET /cases?tenant=T: http 500 unexpected (application/json): \'{"you":"sent ***","again":"***"}\''
    )


def test_half_a_secret_at_the_end_of_what_is_shown_is_masked_too():
    assert "hunt" not in prepared(Reply(500, b"x" * 195 + b"hunter-22"))


LOGIN = """\
name: desk
base_url: http://127.0.0.1:1
auth:
  login:
    request: {method: POST, path: /login, body: {password: "{{ secret.it }}"}}
    secrets: {it: DESK_KEY}
    token: access.token
operations:
  read_case: {request: "GET /cases/{{ case }}"}
fingerprint: {health: GET /health}
"""


def test_of_a_login_only_the_keys_of_the_answer_are_shown():
    came = Reply(200, {"token": "t0p", "expires_in": 60})
    with misbehaving(Scripted(came)) as url, pytest.raises(Aborted) as caught:
        preflight(parse_target(LOGIN, "desk.yaml", {"base_url": url}), ENVIRON)
    assert str(caught.value).replace(url, "") == (
        "desk.yaml:7:12: auth.login.token: cannot log in to the target desk: access.token: found nothing; "
        "expected text; POST /login: http 200 with token, expires_in"
    )


def test_a_token_that_the_target_repeats_is_masked():
    with misbehaving(ExpiringTokens(uses=9, password=ENVIRON["DESK_KEY"])) as url:
        target = parse_target(LOGIN.replace("access.token", "token"), "desk.yaml", {"base_url": url})
        credentials = Credentials(target, (), ENVIRON)
        (token,) = credentials.due()
        token.accept(Response(200, {}, b'{"token": "t0p.s3cret"}'))
        complaint = Complaints(target, credentials)
        asked = Request("GET", f"{url}/cases?t=t0p.s3cret")
        said = complaint.told(asked, Response(200, {}, b"no such token: t0p.s3cret"))
    assert said == f"GET {url}/cases?t=***: http 200 (no content type): 'no such token: ***'"


# -- places ----------------------------------------------------------------------------------------


def test_a_short_form_and_what_is_left_out_are_told_by_what_stands_in_the_file():
    short = MAPPING.replace("    find:\n", "").replace("      ", "    ")
    short = short[: short.index("    create:")]
    target = parse_target(short, "desk.yaml")
    assert place_of(target, target.provision.cases.find, "items") == "desk.yaml:9:12: provision.cases.items"
    assert place_of(target, target.provision.cases.find, "id") == "desk.yaml:8:5: provision.cases"


def test_settings_do_not_move_anything():
    target = parse_target(MAPPING, "desk.yaml", {"base_url": "http://127.0.0.1:2"})
    assert place_of(target, target.operations["read_case"].request) == (
        "desk.yaml:5:24: operations.read_case.request"
    )
