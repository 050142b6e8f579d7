"""Tokens while the load runs: fetched before it, renewed beside it, and a 401 counts as what it is."""

import time
from pathlib import Path

import gevent
import pytest
from misbehaving_server import Asked, Behaviour, ExpiringTokens, Reply, Scripted, misbehaving

from loadgen.chosen import ChosenTarget
from loadgen.client import Client
from loadgen.logins import Logins
from loadgen.run_folder import RunFolder
from loadgen.run_info import RunInfo
from loadgen.session import Session
from loadgen.settings import Settings
from scenarios.errors import Aborted
from targets.credentials import Credentials
from targets.http import Request, Response
from targets.inventory import Inventory, TenantInventory
from targets.mapping import parse_target

SCENARIO = """\
name: short
cohorts: {some: {custom_fields: 2, cases: 2, scripts_on_save: 0}}
mix: {read_case: 1, save_custom: 1}
load: {rate_per_s: 40, arrivals: constant, timeout_s: 5}
warmup_s: 0
duration_s: 3
verification: {settle_s: 0.1, script_deadline_s: 1, read_back_share: 0}
"""
TARGET = """\
name: stub
base_url: http://127.0.0.1:1
auth:
  login:
    request: {method: POST, path: /login, body: {password: "{{ secret.password }}"}}
    secrets: {password: DESK_PASSWORD}
    token: token
    expires_in: expires_in
warm_up: 0
operations:
  read_case: {request: "GET /cases/{{ case }}"}
  save_custom: {request: {method: PATCH, path: "/cases/{{ case }}"}, precondition: "GET /etag/{{ case }}"}
fields: {shape: map, under: fields}
"""
ENVIRON = {"DESK_PASSWORD": "pw"}
PATIENCE_S = 100


class Faltering(ExpiringTokens):
    """Tokens that end in the middle; the login itself refuses a few times before it gives the next one."""

    def __init__(self, uses: int, *, refusing: int) -> None:
        super().__init__(uses)
        self.refusing = refusing

    def reply(self, asked: Asked) -> Reply:
        if asked.line == "POST /login" and self.issued >= 4 and self.refusing:
            self.refusing -= 1
            return Reply(503)
        return super().reply(asked)


class Ageing(Behaviour):
    """Every token is good until it is so old, also when there is a newer one."""

    def __init__(self, lasts_s: float) -> None:
        super().__init__()
        self.lasts_s = lasts_s
        self.ends_s: dict[str, float] = {}

    def reply(self, asked: Asked) -> Reply:
        now_s = time.monotonic()
        if asked.line == "POST /login":
            token = f"token-{len(self.ends_s) + 1}"
            self.ends_s[f"Bearer {token}"] = now_s + self.lasts_s
            return Reply(200, {"token": token, "expires_in": self.lasts_s})
        good = now_s < self.ends_s.get(asked.headers.get("authorization", ""), 0)
        return Reply(200, {"id": "1"}) if good else Reply(401)


def made_session(url: str, room: Path, duration_s: float = 3) -> Session:
    scenario = SCENARIO.replace("duration_s: 3", f"duration_s: {duration_s}")
    for name, text in (("short", scenario), ("stub", TARGET)):
        (room / f"{name}.yaml").write_text(text)
    fields = {"cf_001": "cf_001", "cf_002": "cf_002"}
    inventory = Inventory(tenants={"short-some-01": TenantInventory(fields=fields, cases=("7", "8"))})
    (room / "inventory.json").write_text(inventory.model_dump_json())
    return Session(
        Settings(
            scenario=str(room / "short.yaml"),
            target=ChosenTarget(str(room / "stub.yaml"), {"base_url": url}, room / "inventory.json"),
            run_dir=room / "run",
        ),
        say=lambda text: None,
    )


def driven(behaviour: Behaviour, room: Path, duration_s: float = 3) -> tuple[RunInfo, RunFolder]:
    """A whole short run."""
    with misbehaving(behaviour) as url:
        session = made_session(url, room, duration_s)
        session.prepare()
        session.start()
        assert session.finished.wait(PATIENCE_S)
    return RunFolder(room / "run").read(), RunFolder(room / "run")


