"""The open loop, the recording of one arrival, and when a run ends by itself."""

import contextlib
import io
import math
import socket
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest
from stub_server import OK, stub_server

from loadgen.client import Client
from loadgen.driver import Driver
from loadgen.guard import Watch
from loadgen.health import Health, quantile_of
from loadgen.operations import Operations
from loadgen.performers import Performers
from loadgen.recorder import Recorder, Sample
from loadgen.run_folder import RunFolder
from loadgen.unanswered import Unanswered
from loadgen.verifier import Verifier
from scenarios.arrivals import Arrival, arrivals
from scenarios.library import parse_scenario
from scenarios.model import Operation
from targets.binding import Binding
from targets.http import Request
from targets.inventory import Inventory
from targets.mapping import parse_target

SCENARIO = parse_scenario(
    """
name: law
cohorts: {some: {custom_fields: 3, cases: 5, scripts_on_save: 0}}
mix: {read_case: 1, save_custom: 1}
load: {rate_per_s: 40, arrivals: constant, timeout_s: 10, in_flight_max: 200}
warmup_s: 0
duration_s: 2
batch_size: 3
verification: {settle_s: 0.05, mail_deadline_s: 0.2}
""",
    "law.yaml",
)

TARGET = """
name: stub
base_url: {url}
operations:
  read_case: {{request: "GET /cases/{{{{ case }}}}"}}
  save_custom:
    request:
      method: PATCH
      path: /cases/{{{{ case }}}}
      headers: {{If-Match: "{{{{ before.headers.etag }}}}"}}
    precondition: GET /etag/{{{{ case }}}}
  send_batch:
    request:
      method: POST
      path: /mails/{{{{ mail.token }}}}
      body: {{to: "{{{{ mail.to }}}}"}}
verify: {{mails: {{request: "GET /sent?tokens={{{{ tokens | join(',') }}}}", items: mails, count: count}}}}
fields: {{shape: map, under: fields}}
"""


class Clock:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self.zero = time.monotonic()

    def __call__(self) -> float:
        return time.monotonic() - self.zero


class Bench:
    """Everything that performs arrivals against one stub, put together by hand."""

    def __init__(self, url: str, folder: Path, timeout_s: float) -> None:
        keys = {f"cf_{n:03d}": f"cf_{n:03d}" for n in (1, 2, 3)}
        inventory = Inventory.model_validate({"tenants": {"law-some-01": {"fields": keys, "cases": ["7", "8"]}}})
        binding = Binding(parse_target(TARGET.format(url=url), "stub.yaml"), SCENARIO, inventory, {})
        self.now = Clock()
        self.errors: list[Exception] = []
        self.rows: list[Sample] = []
        self.watch = Watch()
        run_folder = RunFolder(folder)
        run_folder.create()
        self.recorder = Recorder(run_folder)
        self.client = Client(timeout_s=timeout_s, connections=200)
        given = {"run_key": "0123456789", "now": self.now, "broken": self.errors.append}
        self.verifier = Verifier(SCENARIO, binding, self.client, self.recorder, **given)
        self.operations = Operations(
            SCENARIO, binding, inventory, self.client, self.recorder, self.verifier, self.watch,
            listener=self.rows.append, **given,
        )  # fmt: skip

    def arrival(self, operation: Operation, seq: int = 0, at_s: float = 0.0) -> Arrival:
        return Arrival(seq, at_s, SCENARIO.tenants[0], operation, 0)

    def driver(self, schedule=None, in_flight_max: int = 200) -> Driver:
        schedule = arrivals(SCENARIO) if schedule is None else schedule
        return Driver(
            schedule, self.operations.perform, now=self.now, in_flight_max=in_flight_max, health=Health()
        )


@contextlib.contextmanager
def bench(answer, folder: Path, timeout_s: float = 10.0) -> Iterator[Bench]:
    with stub_server(answer) as stub:
        made = Bench(stub.url, folder / "run", timeout_s)
        try:
            yield made
        finally:
            made.recorder.close()
            made.client.close()


def never(request: bytes, connection: socket.socket) -> bytes:
    return b""


def with_etag(request: bytes, connection: socket.socket) -> bytes:
    return OK.replace(b"Content-Type", b'ETag: "5"\r\nContent-Type')


