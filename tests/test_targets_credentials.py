"""Logins and tokens, addresses and credentials of single tenants, and where secrets come from."""

import pytest
from misbehaving_server import Behaviour, ExpiringTokens, Reply, Scripted, misbehaving

from scenarios.errors import Aborted, InputError
from scenarios.library import parse_scenario
from scenarios.model import Operation
from targets.binding import Binding
from targets.call import Call
from targets.control import ControlClient, preflight
from targets.credentials import Credentials
from targets.http import Request, Response
from targets.inventory import Inventory, TenantInventory
from targets.judgement import Judgement
from targets.mapping import parse_target
from targets.provisioning import provision

LOGIN = """\
name: stub
base_url: http://127.0.0.1:1
auth:
  login:
    request: {method: POST, path: /login, body: {user: ann, password: "{{ secret.password }}"}}
    secrets: {password: DESK_PASSWORD}
    token: token
    expires_in: expires_in
fingerprint: {health: GET /health}
operations: {read_case: {request: "GET /cases/{{ case }}"}}
"""
OAUTH2 = LOGIN[: LOGIN.index("  login:")] + (
    "  oauth2: {token_url: /oauth/token, client_id: me, client_secret_env: DESK_PASSWORD, scope: cases}\n"
    + LOGIN[LOGIN.index("fingerprint:") :]
)
ENVIRON = {"DESK_PASSWORD": "pw"}
SCENARIO = parse_scenario(
    "name: s\ncohorts: {small: {custom_fields: 0}, large: {custom_fields: 3}}\n"
    "mix: {read_case: 1}\nload: {rate_per_s: 1}\nduration_s: 1\n",
    "s.yaml",
)
SMALL, LARGE = SCENARIO.tenants
CALL = Call(1, "sp-0123456789-0000001", SMALL, "7", "")
INVENTORY = Inventory(
    tenants={
        tenant.key: TenantInventory(fields={f"cf_00{n}": f"cf_00{n}" for n in (1, 2, 3)}, cases=("7",))
        for tenant in SCENARIO.tenants
    }
)


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        return self.now_s


def target(url, text=LOGIN):
    return parse_target(text, "t.yaml", {"base_url": url})


@pytest.mark.parametrize("text", [LOGIN, OAUTH2])
def test_a_token_is_fetched_once_and_carried_by_what_follows(text):
    with misbehaving(behaviour := ExpiringTokens(uses=10)) as url:
        system = target(url, text)
        credentials = Credentials(system, [SMALL.key, LARGE.key], ENVIRON)
        binding = Binding(system, SCENARIO, INVENTORY, ENVIRON, credentials=credentials)
        with ControlClient(system, credentials) as client:
            client.log_in()
            for _ in range(3):
                client.log_in()
                assert client.expect(binding.request(Operation.READ_CASE, CALL)).status == 200
    assert behaviour.issued == 1


def test_preflight_logs_in():
    with misbehaving(behaviour := ExpiringTokens(uses=10)) as url:
        preflight(target(url), ENVIRON)
    assert behaviour.lines == ["POST /login", "GET /health"]


def test_the_control_client_renews_a_token_that_was_refused_and_sends_even_a_write_once_more():
    with misbehaving(behaviour := ExpiringTokens(uses=1)) as url:
        system = target(url)
        credentials = Credentials(system, [], ENVIRON)
        with ControlClient(system, credentials) as client:
            client.log_in()
            request = Request("POST", f"{url}/things", credentials.headers_for(None))
            assert [client.send(request).status for _ in range(2)] == [200, 200]
    assert behaviour.lines == ["POST /login", "POST /things", "POST /things", "POST /login", "POST /things"]


def test_a_target_that_refuses_every_token_is_not_asked_for_ever():
    with misbehaving(behaviour := ExpiringTokens(uses=0)) as url:
        system = target(url)
        credentials = Credentials(system, [], ENVIRON)
        with ControlClient(system, credentials) as client:
            client.log_in()
            assert client.send(Request("GET", f"{url}/x", credentials.headers_for(None))).status == 401
    assert behaviour.lines == ["POST /login", "GET /x", "POST /login", "GET /x"]


def test_a_token_that_expires_in_the_run_fails_one_request_and_is_renewed_for_the_next():
    """As the load generator does it: the 401 counts as what it is, no save is sent twice."""
    with misbehaving(behaviour := ExpiringTokens(uses=2)) as url:
        binding = Binding(target(url), SCENARIO, INVENTORY, ENVIRON)
        judgements = []
        with ControlClient(binding._target) as connection:  # without credentials: it sends and nothing more
            for _ in range(4):
                for token in binding.credentials.due():
                    token.accept(connection.send(token.request))
                request = binding.request(Operation.READ_CASE, CALL)
                response = connection.send(request)
                judgements.append(binding.judge(Operation.READ_CASE, response))
                binding.credentials.answered(request, response)
    ok, expired = Judgement("ok", ""), Judgement("http_error", "http 401")
    assert judgements == [ok, ok, expired, ok]
    assert behaviour.issued == 2


