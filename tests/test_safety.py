"""Where savepath may send: hosts of the target only, production only as it allows, mail only where it may go."""

import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import gevent.socket
import pytest
from command_line import savepath
from misbehaving_server import Reply, Scripted, misbehaving

import locustfiles
from loadgen.client import Client
from scenarios.errors import InputError, Refused
from scenarios.library import parse_scenario
from targets.control import ControlClient, preflight
from targets.hosts import LOOPBACK, AllowedHosts, network_of
from targets.http import Request
from targets.mapping import parse_target
from targets.quotas import over_quota
from targets.safety import refuse_unsafe

SCENARIO = """\
name: loadtest
cohorts: {some: {custom_fields: 0, tenants: 2, cases: 1}}
mix: {read_case: 1}
load: {rate_per_s: 2, arrivals: constant}
warmup_s: 0
duration_s: 2
"""
DESK = """\
name: desk
environment: test
base_url: http://127.0.0.1:9
operations: {read_case: {request: "GET /cases/{{ case }}"}}
provision: {cases: {find: {request: GET /cases, items: cases, key: id}}}
"""
GUARDS = "production: {rate_max_per_s: 5, tenants: [loadtest-*]}\n"


def refusal(text, *, production=False, scenario=SCENARIO, file="desk.yaml", settings=None):
    """What is said against driving it; empty if nothing is."""
    target = parse_target(text, file, settings or {})
    try:
        refuse_unsafe(target, parse_scenario(scenario, "s.yaml").tenant_keys, production=production)
    except Refused as error:
        return str(error)
    return ""


class Listener:
    """A port that counts who connects to it."""

    def __init__(self, host="127.0.0.1", port=0):
        self.host = host
        self.asked = port

    def __enter__(self):
        self.socket = socket.create_server((self.host, self.asked))
        self.port = self.socket.getsockname()[1]
        self.peers = []
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()
        return self

    def accept(self):
        while True:
            try:
                connection, peer = self.socket.accept()
            except OSError:
                return
            connection.close()
            self.peers.append(peer)

    def __exit__(self, *_):
        # The queue is in order: once our own connection is counted, all that came before it are.
        with socket.create_connection((self.host, self.port)) as own:
            while own.getsockname() not in self.peers:
                self.thread.join(0.01)
            self.peers.remove(own.getsockname())
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join()
        self.connections = len(self.peers)


# -- where it is ------------------------------------------------------------------------------------

UNSAID = DESK.replace("environment: test\n", "")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.8.0.1", "localhost", "[::1]", "desk.example.test", "a.example.com"]
)
def test_what_stands_on_this_machine_or_nowhere_need_not_be_said(host):
    assert parse_target(UNSAID.replace("127.0.0.1", host), "desk.yaml").environment == "local"


@pytest.mark.parametrize(
    "host", ["desk.corp.com", "10.0.0.7", "192.168.1.1", "localhost.corp.com", "[2001:db8::1]"]
)
def test_a_target_on_another_machine_has_to_say_what_stands_there(host):
    text = UNSAID.replace("127.0.0.1", host)
    with pytest.raises(InputError, match=r"desk\.yaml:2:11: base_url: http.* is not on this machine, and"):
        parse_target(text, "desk.yaml")
    assert parse_target(text, "desk.yaml", {"environment": "staging"}).environment == "staging"
    assert parse_target("environment: test\n" + text, "desk.yaml").environment == "test"


def test_what_the_mapping_says_of_its_environment_is_not_talked_away():
    text = "environment: production\n" + UNSAID
    with pytest.raises(InputError, match="the mapping says production"):
        parse_target(text, "desk.yaml", {"environment": "test"})


# -- the edge ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "host", "port", "allowed"),
    [
        ("desk.test", "desk.test", 443, True),
        ("desk.test", "DESK.test.", 8443, True),
        ("desk.test", "evil.desk.test", 443, False),
        ("desk.test", "desk.test.evil", 443, False),
        ("*.desk.test", "eu.desk.test", 443, True),
        ("*.desk.test", "desk.test", 443, False),
        ("desk.test:8443", "desk.test", 8443, True),
        ("desk.test:8443", "desk.test", 443, False),
    ],
)
def test_a_host_is_allowed_by_its_whole_name(pattern, host, port, allowed):
    assert AllowedHosts((pattern,)).allow(host, port) is allowed


