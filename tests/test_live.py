"""What there is to see of a run: the tabs in Locust's web interface, and who may look at them."""

import base64
import time

import pytest
from flask import Flask, jsonify

from loadgen.admission import SLIPS, Door
from loadgen.ending import Progress
from loadgen.live import Live, LiveCell, live_of
from loadgen.live_tabs import fill, rows_of_tabs, tabs
from loadgen.tally import CellTally
from loadgen.web_guard import guard, password_for
from savepath.live_table import table
from scenarios.errors import InputError


def cell(operation: str, fields: int, arm: str = "") -> CellTally:
    return CellTally(
        arm=arm, operation=operation, custom_fields=fields, outcomes={"ok": 3, "timeout": 1}, sum_s=1.0,
        first_bin=0, packed=b"\4\0\0\0",
    )  # fmt: skip


def shown(progress: Progress) -> Live:
    return live_of(progress, scheduled=100, elapsed_s=7.0, total_s=20.0, recorded_before=30)


def test_custom_saves_are_shown_first_and_the_effects_of_both_arms_together():
    seen = {"script": {"once": 2, "late": 1}}
    live = shown(
        Progress(
            recorded=42,
            effects={"before": seen, "after": seen},
            cells=(cell("read_case", 0), cell("save_custom", 500), cell("save_custom", 10)),
        )
    )
    assert [(one.operation, one.custom_fields) for one in live.cells] == [
        ("save_custom", 10), ("save_custom", 500), ("read_case", 0),
    ]  # fmt: skip
    assert [(one.requests, one.failures) for one in live.cells] == [(4, 1)] * 3
    assert (live.effects, live.broken_effects, live.rate_per_s) == ({"script": {"late": 2, "once": 4}}, 2, 12)


SEEN = Live(
    phase="measure", elapsed_s=7, total_s=20, scheduled=100, recorded=42, in_flight=3, aborted=1, lag_p99_s=0.0004,
    failures=2, rate_per_s=9.0,
    effects={"mail": {"once": 5}},
    cells=[
        LiveCell(arm="before", operation="save_custom", custom_fields=10, requests=40, failures=2, p50_s=0.0123,
                 p95_s=0.4567, p99_s=14.3754)
    ],
)  # fmt: skip


def test_every_tab_shows_the_columns_of_its_table():
    told = {one["key"]: one["data"] for one in rows_of_tabs(SEEN)}
    columns = {one["key"]: {column["key"] for column in one["structure"]} for one in tabs()["extended_tables"]}
    assert set(told) == set(columns) == {one["key"] for one in tabs()["extended_tabs"]}
    assert [key for key, rows in told.items() if any(set(row) != columns[key] | {"name"} for row in rows)] == []
    assert told["by-custom-fields"][0] == {
        "name": "0000", "operation": "save_custom (before)", "fields": 10, "requests": 40, "failures": 2,
        "p50": 12.3, "p95": 457, "p99": 14400,
    }  # fmt: skip
    effects = {row["outcome"]: (row["number"], row["promise"]) for row in told["effects"]}
    assert (effects["once"], effects["doubled"], effects["unverified"]) == (
        (5, "kept"), (0, "broken"), (0, "nobody can tell"),
    )  # fmt: skip
    schedule = {row["what"]: row["value"] for row in told["schedule"]}
    parts = ("= recorded", "+ in flight", "+ aborted", "+ to come")
    assert schedule["scheduled"] == sum(schedule[part] for part in parts) == 100
    assert schedule["schedule lag, p99 of the last second"] == "0.4 ms"


def test_a_lost_worker_is_seen_while_the_run_goes_on():
    (told,) = [
        one["data"]
        for one in rows_of_tabs(SEEN.model_copy(update={"workers_lost": 1}))
        if one["key"] == "schedule"
    ]
    assert (told[-1]["what"], told[-1]["value"]) == ("workers lost", 1)
    lines = table(SEEN.model_copy(update={"workers_lost": 1}), columns=79, lines=24)
    assert "schedule  1 worker lost · lag p99 0.4 ms" in lines[-1]