@pytest.fixture(autouse=True)
def secret(monkeypatch):
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)


def test_tokens_that_end_in_the_middle_are_renewed_and_what_was_refused_stays_refused(tmp_path):
    behaviour = Faltering(30, refusing=1)
    info, folder = driven(behaviour, tmp_path)
    samples = folder.read_samples()
    assert (info.status, info.ledger.closes, info.ledger.recorded) == ("complete", True, 120)
    assert behaviour.issued >= 3
    assert set(samples["outcome"]) == {"ok", "http_error"}
    assert set(samples["detail"]) <= {"", "http 401", "precondition failed"}
    # After the first refusal something succeeded again.
    in_order = samples.sort_values("sent_s")["outcome"].tolist()
    assert "ok" in in_order[in_order.index("http_error") :]


def test_no_request_is_sent_again_because_of_a_401(tmp_path):
    behaviour = ExpiringTokens(30)
    _, folder = driven(behaviour, tmp_path)
    samples = folder.read_samples()
    saves = samples[samples["operation"] == "save_custom"]
    sent = (saves["detail"] != "precondition failed").sum()
    assert sum(line.startswith("PATCH ") for line in behaviour.lines) == sent
    assert sum(line.startswith("GET /cases/") for line in behaviour.lines) == len(samples) - len(saves)


def test_a_token_that_tells_when_it_ends_is_renewed_before_and_nothing_is_refused(tmp_path):
    behaviour = Ageing(lasts_s=6)  # renewed when a fifth is left, which is .2 s more than between two looks
    info, folder = driven(behaviour, tmp_path, duration_s=7)
    samples = folder.read_samples()
    stood_still_s = (samples["done_s"] - samples["scheduled_s"]).max()
    assert set(samples["outcome"]) == {"ok"} or stood_still_s > 0.2
    used = {asked.headers["authorization"] for asked in behaviour.asked if asked.line != "POST /login"}
    assert info.ledger.closes
    assert len(used) >= 2  # more where its end took long


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(403, {"error": "wrong password pw"}), "the login was answered with http 403"),
        (Reply(200, {"other": 1}), "token"),
    ],
)
def test_a_login_that_fails_at_the_start_is_told_without_the_answer(tmp_path, reply, said):
    with misbehaving(Scripted(reply)) as url:
        session = made_session(url, tmp_path)
        with pytest.raises(Aborted) as caught:
            session.prepare()
    assert "cannot log in" in str(caught.value)
    assert "/login" in str(caught.value)
    assert said in str(caught.value)
    assert "wrong password" not in str(caught.value)


def logins(url: str) -> tuple[Logins, Credentials, Client]:
    target = parse_target(TARGET, "t.yaml", {"base_url": url})
    credentials = Credentials(target, [], ENVIRON)
    client = Client(timeout_s=5, connections=2)
    return Logins(credentials, client.send, pytest.fail), credentials, client


def test_a_login_that_fails_later_is_tried_again():
    with misbehaving(Scripted(Reply(503), Reply(200, {"token": "t-1"}))) as url:
        made, credentials, client = logins(url)
        renewer = gevent.spawn(made.run)
        try:
            with gevent.Timeout(PATIENCE_S):
                while credentials.due():
                    gevent.sleep(0.02)
        finally:
            renewer.kill()
            client.close()
    assert (made.failed, credentials.headers_for(None)) == (1, {"Authorization": "Bearer t-1"})


def test_a_refused_token_is_fetched_again_and_only_once():
    with misbehaving(behaviour := Scripted(Reply(200, {"token": "t-1"}), Reply(200, {"token": "t-2"}))) as url:
        made, credentials, client = logins(url)
        made.log_in()
        made.log_in()
        refused = Request("GET", f"{url}/cases/7", dict(credentials.headers_for(None)))
        assert credentials.answered(refused, Response(401, {}, b""))
        made.log_in()
        client.close()
    assert behaviour.lines == ["POST /login"] * 2
    assert credentials.headers_for(None) == {"Authorization": "Bearer t-2"}
