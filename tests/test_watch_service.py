"""The service of a watch over real HTTP, and the gate that asks it."""

import json
import time
from pathlib import Path

import httpx
import jsonschema
import pytest
from command_line import called
from prometheus_client.parser import text_string_to_metric_families
from stub_server import stub_server
from window_examples import BLOCK_S, say_on, state_folder

from analysis.findings import Verdict
from savepath.listening import parse_address
from savepath.watching.remote import MOST_BYTES, ask_url
from savepath.watching.service import serving
from savepath.watching.status import status_schema
from scenarios.library import schema_text

ANY = parse_address("127.0.0.1:0")


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The URL of a watch that is CLEAR now."""
    state = state_folder(tmp_path_factory.mktemp("served") / "state", "HHCC", last_s=time.time())
    with serving(state, ANY, "") as url:
        yield url


def test_the_page_has_the_window_part_and_may_run_nothing(served):
    answer = httpx.get(served)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert '<section id="window">' in answer.text
    assert "CLEAR" in answer.text


def test_the_status_is_as_its_published_schema_says(served):
    answer = httpx.get(f"{served}/status.json").json()
    jsonschema.validate(answer, status_schema(), cls=jsonschema.Draft202012Validator)
    assert (answer["verdict"], answer["blocks"]) == ("CLEAR", 4)


def test_the_metrics_are_read_by_prometheus_own_parser(served):
    answer = httpx.get(f"{served}/metrics").text
    found = {
        (s.name, *s.labels.values()): s.value for f in text_string_to_metric_families(answer) for s in f.samples
    }
    assert found["savepath_watch_verdict", "CLEAR"] == 1
    assert found["savepath_watch_verdict", "ESCALATE"] == 0
    assert found["savepath_watch_decisions_total", "HOLD"] == 2
    assert found["savepath_watch_requests_total", "save_custom"] == 4 * 300
    assert found["savepath_watch_failures_total", "save_custom"] == 4
    assert found["savepath_watch_block_seconds",] == BLOCK_S


def test_the_gate_asks_the_same_of_a_url_as_of_the_folder(tmp_path):
    state = state_folder(tmp_path / "state", "HH", last_s=time.time())
    with serving(state, ANY, "") as url:
        for verdict, code in (("C", 0), ("H", 10), ("E", 20)):
            say_on(state, verdict, first_s=time.time() - BLOCK_S)
            here, there = called("gate", "--state", state), called("gate", "--url", url)
            assert (here.return_value, there.return_value) == (code, code)
            assert here.stdout == there.stdout
        called("watch", "--state", state, "--ack")
        assert called("gate", "--url", url).return_value == 10


def test_a_watch_that_fell_silent_is_not_healthy_and_holds(tmp_path):
    state = state_folder(tmp_path / "state", "CC", last_s=time.time() - 1000)
    with serving(state, ANY, "") as url:
        assert httpx.get(f"{url}/healthz").status_code == 503
        assert "silent for 17 min" in ask_url(url, None, time.time()).reason


def test_a_journal_that_is_damaged_under_the_service_holds(tmp_path):
    state = state_folder(tmp_path / "state", "CC", last_s=time.time())
    with serving(state, ANY, "") as url:
        with (state / "decisions.jsonl").open("a") as file:
            file.write('{"kind":"decision"}\n')
        assert httpx.get(url).status_code == 503
        assert called("gate", "--url", url).return_value == 10
        assert called("gate", "--state", state).return_value == 10


def test_with_a_token_only_those_who_know_it_are_answered(tmp_path, monkeypatch):
    monkeypatch.setenv("WATCH_TOKEN", "open sesame")
    state = state_folder(tmp_path / "state", "CC", last_s=time.time())
    with serving(state, ANY, "open sesame") as url:
        assert httpx.get(url).status_code == 401
        assert httpx.get(url, headers={"Authorization": "Bearer open"}).status_code == 401
        assert httpx.get(url, auth=("anybody", "open sesame")).status_code == 200
        assert httpx.get(f"{url}/healthz").status_code == 200
        assert called("gate", "--url", url).return_value == 10
        assert called("gate", "--url", url, "--token-env", "WATCH_TOKEN").return_value == 0


def test_a_page_of_another_name_that_leads_to_loopback_reads_nothing(served):
    assert httpx.get(served, headers={"Host": "evil.example"}).status_code == 421


def test_listening_beyond_loopback_needs_a_token():
    words = ("watch", "--follow", "runs", "--state", "none", "--listen", "0.0.0.0:0")
    assert "--token-env" in str(called(*words).exception)
    said = str(called(*words, "--token-env", "NOT_SET").exception)
    assert "the environment variable NOT_SET is not set" in said


def test_a_port_that_is_taken_is_told(served, tmp_path):
    state = state_folder(tmp_path / "state", "C", last_s=time.time())
    taken = parse_address(served.removeprefix("http://"))
    with pytest.raises(Exception, match="cannot be used: Address already in use"), serving(state, taken, ""):
        pass


def status(now_s, **changes):
    """A status that says CLEAR, as an answer over HTTP."""
    decided = {"at_s": now_s, "written_s": now_s, "run": "r", "verdict": "CLEAR", "sentence": "fine"}
    found = {
        "schema": "savepath.watch-status/1", "answered_s": now_s, "verdict": "CLEAR", "sentence": "fine",
        "source": "s", "begun_s": now_s - 9, "ends_s": now_s + 9, "block_s": 5.0, "ended": False,
        "acknowledged": False, "blocks": 1, "decided": decided,
    }  # fmt: skip
    return json.dumps(found | changes).encode()


def http(body, code=200, more=""):
    return f"HTTP/1.1 {code} X\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body


NOW_S = 1_764_000_000.0


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (http(b"down", 500), "answered 500"),
        (
            http(b"", 429, "Retry-After: 4\r\n"),
            "wrong tokens, or too many requests, came from here; ask again in 4 s",
        ),
        (http(b"", 429, "Retry-After: soon\r\n"), "ask again later"),
        (http(b"", 302, "Location: /other\r\n"), "answered 302"),
        (http(b"<html>CLEAR</html>"), "no status of a watch (the whole: Invalid JSON"),
        (http(b'{"verdict": "CLEAR"}'), "no status of a watch (schema: Field required)"),
        (http(status(NOW_S, schema="savepath.watch-status/9")), "no status of a watch (schema"),
        (http(status(NOW_S, verdict="FINE")), "no status of a watch (verdict"),
        (http(status(NOW_S - 900)), "the answer is of 15 min ago"),
        (http(status(NOW_S + 900)), "the answer is of 15 min from now"),
        (http(status(NOW_S, decided=None)), "nothing was decided yet"),
        (http(b" " * (MOST_BYTES + 1)), "an answer of more than 1,000,000 bytes is no status of a watch"),
        (http(status(NOW_S))[:-5], "no answer"),
        (b"nonsense\r\n\r\n", "no answer"),
        (None, "no answer"),
    ],
)
def test_whatever_is_no_whole_fresh_status_is_hold_with_its_reason(answer, reason):
    def say(request, connection):
        if answer is not None:
            connection.sendall(answer)

    with stub_server(say) as stub:
        found = ask_url(stub.url, None, NOW_S)
    assert found.verdict is Verdict.HOLD
    assert reason in found.reason
    assert "\n" not in found.reason


def test_an_answer_that_never_ends_is_hold_in_time():
    def drip(request, connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while connection.send(b" "):
            time.sleep(0.05)

    with stub_server(drip) as stub:
        assert "no whole answer within 0.3 s" in ask_url(stub.url, None, NOW_S, timeout_s=0.3).reason


def test_a_status_that_is_whole_and_fresh_is_believed():
    with stub_server(lambda request, connection: http(status(NOW_S))) as stub:
        assert ask_url(stub.url, None, NOW_S).verdict is Verdict.CLEAR
    assert ask_url(stub.url, None, NOW_S).verdict is Verdict.HOLD  # nobody is there any more


@pytest.mark.parametrize(
    "url",
    ["ftp://x", "http://a..b", f"http://{'a' * 64}", "http://xn--a", "http://a\x00b", f"http://a/{'a' * 70_000}"],
    ids=["another scheme", "an empty part", "a long part", "no punycode", "a control character", "too long"],
)
def test_a_url_where_no_watch_can_be_is_hold(url):
    assert "no address of a watch" in ask_url(url, None, NOW_S).reason


@pytest.mark.parametrize("url", ["http://me:hunter2@watch.internal", "http://[me:hunter2@watch.internal"])
def test_a_url_with_a_password_is_hold_and_not_repeated(url):
    reason = ask_url(url, None, NOW_S).reason
    assert "told by --token-env" in reason
    assert "hunter2" not in reason


def test_a_token_that_no_header_can_hold_is_hold():
    assert "a character that no header can hold" in ask_url("http://127.0.0.1", "sésame", NOW_S).reason


def test_what_a_stranger_answers_stays_one_line_that_no_terminal_obeys():
    def say(request, connection):
        decided = {"at_s": 0, "written_s": time.time(), "run": "r", "verdict": "HOLD"}
        return http(status(time.time(), decided=decided | {"sentence": "a\n\x1b[2JCLEAR: b"}))

    with stub_server(say) as stub:
        assert called("gate", "--url", stub.url).stdout == "HOLD: a [2JCLEAR: b\n"


def test_the_published_schema_is_that_of_the_code():
    published = Path(__file__).parent.parent / "docs/schema/watch-status.schema.json"
    assert published.read_text() == schema_text(status_schema()), "run: make schema"