ELSEWHERE = ["http://{there}/x", "http://127.0.0.1:80@{there}/x", "http://127.0.0.1@{there}/"]


@pytest.mark.parametrize("url", ELSEWHERE)
def test_the_control_client_opens_no_connection_to_another_host(url):
    with Listener() as listener, ControlClient(parse_target(DESK, "t")) as client:
        there = f"localhost:{listener.port}"
        with pytest.raises(Refused, match=r"localhost:\d+ is not one of the hosts of the target"):
            client.send(Request("GET", url.format(there=there)))
    assert listener.connections == 0


@pytest.mark.parametrize("url", ELSEWHERE)
def test_the_measured_client_opens_no_connection_to_another_host(url):
    with Listener() as listener:
        client = Client(timeout_s=5, connections=1, hosts=AllowedHosts(("127.0.0.1",)))
        with pytest.raises(Refused, match=r"localhost:\d+ is not one of the hosts of the target"):
            client.send(Request("GET", url.format(there=f"localhost:{listener.port}")))
    assert listener.connections == 0


BY_LOCUST = """\
import sys
from loadgen.locust_clients import FastClient, RequestsClient
from scenarios.errors import Refused
from targets.http import Request
for kind in (FastClient, RequestsClient):
    for url in sys.argv[1:]:
        try:
            kind(timeout_s=5, connections=1).send(Request("GET", url))
        except Refused:
            print("refused")
"""


def test_locusts_own_clients_open_no_connection_to_another_host():
    """127.0.0.2 is another host; what stands before an @ or a backslash is read as none."""
    with Listener(host="127.0.0.2") as listener:
        urls = [
            url.format(there=f"127.0.0.2:{listener.port}") for url in (*ELSEWHERE, "http://{there}\\@127.0.0.1/")
        ]
        done = subprocess.run(
            [sys.executable, "-c", BY_LOCUST, *urls], capture_output=True, text=True, timeout=100
        )
    assert done.stdout.split() == ["refused"] * 8, done.stderr
    assert listener.connections == 0


# -- where a name leads -----------------------------------------------------------------------------


def only(*networks):
    """Names of the target, which may lead into these networks."""
    return AllowedHosts(("localhost", "desk.test"), tuple(map(network_of, networks)))


@pytest.mark.parametrize(
    ("networks", "addresses", "outside"),
    [
        (["10.20.0.0/16"], ["10.20.255.7"], ""),
        (["10.20.0.0/16"], ["10.20.0.7", "10.21.0.7"], "10.21.0.7"),
        ([], ["10.21.0.7"], ""),
        (["10.20.0.7"], ["10.20.0.7"], ""),
        (["10.20.0.7"], ["10.20.0.8"], "10.20.0.8"),
        (["10.20.0.0/16", "fd00:20::/64"], ["fd00:20::7", "10.20.0.7"], ""),
        (["10.20.0.0/16", "fd00:20::/64"], ["fd00:21::7"], "fd00:21::7"),
        (["10.20.0.0/16"], ["::ffff:10.20.0.7"], ""),
        (["10.20.0.0/16", "::/0"], ["::ffff:10.21.0.7"], "10.21.0.7"),
        (["fe80::/10"], ["fe80::7%eth0"], ""),
    ],
)
def test_everything_that_a_name_leads_to_has_to_be_in_the_networks(networks, addresses, outside):
    try:
        only(*networks).refuse_elsewhere("desk.test", addresses)
        said = ""
    except Refused as error:
        said = str(error)
    assert said.partition(", which is in none of the networks")[0] == (outside and f"desk.test leads to {outside}")


