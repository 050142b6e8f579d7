"""The metrics of a run for Prometheus, while it lasts: ``http://127.0.0.1:PORT/metrics``."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from gevent.pywsgi import WSGIServer
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from loadgen.ending import Progress
from loadgen.listening import listener_at
from loadgen.tally import BUCKETS_S
from scenarios.errors import InputError

_CELL = ["arm", "operation", "custom_fields"]


class Metrics:
    """Answers on loopback at ``port`` with what ``progress`` says, until it is closed."""

    def __init__(self, port: int, about: dict[str, str], progress: Callable[[], Progress]) -> None:
        self._about = about
        self._progress = progress
        try:
            listener = listener_at("127.0.0.1", port)
        except OSError as error:
            raise InputError(
                f"--metrics-port {port} cannot be used: {error.strerror or error}; choose another"
            ) from None
        self._server = WSGIServer(listener, self._answer, log=None, error_log=None)
        self._server.start()
        self.port: int = self._server.server_port

    def close(self) -> None:
        """Answer nobody any more."""
        self._server.stop(timeout=1)

    def _answer(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/metrics":
            start("404 Not Found", [("Content-Type", "text/plain")])
            return [b"look at /metrics\n"]
        start("200 OK", [("Content-Type", CONTENT_TYPE_LATEST)])
        return [exposition(self._about, self._progress())]


def exposition(about: dict[str, str], progress: Progress) -> bytes:
    """The text that Prometheus reads."""
    registry = CollectorRegistry()
    registry.register(_Run(about, progress))
    return generate_latest(registry)


class _Run(Collector):
    def __init__(self, about: dict[str, str], progress: Progress) -> None:
        self._about, self._progress = about, progress

    def collect(self) -> Iterator[Metric]:
        progress = self._progress
        info = GaugeMetricFamily("savepath_run_info", "1, with what the run is", labels=list(self._about))
        info.add_metric(list(self._about.values()), 1)
        yield info
        phase = GaugeMetricFamily("savepath_run_phase", "1 for where the run is", labels=["phase"])
        phase.add_metric([progress.phase], 1)
        yield phase
        yield GaugeMetricFamily("savepath_run_in_flight", "Requests that are open", value=progress.in_flight)
        yield GaugeMetricFamily(
            "savepath_run_effects_pending", "Effects whose outcome is open", value=progress.pending_effects
        )
        yield GaugeMetricFamily(
            "savepath_run_workers_lost", "Workers that are gone and left their part", value=progress.workers_lost
        )
        if not math.isnan(progress.lag_p99_s):
            yield GaugeMetricFamily(
                "savepath_run_schedule_lag_seconds",
                "How late the generator was in the last second, p99",
                value=progress.lag_p99_s,
            )
        yield from self._cells()
        effects = CounterMetricFamily(
            "savepath_run_effects", "Effects whose outcome is known", labels=["arm", "kind", "outcome"]
        )
        for arm, kinds in progress.effects.items():
            for kind, outcomes in kinds.items():
                for outcome, number in outcomes.items():
                    effects.add_metric([arm, kind, outcome], number)
        yield effects

    def _cells(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "savepath_run_requests", "Requests that are finished, warm-up included", labels=[*_CELL, "outcome"]
        )
        times = HistogramMetricFamily(
            "savepath_run_response_seconds", "Response times, from the planned moment", labels=_CELL
        )
        ends = [str(end_s) for end_s in BUCKETS_S] + ["+Inf"]
        for cell in self._progress.cells:
            labels = [cell.arm, cell.operation, str(cell.custom_fields)]
            for outcome, number in cell.outcomes.items():
                requests.add_metric([*labels, outcome], number)
            times.add_metric(labels, list(zip(ends, cell.buckets, strict=True)), cell.sum_s)
        yield requests
        yield times
