"""A desk as a process: starting, saying so, failing over, refusing what cannot work, and stopping."""

import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from io import StringIO

import httpx
import pytest
from aiosmtpd.controller import Controller

from casedesk.__main__ import main
from casedesk.disk import packaged_profile
from casedesk.problems import StartError
from casedesk.process import running_desk

FREE = {"name": "free", "read_ms": 0, "write_ms": 0, "sync_ms": 0}


def until(happened, seconds=60):
    deadline = time.monotonic() + seconds
    while not (said := happened()):
        assert time.monotonic() < deadline, f"it did not happen within {seconds} s"
        time.sleep(0.01)
    return said


def case_in(client, scripts=0):
    """A tenant `t` with one case; the path of the case."""
    client.post("/tenants", json={"key": "t", "name": "T"})
    client.post("/tenants/t/case-types", json={"key": "c", "name": "C", "scripts_on_save": scripts})
    created = client.post("/tenants/t/cases", json={"case_type": "c", "title": "old"})
    return f"/tenants/t/cases/{created.json()['id']}"


@contextmanager
def started(*options):
    """The bare command, and the line it said."""
    command = [sys.executable, "-m", "casedesk", *options]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert select.select([child.stdout], [], [], 100)[0], "no line within 100 s"
        yield child, child.stdout.readline()
    finally:
        child.kill()
        child.communicate()


def refused(*options):
    """What a command that cannot start says."""
    said, printed = StringIO(), StringIO()
    with redirect_stderr(said), redirect_stdout(printed):
        assert main(options) == 2
    assert printed.getvalue() == ""
    return said.getvalue().strip()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_one_line_and_stops_cleanly_on_a_signal(number):
    with started("--port", "0") as (child, line):
        assert line.startswith("casedesk ready at http://127.0.0.1:")
        assert httpx.get(line.split()[-1] + "/health", trust_env=False).status_code == 200
        child.send_signal(number)
        rest, complaints = child.communicate(timeout=60)
        assert (child.returncode, rest, complaints) == (0, "", "")


def test_it_stops_though_saves_are_in_the_middle_of_a_slow_disk():
    with started("--port", "0") as (child, line):
        with httpx.Client(base_url=line.split()[-1], trust_env=False, timeout=30) as client:
            case = case_in(client)
            client.put("/admin/disk", json={**FREE, "sync_ms": 60_000})

            def save():
                # Answered or cut off: the point is that the server ends.
                with suppress(httpx.TransportError):
                    client.patch(case, json={"title": "new"})

            threads = [threading.Thread(target=save) for _ in range(4)]
            for thread in threads:
                thread.start()
            until(lambda: client.get("/admin/disk").json()["counters"]["writer_waiting"] >= 3)
            begun = time.monotonic()
            child.terminate()
            child.communicate(timeout=20)
            stopped_s = time.monotonic() - begun
            for thread in threads:
                thread.join(10)
        assert child.returncode == 0
        # It stops within two seconds on a quiet machine; this only tells it from a disk of a minute.
        assert stopped_s < 15


def test_a_temporary_data_folder_is_removed_at_exit(tmp_path):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with running_desk(environment=environment):
        assert len(list(tmp_path.glob("casedesk-*/casedesk.sqlite"))) == 1
    assert list(tmp_path.glob("casedesk-*")) == []


def test_the_child_ends_with_the_block_even_when_the_block_fails():
    pids = []

    def fail():
        with running_desk() as desk:
            pids.append(desk.pid)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def test_a_desk_that_cannot_start_is_told_with_its_own_words():
    with (
        pytest.raises(StartError, match=r"exit code 2.*neither a file nor a disk profile"),
        running_desk("nowhere"),
    ):
        pass


def test_a_port_in_use_is_refused():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = refused("--port", str(port))
    assert said == (
        f"casedesk: port {port} on 127.0.0.1 cannot be used: Address already in use; "
        "choose another, or 0 for any free one"
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--smtp", "nonsense"], "--smtp is 'nonsense'; expected HOST:PORT"),
        (["--port", "70000"], "--port is 70000; expected 0 to 65535"),
        (["--deadline-s", "0"], "--deadline-s is 0.0; expected more than 0"),
        (["--host", "0.0.0.0"], "--host 0.0.0.0 can be reached from elsewhere; name the variable"),
        (["--api-key-env", "NOT_SET_ANYWHERE"], "the environment variable NOT_SET_ANYWHERE is not set"),
    ],
)
def test_a_wrong_option_is_refused_in_one_sentence(options, said):
    assert said in refused(*options)


def test_a_wrong_disk_file_is_refused_with_file_key_and_what_was_found(tmp_path):
    file = tmp_path / "disk.yaml"
    file.write_text("{name: x, read_ms: -1, write_ms: 0, sync_ms: 0}")
    assert f"{file}: read_ms is -1; expected:" in refused("--disk", str(file))