def test_latency_counts_from_the_scheduled_moment_while_the_target_stalls(tmp_path):
    """One second of stall: those who arrive in it wait the rest of it, half a second in the middle."""
    end = [math.inf]

    def stalls(request: bytes, connection: socket.socket) -> bytes:
        begun_s = time.monotonic() - end[0]
        if begun_s > -1:
            time.sleep(max(-begun_s, 0))
        return with_etag(request, connection)

    with bench(stalls, tmp_path) as made:
        end[0] = made.now.zero + 1.5
        driver = made.driver([made.arrival(Operation.READ_CASE, n, n / 40) for n in range(80)])
        driver.walk()
        assert driver.drain(10)
    stalled = [row.done_s - row.scheduled_s for row in made.rows if 0.5 <= row.scheduled_s < 1.5]
    assert (driver.fired, len(stalled)) == (80, 40)
    # However busy this machine is: none is answered before the stall is over, and each counts from its moment.
    assert all(took_s > 1 - n / 40 - 0.001 for n, took_s in enumerate(sorted(stalled, reverse=True)))
    assert statistics.median(stalled) > 0.5


def test_a_full_pool_makes_arrivals_wait_and_is_counted_but_is_no_lag_of_ours(tmp_path):
    def slow(request: bytes, connection: socket.socket) -> bytes:
        time.sleep(0.05)
        return OK

    with bench(slow, tmp_path) as made:
        driver = made.driver([made.arrival(Operation.READ_CASE, n) for n in range(12)], in_flight_max=4)
        driver.walk()
        assert driver.drain(10)
    assert (driver.fired, driver.in_flight_peak, driver.waited_for_pool >= 2) == (12, 4, True)
    assert max(row.sent_s - row.scheduled_s for row in made.rows) >= 0.1


def test_what_is_in_flight_when_the_run_stops_is_recorded_as_aborted(tmp_path):
    with bench(never, tmp_path) as made:
        driver = made.driver([made.arrival(Operation.READ_CASE, n) for n in range(3)])
        driver.walk()
        assert not driver.drain(0.1)
        driver.abandon()
        made.recorder.flush()
        assert (made.recorder.aborted, made.recorder.recorded, made.recorder.written) == (3, 0, 3)


def test_after_stop_nothing_new_is_sent_and_what_is_open_is_finished(tmp_path):
    with bench(with_etag, tmp_path) as made:
        driver = made.driver([made.arrival(Operation.READ_CASE, n, n * 0.1) for n in range(600)])
        walk = gevent.spawn(driver.walk)
        while driver.fired < 3:
            gevent.sleep(0.01)
        driver.stop()
        walk.get(timeout=5)
        assert driver.drain(5)
        assert 3 <= driver.fired == made.recorder.recorded < 600


def test_a_stop_is_heard_while_waiting_for_room(tmp_path):
    with bench(never, tmp_path) as made:
        driver = made.driver([made.arrival(Operation.READ_CASE, n) for n in range(5)], in_flight_max=2)
        walk = gevent.spawn(driver.walk)
        while not driver.waited_for_pool:
            gevent.sleep(0.01)
        driver.stop()
        walk.get(timeout=5)
        driver.abandon()
        assert (driver.fired, made.recorder.aborted) == (2, 2)


def test_who_catches_up_lets_answers_and_timers_have_their_turn():
    """gevent's own sleep(0) would let the timer ring once in some fifty arrivals."""
    turns = 0

    def ring() -> None:
        nonlocal turns
        while True:
            gevent.sleep(1e-6)
            turns += 1

    due = [Arrival(seq, -1.0, SCENARIO.tenants[0], Operation.READ_CASE, 0) for seq in range(320)]
    timer = gevent.spawn(ring)
    Driver(due, lambda arrival: None, now=lambda: 0.0, in_flight_max=400, health=Health()).walk()
    timer.kill()
    assert turns >= 320 / 16 - 1


def test_a_performer_takes_up_the_next_arrival_and_a_mistake_in_one_costs_no_other():
    done, greenlets = [], set()

    def perform(arrival: int) -> None:
        greenlets.add(gevent.getcurrent())
        if arrival == 3:
            raise ZeroDivisionError
        done.append(arrival)

    performers = Performers(perform, 2)
    with contextlib.redirect_stderr(io.StringIO()):  # where gevent tells of the mistake
        for arrival in range(8):
            performers.begin(arrival)
            assert performers.wait_for_all(5)
    assert (done, len(greenlets)) == ([0, 1, 2, 4, 5, 6, 7], 2)
    performers.end()
    assert all(greenlet.dead for greenlet in greenlets)


