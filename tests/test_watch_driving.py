"""A watch that drives: credentials that are rotated under it, and what the process that it starts may know."""

from __future__ import annotations

import json
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from command_line import called
from misbehaving_server import Asked, Behaviour, Reply, Scripted, misbehaving
from run_examples import text_of

from benchmarks.watch_survival import decisions
from benchmarks.watched_runs import write_run
from loadgen.chosen import ChosenTarget
from savepath.listening import Address
from savepath.watching.beginning import Wanted, watch
from savepath.watching.beside import Beside
from savepath.watching.journal import Journal
from savepath.watching.service import serving

SCENARIO = """\
name: short
cohorts: {some: {custom_fields: 0, cases: 2}}
mix: {read_case: 1}
load: {rate_per_s: 50, arrivals: constant}
warmup_s: 0
duration_s: 9
verification: {settle_s: 0.1}
"""
TARGET = """\
name: stub
base_url: http://127.0.0.1:1
auth:
  login:
    request: {method: POST, path: /login, body: {password: "{{ secret.password }}"}}
    secrets: {password: DESK_PASSWORD}
    token: token
warm_up: 1
operations: {read_case: {request: "GET /cases/{{ case }}"}}
provision: {cases: {find: {request: GET /cases, items: cases, key: id}}}
"""
FIRST_READS = 60
PLANT = "pl4nted"
BLOCK_S = 4.0


class Rotated(Behaviour):
    """Knows one password at a time; the other comes into force after so many reads, and nobody is told."""

    def __init__(self) -> None:
        super().__init__()
        self.password = f"the old {PLANT}"
        self.reads = 0
        self.variables: list[set[bytes]] = []

    def reply(self, asked: Asked) -> Reply:
        if asked.line == "POST /login":
            good = asked.json["password"] == self.password
            return Reply(200, {"token": self.token}) if good else Reply(403, f"not {asked.json}".encode())
        if (told := asked.headers.get("authorization")) != f"Bearer {self.token}":
            return Reply(401, f"not {told}".encode(), {"Location": f"/?{told}"})
        if asked.line == "GET /cases":
            return Reply(200, {"cases": [{"id": "1"}, {"id": "2"}]})
        self.reads += 1
        if self.reads == FIRST_READS:
            self.variables = variables_of_children()
            self.password = f"the new {PLANT}"
        return Reply(200, {"id": "1"})

    @property
    def token(self) -> str:
        return self.password.replace(" ", "-")


def variables_of_children() -> list[set[bytes]]:
    """The names in the environments of the processes that this one has started."""
    pids = []
    for listed in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):  # a thread that has just ended
            pids += listed.read_text().split()
    texts = [Path(f"/proc/{pid}/environ").read_bytes() for pid in pids]
    return [{line.partition(b"=")[0] for line in text.split(b"\0")} for text in texts]


def say_clear(state: Path) -> None:
    """As if the last block had been CLEAR, so that whatever comes next is news for the webhook."""
    journal = Journal(state)
    with journal.locked():
        last = journal.read()[-1]
        journal.append({**last, "verdict": "CLEAR", "sentence": "nothing got slower", "run": "said by hand"})


@pytest.fixture(scope="module")
def baseline(tmp_path_factory) -> Path:
    """Ten runs beside an old environment, which a watch of one target leaves aside."""
    room = tmp_path_factory.mktemp("before")
    for number in range(10):
        write_run(room, number, lasts_s=BLOCK_S, beside=True)
    return room


def lay_out(room: Path) -> None:
    """A scenario and a target."""
    for name, text in (("scenario", SCENARIO), ("target", TARGET)):
        (room / f"{name}.yaml").write_text(text)


def wanted(room: Path, baseline: Path, url: str, **more: Any) -> Wanted:
    """A watch that drives what is laid out there."""
    return Wanted(
        state=room / "state",
        baseline=(baseline,),
        scenario="scenario.yaml",
        target="target.yaml",
        settings={"base_url": url},
        follow=None,
        lasts_s=300,
        block_s=BLOCK_S,
        settle_s=100,
        day_s=200,
        required_events=(),
        until_clear=False,
        **more,
    )


