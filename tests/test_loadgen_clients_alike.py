"""Every client, the measured one and Locust's own, against the same odd server: the same outcomes."""

import gzip
import json
import os
import socket
import struct
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from stub_server import OK, stub_server

HEAD = b"HTTP/1.1 200 OK\r\n"
ANSWERS = {
    "whole": OK,
    "conflict": b"HTTP/1.1 409 Conflict\r\nX-Case: 7\r\nContent-Length: 5\r\n\r\nstale",
    "redirect": b"HTTP/1.1 302 Found\r\nLocation: /whole\r\nContent-Length: 0\r\n\r\n",
    "error": b"HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n",
    "chunked": HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
    "until close": HEAD + b"Connection: close\r\n\r\nall of it",
    "continue": b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
    "cut off": HEAD + b"Content-Length: 100\r\n\r\nsome",
    "cut chunks": HEAD + b"Transfer-Encoding: chunked\r\n\r\n9\r\nabc",
    "no answer": b"",
    "slow body": HEAD + b"Content-Length: 100\r\n\r\nsome",
    "silent": b"",
    "reset": b"",
    "no http": b"220 mail ready\r\n\r\n",
    "long header": HEAD + b"X-Case: " + b"7" * 30_000 + b"\r\nContent-Length: 2\r\n\r\n{}",
    "bad length": HEAD + b"Content-Length: many\r\n\r\n{}",
    "cookie": HEAD + b"Set-Cookie: a=b; Path=/\r\nContent-Length: 2\r\n\r\n{}",
}
PACKED = gzip.compress(b"packed")
GZIP = HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
ANSWERS |= {"gzip": GZIP % len(PACKED) + PACKED, "bad gzip": GZIP % 4 + b"oops"}
#: What stays open after it was said; the others are closed, or kept for the next request.
WAIT = ("slow body", "silent")
CLOSE = ("until close", "cut off", "cut chunks", "no answer", "no http", "bad length")
EXPECTED = {
    "whole": [200, "{}", ""],
    "conflict": [409, "stale", "7"],
    "redirect": [302, "", ""],
    "error": [503, "", ""],
    "chunked": [200, "abcde", ""],
    "until close": [200, "all of it", ""],
    "continue": [200, "{}", ""],
    "cut off": ["refused", "connection closed"],
    "cut chunks": ["refused", "connection closed"],
    "no answer": ["refused", "connection closed"],
    "slow body": ["timeout", "no answer in time"],
    "silent": ["timeout", "no answer in time"],
    "reset": ["refused", "connection reset"],
    "no http": ["invalid", "not http"],
    "long header": [200, "{}", "77777777"],
    "bad length": ["invalid", "not http"],
    "cookie": [200, "{}", ""],
    "gzip": [200, "packed", ""],
    "bad gzip": ["invalid", "not gzip"],
    "closed port": ["refused", "connection refused"],
}


def answer(request: bytes, connection: socket.socket) -> bytes | None:
    name = request.split(b" ")[1].decode().removeprefix("/").replace("%20", " ")
    if name == "reset":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        return None
    if name in CLOSE:
        connection.sendall(ANSWERS[name])
        return None
    return ANSWERS[name]


@pytest.fixture(scope="module")
def told() -> dict[str, object]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        closed = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with stub_server(answer) as stub:
        script = Path(__file__).with_name("clients_of_all_kinds.py")
        paths = [name.replace(" ", "%20") for name in ANSWERS]
        done = subprocess.run(
            [sys.executable, str(script), stub.url, closed, *paths],
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "PYTHONPATH": str(script.parent.parent)},
        )
        assert done.returncode == 0, done.stderr
        return {"found": json.loads(done.stdout), "requests": Counter(r.split(b"\r\n")[0] for r in stub.requests)}


@pytest.mark.parametrize("case", EXPECTED)
@pytest.mark.parametrize("kind", ["measured", "fast", "requests"])
def test_every_client_finds_the_same_outcome(told, case, kind):
    found = told["found"][case.replace(" ", "%20") if case != "closed port" else case][kind]
    if case == "reset":  # which of the two the kernel tells depends on the moment
        found = [[outcome, detail.replace("closed", "reset")] for outcome, detail in found]
    assert found == [EXPECTED[case]] * 2


def test_no_client_sends_anything_twice_or_follows_anything_but_that_the_fast_one_repeats_reads(told):
    repeated = {
        b"GET /no%20answer HTTP/1.1": 6,
        b"GET /reset HTTP/1.1": 6,
    }  # with two connections, three times more
    assert {line: n for line, n in told["requests"].items() if n != 3} == repeated
