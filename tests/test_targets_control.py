"""The control client against a small server whose answers are written down."""

import gzip
import itertools
import re
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import create_server

import descriptors
import pytest
from misbehaving_server import Reply, Scripted, misbehaving
from stub_server import stub_server

from scenarios.errors import Aborted, InputError
from targets.control import ATTEMPTS, ControlClient, preflight
from targets.http import Request
from targets.mapping import parse_target

TARGET = """\
name: stub
start: press the button
base_url: http://127.0.0.1:1
auth: {basic: {user: ann, password_env: STUB_PASSWORD}}
fingerprint:
  health: GET /health
  request: GET /version
  values: {version: version, pages: settings.pages, sync: settings.sync}
operations: {read_case: {request: "GET /cases/{{ case }}"}}
"""
ENVIRON = {"STUB_PASSWORD": "pw"}
JSON = {"Content-Type": "application/json"}


@contextmanager
def answering(*answers):
    """A server that gives these (status, headers, body) one after the other, the last one for ever.

    Yields its URL and the list of requests that came: (method, path, authorization).
    """
    came = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self):
            status, headers, body = answers[min(len(came), len(answers) - 1)]
            came.append((self.command, self.path, self.headers.get("Authorization")))
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = answer  # noqa: N815  # the names that the library looks for

        def log_message(self, *words):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", came
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def target(url):
    return parse_target(TARGET, "t.yaml", {"base_url": url})


def closed_port():
    with create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def test_a_closed_port_is_told_with_the_remedy():
    url = f"http://127.0.0.1:{closed_port()}"
    with pytest.raises(Aborted) as caught:
        preflight(target(url), ENVIRON)
    assert str(caught.value) == (
        f"the target stub does not answer at {url}: connection refused; "
        "start it (press the button) or set base_url"
    )


def test_without_a_file_descriptor_left_the_target_is_not_blamed():
    with ControlClient(target("http://127.0.0.1:1")) as client:
        request = Request("GET", "http://127.0.0.1:1/x")
        with pytest.raises(Aborted, match="does not answer"):
            client.send(request)  # what is imported or opened once is there
        with (
            descriptors.all_taken(),
            pytest.raises(Aborted, match=r"^no connection .* Too many open files; .*ulimit"),
        ):
            client.send(request)


def test_a_name_that_leads_nowhere_is_told():
    text = TARGET.replace("http://127.0.0.1:1", "http://desk.invalid")
    with pytest.raises(Aborted, match=r"does not answer at http://desk\.invalid: .*(not known|resolution)"):
        preflight(parse_target(text, "t.yaml"), ENVIRON)


def test_preflight_gives_what_identifies_the_target_and_signs_its_requests():
    body = b'{"version": "2.6", "settings": {"pages": 64, "sync": true}}'
    with answering((200, JSON, body)) as (url, came):
        found = preflight(target(url), ENVIRON)
    assert found == {"version": "2.6", "pages": "64", "sync": "true"}
    assert came == [("GET", "/health", "Basic YW5uOnB3"), ("GET", "/version", "Basic YW5uOnB3")]


def test_a_missing_secret_is_named_before_anything_is_sent():
    with answering((200, JSON, b"{}")) as (url, came):
        with pytest.raises(InputError, match="environment variable STUB_PASSWORD is not set"):
            preflight(target(url), {})
        assert came == []


def test_a_page_where_json_is_expected_is_shown():
    page = b"<html>Please log in</html>" + b"x" * 1000
    with (
        answering((200, {"Content-Type": "text/html; charset=utf-8"}, page)) as (url, _),
        pytest.raises(Aborted) as caught,
    ):
        preflight(target(url), ENVIRON)
    assert str(caught.value) == f"GET {url}/version: http 200 not JSON (text/html): {page[:200].decode()!r}"


def test_a_redirect_is_not_followed_but_told():
    with (
        answering((302, {"Location": "/login"}, b"")) as (url, came),
        pytest.raises(Aborted, match=r"http 302 unexpected .* leads to /login"),
    ):
        preflight(target(url), ENVIRON)
    assert len(came) == 1


def sent(method, *answers):
    """What became of one request: (last status, how many were sent, the waits between them)."""
    waits = []
    with answering(*answers) as (url, came), ControlClient(target(url), sleep=waits.append) as client:
        response = client.send(Request(method, f"{url}/x"))
    return response.status, len(came), waits


def test_a_read_is_tried_again_a_few_times():
    assert sent("GET", (503, {}, b"")) == (503, ATTEMPTS, [0.2, 0.4, 0.8])


def test_a_write_is_not_tried_again():
    assert sent("POST", (503, {}, b"")) == (503, 1, [])


def test_a_write_is_tried_again_where_the_target_asks_to_come_later():
    assert sent("POST", (429, {"Retry-After": "7"}, b""), (201, {}, b"")) == (201, 2, [7.0])


def test_a_moment_in_the_past_means_at_once():
    past = {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}
    assert sent("POST", (503, past, b""), (201, {}, b"")) == (201, 2, [0.0])


def test_a_moment_in_the_future_is_waited_for():
    later = {"Retry-After": format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)}
    status, number, (wait_s,) = sent("POST", (503, later, b""), (201, {}, b""))
    assert (status, number) == (201, 2)
    assert 20 < wait_s <= 30