def accepted(credentials, token="t", **more):
    (due,) = credentials.due()
    body = b'{"token": "%s"%s}' % (
        token.encode(),
        b"".join(b', "%s": %d' % (k.encode(), v) for k, v in more.items()),
    )
    due.accept(Response(200, {}, body))


@pytest.mark.parametrize(("lasts_s", "renewed_at_s"), [(3600, 3570), (10, 8)])
def test_a_token_is_renewed_before_it_expires(lasts_s, renewed_at_s):
    clock = Clock()
    credentials = Credentials(target("http://127.0.0.1:1"), [], ENVIRON, now=clock)
    accepted(credentials, expires_in=lasts_s)
    clock.now_s = renewed_at_s - 0.001
    assert credentials.due() == []
    clock.now_s = renewed_at_s
    assert len(credentials.due()) == 1


def test_a_late_answer_to_an_old_token_does_not_renew_the_new_one():
    credentials = Credentials(target("http://127.0.0.1:1"), [], ENVIRON)
    accepted(credentials, "old")
    request = Request("GET", "http://127.0.0.1:1/", credentials.headers_for(None))
    refused = Response(401, {}, b"")
    assert credentials.answered(request, refused)
    accepted(credentials, "new")
    assert not credentials.answered(request, refused)
    assert credentials.due() == []
    assert credentials.signed_again(request).headers == {"Authorization": "Bearer new"}


def test_every_token_of_a_login_is_masked_however_long_ago_it_was_renewed():
    credentials = Credentials(target("http://127.0.0.1:1"), [], ENVIRON)
    request = Request("GET", "http://127.0.0.1:1/")
    for number in range(10):
        accepted(credentials, f"token+{number}")
        carried = request._replace(headers=credentials.headers_for(None))
        assert credentials.answered(carried, Response(401, {}, b""))  # due again
    assert credentials.masked("token+0 token+9 as token%2B5") == "*** *** as ***"


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(403, {"echo": "hunter2"}), "the login was answered with http 403"),
        (Reply(200, b"<html>hunter2"), "not json"),
        (Reply(200, {"wrong": "hunter2"}), "token: found nothing; expected text"),
        (Reply(200, {"token": "a\r\nb"}), "token: what the login gave cannot stand in a header"),
    ],
)
def test_a_login_that_fails_is_told_without_any_secret(reply, reason):
    with misbehaving(Scripted(reply)) as url, pytest.raises(Aborted) as caught:
        preflight(target(url), {"DESK_PASSWORD": "hunter2"})
    assert f"cannot log in to the target stub: {reason}" in str(caught.value)
    assert f"POST {url}/login: " in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_token_out_of_a_header_can_travel_as_a_cookie():
    text = LOGIN.replace(
        "    token: token\n", "    token: {answer: 'headers.\"set-cookie\"', after: sid=, until: ;}\n"
    )
    text = text.replace("    expires_in: expires_in\n", '    send: {Cookie: "sid={{ token }}"}\n')
    credentials = Credentials(parse_target(text, "t"), [], ENVIRON)
    (due,) = credentials.due()
    due.accept(Response(200, {"set-cookie": "sid=abc; Path=/"}, b""))
    assert credentials.headers_for(None) == {"Cookie": "sid=abc"}


# -- per tenant ------------------------------------------------------------------------------------

PER_TENANT = (
    LOGIN
    + """\
tenants:
  "*-large-*":
    base_url: "{{ base_url }}/{{ tenant.key }}"
    auth:
      login:
        request: {method: POST, path: /login, form: {user: "{{ tenant.key }}", password: "{{ secret.password }}"}}
        secrets: {password: LARGE_PASSWORD}
        token: token
"""
)


class Rooms(Behaviour):
    """A room for each tenant, with a login of its own."""

    def reply(self, asked):
        if asked.path.endswith("/login"):
            return Reply(200, {"token": f"of{asked.path.replace('/', '-')}"})
        return Reply(200, {"id": asked.headers["authorization"]})


def test_a_tenant_has_its_own_address_and_its_own_token():
    environ = {**ENVIRON, "LARGE_PASSWORD": "other"}
    with misbehaving(rooms := Rooms()) as url:
        system = target(url, PER_TENANT)
        credentials = Credentials(system, [SMALL.key, LARGE.key], environ)
        binding = Binding(system, SCENARIO, INVENTORY, environ, credentials=credentials)
        with ControlClient(system, credentials) as client:
            client.log_in()
            for tenant in (SMALL, LARGE):
                request = binding.request(Operation.READ_CASE, CALL._replace(tenant=tenant))
                client.expect(request)
    assert rooms.lines == ["POST /login", "POST /s-large-01/login", "GET /cases/7", "GET /s-large-01/cases/7"]
    assert rooms.asked[1].form == {"user": "s-large-01", "password": "other"}
    assert [asked.headers["authorization"] for asked in rooms.asked[2:]] == [
        "Bearer of-login",
        "Bearer of-s-large-01-login",
    ]


