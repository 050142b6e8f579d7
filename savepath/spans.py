"""The requests of a run as OpenTelemetry spans, sent to a tracing system over OTLP/HTTP once the load is over.

Each request carried a ``traceparent``; trace and span id follow from the run's key and the number of the arrival,
so that a span made here is the parent of what the target's own tracing recorded of that request. Nothing is made
while the load lasts: what is not wanted costs nothing, and what a collector does cannot change a measurement.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import httpx
import pandas as pd

from loadgen.run_folder import RunFolder
from loadgen.run_info import RunInfo
from savepath import __version__
from scenarios.errors import Aborted, InputError
from scenarios.tokens import trace_id

if TYPE_CHECKING:  # an extra: pip install 'savepath[otel]'
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

#: So many spans go into one request.
BATCH: Final = 512
#: A collector that asks to be left alone for a while (OTLP 1.5, "Retryable Response Codes") is asked again.
BUSY: Final = (429, 502, 503, 504)
PAUSES_S: Final = (1.0, 2.0, 4.0)
TIMEOUT_S: Final = 10.0
_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of the spans of a run."""

    spans: int
    rejected: int = 0  # taken by the collector and left out, as it says
    why: str = ""  # the collector's reason for the last that it left out


def send_spans(
    run: RunFolder,
    url: str,
    *,
    notable: bool = False,
    headers: dict[str, str] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Sent:
    """Send a span for each request of a run, or for its slowest and failed ones, to ``url`` + /v1/traces.

    Raises InputError for a run that sent no trace ids, and where the library of the messages is missing; Aborted,
    with what was sent until then, where the collector does not take them.
    """
    info = run.read()
    if info.origin:
        raise InputError(f"{run.path} was imported from {info.origin.tool}: its requests carried no trace ids")
    samples = run.read_samples()
    if notable:
        samples = samples[samples["seq"].isin(run.read_notable()["seq"])]
    sent = rejected = 0
    why = ""
    with httpx.Client(timeout=TIMEOUT_S, trust_env=False, headers=headers) as client:
        for start in range(0, len(samples), BATCH):
            batch = samples.iloc[start : start + BATCH]
            try:
                answer = _post(client, f"{url.rstrip('/')}/v1/traces", message(info, batch), sleep)
            except Aborted as error:
                raise Aborted(f"{error}; {sent:,} of {len(samples):,} spans were sent") from None
            sent += len(batch)
            rejected += answer.rejected
            why = answer.why or why
    return Sent(sent - rejected, rejected, why)


def message(info: RunInfo, samples: pd.DataFrame) -> ExportTraceServiceRequest:
    """One request of OTLP: the resource, and a span for each sample."""
    trace = _messages("trace.v1.trace_pb2")
    begun_ns = round(datetime.fromisoformat(info.started_at).timestamp() * 1000) * 1_000_000
    spans = [_span(trace, info, begun_ns, row) for row in samples.to_dict("records")]
    about = {"service.name": "savepath", "service.version": __version__, "savepath.run": info.id}
    about |= {"savepath.scenario": info.scenario, **{f"savepath.label.{k}": v for k, v in info.labels.items()}}
    scope = trace.ScopeSpans(spans=spans)
    scope.scope.name = "savepath"
    resource = trace.ResourceSpans(scope_spans=[scope])
    resource.resource.attributes.extend(_attributes(about))
    collector = _messages("collector.trace.v1.trace_service_pb2")
    request: ExportTraceServiceRequest = collector.ExportTraceServiceRequest(resource_spans=[resource])
    return request


def _span(trace: Any, info: RunInfo, begun_ns: int, row: dict[Any, Any]) -> Any:
    seq, outcome = int(row["seq"]), str(row["outcome"])
    span = trace.Span(
        trace_id=bytes.fromhex(trace_id(info.key, seq)),
        span_id=(seq + 1).to_bytes(8),  # as scenarios.tokens.traceparent says it to the target
        name=str(row["operation"]),
        kind=trace.Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=begun_ns + round(row["sent_s"] * _NS),
        end_time_unix_nano=begun_ns + round(row["done_s"] * _NS),
    )
    told: dict[str, str | int | float] = {
        "savepath.seq": seq,
        "savepath.tenant": str(row["tenant"]),
        "savepath.custom_fields": int(row["custom_fields"]),
        "savepath.outcome": outcome,
        "savepath.waited_s": float(row["sent_s"] - row["scheduled_s"]),  # between due and sent
    }
    told |= {"savepath.arm": str(row["arm"])} if row["arm"] else {}
    told |= {"http.response.status_code": int(row["status"])} if row["status"] else {}
    span.attributes.extend(_attributes(told))
    if outcome != "ok":
        span.status.code = trace.Status.STATUS_CODE_ERROR
        span.status.message = str(row["detail"]) or outcome
    return span


def _attributes(told: Mapping[str, str | int | float]) -> Iterator[Any]:
    common = _messages("common.v1.common_pb2")
    kinds = {str: "string_value", int: "int_value", float: "double_value"}
    for key, value in told.items():
        yield common.KeyValue(key=key, value=common.AnyValue(**{kinds[type(value)]: value}))


def _post(client: httpx.Client, url: str, request: Any, sleep: Callable[[float], None]) -> Sent:
    content, headers = request.SerializeToString(), {"Content-Type": "application/x-protobuf"}
    said = ""
    for pause_s in (*PAUSES_S, math.nan):
        try:
            answer = client.post(url, content=content, headers=headers)
        except httpx.HTTPError as error:
            said = f"does not take spans ({str(error) or type(error).__name__})"
        else:
            if answer.status_code == 200:
                return _partial(answer.content)
            said = f"answers {answer.status_code} to spans"
            if answer.status_code not in BUSY:
                break
        if not math.isnan(pause_s):
            sleep(pause_s)
    raise Aborted(f"{url} {said}")


def _partial(content: bytes) -> Sent:
    """What a collector says that it left out."""
    answer = _messages("collector.trace.v1.trace_service_pb2").ExportTraceServiceResponse()
    from google.protobuf.message import DecodeError

    try:
        answer.ParseFromString(content)
    except DecodeError:  # what cannot be read names nothing that was left out
        return Sent(0)
    left_out = answer.partial_success
    return Sent(0, int(left_out.rejected_spans), str(left_out.error_message))


def _messages(name: str) -> Any:
    import importlib

    try:
        return importlib.import_module(f"opentelemetry.proto.{name}")
    except ModuleNotFoundError:
        raise InputError(
            "OpenTelemetry's messages are not installed; install them with: pip install 'savepath[otel]', "
            "or from a checkout: pip install opentelemetry-proto"
        ) from None


def headers_of(told: str) -> dict[str, str]:
    """Headers as OTEL_EXPORTER_OTLP_HEADERS tells them: "key=value,key2=value2". Raises InputError."""
    pairs: Sequence[tuple[str, str, str]] = [one.strip().partition("=") for one in told.split(",") if one.strip()]
    if any(not equals or not key for key, equals, _ in pairs):
        raise InputError("OTEL_EXPORTER_OTLP_HEADERS: expected key=value, with commas between them")
    return {key.strip(): value.strip() for key, _, value in pairs}