def test_a_precondition_is_read_before_and_its_time_is_not_in_the_response_time(tmp_path):
    def slow_to_read(request: bytes, connection: socket.socket) -> bytes:
        if request.startswith(b"GET"):
            time.sleep(0.3)
        return with_etag(request, connection)

    with bench(slow_to_read, tmp_path) as made:
        made.operations.perform(made.arrival(Operation.SAVE_CUSTOM, at_s=made.now()))
    (row,) = made.rows
    assert (row.outcome, row.bytes_out > 0) == ("ok", True)
    assert row.scheduled_s >= 0.3  # shifted by what the read took
    assert row.scheduled_s <= row.sent_s <= row.done_s


def test_a_precondition_that_fails_is_a_failure_of_the_operation_and_nothing_is_saved(tmp_path):
    with bench(lambda request, connection: OK.replace(b"200", b"503"), tmp_path) as made:
        made.operations.perform(made.arrival(Operation.SAVE_CUSTOM))
    assert [(row.outcome, row.detail) for row in made.rows] == [("http_error", "precondition failed")]


def test_an_answer_without_what_the_save_needs_is_invalid(tmp_path):
    with bench(lambda request, connection: OK, tmp_path) as made:
        made.operations.perform(made.arrival(Operation.SAVE_CUSTOM))
    assert [(row.outcome, row.detail) for row in made.rows] == [("invalid", "precondition failed")]
    assert made.errors == []


@pytest.mark.parametrize(
    ("said", "status", "outcome", "detail"),
    [
        (OK, 200, "ok", ""),
        (OK.replace(b"200", b"503"), 503, "http_error", "http 503"),
        (OK.replace(b"200", b"412"), 412, "conflict", "version conflict"),
        (OK.replace(b"{}", b"<a"), 200, "invalid", "not json"),
        (None, 0, "refused", "connection closed"),
    ],
)
def test_an_answer_has_its_outcome(tmp_path, said, status, outcome, detail):
    with bench(lambda request, connection: said, tmp_path) as made:
        made.operations.perform(made.arrival(Operation.READ_CASE))
    assert [(row.status, row.outcome, row.detail) for row in made.rows] == [(status, outcome, detail)]


def test_a_mistake_of_ours_ends_the_run_and_still_leaves_its_row(tmp_path):
    with bench(lambda request, connection: OK, tmp_path) as made:
        made.operations.perform(Arrival(0, 0.0, SCENARIO.tenants[0], Operation.SEND_EMAIL, 0))
        assert made.recorder.aborted == 1
    assert len(made.errors) == 1


def test_a_slow_look_up_does_not_take_a_place_from_the_load():
    """The verifier is given a client of its own; both refuse nothing to each other."""
    with stub_server(never) as stub:
        load, checking = (Client(timeout_s=0.2, connections=1) for _ in range(2))
        open_one = gevent.spawn(load.send, Request("GET", f"{stub.url}/x"))
        while not stub.requests:
            gevent.sleep(0.01)
        with pytest.raises(Unanswered, match="no answer in time"):
            checking.send(Request("GET", f"{stub.url}/y"))
        assert len(stub.requests) == 2
        open_one.kill()


def failing_for(*numbers: int, slow_s: float = 0.0):
    """A target that takes one mail at a time, but not those with these numbers."""

    def answer(request: bytes, connection: socket.socket) -> bytes:
        time.sleep(slow_s)
        failed = any(f"-{number} ".encode() in request.splitlines()[0] for number in numbers)
        return OK.replace(b"200", b"503") if failed else OK

    return answer


def test_a_batch_of_single_mails_is_one_sample_over_all_of_its_requests(tmp_path):
    with stub_server(failing_for(slow_s=0.1)) as stub:
        made = Bench(stub.url, tmp_path / "run", 10)
        made.operations.perform(made.arrival(Operation.SEND_BATCH, at_s=made.now()))
        made.recorder.close()
        made.client.close()
    (row,) = made.rows
    paths = [request.split()[1].decode() for request in stub.requests]
    assert paths == [f"/mails/sp-0123456789-0000000-{number}" for number in range(3)]
    assert (row.outcome, row.status, row.bytes_in) == ("ok", 200, 3 * 2)
    assert row.bytes_out == sum(len(request.partition(b"\r\n\r\n")[2]) for request in stub.requests)
    assert row.done_s - row.sent_s >= 0.3


