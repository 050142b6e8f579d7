"""The metrics of a watch for Prometheus, read out of its history at each scrape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from analysis.findings import Verdict
from analysis.window.decisions import Kind
from savepath.watching.history import History
from savepath.watching.status import Status


def exposition(history: History, status: Status) -> bytes:
    """The text that Prometheus reads."""
    registry = CollectorRegistry()
    registry.register(_Watch(history, status))
    return generate_latest(registry)


class _Watch(Collector):
    def __init__(self, history: History, status: Status) -> None:
        self._history, self._status = history, status

    def collect(self) -> Iterator[Metric]:
        yield from _now(self._status)
        yield from _so_far(self._history)


def _now(status: Status) -> Iterator[Metric]:
    last = status.decided
    verdict = GaugeMetricFamily("savepath_watch_verdict", "1 for what the gate answers now", labels=["verdict"])
    for one in Verdict:
        verdict.add_metric([one.value], float(one is status.verdict))
    yield verdict
    alarms = GaugeMetricFamily("savepath_watch_alarms", "Alarms that nobody has acknowledged", labels=["kind"])
    counts = Counter(one.kind for one in (last.alarms if last and not status.acknowledged else ()))
    for kind in dict.fromkeys((*Kind, *counts)):
        alarms.add_metric([kind], counts[kind])
    yield alarms
    shifts = GaugeMetricFamily(
        "savepath_watch_shift_ratio",
        "How much slower than the baseline the last block was; 0.1 is 10 %",
        labels=["stream"],
    )
    for stream, shift in (last.shifts if last else {}).items():
        shifts.add_metric([stream], shift)
    yield shifts
    score = last.strongest.score if last and last.strongest else 0.0
    yield _gauge("score_ratio", "How close the most striking window of blocks is to an alarm; 1 raises one", score)
    written_s = last.written_s if last else status.begun_s
    yield _gauge("last_decision_timestamp_seconds", "When the last decision was written down", written_s)
    yield _gauge("block_seconds", "The length of a block", status.block_s)
    yield _gauge("window_end_timestamp_seconds", "When the window is over, as agreed", status.ends_s)
    yield _gauge("ended", "1 after the watch was ended in order", float(status.ended))


def _so_far(history: History) -> Iterator[Metric]:
    decisions = CounterMetricFamily("savepath_watch_decisions", "Blocks by what was said", labels=["verdict"])
    counts = Counter(one.verdict for one in history.moments)
    for verdict in Verdict:
        decisions.add_metric([verdict.value], counts[verdict])
    yield decisions
    for name, what, found in (
        ("requests", "Requests of the load of the watch", history.requests),
        ("failures", "Failed requests of the load of the watch", history.failures),
    ):
        family = CounterMetricFamily(f"savepath_watch_{name}", what, labels=["operation"])
        for operation, n in sorted(found.items()):
            family.add_metric([operation], n)
        yield family


def _gauge(name: str, what: str, value: float) -> Metric:
    return GaugeMetricFamily(f"savepath_watch_{name}", what, value=value)
