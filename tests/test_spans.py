"""Requests of a run as spans: a collector on a real socket reads them with OpenTelemetry's own messages."""

import sys
from datetime import datetime

import pytest
from command_line import savepath
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from run_examples import driven
from stub_server import stub_server

from loadgen.run_folder import RunFolder
from savepath.exits import Exit
from savepath.spans import send_spans
from scenarios.errors import Aborted
from scenarios.tokens import traceparent


def answered(status: int, content: bytes = b"") -> bytes:
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content


def taken(requests: list[bytes]) -> list[ExportTraceServiceRequest]:
    """What a collector got, message by message."""
    return [ExportTraceServiceRequest.FromString(one.partition(b"\r\n\r\n")[2]) for one in requests]


def spans(requests: list[bytes]):
    return [span for one in taken(requests) for span in one.resource_spans[0].scope_spans[0].spans]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Two arms: 960 requests, more than one message holds; one in forty failed."""
    return driven(tmp_path_factory.mktemp("runs") / "run", arms=("before", "after"))


@pytest.fixture(scope="module")
def sent(run):
    """The spans of the whole run, and the first request as it came."""
    with stub_server(lambda *_: answered(200)) as collector:
        done = savepath("export", run, "--otlp", collector.url)
    assert done.returncode == Exit.DONE, done.stderr
    assert done.stdout == f"{run}: 960 spans sent\n"
    return collector.requests


def test_every_request_is_one_span_under_the_ids_that_it_carried_to_the_target(run, sent):
    key = RunFolder(run).read().key
    told = {f"00-{span.trace_id.hex()}-{span.span_id.hex()}-01" for span in spans(sent)}
    assert told == {traceparent(key, seq) for seq in range(960)}
    assert len(spans(sent)) == 960


def test_a_span_lasts_from_sending_to_the_answer_and_tells_how_long_it_waited_before(run, sent):
    info, row = RunFolder(run).read(), RunFolder(run).read_samples().iloc[5]
    span = next(one for one in spans(sent) if one.span_id == (int(row["seq"]) + 1).to_bytes(8))
    begun_s = datetime.fromisoformat(info.started_at).timestamp()
    assert span.start_time_unix_nano / 1e9 - begun_s == pytest.approx(row["sent_s"], abs=1e-6)
    assert (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9 == pytest.approx(
        row["done_s"] - row["sent_s"], abs=1e-6
    )
    told = {one.key: one.value for one in span.attributes}
    assert told["savepath.waited_s"].double_value == pytest.approx(0.001, abs=1e-6)
    assert told["savepath.custom_fields"].int_value == row["custom_fields"]
    assert (span.name, told["savepath.arm"].string_value) == (row["operation"], row["arm"])


def test_a_failed_request_is_an_error_with_its_detail_and_the_others_are_none(sent):
    failed = [span for span in spans(sent) if span.status.code == 2]
    assert len(failed) == 24
    assert {span.status.message for span in failed} == {"http 503"}
    assert {span.kind for span in spans(sent)} == {3}  # client


def test_the_resource_is_the_run_with_its_labels(sent):
    first, *_ = taken(sent)
    told = {one.key: one.value.string_value for one in first.resource_spans[0].resource.attributes}
    assert (told["service.name"], told["savepath.run"], told["savepath.label.release"]) == (
        "savepath",
        "run",
        "24.3",
    )
    assert sent[0].startswith(b"POST /v1/traces ")
    assert b"content-type: application/x-protobuf" in sent[0].lower()


def test_only_notable_requests_are_sent_where_no_more_are_wanted(run):
    with stub_server(lambda *_: answered(200)) as collector:
        savepath("export", run, "--otlp", collector.url, "--notable")
    found = {int.from_bytes(span.span_id) - 1 for span in spans(collector.requests)}
    assert found == set(RunFolder(run).read_notable()["seq"])
    assert len(found) < 960


def test_a_busy_collector_is_asked_again_and_a_refusal_ends_it_with_what_was_sent(run):
    answers = [answered(503), answered(200), answered(400)]
    pauses: list[float] = []
    with (
        stub_server(lambda *_: answers.pop(0)) as collector,
        pytest.raises(Aborted, match=r"answers 400 to spans; 512 of 960 spans were sent"),
    ):
        send_spans(RunFolder(run), collector.url, sleep=pauses.append)
    assert (pauses, len(collector.requests)) == ([1.0], 3)


def test_a_collector_that_is_gone_is_told(run):
    with stub_server(lambda *_: None) as collector:
        pass
    with pytest.raises(Aborted, match=r"does not take spans .*; 0 of 960"):
        send_spans(RunFolder(run), collector.url, sleep=lambda _: None)


def test_what_the_collector_leaves_out_is_told(run):
    said = ExportTraceServiceResponse()
    said.partial_success.rejected_spans, said.partial_success.error_message = 5, "too old"
    with stub_server(lambda *_: answered(200, said.SerializeToString())) as collector:
        done = savepath("export", run, "--otlp", collector.url)
    assert done.stdout == f"{run}: 950 spans sent\n"
    assert "left out 10 spans" in done.stderr
    assert "too old" in done.stderr


def test_headers_come_from_the_environment_and_are_said_nowhere(run, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer hunter2,x-tenant=a")
    with stub_server(lambda *_: answered(401)) as collector:
        done = savepath("export", run, "--otlp", collector.url)
    assert b"authorization: Bearer hunter2\r\nx-tenant: a" in collector.requests[0]
    assert (done.returncode, "hunter2" in done.stdout + done.stderr) == (Exit.ABORTED, False)


def test_without_the_messages_it_is_said_what_to_install(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.proto.trace.v1.trace_pb2", None)
    done = savepath("export", run, "--otlp", "http://127.0.0.1:9")
    assert (done.returncode, "pip install 'savepath[otel]'" in done.stderr) == (Exit.USAGE, True)


def test_an_imported_run_has_no_spans(tmp_path):
    run = driven(tmp_path / "run", origin={"tool": "k6", "lacks": [], "files": []})
    done = savepath("export", run, "--otlp", "http://127.0.0.1:9")
    assert (done.returncode, "carried no trace ids" in done.stderr) == (Exit.USAGE, True)
