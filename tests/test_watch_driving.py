"""A watch that drives: credentials that are rotated under it, and what the process that it starts may know."""

from __future__ import annotations

from pathlib import Path

import httpx
from misbehaving_server import Asked, Behaviour, Reply, misbehaving
from run_examples import text_of

from benchmarks.watch_survival import decisions
from benchmarks.watched_runs import write_run
from savepath.listening import Address
from savepath.watching.beginning import Wanted, watch
from savepath.watching.beside import Beside
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
    pids = [pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()]
    texts = [Path(f"/proc/{pid}/environ").read_bytes() for pid in pids]
    return [{line.partition(b"=")[0] for line in text.split(b"\0")} for text in texts]


def test_a_rotated_credential_is_hold_with_a_reason_of_its_own_and_the_new_one_is_read_for_the_next_block(
    tmp_path, monkeypatch, capfd
):
    """The target repeats the credentials in its refusals, and no file, page or line of the watch does."""
    secret = tmp_path / "secret"
    secret.write_text(f"the old {PLANT}\n")
    monkeypatch.setenv("DESK_PASSWORD_FILE", str(secret))
    monkeypatch.setenv("HOOK", "http://127.0.0.1:9/hook-of-the-watch")
    monkeypatch.chdir(tmp_path)
    for number in range(10):
        write_run(tmp_path / "before", number, lasts_s=BLOCK_S)
    for name, text in (("scenario", SCENARIO), ("target", TARGET)):
        (tmp_path / f"{name}.yaml").write_text(text)
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        if len(said) == 2:
            secret.write_text(f"the new {PLANT}\n")
        if len(said) == 3:
            raise KeyboardInterrupt

    with misbehaving(behaviour := Rotated()) as url:
        wanted = Wanted(
            state=tmp_path / "state",
            baseline=(tmp_path / "before",),
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
            beside=Beside(token_env="DESK_PASSWORD", webhook_env="HOOK"),  # of which the target names one as well
        )
        watch(wanted, say, quiet=True)
    rotated, shut_out, let_in = decisions(tmp_path / "state")
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
    told = {str(file): text_of(file) for file in (tmp_path / "state").rglob("*") if file.is_file()}
    with serving(tmp_path / "state", Address("127.0.0.1", 0), "") as page:
        told |= {path: httpx.get(f"{page}{path}").text for path in ("/", "/status.json", "/metrics")}
    told["said"] = "\n".join(said) + "".join(capfd.readouterr())
    assert [name for name, text in told.items() if PLANT in text] == []
