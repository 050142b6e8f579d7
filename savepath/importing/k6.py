"""k6's results: ``--out json=FILE`` (a JSON object a line) and ``--out csv=FILE``.

Each line is one value of one metric of one request. ``http_req_duration`` is sending + waiting + receiving, in
milliseconds, *without* waiting for a connection; that is ``http_req_blocked`` (connecting and TLS included), which
k6 writes for the same request at the same time, right after it. Here a request takes both, as the user waits for
both and as JMeter, Locust and vegeta count; on a kept connection the second is some microseconds. The ``time`` of
a value is when the answer was there, not when the request was sent (k6 issue 1194), so the request was sent that
long before. In CSV it is in whole seconds unless K6_CSV_TIME_FORMAT says otherwise.

k6 does not write when an arrival-rate executor should have started an iteration. It counts those it could not
start because no virtual user was free (``dropped_iterations``), and that count is passed on as a note.

The label is the method and the tag ``name``, which is the URL where the script does not set it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from savepath.importing.files import broken, place_columns, read_lines, read_rows, whole_number
from savepath.importing.requests import MS, Request, S, judge, rfc3339_ns

_WANTED: Final = ("http_req_duration", "http_req_blocked", "dropped_iterations")
_MARK: Final = re.compile(f'"(?:{"|".join(_WANTED)})"'.encode())
#: Digits of a Unix time -> nanoseconds in its unit (seconds, milli-, micro-, nanoseconds).
_UNITS: Final = {10: S, 13: MS, 16: 1000, 19: 1}


def read_json(path: Path, say: Callable[[str], None]) -> Iterator[Request]:
    """The HTTP requests of a JSON file. ``say`` is told, in a sentence, of what k6 did not send."""
    return _requests(path, _json_points(path), say)


def read_csv(path: Path, say: Callable[[str], None]) -> Iterator[Request]:
    """The HTTP requests of a CSV file. ``say`` is told, in a sentence, of what k6 did not send."""
    return _requests(path, _csv_points(path), say)


class _Point:
    """One value of a metric of those wanted."""

    __slots__ = ("line", "metric", "tags", "time", "value")

    def __init__(self, line: int, metric: str, time: str, value: float, tags: Mapping[str, str]) -> None:
        self.line, self.metric, self.time, self.value, self.tags = line, metric, time, value, tags


def _json_points(path: Path) -> Iterator[_Point]:
    for number, text in read_lines(path):
        if text[:1] != b"{" or text[-1:] != b"}":
            broken(path, number, _cut(text))
        # Eight of ten lines are of other metrics: parsing them would take most of the time.
        if not _MARK.search(text):
            continue
        try:
            found = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            broken(path, number, f"not JSON ({error})")
        if found.get("type") != "Point" or found.get("metric") not in _WANTED:
            continue
        data: Any = found.get("data")
        try:
            point = _Point(number, found["metric"], data["time"], float(data["value"]), data["tags"] or {})
            whole = all(isinstance(text, str) for text in (point.time, *point.tags.values()))
        except (KeyError, TypeError, ValueError, AttributeError):
            whole = False
        if not whole or not math.isfinite(point.value):
            broken(path, number, f"a Point of {found['metric']} without time, value and tags")
        yield point


def _csv_points(path: Path) -> Iterator[_Point]:
    rows = read_rows(path)
    places = place_columns(path, next(rows).fields, ("metric_name", "timestamp", "metric_value"))
    metric, time, value = places["metric_name"], places["timestamp"], places["metric_value"]
    tags = {
        name: places[name]
        for name in ("name", "url", "method", "status", "error", "error_code", "expected_response")
        if name in places
    }
    for line, fields in rows:
        if len(fields) != len(places):
            broken(
                path, line, f"found {len(fields)} fields, expected {len(places)}: the line is cut off; remove it"
            )
        if fields[metric] not in _WANTED:
            continue
        try:
            number = float(fields[value])
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            broken(path, line, f"metric_value is {fields[value]!r}; expected a number")
        yield _Point(line, fields[metric], fields[time], number, {name: fields[i] for name, i in tags.items()})


def _requests(path: Path, points: Iterator[_Point], say: Callable[[str], None]) -> Iterator[Request]:
    """Put a request's duration and the wait for its connection together, which stand next to each other."""
    dropped, last, blocked_ms = 0.0, None, 0.0
    for point in points:
        if point.metric == "dropped_iterations":
            dropped += point.value
        elif point.metric == "http_req_duration":
            if last:
                yield _request(path, last, blocked_ms)
            last, blocked_ms = point, 0.0
        elif last and point.time == last.time and point.tags == last.tags:
            blocked_ms = point.value
    if last:
        yield _request(path, last, blocked_ms)
    if dropped:
        say(
            f"k6 dropped {dropped:,.0f} iterations because no virtual user was free: less was asked of the target "
            "than the script says."
        )


def _request(path: Path, point: _Point, blocked_ms: float) -> Request:
    tags = point.tags
    try:
        done_ns = _time_ns(point.time)
    except ValueError:
        broken(path, point.line, f"the time is {point.time!r}; expected a Unix time or RFC 3339")
    took_ns = round((point.value + blocked_ms) * MS)
    status = whole_number(tags.get("status", ""))
    expected = tags.get("expected_response")
    failed = expected == "false" if expected else bool(tags.get("error_code")) or not 200 <= status < 400
    outcome, detail = judge(status, failed=failed, error=tags.get("error", "") if not status else "")
    label = f"{tags.get('method', '')} {tags.get('name') or tags.get('url') or ''}".strip()
    return Request(label, done_ns - took_ns, took_ns, status, outcome, detail)


def _time_ns(text: str) -> int:
    if text.isdecimal():
        unit = _UNITS.get(len(text))
        if unit is None:
            raise ValueError(text)
        return int(text) * unit
    return rfc3339_ns(text)


def _cut(text: bytes) -> str:
    shown = text[:40].decode("utf-8", "replace")
    return (
        f"found {shown!r}..., expected a whole JSON object: the line is cut off, as when k6 is killed; remove it"
    )
