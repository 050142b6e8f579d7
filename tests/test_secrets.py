"""Secrets: never in a file, and in nothing that savepath writes or says, even where the target repeats them."""

import base64
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import called
from misbehaving_server import Behaviour, Reply, Scripted, misbehaving
from run_examples import text_of

from savepath.cli import cli
from scenarios.errors import Aborted, InputError
from scenarios.library import parse_scenario
from targets.control import preflight
from targets.mapping import parse_target
from targets.provisioning import provision

#: Looks different in a URL, in JSON, on a page; whatever is made of it, PLANT is a part of it.
PLANT = "pl4nted"
PASSWORD = f'{PLANT}-&"p<ss>/+'
TOKEN = f"{PLANT}-token-of-the-login"
SCENARIO = """\
name: loadtest
cohorts: {some: {custom_fields: 2, cases: 2}}
mix: {read_case: 1, save_standard: 1, save_custom: 1}
load: {rate_per_s: 8}
warmup_s: 0
duration_s: 3
verification: {settle_s: 0.2, script_deadline_s: 2, mail_deadline_s: 2}
"""
DESK = """\
name: desk
environment: production
production: {rate_max_per_s: 60, tenants: [loadtest-*]}
base_url: http://127.0.0.1:9
auth:
  login:
    request: {method: POST, path: /login, body: {user: load, password: "{{ secret.password }}"}}
    secrets: {password: DESK_PASSWORD}
    token: token
fingerprint:
  health: GET /health
  request: GET /version
  values: {said: echo.authorization, server: {answer: headers.server}, cookie: {answer: 'headers."set-cookie"'}}
clean_up:
  case: DELETE /cases/{{ case }}
operations:
  read_case: {request: "GET /cases/{{ case }}", success: {condition: id}}
  save_standard: {request: {method: PATCH, path: "/cases/{{ case }}", body: {ref: "{{ save.id }}"}}}
  save_custom: {request: {method: PATCH, path: "/cases/{{ case }}", body: {ref: "{{ save.id }}"}}}
fields: {shape: map, under: fields}
verify:
  values: {request: "GET /cases/{{ case }}", fields: fields}
provision:
  fields: {find: {request: GET /fields, items: fields, key: id}}
  cases: {find: {request: "GET /cases", items: cases, key: id}, create: {request: POST /cases, id: id}}
"""
ENVIRON = {"DESK_PASSWORD": PASSWORD}


class Echo(Behaviour):
    """Repeats every secret that it was ever told: in each answer, its headers, and in errors now and then."""

    def __init__(self) -> None:
        super().__init__()
        self.told = [PASSWORD, TOKEN]
        self.cases = []
        self.seen_on_command_lines = []

    def reply(self, asked):
        self.look_at_processes()
        secrets = " ".join(self.told)
        headers = {
            "Server": TOKEN,
            "Set-Cookie": f"sid={TOKEN}",
            "X-Echo": base64.b64encode(PASSWORD.encode()).decode(),
        }
        echo = {"authorization": asked.headers.get("authorization", ""), "all": secrets}
        if asked.path == "/login":
            return Reply(200, {"token": TOKEN, "echo": echo}, headers)
        if asked.path == "/fields":
            return Reply(200, {"fields": [{"id": "cf_001"}, {"id": "cf_002"}], "echo": echo}, headers)
        if asked.line == "POST /cases":
            self.cases.append({"id": str(len(self.cases) + 7)})
            return Reply(201, {**self.cases[-1], "echo": echo}, headers)
        if asked.path == "/cases":
            return Reply(200, {"cases": self.cases, "echo": echo}, headers)
        if asked.method == "DELETE":
            return Reply(500, {"error": secrets}, {**headers, "Location": f"/?token={TOKEN}"})
        if asked.method == "PATCH" and len(self.asked) % 3 == 0:
            return Reply(500, {"error": secrets}, {**headers, "Location": f"/?token={TOKEN}"})
        if len(self.asked) % 5 == 0:
            return Reply(200, f"<html>{secrets}".encode(), headers)
        return Reply(200, {"id": "7", "fields": {"cf_001": secrets}, "echo": echo}, headers)

    def look_at_processes(self):
        for file in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = file.read_bytes()
            except OSError:
                continue
            if PLANT.encode() in words:
                self.seen_on_command_lines.append(words)