def test_the_first_mail_of_a_batch_that_fails_says_what_the_batch_is_and_the_rest_is_sent_still(tmp_path):
    with stub_server(failing_for(1)) as stub:
        made = Bench(stub.url, tmp_path / "run", 10)
        made.operations.perform(made.arrival(Operation.SEND_BATCH))
        made.recorder.close()
        made.client.close()
    assert [(row.outcome, row.status, row.detail) for row in made.rows] == [("http_error", 503, "http 503")]
    assert len(stub.requests) == 3


def test_each_mail_of_a_batch_is_held_to_its_own_answer(tmp_path):
    """The first arrived, the second was refused, the third was taken and is missing."""
    taken = failing_for(1)

    def answer(request: bytes, connection: socket.socket) -> bytes:
        if not request.startswith(b"GET /sent"):
            return taken(request, connection)
        told = b'{"mails": [{"token": "sp-0123456789-0000000-0", "to": "user-0@savepath.test", "count": 1}]}'
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(told), told)

    with bench(answer, tmp_path) as made:
        made.operations.perform(made.arrival(Operation.SEND_BATCH))
        looker = gevent.spawn(made.verifier.run)
        made.verifier.sweep(10)
        looker.get(timeout=5)
    assert (made.recorder.effects, made.errors) == ({"mail": {"once": 1, "missed": 1}}, [])


def test_a_batch_that_is_cut_short_promises_nothing_for_what_was_not_sent(tmp_path):
    asked = []

    def first_only(request: bytes, connection: socket.socket) -> bytes:
        asked.append(request)
        return OK if len(asked) == 1 else b""

    with bench(first_only, tmp_path) as made:
        driver = made.driver([made.arrival(Operation.SEND_BATCH)])
        driver.walk()
        while len(asked) < 2:
            gevent.sleep(0.01)
        assert not driver.drain(0.01)
        driver.abandon()
        made.verifier.sweep(0)
    assert made.recorder.outcomes == {"aborted": 1}
    # Nobody looked: the mail that was acknowledged is unverified, of the others nothing was promised.
    assert made.recorder.effects == {"mail": {"unverified": 1}}


def guard(*notes: tuple[str, float]) -> str:
    watched = Watch()
    for outcome, done_s in notes:
        watched.note(outcome, done_s)
    return watched.reason()


def test_twenty_refusals_in_a_row_over_three_seconds_mean_that_the_target_is_gone():
    assert guard(*(("refused", n * 0.16) for n in range(20))).startswith(
        "the target is gone: 20 requests in a row"
    )


@pytest.mark.parametrize(
    "notes",
    [
        [("refused", n * 0.16) for n in range(19)],
        [("refused", n * 0.1) for n in range(20)],
        [("timeout", n * 1.0) for n in range(100)],
        [("http_error" if n % 15 == 7 else "refused", n * 0.2) for n in range(100)],
    ],
    ids=["too few", "too short", "slow", "a sign of life in between"],
)
def test_anything_less_is_no_reason_to_stop(notes):
    assert guard(*notes) == ""


def test_the_health_of_the_generator_is_told_from_the_clock_and_the_kernel(tmp_path):
    schedstat, wall = tmp_path / "schedstat", [100.0]
    schedstat.write_text("5000000000 1000000000 77\n")
    health = Health(wall=lambda: wall[0], schedstat=schedstat)
    health.start()
    for lag_s in (0.001, 0.002, 0.003):
        health.note_lag(lag_s)
    wall[0], _ = 110.0, schedstat.write_text("9000000000 1500000000 99\n")
    health.stop()
    assert health.run_queue_delay == 0.05
    assert quantile_of(health.lag_counts, 0.5) == pytest.approx(0.002, rel=0.005)


def test_where_the_kernel_does_not_tell_the_delay_is_unknown(tmp_path):
    health = Health(schedstat=tmp_path / "nothing")
    health.start()
    health.stop()
    assert math.isnan(health.run_queue_delay)