@pytest.mark.parametrize(
    ("network", "said"),
    [
        (
            "10.20.0.7/16",
            r"t:\d+:\d+: networks\[0\]: '10\.20\.0\.7/16' is one address in 10\.20\.0\.0/16; write that",
        ),
        ("desk.test", "'desk.test' is no network; expected one like 10.20.0.0/16"),
    ],
)
def test_what_is_no_network_is_told(network, said):
    with pytest.raises(InputError, match=said):
        parse_target(f"{DESK}networks: [{network}]\n", "t")


def test_the_mail_sink_of_this_machine_is_in_the_networks():
    there = parse_target(f"{DESK}networks: [10.20.0.0/16]\nverify: {{mails: sink}}\n", "t").allowed_hosts
    assert [str(one) for one in there.networks] == ["10.20.0.0/16", "127.0.0.1/32"]


@contextmanager
def measured(hosts):
    client = Client(timeout_s=5, connections=1, hosts=hosts)
    yield client
    client.close()


def control(hosts):
    listed = {"hosts": list(hosts.patterns), "networks": [str(one) for one in hosts.networks]}
    return ControlClient(parse_target(DESK + "".join(f"{key}: {said}\n" for key, said in listed.items()), "t"))


@pytest.mark.parametrize("opened", [measured, control])
def test_no_client_connects_to_an_address_in_another_network(opened):
    """localhost stands for a staging system whose name has come to lead to another: here 127.0.0.1."""
    with (
        Listener() as listener,
        opened(only("127.0.0.2")) as client,
        pytest.raises(Refused, match=r"localhost leads to (127\.0\.0\.1|::1), which is in none of the networks"),
    ):
        client.send(Request("GET", f"http://localhost:{listener.port}/"))
    assert listener.connections == 0


@pytest.mark.parametrize("opened", [measured, control])
def test_a_name_that_leads_elsewhere_from_its_second_look_up_on_is_followed_by_no_client(opened, monkeypatch):
    """Neither within one connection, between look and leap (rebinding), nor with the next one (failover)."""
    leads_to = iter(["127.0.0.1"])
    ask = socket.getaddrinfo

    def answer(host, *more, **how):
        return ask(next(leads_to, "127.0.0.2") if host == "desk.test" else host, *more, **how)

    for module in (socket, gevent.socket):
        monkeypatch.setattr(module, "getaddrinfo", answer)
    hanging_up = Scripted(Reply(200, {}, {"Connection": "close"}))
    with misbehaving(hanging_up) as url, opened(only("127.0.0.1")) as client:
        port = int(url.rpartition(":")[2])
        with Listener("127.0.0.2", port) as listener:
            request = Request("GET", f"http://desk.test:{port}/")
            assert client.send(request).status == 200
            with pytest.raises(
                Refused, match=r"desk\.test leads to 127\.0\.0\.2, which is in none of the networks"
            ):
                client.send(request)
    assert listener.connections == 0


MOVED = ("10.20.0.0/16", "t.yaml:3:11: base_url: localhost leads to")
BLIND = ("127.0.0.0/8, '::1'", "--client fast: Locust's own clients cannot be held to the networks of a mapping")