def test_a_tenant_that_no_pattern_fits_is_as_the_others():
    credentials = Credentials(
        target("http://127.0.0.1:1", PER_TENANT), [SMALL.key], {**ENVIRON, "LARGE_PASSWORD": "x"}
    )
    assert credentials.base_url_for(SMALL.key) == "http://127.0.0.1:1"


def test_an_address_that_comes_out_wrong_is_told():
    text = PER_TENANT.replace('"{{ base_url }}/{{ tenant.key }}"', '"{{ tenant.key }}"')
    with pytest.raises(
        InputError, match=r"tenants\.\*-large-\*\.base_url of s-large-01: 's-large-01' is not a base"
    ):
        Credentials(parse_target(text, "t"), [LARGE.key], {**ENVIRON, "LARGE_PASSWORD": "x"})


# -- secrets ---------------------------------------------------------------------------------------


def test_a_secret_may_stand_in_a_file_that_the_environment_names(tmp_path):
    (tmp_path / "secret").write_text("pw\n")
    with misbehaving(behaviour := ExpiringTokens(uses=1)) as url:
        preflight(target(url), {"DESK_PASSWORD_FILE": str(tmp_path / "secret")})
    assert behaviour.issued == 1


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({}, "the environment variable DESK_PASSWORD is not set; the target stub needs it"),
        (
            {"DESK_PASSWORD_FILE": "/nowhere"},
            "DESK_PASSWORD_FILE names /nowhere, which cannot be read: No such file",
        ),
        ({"DESK_PASSWORD": "a\nb"}, "DESK_PASSWORD holds a line break"),
    ],
)
def test_a_secret_that_is_not_there_is_named(environ, message):
    with pytest.raises(InputError, match=message):
        Credentials(target("http://127.0.0.1:1"), [], environ)


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ('"{{ secret.password }}"', "hunter2", (5, 61)),
        ("client_secret_env: DESK_PASSWORD", "client_secret: hunter2", (4, 52)),
    ],
)
def test_a_literal_secret_of_a_login_is_refused_and_not_repeated(old, new, place):
    text = LOGIN if old in LOGIN else OAUTH2
    with pytest.raises(InputError) as caught:
        parse_target(text.replace(old, new), "t.yaml")
    (problem,) = caught.value.problems
    assert (problem.line, problem.column) == place
    assert "a secret must not stand in a file" in problem.message
    assert "hunter2" not in str(caught.value)


def test_a_login_knows_no_tenant_unless_it_is_one_of_the_tenants():
    with pytest.raises(InputError, match="unknown name tenant"):
        parse_target(LOGIN.replace("user: ann", 'user: "{{ tenant.key }}"'), "t")


def test_a_secret_that_is_not_listed_is_an_unknown_name():
    with pytest.raises(InputError, match=r"secret has no pasword \(did you mean password\?\)"):
        parse_target(LOGIN.replace("secret.password", "secret.pasword"), "t")


def test_secrets_are_for_the_login_alone():
    with pytest.raises(InputError, match="unknown name secret"):
        parse_target(LOGIN.replace("/cases/{{ case }}", "/cases/{{ secret.password }}"), "t")


def test_several_threads_renew_a_token_once():
    text = LOGIN.replace("fingerprint:", "provision:\n  cases:\n    find: {request: GET /cases, items: '`[]`'}\n"
    "    create: {request: {method: POST, path: /cases}, id: id}\nfingerprint:")  # fmt: skip
    many = parse_scenario(
        "name: s\ncohorts: {some: {custom_fields: 0, cases: 60}}\nmix: {read_case: 1}\nload: {rate_per_s: 1}\n"
        "duration_s: 1\n",
        "s",
    )
    with misbehaving(behaviour := ExpiringTokens(uses=25)) as url:
        inventory = provision(target(url, text), many, ENVIRON, lambda *words: None)
    assert [len(known.cases) for known in inventory.tenants.values()] == [60]
    assert behaviour.issued == 3  # 61 requests


def test_a_key_that_cannot_stand_in_a_header_is_told():
    text = LOGIN[: LOGIN.index("  login:")] + "  header: {name: X-Key, value_env: DESK_KEY}\n"
    text += LOGIN[LOGIN.index("fingerprint:") :]
    with pytest.raises(InputError, match="the secret DESK_KEY is not ASCII"):
        Credentials(parse_target(text, "t"), [], {"DESK_KEY": "schlüssel"})