@pytest.mark.parametrize("word", ["soon", "-5", "1e3", "Wed, 99 Oct 2015", "٣", ""])
def test_a_moment_that_is_none_is_no_leave_to_send_a_write_again(word):
    assert sent("POST", (503, {"Retry-After": word.encode().decode("latin-1")}, b"")) == (503, 1, [])


def test_a_read_is_tried_again_even_where_the_moment_is_none():
    assert sent("GET", (503, {"Retry-After": "soon"}, b""), (200, {}, b"")) == (200, 2, [0.2])


def test_retries_come_to_an_end():
    assert sent("POST", (429, {"Retry-After": "1"}, b"")) == (429, ATTEMPTS, [1.0] * (ATTEMPTS - 1))


# -- bodies ----------------------------------------------------------------------------------------


def got(reply, **options):
    """The answer to one read, from a server that says just that."""
    with misbehaving(Scripted(reply)) as url, ControlClient(target(url), **options) as client:
        return client.send(Request("GET", f"{url}/x"))


def test_a_body_in_chunks_is_put_together():
    assert got(Reply(chunks=[b'{"a":', b" 1}"])).body == b'{"a": 1}'


def test_a_body_beyond_bounds_is_cut_off():
    with pytest.raises(Aborted, match=r"GET http://.*/x: the answer does not end \(with 32 MiB it was cut off\)"):
        got(Reply(chunks=itertools.repeat(b"x" * 2**20, 40)))


def test_a_body_that_drips_is_cut_off():
    def drip():
        while True:
            yield b"x"
            time.sleep(0.01)

    with pytest.raises(Aborted, match=r"the answer does not end \(after 1 s it was cut off\)"):
        got(Reply(chunks=drip()), timeout_s=1)


def test_headers_that_drip_are_cut_off():
    def drip(request, connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:  # until the other side has hung up
            connection.sendall(b"X-More: %s\r\n" % (b"x" * 100))
            time.sleep(0.01)

    with (
        stub_server(drip) as stub,
        ControlClient(target(stub.url), timeout_s=0.1) as client,
        pytest.raises(Aborted, match=r"POST http://.*/x: no answer within 0\.1 s"),
    ):
        client.send(Request("POST", f"{stub.url}/x"))


def test_a_compressed_body_is_not_unfolded():
    bomb = gzip.compress(b"0" * 10**7)
    assert got(Reply(body=bomb, headers={"Content-Encoding": "gzip"})).body == bomb


def test_a_wait_beyond_bounds_is_refused():
    with pytest.raises(Aborted, match="come back in 3600 s; at most 60 s are waited"):
        sent("POST", (429, {"Retry-After": "3600"}, b""))


def test_a_fingerprint_that_cannot_be_read_is_told():
    odd = Scripted(Reply(200, {}), Reply(200, {"version": [1, "a"]}))
    text = TARGET.replace("version: version", "version: max(version)")
    with (
        misbehaving(odd) as url,
        pytest.raises(Aborted, match=r"t:8:21: fingerprint.values.version: max\(version\): "),
    ):
        preflight(parse_target(text, "t", {"base_url": url}), ENVIRON)


def test_json_is_read_whatever_it_is_called():
    with misbehaving(Scripted(Reply(200, b"{}", {"Content-Type": "text/html"}))) as url:
        assert preflight(target(url), ENVIRON) == {"version": "null", "pages": "null", "sync": "null"}


FACTS = TARGET.replace(
    "  values: {version: version, pages: settings.pages, sync: settings.sync}",
    """  values:
    version: version
    server: {answer: headers."x-server", until: "/"}
    disk: {request: GET /disk, find: kind}
    status: {request: GET /disk, find: {answer: status}}""",
)


def test_facts_are_found_in_other_answers_and_headers_and_each_answer_is_asked_for_once():
    version = Reply(200, b'{"version": "1.2"}', {"X-Server": "stub/1", "Content-Type": "application/json"})
    script = Scripted(Reply(200, {}), version, Reply(200, {"kind": "nvme"}))
    with misbehaving(script) as url:
        found = preflight(parse_target(FACTS, "t", {"base_url": url}), ENVIRON)
    assert found == {"version": "1.2", "server": "stub", "disk": "nvme", "status": "200"}
    assert len(script.asked) == 3


def test_a_secret_that_the_target_repeats_is_not_kept():
    with misbehaving(Scripted(Reply(200, {}), Reply(200, {"version": "1.2 with ENVIRONS-SECRET"}))) as url:
        found = preflight(parse_target(TARGET, "t", {"base_url": url}), {"STUB_PASSWORD": "ENVIRONS-SECRET"})
    assert "ENVIRONS-SECRET" not in found["version"]
    assert found["version"].startswith("1.2 with ")


@pytest.mark.parametrize(
    ("find", "said"),
    [
        ("request: GET /version\n  values: {api_key: key}", "values.api_key: a fingerprint is kept with each run"),
        ("values: {version: v}", "values.version has no request, and there is none for all"),
        (
            "request: GET /v\n  values: {at: {request: 'GET /{{ tenant.key }}', find: v}}",
            "fingerprint.values.at.req",
        ),
    ],
)
def test_a_fact_that_cannot_be_asked_or_must_not_be_kept_is_a_mistake(find, said):
    begin, end = TARGET.index("  health"), TARGET.index("operations:")
    with pytest.raises(InputError, match=re.escape(said)):
        parse_target(f"{TARGET[:begin]}  {find}\n{TARGET[end:]}", "t")
