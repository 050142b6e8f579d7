"""What ``savepath run`` puts around the load: the mail sink, the quotas, and who may run Python."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from command_line import savepath, spawned
from misbehaving_server import Asked, Behaviour, Reply, misbehaving

from loadgen.chosen import ChosenTarget
from loadgen.run_folder import RunFolder
from savepath.exits import Exit
from savepath.launch import Interrupted, Launch, drive
from savepath.sink import sink_for
from scenarios.errors import Aborted
from targets.mail_sink import running_sink
from targets.mapping import parse_target

pytestmark = pytest.mark.live

READS = """\
name: reads
cohorts: {some: {custom_fields: 0, cases: 1}}
mix: {read_case: 1}
load: {rate_per_s: 10, arrivals: constant, timeout_s: 5}
warmup_s: 0
duration_s: 2
"""
DESK = """\
name: desk
base_url: http://127.0.0.1:9
operations: {read_case: {request: "GET /cases/{{ case }}"}}
provision: {cases: {find: {request: GET /cases, items: cases, key: id}}}
"""
WITH_SINK = DESK + "verify: {mails: sink}\n"
QUOTA = DESK + "quotas: [{requests: 4, in_s: 1}]\n"
PYTHON = DESK + "python: own_desk:Own\n"
PRODUCTION = "environment: production\nproduction: {rate_max_per_s: 10, tenants: [reads-*]}\nwarm_up: 0\n"
MODULE = """\
from targets.binding import Binding
from targets.judgement import Judgement

class Own(Binding):
    def judge(self, operation, response):
        return Judgement("invalid", "said no")
