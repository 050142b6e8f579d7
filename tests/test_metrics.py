"""The metrics of a run: counts by cell that add up over workers, in the words of Prometheus, on loopback alone."""

import math
import threading
import urllib.error
import urllib.request

import gevent
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from pydantic import TypeAdapter

from loadgen.ending import Progress, progress_of_all
from loadgen.metrics import Metrics, exposition
from loadgen.recorder import Sample
from loadgen.tally import BUCKETS_S, CellTally, Tally, cells_of_all
from scenarios.errors import InputError

CELLS = TypeAdapter(tuple[CellTally, ...])


def sample(took_s: float, outcome: str = "ok", operation: str = "save_custom", fields: int = 10) -> Sample:
    row = (100.0, 100.1, 100.0 + took_s, 200, outcome, "", 10, 10)
    return Sample(0, 0, "", "tenant", fields, operation, *row)


def tally(*samples: Sample) -> Tally:
    made = Tally()
    made.take(samples)
    return made


def values(text: bytes) -> dict[tuple[str, frozenset[str]], float]:
    """Each line that is told, by its name and its labels' values."""
    return {
        (one.name, frozenset(one.labels.values())): one.value
        for family in text_string_to_metric_families(text.decode())
        for one in family.samples
    }


def test_counts_of_two_workers_are_told_as_one_by_cell_with_times_from_the_planned_moment():
    here = tally(sample(0.004), sample(0.2, "http_error"), sample(1.0, operation="read_case", fields=0))
    there = tally(sample(0.3), sample(99.0, "timeout"), sample(0.1, "aborted"))
    seen_here, seen_there = ({"": {"script": outcomes}} for outcomes in ({"once": 2}, {"once": 1, "late": 1}))
    parts = [
        Progress(phase="measure", in_flight=2, lag_p99_s=0.001, cells=here.cells, effects=seen_here),
        Progress(phase="measure", in_flight=3, cells=there.cells, effects=seen_there),
    ]
    whole = progress_of_all(parts).model_copy(update={"workers_lost": 1})
    told = values(exposition({"run": "r", "scenario": "s"}, whole))
    assert told["savepath_run_workers_lost", frozenset()] == 1
    cell = {"", "save_custom", "10"}
    requests = {
        outcome: told["savepath_run_requests_total", frozenset({*cell, outcome})]
        for outcome in ("ok", "http_error", "timeout")
    }
    assert requests == {"ok": 2, "http_error": 1, "timeout": 1}
    buckets = "savepath_run_response_seconds_bucket"
    ends = {end: told[buckets, frozenset({*cell, end})] for end in ("0.005", "0.25", "0.5", "30.0", "+Inf")}
    assert ends == {"0.005": 1, "0.25": 2, "0.5": 3, "30.0": 3, "+Inf": 4}
    assert told["savepath_run_response_seconds_sum", frozenset(cell)] == pytest.approx(99.504)
    assert told["savepath_run_requests_total", frozenset({"", "read_case", "0", "ok"})] == 1
    assert told["savepath_run_effects_total", frozenset({"", "script", "once"})] == 3
    assert told["savepath_run_in_flight", frozenset()] == 5
    assert told["savepath_run_schedule_lag_seconds", frozenset()] == 0.001


@given(st.lists(st.floats(0.0002, 400), min_size=1, max_size=60), st.integers(0, 60))
def test_quantiles_of_what_two_workers_counted_are_those_of_all_requests_to_a_hundredth(times_s, cut):
    parts = [tally(*map(sample, some)).cells for some in (times_s[:cut], times_s[cut:])]
    (cell,) = cells_of_all([parts[0], CELLS.validate_json(CELLS.dump_json(parts[1]))])  # one came over a line
    shares = (0.01, 0.5, 0.95, 1.0)
    exact = np.quantile([100.0 + time_s - 100.0 for time_s in times_s], shares, method="inverted_cdf")
    assert cell.quantiles_s(shares) == pytest.approx(exact, rel=0.0101)
    assert (cell.requests, cell.buckets[-1]) == (len(times_s), len(times_s))


@pytest.mark.parametrize("end_s", BUCKETS_S)
def test_what_took_as_long_as_the_end_of_a_bucket_is_in_it_and_what_took_a_trifle_longer_is_not(end_s):
    rows = [sample(0)._replace(scheduled_s=0.0, done_s=took_s) for took_s in (end_s, end_s * (1 + 1e-9))]
    (cell,) = tally(*rows).cells
    assert cell.buckets[BUCKETS_S.index(end_s)] == 1


def test_what_nobody_knows_yet_is_not_told():
    told = values(exposition({"run": "r"}, Progress(lag_p99_s=math.nan)))
    assert not [name for name, _ in told if name.startswith("savepath_run_schedule_lag")]


def test_they_are_served_on_loopback_and_a_taken_port_is_said():
    metrics = Metrics(0, {"run": "r"}, Progress)
    answers: dict[str, int] = {}

    def ask() -> None:
        for path in ("/metrics", "/else"):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{metrics.port}{path}", timeout=10) as answer:
                    answers[path] = answer.status
            except urllib.error.HTTPError as error:
                answers[path] = error.code
                error.close()

    asker = threading.Thread(target=ask)
    asker.start()
    while asker.is_alive():
        gevent.sleep(0.01)
    try:
        with pytest.raises(InputError, match=f"--metrics-port {metrics.port} cannot be used"):
            Metrics(metrics.port, {"run": "r"}, Progress)
    finally:
        metrics.close()
    assert answers == {"/metrics": 200, "/else": 404}