def test_of_a_closed_loop_nothing_is_said_to_come():
    closed = SEEN.model_copy(update={"scheduled": None})
    (told,) = [one["data"] for one in rows_of_tabs(closed) if one["key"] == "schedule"]
    assert [(row["what"], row["value"]) for row in told[1:5]] == [
        ("begun, by users who wait", 46), ("= recorded", 42), ("+ in flight", 3), ("+ aborted", 1),
    ]  # fmt: skip
    assert "42 recorded, 3 in flight (users who wait)" in "\n".join(table(closed, columns=79, lines=24))


def asker(password: str, now=time.monotonic):
    app = Flask(__name__)
    app.add_url_rule("/stats/requests", "locust.request_stats", lambda: jsonify({"stats": []}))
    guard(app, Door(password, now) if password else None)
    fill(app, lambda: SEEN)
    return app.test_client()


def test_what_is_seen_comes_with_the_figures_of_locust():
    found = asker("").get("/stats/requests", base_url="http://127.0.0.1:8089").get_json()
    assert [one["key"] for one in found["extended_stats"]] == ["by-custom-fields", "effects", "schedule"]
    # Where workers drive, nothing passes through Locust, and its head would say that nothing happens.
    assert (found["stats"], found["total_rps"], found["fail_ratio"]) == ([], 9.0, 2 / 42)


@pytest.mark.parametrize(
    ("host", "headers", "status"),
    [
        ("localhost:8089", {}, 200),
        ("127.0.0.1:8089", {"Origin": "http://127.0.0.1:8089"}, 200),
        ("elsewhere.example.test:8089", {}, 421),
        ("127.0.0.1:8089", {"Origin": "http://elsewhere.example.test"}, 403),
        ("127.0.0.1:8089", {"Origin": "null"}, 403),
    ],
)
def test_without_a_password_only_loopback_by_its_own_name_is_answered_and_no_page_of_another_site(
    host, headers, status
):
    answer = asker("").get("/stats/requests", base_url=f"http://{host}", headers=headers)
    assert answer.status_code == status


def basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"me:{password}".encode()).decode()


@pytest.mark.parametrize(("said", "status"), [(None, 401), (basic("wrong"), 401), (basic("pässword"), 200)])
def test_with_a_password_who_knows_it_is_answered_by_any_name(said, status):
    headers = {"Authorization": said} if said else {}
    answer = asker("pässword").get("/stats/requests", base_url="http://load.example.test", headers=headers)
    assert (answer.status_code, "WWW-Authenticate" in answer.headers) == (status, status == 401)


def test_who_guesses_the_password_has_to_wait_and_nobody_else_does():
    now_s = [0.0]
    client = asker("open", now=lambda: now_s[0])

    def status(password, address="10.0.0.7"):
        answer = client.get(
            "/stats/requests", headers={"Authorization": basic(password)}, environ_base={"REMOTE_ADDR": address}
        )
        return answer.status_code, answer.headers.get("Retry-After")

    assert [status("wrong")[0] for _ in range(SLIPS + 1)] == [401] * (SLIPS + 1)
    assert (status("open"), status("open", "10.0.0.8")) == ((429, "1"), (200, None))
    now_s[0] = 1.0
    assert status("open") == (200, None)


def test_beyond_loopback_there_is_a_password(monkeypatch):
    assert password_for("127.0.0.1", "") == ""
    for host in ("", "*", "0.0.0.0", "10.0.0.1"):
        with pytest.raises(InputError, match="can be reached from elsewhere; name the variable"):
            password_for(host, "")
    with pytest.raises(InputError, match="WEB_PASSWORD is not set"):
        password_for("0.0.0.0", "WEB_PASSWORD")
    monkeypatch.setenv("WEB_PASSWORD", "open")
    assert password_for("0.0.0.0", "WEB_PASSWORD") == "open"
