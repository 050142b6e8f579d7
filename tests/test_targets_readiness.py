"""``plan --check``: what a target answers, that only reads are sent, and what each failure says to do."""

import re
import time
from email.utils import formatdate

import pytest
from click.testing import CliRunner
from misbehaving_server import Asked, Behaviour, Reply, misbehaving

from savepath.checking import tell_answer
from savepath.cli import cli
from scenarios.errors import InputError
from scenarios.fields import define_fields
from scenarios.library import parse_scenario
from targets.answer import Answer
from targets.clock import Clock
from targets.mapping import parse_target
from targets.readiness import ask

SCENARIO = """\
name: s
cohorts: {plain: {custom_fields: 0, cases: 1}, rich: {custom_fields: 3, cases: 2}}
mix: {read_case: 1, save_standard: 1, save_custom: 1}
load: {rate_per_s: 1}
duration_s: 1
"""
TARGET = """\
name: desk
start: press the button
base_url: http://127.0.0.1:1
auth:
  login:
    request: {method: POST, path: /login, body: {password: "{{ secret.it }}"}}
    secrets: {it: DESK_KEY}
    token: token
fingerprint: {health: GET /health}
operations:
  read_case: {request: "GET /cases/{{ case }}", success: {condition: id}}
  save_standard:
    precondition: GET /cases/{{ case }}
    request: {method: PUT, path: "/cases/{{ case }}", headers: {If-Match: "{{ before.headers.etag }}"}}
  save_custom: {request: {method: PATCH, path: "/cases/{{ case }}", body: {token: "{{ save.id }}"}}}
fields: {shape: map, under: fields}
verify:
  scripts: {request: "GET /log?tokens={{ tokens | join(',') }}", items: runs}
  values: {request: "GET /cases/{{ case }}", fields: fields}
provision:
  tenants: {find: {request: GET /tenants, items: tenants, key: name}}
  fields: {find: {request: "GET /tenants/{{ tenant.key }}/fields", items: "@"}}
  cases: {find: {request: "GET /cases?tenant={{ tenant.key }}", items: cases, key: id}}
clean_up:
  case: DELETE /cases/{{ case }}
  allowed: {request: GET /rights, condition: "contains(rights, 'delete')"}
"""
ENVIRON = {"DESK_KEY": "pw"}
WANTED = parse_scenario(SCENARIO, "s")
FIELDS = [field.key for field in define_fields(WANTED, 3)]


class Estate(Behaviour):
    """A system with everything that the scenario wants; ``replies`` stand in for some of its answers."""

    def __init__(self, **replies: Reply) -> None:
        super().__init__()
        self.replies = {f"/{path.replace('_', '/')}": reply for path, reply in replies.items()}

    def reply(self, asked: Asked) -> Reply:
        if asked.path == "/login":
            return self.replies.get("/login", Reply(200, {"token": "t0ken"}))
        if asked.path != "/health" and asked.headers.get("authorization") != "Bearer t0ken":
            return Reply(401)
        for path, reply in self.replies.items():
            if asked.path.endswith(path):
                return reply
        match asked.path.split("/")[1:]:
            case ["tenants"]:
                return Reply(200, {"tenants": [{"name": tenant.key} for tenant in WANTED.tenants]})
            case ["tenants", _, "fields"]:
                return Reply(200, FIELDS)
            case ["cases"]:
                return Reply(200, {"cases": [{"id": "7"}, {"id": "8"}]})
            case ["cases", id_]:
                return Reply(200, {"id": id_, "fields": {FIELDS[0]: "sp-x"}}, {"ETag": "e1"})
            case ["log"]:
                return Reply(200, {"runs": []})
            case ["rights"]:
                return Reply(200, {"rights": ["read", "delete"]})
        return Reply(200, {})


def answers(estate, text=TARGET, environ=ENVIRON):
    with misbehaving(estate) as url:
        target = parse_target(text, "desk.yaml", {"base_url": url})
        return [
            (one.question, one.word, one.said.replace(url, ""), one.remedy) for one in ask(target, WANTED, environ)
        ]


def answer(estate, question, text=TARGET):
    """The last answer to that question, which is the one on the cohort with custom fields."""
    found = [(word, said, remedy) for name, word, said, remedy in answers(estate, text) if name == question]
    return found[-1]


def test_a_target_with_everything_is_ready():
    assert [(name, word) for name, word, _, _ in answers(Estate())] == [
        ("reachable", "ok"),
        ("credentials", "ok"),
        ("tenants", "ok"),
        ("custom fields", "ok"),
        ("custom fields", "ok"),
        ("cases", "ok"),
        ("read_case", "ok"),
        ("save_standard", "ok"),
        ("verify scripts", "ok"),
        ("verify values", "ok"),
        ("clean up", "ok"),
        ("clock", "ok"),
    ]


def test_nothing_but_reads_and_the_login_is_sent():
    estate = Estate()
    answers(estate)
    assert {line for line in estate.lines if not line.startswith("GET ")} == {"POST /login"}
    assert len(estate.lines) > 10