@pytest.mark.parametrize(
    ("command", "networks", "told"),
    [
        ("plan", *MOVED),
        ("run --out out", *MOVED),
        ("run --out out --client fast", *BLIND),
        ("locust --client fast", *BLIND),
    ],
)
def test_a_target_that_has_moved_or_a_client_that_would_not_see_it_gets_no_packet(
    command, networks, told, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with Listener() as listener:
        desk = DESK.replace("127.0.0.1:9", f"localhost:{listener.port}")
        Path("t.yaml").write_text(f"{desk}networks: [{networks}]\n")
        Path("s.yaml").write_text(SCENARIO)
        name, *more = command.split()
        code, said = by_locust(*more) if name == "locust" else by_savepath(command)
    assert told in said
    assert (code, listener.connections) == (3, 0)


def test_a_plan_tells_the_networks(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("t.yaml").write_text(f"{DESK}networks: [127.0.0.0/8, 'fd00:20::/64']\n")
    Path("s.yaml").write_text(SCENARIO)
    assert "connections only into 127.0.0.0/8, fd00:20::/64" in by_savepath("plan")[1]


def test_a_client_that_was_told_nothing_stays_on_this_machine():
    client = Client(timeout_s=5, connections=1)
    with pytest.raises(Refused, match=r"192\.0\.2\.1:80 is not one of the hosts"):
        client.send(Request("GET", "http://192.0.2.1/"))
    assert LOOPBACK.allow("127.0.0.1", 8700)


def test_a_redirect_is_not_followed_by_either_client():
    with Listener() as listener:
        away = Scripted(Reply(307, b"", {"Location": f"http://127.0.0.1:{listener.port}/"}))
        with misbehaving(away) as url, ControlClient(parse_target(DESK, "t", {"base_url": url})) as client:
            measured = Client(timeout_s=5, connections=1)
            request = Request("GET", f"{url}/x")
            assert [client.send(request).status, measured.send(request).status] == [307, 307]
            measured.close()
    assert listener.connections == 0


def test_a_login_that_leads_away_is_not_sent():
    login = "auth: {oauth2: {token_url: 'http://localhost:%d/t', client_id: me, client_secret_env: SECRET}}\n"
    with Listener() as listener:
        target = parse_target(DESK + "fingerprint: {health: GET /h}\n" + login % listener.port, "t")
        with pytest.raises(Refused, match="localhost"):
            preflight(target, {"SECRET": "hunter2"})
    assert listener.connections == 0


# -- the addresses of a mapping ---------------------------------------------------------------------

FAR = DESK.replace("http://127.0.0.1:9", "https://desk.test")
AWAY = {
    "auth.oauth2.token_url": "auth: {oauth2: {token_url: 'https://id.test/', client_id: m, client_secret_env: S}}",
    "auth.login.base_url": "auth: {login: {base_url: 'https://id.test', request: POST /login, token: token}}",
    r"tenants.*-02.base_url": "tenants: {'*-02': {base_url: 'https://id.test'}}",
    "verify.scripts.base_url": "verify: {scripts: {base_url: 'https://id.test', request: GET /log}}",
}


@pytest.mark.parametrize("place", AWAY)
def test_an_address_of_the_mapping_at_another_host_is_told_with_its_line(place):
    said = refusal(f"{FAR}{AWAY[place]}\n")
    assert said.startswith("desk.yaml:6:")
    assert f" {place}: https://id.test is not at one of the hosts of the target (desk.test)" in said


@pytest.mark.parametrize("place", AWAY)
def test_a_host_that_is_listed_is_one_of_them(place):
    assert refusal(f"{FAR}hosts: [desk.test, id.test]\n{AWAY[place]}\n") == ""


def test_the_base_url_of_a_call_must_be_at_a_host_that_the_file_lists():
    said = refusal(f"{FAR}hosts: [desk.test]\n", settings={"base_url": "https://other.test"})
    assert "base_url: https://other.test is not at one of the hosts of the target (desk.test)" in said


def test_the_mail_sink_is_our_own():
    assert refusal(f"{FAR}verify: {{mails: sink}}\n") == ""


# -- production -------------------------------------------------------------------------------------

PRODUCTIVE = {
    "environment": (DESK.replace("environment: test", "environment: production"), "desk.yaml"),
    "name": (DESK.replace("name: desk", "name: desk-prod"), "desk.yaml"),
    "host": (DESK.replace("http://127.0.0.1:9", "https://prod1.desk.test"), "desk.yaml"),
    "host of a tenant": (f"{DESK}hosts: ['*']\n", "desk.yaml"),
    "file": (DESK, "runs/desk.production.yaml"),
}
PRODUCTIVE["host of a tenant"] = (
    f"{DESK}hosts: [127.0.0.1, eu.desk.test]\ntenants: {{'*-02': {{base_url: 'https://eu.desk.test'}}}}\n".replace(
        "eu.desk", "eu.prd.desk"
    ),
    "desk.yaml",
)


@pytest.mark.parametrize("sign", PRODUCTIVE)
def test_production_takes_a_flag_a_cap_and_test_tenants(sign):
    text, file = PRODUCTIVE[sign]
    assert "say so with --production" in refusal(text + GUARDS, file=file)
    assert "does not say how it may be driven" in refusal(text, file=file, production=True)
    assert refusal(text + GUARDS, file=file, production=True) == ""


@pytest.mark.parametrize("name", ["products", "non-prod", "pre-prod", "reproduction", "nonprod2"])
def test_what_only_sounds_like_production_is_not(name):
    assert refusal(DESK.replace("name: desk", f"name: {name}")) == ""


def test_tenants_that_are_not_listed_are_named():
    other = SCENARIO.replace("name: loadtest", "name: other")
    said = refusal(PRODUCTIVE["environment"][0] + GUARDS, production=True, scenario=other)
    assert "other-some-01, other-some-02 are not test tenants there (production.tenants: loadtest-*)" in said


def test_a_pattern_for_all_tenants_lists_none():
    with pytest.raises(InputError, match=r"production\.tenants\[0\]: '\*' names no test tenants"):
        parse_target(DESK + "production: {rate_max_per_s: 5, tenants: ['*']}\n", "t")


@pytest.mark.parametrize(("cap", "refused"), [(2, False), (1, True), (0.5, True)])
def test_the_cap_of_production_is_held_like_a_quota(cap, refused):
    target = parse_target(DESK + f"production: {{rate_max_per_s: {cap}, tenants: [loadtest-*]}}\n", "t")
    assert bool(over_quota(target, parse_scenario(SCENARIO, "s.yaml"))) is refused


@pytest.mark.parametrize("command", ["plan", "plan --check", "run --out out", "watch --state state", "locust"])
def test_a_refused_plan_sends_no_packet(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Listener() as listener:
        desk = PRODUCTIVE["environment"][0].replace("127.0.0.1:9", f"127.0.0.1:{listener.port}")
        Path("t.yaml").write_text(desk + "fingerprint: {health: GET /health}\n")
        Path("s.yaml").write_text(SCENARIO)
        code, said = by_locust() if command == "locust" else by_savepath(command)
    assert "desk is production (environment: production); if it is meant" in said
    assert (code, listener.connections) == (3, 0)
    assert not Path("state").exists()


@pytest.mark.parametrize(
    ("guards", "scenario", "said"),
    [
        ("", SCENARIO, "does not say how it may be driven"),
        (GUARDS, SCENARIO.replace("name: loadtest", "name: other"), "are not test tenants there"),
        (
            GUARDS.replace("rate_max_per_s: 5", "rate_max_per_s: 1"),
            SCENARIO,
            "the plan sends up to 2; set load.rate_per_s to 1 or less",
        ),
    ],
    ids=["no cap", "not a test tenant", "over the cap"],
)
@pytest.mark.parametrize("command", ["plan --check --production", "run --production --out out"])
def test_production_that_is_meant_gets_no_packet_before_cap_and_tenants_fit(
    command, guards, scenario, said, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with Listener() as listener:
        desk = PRODUCTIVE["environment"][0].replace("127.0.0.1:9", f"127.0.0.1:{listener.port}")
        Path("t.yaml").write_text(desk + guards + "fingerprint: {health: GET /health}\n")
        Path("s.yaml").write_text(scenario)
        code, found = by_savepath(command)
    assert said in found
    assert (code, listener.connections) == (3, 0)


def by_savepath(command):
    name, *more = command.split()
    ended = savepath(name, "s.yaml", "--target", "t.yaml", *more)
    # As one line: where it is folded says nothing.
    return ended.returncode, " ".join((ended.stdout + ended.stderr).split())


def by_locust(*more):
    file = str(Path(locustfiles.__file__).parent / "save_path.py")
    words = ["locust", "-f", file, "--headless", "--scenario", "s.yaml", "--target", "t.yaml", "--run-dir", "out"]
    done = subprocess.run([sys.executable, "-m", *words, *more], capture_output=True, text=True, timeout=100)
    return done.returncode, done.stderr


def test_the_listener_counts():
    with Listener() as listener:
        socket.create_connection(("127.0.0.1", listener.port)).close()
    assert listener.connections == 1