def test_with_an_api_key_only_health_is_open():
    environment = {**os.environ, "DESK_KEY": "secret"}
    with running_desk(api_key_env="DESK_KEY", environment=environment) as desk:
        assert httpx.get(f"{desk.url}/health", trust_env=False).status_code == 200
        for headers in ({}, {"X-Api-Key": "wrong"}):
            answer = httpx.get(f"{desk.url}/tenants", headers=headers, trust_env=False)
            assert (answer.status_code, answer.json()["error"]) == (401, "unauthorized")
        assert httpx.get(f"{desk.url}/tenants", headers={"X-Api-Key": "secret"}, trust_env=False).is_success
        assert desk.planted() == []


def test_a_save_that_passes_the_deadline_is_answered_503_and_leaves_the_old_value():
    with (
        running_desk(deadline_s=1) as desk,
        httpx.Client(base_url=desk.url, trust_env=False, timeout=30) as client,
    ):
        case = case_in(client)
        desk.set_disk({**FREE, "sync_ms": 3000})
        first = threading.Thread(target=client.patch, args=(case,), kwargs={"json": {"priority": "high"}})
        served = desk.counters()["syncs"]
        first.start()
        until(lambda: desk.counters()["syncs"] > served)
        answer = client.patch(case, json={"title": "new"})
        first.join(10)
        assert (answer.status_code, answer.json()["error"]) == (503, "deadline")
        found = client.get(case).json()
        assert (found["title"], found["priority"], found["version"]) == ("old", "high", 2)


def test_a_failover_drops_every_connection_and_leaves_a_healthy_disk():
    with (
        running_desk("degraded") as desk,
        httpx.Client(base_url=desk.url, trust_env=False, timeout=30) as client,
    ):
        case = case_in(client)
        with socket.create_connection(desk.url.removeprefix("http://").split(":"), timeout=10) as open_one:
            desk.move_host()
            assert _said_before_the_end(open_one) == b""
        until(lambda: _is_up(desk.url))
        assert client.get("/version").json()["disk"] == "healthy"
        assert client.get(case).json()["title"] == "old"


def test_a_disk_that_is_repaired_after_a_time_ends_in_a_failover():
    with running_desk() as desk:
        desk.set_disk({**packaged_profile("degraded").model_dump(exclude_none=True), "repaired_after_s": 0.3})
        until(lambda: _is_up(desk.url) and _disk(desk.url) == "healthy")


def _said_before_the_end(connection):
    """What comes before the connection is closed, by a reset or not."""
    try:
        return connection.recv(1)
    except ConnectionResetError:
        return b""


def _is_up(url):
    try:
        return httpx.get(f"{url}/health", trust_env=False).is_success
    except httpx.TransportError:
        return False


def _disk(url):
    try:
        return httpx.get(f"{url}/version", trust_env=False).json()["disk"]
    except httpx.TransportError:
        return None


class Sink:
    """An SMTP server that keeps what it gets."""

    def __init__(self):
        self.mails = []

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802
        self.mails.append(envelope)
        return "250 kept"


def test_mails_arrive_over_smtp_with_their_token():
    sink = Sink()
    controller = Controller(sink, hostname="127.0.0.1", port=_free_port(), ready_timeout=60)
    controller.start()
    try:
        with (
            running_desk(smtp=f"127.0.0.1:{controller.port}") as desk,
            httpx.Client(base_url=desk.url, trust_env=False) as client,
        ):
            client.post("/tenants", json={"key": "t", "name": "T"})
            mails = [
                {"to": f"user{n}@example.com", "subject": f"Grüße {n}", "body": "Body", "token": f"m{n}"}
                for n in range(3)
            ]
            client.post("/tenants/t/emails", json=mails[0])
            batch = client.post("/tenants/t/email-batches", json={"token": "b", "messages": mails[1:]})
            url = f"/tenants/t/email-batches/{batch.json()['id']}"
            until(lambda: client.get(url).json()["sent"] == 2)
            outbox = client.get("/tenants/t/outbox?tokens=m0,m1,m2").json()["mails"]
    finally:
        controller.stop()
    assert [(m["token"], m["status"], m["deliveries"]) for m in outbox] == [(f"m{n}", "sent", 1) for n in range(3)]
    assert [m.rcpt_tos for m in sink.mails] == [[f"user{n}@example.com"] for n in range(3)]
    assert [b"X-Save-Token: m%d" % n in sink.mails[n].content for n in range(3)] == [True] * 3


def test_a_mail_waits_for_a_server_that_is_down_and_is_delivered_once_it_is_up():
    port = _free_port()
    with (
        running_desk(smtp=f"127.0.0.1:{port}") as desk,
        httpx.Client(base_url=desk.url, trust_env=False) as client,
    ):
        client.post("/tenants", json={"key": "t", "name": "T"})
        body = {"to": "a@example.com", "subject": "S", "token": "m"}
        client.post("/tenants/t/emails", json=body)
        sink = Sink()
        controller = Controller(sink, hostname="127.0.0.1", port=port, ready_timeout=60)
        controller.start()
        try:
            until(lambda: client.get("/tenants/t/outbox?tokens=m").json()["mails"][0]["status"] == "sent")
        finally:
            controller.stop()
        assert len(sink.mails) == 1


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