"""


class Desk(Behaviour):
    """One case, and it can be read."""

    def reply(self, asked: Asked) -> Reply:
        return Reply(200, {"cases": [{"id": "7"}]} if asked.path == "/cases" else {"id": "7"})


class Stuck(Behaviour):
    """Does not answer until it may."""

    def __init__(self) -> None:
        super().__init__()
        self.asked_something, self.go_on = threading.Event(), threading.Event()

    def reply(self, asked: Asked) -> Reply:
        self.asked_something.set()
        self.go_on.wait(60)
        return Reply(200, {"cases": [{"id": "7"}]})


def free_ports(number: int) -> list[int]:
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [int(one.getsockname()[1]) for one in taken]
    for one in taken:
        one.close()
    return ports


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.fixture
def files(tmp_path) -> Path:
    texts = {"reads": READS, "desk": DESK, "quota": QUOTA, "python": PYTHON}
    for name, text in texts.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    (tmp_path / "own_desk.py").write_text(MODULE)
    return tmp_path


def with_sink(http_port: int, smtp_port: int = 8825):
    settings = {"mail_sink": f"http://127.0.0.1:{http_port}", "smtp_port": str(smtp_port)}
    return parse_target(WITH_SINK, "t.yaml", settings)


def test_a_sink_that_answers_already_is_used_and_goes_on():
    with running_sink() as (_, url):
        with sink_for(with_sink(int(url.rpartition(":")[2]))):
            pass
        assert httpx.get(f"{url}/mails?tokens=", trust_env=False).json()["mails"] == []


def test_the_sink_of_another_run_is_not_used_since_it_ends_with_that_run():
    with running_sink(owner=os.getppid()) as (_, url):
        target = with_sink(int(url.rpartition(":")[2]))
        with pytest.raises(Aborted, match="belongs to another run") as said, sink_for(target):
            pass
    assert f"process {os.getppid()}" in str(said.value)


@pytest.mark.parametrize("owner", ["this run", "gone"])
def test_a_sink_of_this_run_or_one_left_behind_is_used(owner):
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    with (
        running_sink(owner=os.getpid() if owner == "this run" else child.pid) as (_, url),
        sink_for(with_sink(int(url.rpartition(":")[2]))),
    ):
        assert httpx.get(f"{url}/mails?tokens=x", trust_env=False).json()["mails"] == []


def test_a_sink_that_was_started_ends_with_the_block_whatever_happens_in_it():
    smtp_port, http_port = free_ports(2)
    before = signal.getsignal(signal.SIGTERM)
    with contextlib.suppress(KeyboardInterrupt), sink_for(with_sink(http_port, smtp_port)):
        assert not is_free(http_port)
        assert not is_free(smtp_port)
        raise KeyboardInterrupt
    assert (is_free(http_port), is_free(smtp_port)) == (True, True)
    assert signal.getsignal(signal.SIGTERM) is before


def test_mails_that_are_looked_up_elsewhere_start_no_sink():
    (port,) = free_ports(1)
    verify = f"verify: {{mails: {{base_url: 'http://127.0.0.1:{port}', request: GET /mails, items: mails}}}}\n"
    with sink_for(parse_target(DESK + verify, "t.yaml")):
        assert is_free(port)


def test_a_request_to_terminate_while_cases_are_made_ends_the_sink_as_well(files):
    smtp_port, http_port = free_ports(2)
    (files / "sink.yaml").write_text(WITH_SINK)
    with misbehaving(behaviour := Stuck()) as url:
        settings = {"base_url": url, "mail_sink": f"http://127.0.0.1:{http_port}", "smtp_port": smtp_port}
        pairs = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        words = ["run", files / "reads.yaml", "--target", files / "sink.yaml", *pairs, "--out", files / "run"]
        process = subprocess.Popen([sys.executable, "-m", "savepath", *map(str, words)], stderr=subprocess.DEVNULL)
        try:
            assert behaviour.asked_something.wait(90)
            assert not is_free(http_port)
            process.send_signal(signal.SIGTERM)
            assert process.wait(90) == -signal.SIGTERM
        finally:
            behaviour.go_on.set()
            process.kill()
            process.wait()
    deadline = time.monotonic() + 90
    while not (is_free(http_port) and is_free(smtp_port)):  # it was told, and nobody waits for it
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_taken_smtp_port_is_told_with_its_number():
    (http_port,) = free_ports(1)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        smtp_port = taken.getsockname()[1]
        with (
            pytest.raises(Aborted, match=f"SMTP port {smtp_port}.*in use"),
            sink_for(with_sink(http_port, smtp_port)),
        ):
            pass


def test_what_is_no_sink_is_not_taken_for_one():
    with misbehaving(Desk()) as url:
        target = with_sink(int(url.rpartition(":")[2]))
        with pytest.raises(Aborted, match="is no mail sink"), sink_for(target):
            pass


def test_a_run_over_a_quota_is_refused_before_anything_is_sent(files):
    out = files / "run"
    with misbehaving(behaviour := Desk()) as url:
        words = ("--target", files / "quota.yaml", "--set", f"base_url={url}", "--out", out)
        done = savepath("run", files / "reads.yaml", *words)
    assert done.returncode == Exit.REFUSED
    assert (
        "desk allows 4 requests in 1 s per account; the plan sends up to 10; set load.rate_per_s to" in done.stderr
    )
    assert (behaviour.asked, out.exists()) == ([], False)


def test_a_plan_over_a_quota_says_so_and_ends_with_the_same_code(files):
    said = savepath("plan", files / "reads.yaml", "--target", files / "quota.yaml")
    assert said.returncode == Exit.REFUSED
    assert "note        desk allows 4 requests in 1 s per account" in said.stdout
    as_json = savepath("plan", files / "reads.yaml", "--target", files / "quota.yaml", "--json")
    assert as_json.returncode == Exit.REFUSED
    assert json.loads(as_json.stdout)["warnings"][0].startswith("desk allows 4 requests")


def test_a_plan_within_its_quotas_is_done(files):
    within = files / "within.yaml"
    within.write_text(QUOTA.replace("requests: 4", "requests: 400"))
    assert savepath("plan", files / "reads.yaml", "--target", within).returncode == Exit.DONE


@pytest.mark.parametrize("command", [("plan",), ("run", "--out", "never")])
def test_python_in_a_mapping_is_not_run_unless_it_is_allowed(files, command):
    done = savepath(*command, files / "reads.yaml", "--target", files / "python.yaml")
    assert done.returncode == Exit.USAGE
    assert "allow it with --allow-python" in done.stderr
    assert not Path("never").exists()


@pytest.fixture(scope="module")
def trusted(tmp_path_factory) -> RunFolder:
    """A run that is allowed everything: Python in the mapping, production, and a client of Locust."""
    room = tmp_path_factory.mktemp("trusted")
    (room / "reads.yaml").write_text(READS)
    (room / "python.yaml").write_text(PYTHON + PRODUCTION)
    (room / "own_desk.py").write_text(MODULE)
    with misbehaving(Desk()) as url:
        words = ("--target", room / "python.yaml", "--set", f"base_url={url}", "--out", room / "run")
        allowed = ("--allow-python", "--production", "--client", "requests")
        done = spawned("run", room / "reads.yaml", *words, *allowed, env={"PYTHONPATH": str(room)})
    assert done.returncode == 0, done.stderr
    return RunFolder(room / "run")


def test_python_that_is_allowed_judges_in_the_run(trusted):
    assert set(trusted.read_samples()["detail"]) == {"said no"}


def test_production_is_driven_where_flag_cap_and_tenants_are_given(trusted):
    assert (trusted.read().target, trusted.read().ledger.recorded) == ("desk", 20)


def test_the_requests_client_of_locust_drives_a_run_as_well_and_it_is_kept(trusted):
    samples = trusted.read_samples()
    assert (trusted.read().generator.client, len(samples), set(samples["status"])) == ("requests", 20, {200})


def test_the_fast_client_of_locust_drives_a_run_as_well_and_it_is_kept(files):
    out = files / "run"
    with misbehaving(Desk()) as url:
        words = ("--target", files / "desk.yaml", "--set", f"base_url={url}", "--out", out, "--client", "fast")
        done = savepath("run", files / "reads.yaml", *words)
    assert done.returncode == 0, done.stderr
    samples = RunFolder(out).read_samples()
    assert (RunFolder(out).read().generator.client, len(samples), set(samples["outcome"])) == ("fast", 20, {"ok"})


def test_python_that_is_allowed_can_be_planned(files):
    words = ("--target", files / "python.yaml", "--allow-python")
    assert savepath("plan", files / "reads.yaml", *words).returncode == Exit.DONE


def test_a_class_that_is_not_there_is_told_before_anything_is_sent(files):
    with misbehaving(behaviour := Desk()) as url:
        words = ("--target", files / "python.yaml", "--set", f"base_url={url}", "--out", files / "run")
        done = savepath("run", files / "reads.yaml", *words, "--allow-python")
    assert (done.returncode, behaviour.asked) == (Exit.USAGE, [])
    assert "install the package or put it on PYTHONPATH" in done.stderr


class AlmostWhole(Launch):
    """A load generator that is finished whatever it is told: asked to stop, it leaves a whole run and says 0."""

    @property
    def command(self):
        code = (
            "import pathlib, signal, sys, time\n"
            "room = pathlib.Path(sys.argv[1])\n"
            "signal.signal(signal.SIGINT, lambda *_: ((room / 'run.json').write_text('{}'), sys.exit(0)))\n"
            "(room / 'progress.json').write_text('{\"phase\": \"verify\"}')\n"
            "time.sleep(30)\n"
        )
        return [sys.executable, "-c", code, str(self.folder)]


def test_a_request_to_stop_that_comes_when_a_run_is_whole_stops_those_that_would_follow(tmp_path):
    almost = AlmostWhole("smoke", ChosenTarget("casedesk", {}), tmp_path)
    with pytest.raises(Interrupted, match="the run is whole") as found:
        drive(almost, lambda progress: os.kill(os.getpid(), signal.SIGINT))
    assert found.value.exit_code == Exit.INTERRUPTED