def test_a_list_that_is_read_by_post_is_not_asked_for():
    estate = Estate()
    text = TARGET.replace("request: GET /tenants,", "request: {method: POST, path: /tenants/search},")
    word, said, _ = answer(estate, "tenants", text)
    assert (word, said) == ("open", "not asked: the mapping asks by POST, and only reads are sent")
    assert "POST /tenants/search" not in estate.lines


@pytest.mark.parametrize(
    ("estate", "question", "said", "remedy"),
    [
        (Estate(health=Reply(500)), "reachable", "/health: http 500", "see whether the target is well"),
        (Estate(login=Reply(403)), "credentials", "the login was answered with http 403", "environment variables"),
        (Estate(tenants=Reply(200, {"tenants": []})), "tenants", "0 of 2 are there; missing are s-p", "press the"),
        (Estate(fields=Reply(200, FIELDS[:2])), "custom fields", "rich, 3 fields: 2 of 3 are there in", "press"),
        (Estate(cases=Reply(200, {"cases": [{"id": 7}]})), "cases", "2 of 3 are there; short are s-rich", "press"),
        (Estate(cases_7=Reply(200, {})), "read_case", "desk.yaml:11:58: operations.read_case.success", ""),
        (Estate(cases_7=Reply(200, {"id": "7"})), "save_standard", "before.headers.etag is not there", ""),
        (Estate(log=Reply(200, {"rows": []})), "verify scripts", ":73: verify.scripts.items: runs", ""),
        (Estate(cases_7=Reply(200, {"id": "7"})), "verify values", "custom fields are not an object", ""),
        (Estate(rights=Reply(200, {"rights": ["read"]})), "clean up", "allowed.condition", "give the account"),
        (Estate(rights=Reply(403)), "clean up", "http 403", "give the account"),
    ],
)  # fmt: skip
def test_each_failure_is_told_with_what_to_do(estate, question, said, remedy):
    word, told, to_do = answer(estate, question)
    assert word == "no"
    assert said in told
    assert remedy in to_do


def test_what_a_run_would_make_is_no_failure():
    text = TARGET.replace("key: id}}", "key: id}, create: {request: POST /cases}}")
    few = Estate(cases=Reply(200, {"cases": []}))
    assert answer(few, "cases", text)[:2] == ("ok", "0 of 3 are there; a run makes the others")
    assert "POST /cases" not in few.lines


def test_without_a_login_nothing_further_is_asked():
    assert [name for name, *_ in answers(Estate(login=Reply(403)))] == ["reachable", "credentials"]


def test_a_secret_that_is_not_there_is_a_mistake_of_the_caller():
    with pytest.raises(InputError, match="DESK_KEY is not set"):
        answers(Estate(), environ={})


# -- the clock -------------------------------------------------------------------------------------


def test_each_date_draws_the_bounds_closer():
    clock = Clock()
    clock.note(formatdate(1000, usegmt=True), 1000.5, 1000.75)
    assert (clock.low_s, clock.high_s) == (-0.75, 1.5)
    clock.note(formatdate(1003, usegmt=True), 1003.0, 1003.25)
    assert (clock.low_s, clock.high_s, clock.consistent) == (-0.25, 1.5, True)


def test_a_clock_that_is_an_hour_ahead_is_a_failure():
    with misbehaving(Estate()) as url:
        target = parse_target(TARGET, "desk.yaml", {"base_url": url})
        *_, clock = ask(target, WANTED, ENVIRON, now=lambda: time.time() - 3600)
    assert (clock.question, clock.word) == ("clock", "no")
    assert re.match(r"3,(599|600|601) s ahead of ours", clock.said)


def test_dates_of_two_clocks_are_inconsistent():
    clock = Clock()
    clock.note(formatdate(1000, usegmt=True), 1000.0, 1000.1)
    clock.note(formatdate(2000, usegmt=True), 1001.0, 1001.1)
    assert not clock.consistent


# -- how it is told --------------------------------------------------------------------------------


def test_an_answer_keeps_within_80_columns_and_its_remedy_has_a_line_of_its_own():
    told = tell_answer(Answer("custom fields", "no", "word " * 40, "remedy " * 30)).splitlines()
    assert max(len(line) for line in told) <= 80
    assert told[0].startswith("NO  custom fields    word")
    assert any(line.startswith(" " * 21 + "-> remedy") for line in told)


@pytest.mark.parametrize(("estate", "code"), [(Estate(), 0), (Estate(health=Reply(503)), 4)])
def test_the_exit_code_tells_whether_the_target_can_be_driven(estate, code, tmp_path, monkeypatch):
    monkeypatch.setenv("DESK_KEY", "pw")
    monkeypatch.setattr("targets.control.ATTEMPTS", 1)
    (tmp_path / "s.yaml").write_text(SCENARIO)
    with misbehaving(estate) as url:
        (tmp_path / "t.yaml").write_text(TARGET.replace("http://127.0.0.1:1", url))
        words = ["plan", str(tmp_path / "s.yaml"), "--target", str(tmp_path / "t.yaml"), "--check"]
        result = CliRunner().invoke(cli, words)
    assert (result.exit_code, "NO  reachable" in result.output) == (code, code == 4)
