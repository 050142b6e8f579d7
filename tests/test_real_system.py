"""What tests start they end: ports are free and no process is left, also after a test that failed."""

import os
import select
import socket

import pytest

from tests.real_system import running_module

pytestmark = pytest.mark.live

#: A server that starts another one and does not end it.
CARELESS = """\
import subprocess, sys, time
other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print("ready", other.pid, flush=True)
time.sleep(60)
"""


def use_and_fail(words, seen):
    with running_module("targets.mail_sink", words, "mail sink ready: ", {}) as said:
        seen.append(int(said.rpartition(":")[2]))
        socket.create_connection(("127.0.0.1", seen[0]), timeout=5).close()
        raise AssertionError("the test failed")


def test_after_a_failed_test_the_port_is_free():
    seen = []
    with pytest.raises(AssertionError, match="the test failed"):
        use_and_fail(["--smtp-port", "0", "--http-port", "0"], seen)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", seen[0]), timeout=5)
    socket.create_server(("127.0.0.1", seen[0])).close()


def test_what_a_server_has_started_is_ended_with_it(tmp_path):
    (tmp_path / "careless.py").write_text(CARELESS)
    with running_module("careless", [], "ready", {"PYTHONPATH": str(tmp_path)}) as other:
        watched = os.pidfd_open(int(other))
    ended, _, _ = select.select([watched], [], [], 10)
    os.close(watched)
    assert ended == [watched]


def test_a_server_that_does_not_start_says_why(tmp_path):
    (tmp_path / "broken.py").write_text("raise SystemExit('no database')\n")
    with (
        pytest.raises(RuntimeError, match="broken did not start: no database"),
        running_module("broken", [], "ready", {"PYTHONPATH": str(tmp_path)}),
    ):
        pass