def test_a_rotated_credential_is_hold_with_a_reason_of_its_own_and_the_new_one_is_read_for_the_next_block(
    tmp_path, baseline, monkeypatch, capfd
):
    """The target repeats the credentials in its refusals; no file, page, line or message of the watch does."""
    secret = tmp_path / "secret"
    secret.write_text(f"the old {PLANT}\n")
    monkeypatch.setenv("DESK_PASSWORD_FILE", str(secret))
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path)
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        if len(said) == 1:
            say_clear(tmp_path / "state")
        if len(said) == 2:
            secret.write_text(f"the new {PLANT}\n")
        if len(said) == 3:
            raise KeyboardInterrupt

    with misbehaving(behaviour := Rotated()) as url, misbehaving(receiver := Scripted(Reply(200))) as hook:
        monkeypatch.setenv("HOOK", f"{hook}/hook-{PLANT}")
        # The target names one of these as well.
        beside = Beside(token_env="DESK_PASSWORD", webhook_env="HOOK")
        watch(wanted(tmp_path, baseline, url, beside=beside), say, quiet=True)
    rotated, _, shut_out, let_in = decisions(tmp_path / "state")
    assert [one["verdict"] for one in (rotated, shut_out, let_in)] == ["HOLD"] * 3
    assert rotated["sentence"].startswith("credentials refused since ")
    assert " requests of short-some-01 were answered 401" in rotated["sentence"]
    assert rotated["block"]["counts"][0][2] == 0  # no failures of the target
    since = rotated["sentence"].split(":")[0]
    assert shut_out["sentence"].startswith(since)
    assert "cannot log in" in shut_out["sentence"]
    assert "credentials" not in let_in["sentence"]
    assert let_in["block"]["counts"][0][1] > FIRST_READS
    (variables,) = behaviour.variables
    assert variables & {b"DESK_PASSWORD_FILE", b"HOOK"} == {b"DESK_PASSWORD_FILE"}
    bodies = [asked.body.decode() for asked in receiver.asked]
    assert [json.loads(one)["verdict"] for one in bodies] == ["CLEAR", "HOLD"]
    assert "cannot log in" in bodies[1]
    told = {str(file): text_of(file) for file in (tmp_path / "state").rglob("*") if file.is_file()}
    told |= {f"message {number}": body for number, body in enumerate(bodies)}
    with serving(tmp_path / "state", Address("127.0.0.1", 0), "") as page:
        told |= {path: httpx.get(f"{page}{path}").text for path in ("/", "/status.json", "/metrics")}
        told["asked"] = called("gate", "--url", page).output
    told["gate"] = called("gate", "--state", tmp_path / "state").output
    told["report"] = called("report", tmp_path / "state", "--html", "closing.html").output
    told["closing.html"] = Path("closing.html").read_text()
    assert all(told[name].startswith("HOLD") for name in ("asked", "gate"))
    told["said"] = "\n".join(said) + "".join(capfd.readouterr())
    assert [name for name, text in told.items() if PLANT in text] == []


class Reader(Behaviour):
    """Reads, for whoever knows its password."""

    def __init__(self, password: str) -> None:
        super().__init__()
        self.password = password
        self.reads = 0

    def reply(self, asked: Asked) -> Reply:
        if asked.line == "POST /login":
            return Reply(200, {"token": self.password}) if asked.json["password"] == self.password else Reply(403)
        if asked.line == "GET /cases":
            return Reply(200, {"cases": [{"id": "1"}, {"id": "2"}]})
        self.reads += 1
        return Reply(200, {"id": "1"})


def test_an_old_environment_is_asked_with_its_own_secret_until_it_is_gone_and_then_nothing_waits_for_it(
    tmp_path, baseline, monkeypatch
):
    """The second block begins without it: the run goes on, with the half of the arrivals that is the new one's."""
    monkeypatch.setenv("DESK_PASSWORD", "new")
    monkeypatch.setenv("VERSUS_DESK_PASSWORD", "old")
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path)
    said: list[str] = []
    gone = ExitStack()
    new, old = Reader("new"), Reader("old")

    def say(line: str) -> None:
        said.append(line)
        gone.close()
        if len(said) == 2:
            raise KeyboardInterrupt

    with misbehaving(new) as url, gone:
        versus = ChosenTarget("target.yaml", {"base_url": gone.enter_context(misbehaving(old))})
        watch(wanted(tmp_path, baseline, url, versus=versus), say, quiet=True)
    both, alone = decisions(tmp_path / "state")
    assert (both["alone_since_s"], alone["alone_since_s"]) == (None, both["at_s"])
    assert both["block"]["versus"][0][:2] == ["read_case", 0]
    assert "versus" not in alone["block"]
    assert not {"outage", "credentials-refused"} & {one["code"] for one in alone["reasons"]}
    assert "no answer of the old environment since" in said[1]
    left = [path.read_text().partition("\n")[0] for path in (tmp_path / "state").rglob("*-before*.jsonl")]
    assert {json.loads(heading)["side"] for heading in left} == {"after"}  # clean looks for its secrets there
    reads = [one["block"]["counts"][0][1] for one in (both, alone)]
    assert all(40 < number < 110 for number in reads), reads  # half of 50/s for 2.6 s, give or take
