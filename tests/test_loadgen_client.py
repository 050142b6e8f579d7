"""The measured client: what it sends, what it never does, and how each failure is called."""

import contextlib
import socket
import struct
import threading
import time
import zlib
from collections.abc import Iterator

import descriptors
import gevent
import pytest
from stub_server import OK, stub_server

from loadgen.answers import BODY_MAX, Answer
from loadgen.client import Client
from loadgen.unanswered import Unanswered
from scenarios.errors import Aborted
from targets.hosts import AllowedHosts
from targets.http import Request, Response


@contextlib.contextmanager
def client(timeout_s: float = 20.0, connections: int = 4) -> Iterator[Client]:
    one = Client(timeout_s=timeout_s, connections=connections)
    try:
        yield one
    finally:
        one.close()


def send(request: Request) -> Response:
    with client() as one:
        return one.send(request)


def fail(answer, timeout_s: float = 20.0) -> tuple[str, str]:
    with stub_server(answer) as stub, client(timeout_s) as one, pytest.raises(Unanswered) as raised:
        one.send(Request("GET", f"{stub.url}/x"))
    return raised.value.outcome, raised.value.detail


def reset(request: bytes, connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def test_an_answer_comes_whole_with_lower_case_names_of_headers():
    said = b'HTTP/1.1 409 Conflict\r\nETag: "7"\r\nContent-Length: 5\r\n\r\nstale'
    with stub_server(lambda request, connection: said) as stub:
        response = send(Request("PATCH", f"{stub.url}/a?b=c", {"X-Save-Id": "sp-1"}, b"{}"))
    assert (response.status, response.headers["etag"], response.body) == (409, '"7"', b"stale")
    host = stub.url.removeprefix("http://").encode()
    head = b"PATCH /a?b=c HTTP/1.1\r\nHost: " + host + b"\r\nX-Save-Id: sp-1\r\nContent-Length: 2\r\n\r\n{}"
    assert stub.requests == [head]


def test_a_body_in_chunks_is_put_together():
    said = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    with stub_server(lambda request, connection: said) as stub:
        assert send(Request("GET", stub.url)).body == b"abcde"


def test_a_connection_is_used_again():
    with stub_server(lambda request, connection: OK) as stub, client() as one:
        for _ in range(5):
            one.send(Request("GET", f"{stub.url}/x"))
    assert (stub.connections, len(stub.requests)) == (1, 5)


def test_a_connection_that_the_server_closed_in_the_meantime_is_not_used_again():
    said = OK.replace(b"Content-Type", b"Connection: close\r\nContent-Type")
    with stub_server(lambda request, connection: said) as stub, client() as one:
        statuses = [one.send(Request("GET", f"{stub.url}/x")).status for _ in range(3)]
    assert (statuses, stub.connections) == ([200, 200, 200], 3)


def test_a_redirect_is_an_answer_and_is_not_followed():
    said = b"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n"
    with stub_server(lambda request, connection: said) as stub:
        assert send(Request("GET", f"{stub.url}/x")).status == 302
    assert len(stub.requests) == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nothing_is_ever_sent_twice(method):
    with stub_server(lambda request, connection: None) as stub, pytest.raises(Unanswered):
        send(Request(method, f"{stub.url}/x"))
    assert len(stub.requests) == 1


def test_no_answer_in_time_is_a_timeout():
    assert fail(lambda request, connection: b"", timeout_s=0.2) == ("timeout", "no answer in time")


def test_an_answer_that_trickles_beyond_the_time_is_a_timeout():
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome"
    assert fail(lambda request, connection: head, timeout_s=0.2) == ("timeout", "no answer in time")


def test_a_closed_port_is_refused():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(Unanswered) as raised:
        send(Request("GET", url))
    assert (raised.value.outcome, raised.value.detail) == ("refused", "connection refused")


def test_a_connection_that_is_closed_without_an_answer_is_refused():
    assert fail(lambda request, connection: None) == ("refused", "connection closed")


def test_a_connection_that_is_closed_in_the_middle_of_an_answer_is_refused():
    def cut(request: bytes, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")

    assert fail(cut) == ("refused", "connection closed")


def test_a_reset_is_refused():
    outcome, detail = fail(reset)
    assert (outcome, detail in ("connection reset", "connection closed")) == ("refused", True)


def test_an_answer_that_is_not_http_is_invalid():
    assert fail(lambda request, connection: b"220 mail ready\r\n\r\n") == ("invalid", "not http")


def test_an_answer_in_chunks_without_end_is_cut_off():
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"100000\r\n" + bytes(1 << 20) + b"\r\n"
    assert fail(lambda request, connection: head + chunks * 34) == ("invalid", "body too large")


def test_an_endless_answer_is_cut_off():
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {BODY_MAX + 1}\r\n\r\n".encode()
    assert fail(lambda request, connection: head + bytes(BODY_MAX + 1)) == ("invalid", "body too large")


def test_an_answer_that_comes_byte_by_byte_is_put_together_and_what_follows_its_body_is_no_header():
    chunks = b"3\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: late\r\nX-More: late\r\n\r\n"
    answer = Answer()
    for byte in b"HTTP/1.1 201 Made\r\nX-Tag:  7 8\r\nX-None:\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks:
        assert not answer.is_whole
        answer.feed(bytes([byte]))
    assert (answer.is_whole, answer.status, answer.body, answer.size) == (True, 201, b"abcde", 5)
    assert answer.headers == {"x-tag": "7 8", "x-none": "", "transfer-encoding": "chunked"}


def test_an_interim_answer_is_not_the_answer():
    said = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK
    with stub_server(lambda request, connection: said) as stub:
        response = send(Request("GET", f"{stub.url}/x"))
    assert (response.status, response.body, "link" in response.headers) == (200, b"{}", False)


def test_an_answer_to_head_has_no_body_whatever_length_it_tells():
    with (
        stub_server(lambda *_: b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nETag: 7\r\n\r\n") as stub,
        client(2) as one,
    ):
        answers = [one.send(Request("HEAD", f"{stub.url}/x")) for _ in range(2)]
    assert [(answer.status, answer.headers["etag"], answer.body) for answer in answers] == [(200, "7", b"")] * 2


def test_two_answers_to_one_request_are_not_http():
    assert fail(lambda request, connection: OK + OK) == ("invalid", "not http")


def test_a_line_break_in_a_header_is_our_own_mistake():
    with pytest.raises(ValueError, match="line break"):
        send(Request("GET", "http://127.0.0.1:9/x", {"X-Save-Id": "a\r\nX-Evil: b"}))


def test_a_timeout_gives_its_connection_back():
    with stub_server(lambda request, connection: b"") as stub, client(0.1, connections=1) as one:
        for _ in range(3):
            with pytest.raises(Unanswered, match="in time"):
                one.send(Request("GET", f"{stub.url}/x"))
    assert stub.connections == 3


def test_each_request_has_its_own_time_and_none_is_cut_short_by_one_that_began_before_it():
    late: list[str] = []

    def ask(one: Client, path: str) -> float:
        begun_s = time.monotonic()
        try:
            one.send(Request("GET", f"{stub.url}{path}"))
        except Unanswered:
            late.append(path)
        return time.monotonic() - begun_s

    with (
        stub_server(lambda request, connection: OK if b"/quick" in request else b"") as stub,
        client(0.3) as one,
    ):
        quick = gevent.spawn(ask, one, "/quick")  # over when the timer that was set for it rings
        gevent.sleep(0.1)
        slow = [gevent.spawn(ask, one, path) for path in ("/first", "/second")]
        gevent.sleep(0.1)
        slow.append(gevent.spawn(ask, one, "/third"))
        gevent.joinall([quick, *slow], timeout=10)
    assert late == ["/first", "/second", "/third"]
    assert quick.get() < 0.3
    assert min(greenlet.get() for greenlet in slow) >= 0.3


def test_a_killed_request_gives_its_connection_back():
    with (
        stub_server(lambda request, connection: b"" if b"/slow" in request else OK) as stub,
        client(connections=1) as one,
    ):
        slow = gevent.spawn(one.send, Request("GET", f"{stub.url}/slow"))
        while not stub.requests:
            gevent.sleep(0.01)
        slow.kill()
        assert one.send(Request("GET", f"{stub.url}/x")).status == 200


# -- what a hostile target sends, and what a machine runs out of ------------------------------------------

HEAD = b"HTTP/1.1 200 OK\r\n"


def test_ten_thousand_headers_are_an_answer():
    many = b"".join(b"X-%d: v\r\n" % number for number in range(10_000))
    with stub_server(lambda *_: HEAD + many + b"Content-Length: 2\r\n\r\n{}") as stub:
        response = send(Request("GET", f"{stub.url}/x"))
    assert (response.status, len(response.headers)) == (200, 10_001)


def test_headers_without_end_are_cut_off():
    def endless(request, connection):
        connection.sendall(HEAD)
        while True:
            connection.sendall(b"X-More: and more\r\n" * 10_000)

    assert fail(endless) == ("invalid", "headers too large")


def test_a_gigabyte_that_is_announced_is_cut_off():
    def huge(request, connection):
        connection.sendall(HEAD + b"Content-Length: 1073741824\r\n\r\n")
        for _ in range(1024):
            connection.sendall(b"x" * (1 << 20))

    assert fail(huge) == ("invalid", "body too large")


def test_a_body_that_unfolds_beyond_bounds_is_cut_off():
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(64)) + packer.flush()
    assert len(bomb) < BODY_MAX / 100
    answer = HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb) + bomb
    assert fail(lambda *_: answer) == ("invalid", "body too large")


def test_bytes_that_are_no_text_in_a_header_are_an_answer():
    with stub_server(lambda *_: HEAD + b"X-Odd: \xff\xfe\r\nContent-Length: 2\r\n\r\n{}") as stub:
        assert send(Request("GET", f"{stub.url}/x")).body == b"{}"


def test_a_name_that_leads_nowhere_is_refused():
    one = Client(timeout_s=20, connections=1, hosts=AllowedHosts(("nowhere.invalid",)))
    with pytest.raises(Unanswered) as raised:
        one.send(Request("GET", "http://nowhere.invalid/"))
    assert (raised.value.outcome, raised.value.detail) == ("refused", "host not found")


def test_a_host_that_answers_at_another_address_after_a_failover_is_found(monkeypatch):
    """The name is resolved for each new connection."""
    addresses = ["127.0.0.1", "127.0.0.2"]
    monkeypatch.setattr(
        gevent.socket,
        "getaddrinfo",
        lambda host, port, *_: [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (addresses[0], port))],
    )
    with (
        socket.create_server(("127.0.0.1", 0)) as old,
        socket.create_server(("127.0.0.2", old.getsockname()[1])) as new,
    ):
        served = [threading.Thread(target=answer_once, args=(one,), daemon=True) for one in (old, new)]
        for thread in served:
            thread.start()
        one = Client(timeout_s=20, connections=1, hosts=AllowedHosts(("desk.test",)))
        request = Request("GET", f"http://desk.test:{old.getsockname()[1]}/")
        first = one.send(request).body
        served[0].join()  # it has hung up: the next request cannot meet a connection that is just being closed
        addresses.pop(0)
        second = one.send(request).body
        served[1].join()
        one.close()
    assert (first, second) == (b"127.0.0.1", b"127.0.0.2")


def answer_once(listener: socket.socket) -> None:
    """One answer that tells the address, then the connection is closed."""
    connection, _ = listener.accept()
    with connection:
        connection.recv(65536)
        body = connection.getsockname()[0].encode()
        connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)


def test_without_a_file_descriptor_left_the_run_ends_and_the_target_is_not_blamed():
    request = Request("GET", "http://127.0.0.1:1/")  # nobody is there, so that nobody gives descriptors back
    with client() as one:
        with pytest.raises(Unanswered, match="connection refused"):
            one.send(request)  # what is imported or opened once is there
        with (
            descriptors.all_taken(),
            pytest.raises(Aborted, match=r"could open no connection: Too many open files; .*ulimit -n"),
        ):
            one.send(request)