@pytest.mark.live
def test_no_artefact_of_a_run_holds_a_secret_that_the_target_repeats(tmp_path, monkeypatch):
    """The run is one of production, with all that this takes; then what is made of it, and its clean-up."""
    monkeypatch.chdir(tmp_path)
    with misbehaving(echo := Echo()) as url:
        Path("s.yaml").write_text(SCENARIO)
        Path("t.yaml").write_text(DESK.replace("http://127.0.0.1:9", url))
        words = ["run", "s.yaml", "--target", "t.yaml", "--production", "--out", "out/run", "--label", "a=before"]
        done = subprocess.run(
            [sys.executable, "-m", "savepath", *words],
            capture_output=True, text=True, timeout=280, env={**os.environ, **ENVIRON, "TMPDIR": str(tmp_path)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert sum(asked.method == "PATCH" for asked in echo.asked) >= 5
        planned = called("plan", "s.yaml", "--target", "t.yaml", "--check", "--production", **ENVIRON)
        assert "ok  cases            2 of 2 are there" in planned.output
        cleaned = called("clean", "out/run", "--production", **ENVIRON)
        assert cleaned.return_value == 4
        assert "2 left" in cleaned.stdout
        assert "***" in cleaned.output
    shutil.copytree("out/run", "out/again")
    outputs = ["--html", "out/report.html", "--md", "out/s.md", "--junit", "out/j.xml"]
    results = ["--json", "out/results.json"]
    with misbehaving(collector := Scripted(Reply(200))) as url:
        said = [
            called(*words)
            for words in (
                ("show", "out/run", "--json"),
                ("compare", "--before", "out/run", "--after", "out/again", *results, *outputs),
                ("report", "out/results.json", "--html", "out/again.html"),
                ("export", "out/run", "--otlp", url),
            )
        ]
    assert [one.exception for one in said] == [None] * 4
    found = {str(file): text_of(file) for file in Path("out").rglob("*") if file.is_file()}
    written = {Path(name).name for name in found}
    assert {"run.json", "plan.json", "run.jsonl", "results.json", "report.html", "s.md", "j.xml"} <= written
    assert any(name.endswith(".parquet") for name in found)
    found |= {"stdout": done.stdout, "stderr": done.stderr, "planned": planned.output, "cleaned": cleaned.output}
    found |= {f"said {number}": one.output for number, one in enumerate(said)}
    found |= {f"span {number}": asked.body.decode("latin-1") for number, asked in enumerate(collector.asked)}
    assert "span 0" in found
    secrets = (PLANT, base64.b64encode(PASSWORD.encode()).decode())
    assert [name for name, text in found.items() if any(one in text for one in secrets)] == []
    assert "***" in found["out/run/run.json"]
    assert echo.seen_on_command_lines == []


LISTED = Reply(200, {"cases": [{"id": "7"}], "next": "/x"})
TROUBLE = {
    "refused": Reply(500, f"no, {PASSWORD} {TOKEN}".encode()),
    "moved": Reply(302, b"", {"Location": "/" + "x" * 190 + TOKEN}),
    "kind": Reply(200, b"?", {"Content-Type": TOKEN}),
    "page elsewhere": Reply(200, {"cases": [{"id": "7"}], "next": f"http://other.test/{TOKEN}"}),
    "page that is none": Reply(200, {"cases": [{"id": "7"}], "next": f"http://[{TOKEN}"}),
    "pages in a circle": Reply(200, {"cases": [{"id": "7"}], "next": f"/cases?{TOKEN}"}),
    "later": Reply(503, b"", {"Retry-After": "3600"}),
    "other keys": Reply(200, {TOKEN: PASSWORD}),
}


READS = parse_scenario(
    "name: s\ncohorts: {a: {custom_fields: 0, cases: 3}}\nmix: {read_case: 1}\nload: {rate_per_s: 1}\n"
    "duration_s: 1\n",
    "s",
)


@pytest.mark.parametrize("trouble", TROUBLE)
def test_no_error_repeats_a_secret(trouble):
    login = Reply(200, {"token": TOKEN})
    text = DESK[: DESK.index("fingerprint:")] + (
        'operations: {read_case: {request: "GET /cases/{{ case }}"}}\n'
        "provision: {cases: {find: {request: GET /cases, items: cases, key: id, next: next}}}\n"
    )
    with misbehaving(Scripted(login, TROUBLE[trouble])) as url, pytest.raises(Aborted) as caught:
        provision(parse_target(text, "t.yaml", {"base_url": url}), READS, ENVIRON, lambda *_: None)
    assert PLANT not in str(caught.value)


FIND = "request: GET /cases, items: cases"
OF_IDS = {
    "find.key": (f"find: {{{FIND}, key: id}}", {"cases": [{"id": f"7-{TOKEN}"}]}),
    "find.id": (f"find: {{{FIND}, key: number, id: id}}", {"cases": [{"number": "7", "id": PASSWORD}]}),
    "create.id": (
        f"find: {{{FIND}, key: id}}, create: {{request: POST /cases, id: id}}",
        {"cases": []},
        {"id": TOKEN},
    ),
}


@pytest.mark.parametrize("place", OF_IDS)
def test_an_id_with_a_secret_in_it_is_refused_with_its_line(place):
    """It would stand in the footprint; masked, it would be no id."""
    cases, *answers = OF_IDS[place]
    text = DESK[: DESK.index("fingerprint:")] + (
        f'operations: {{read_case: {{request: "GET /cases/{{{{ case }}}}"}}}}\nprovision: {{cases: {{{cases}}}}}\n'
    )
    replies = [Reply(200, one) for one in ({"token": TOKEN}, *answers)]
    with (
        misbehaving(Scripted(*replies)) as url,
        pytest.raises(
            Aborted, match=rf"^t\.yaml:11:\d+: provision\.cases\.{place}: this id is or holds one"
        ) as caught,
    ):
        provision(parse_target(text, "t.yaml", {"base_url": url}), READS, ENVIRON, lambda *_: None)
    assert PLANT not in str(caught.value)


def test_a_fact_that_repeats_a_secret_is_kept_masked():
    with misbehaving(Echo()) as url:
        found = preflight(parse_target(DESK, "t", {"base_url": url}), ENVIRON)
    assert (found["said"], found["cookie"]) == ("Bearer ***", "sid=***")
    assert found["server"].endswith(", ***")


@pytest.mark.parametrize(
    "words", [("--label", "note={}"), ("--purpose", "as {}"), ("--set", "recipient_domain={}.test")]
)
def test_a_secret_on_the_command_line_is_refused(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DESK_PASSWORD", "pl4nted-password")
    Path("s.yaml").write_text(SCENARIO)
    Path("t.yaml").write_text(DESK)
    command = ["run", "s.yaml", "--target", "t.yaml", "--production", "--out", "out"]
    with pytest.raises(InputError, match=rf"^{words[0]}.* holds a secret of the target desk") as caught:
        cli.main([*command, words[0], words[1].format("pl4nted-password")], standalone_mode=False)
    assert PLANT not in str(caught.value)
    assert not Path("out").exists()


# -- in the file ------------------------------------------------------------------------------------

SMALL = """\
name: desk
base_url: http://127.0.0.1:9
%s
operations:
  save_standard:
    request: {method: PUT, path: "%s", body: %s}
    success: {condition: id}
"""


def places(line="", path="/x", body="{}"):
    """Line and column of each secret that is found in the file."""
    with pytest.raises(InputError) as caught:
        parse_target(SMALL % (line, path, body), "t.yaml")
    assert PLANT not in str(caught.value)
    assert all("a secret must not stand in a file" in problem.message for problem in caught.value.problems)
    return [(problem.line, problem.column) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("line", "column"),
    [
        (f"headers: {{X-Auth-Token: {PLANT}}}", 11),
        ("variables: {api_key: ''}", 13),
        (f"variables: {{room: Bearer {PLANT}-1234}}", 19),
        (f"variables: {{log: 'http://me:{PLANT}@desk.test/'}}", 18),
        (f"about: -----BEGIN RSA PRIVATE KEY----- {PLANT}", 8),
        (f"auth: {{login: {{request: 'POST /login?password={PLANT}', token: token}}}}", 25),
    ],
)
def test_a_secret_is_found_by_its_name_or_by_its_form(line, column):
    assert places(line) == [(3, column)]


@pytest.mark.parametrize("name", ["password", "userPassword", "client_secret", "apiKey", "api-key", "accessToken"])
def test_a_secret_in_a_body_is_found_by_its_name(name):
    assert places(body=f"{{user: {{{name}: {PLANT}}}}}") == [(6, 54)]


def test_a_secret_in_the_query_of_a_path_is_found():
    assert places(path=f"/x?a=1&api_key={PLANT}") == [(6, 34)]


@pytest.mark.parametrize(
    "body",
    [
        '{token: "{{ save.id }}", password_reset: yes, secret: false, next_token: ""}',
        "{author: token, tokens: [a, b], passwords_seen: 3, key: value}",
        "{csrf_token: \"{{ 'none' }}\"}",
    ],
)
def test_what_only_sounds_like_a_secret_is_none(body):
    about = "about: Basic authentication with a token, see http://desk.test:80/a@b"
    assert parse_target(SMALL % (about, "/x?token={{ save.id }}", body), "t.yaml").name == "desk"
