"""Locust's requests, from a CSV file that a listener of eight lines writes (docs/importing.md).

Locust itself writes no requests. ``--csv`` gives percentiles over the whole run and per second, ``--json-file``
counts of response times, both rounded to two significant digits (147 ms is 150 ms; a true 3 % slowdown shows as 0
or as 5 %): neither can be compared as samples are, so neither is imported.

The columns are named as the arguments of the event ``request``: ``start_time`` is ``time.time()`` when the
request was begun, ``response_time`` is in milliseconds until the whole answer was there, connecting included.
Nothing tells when a user should have sent it. The label is ``request_type`` and ``name``, Locust's own key.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from savepath.importing.files import broken, place_columns, read_rows, whole_number
from savepath.importing.requests import MS, Request, S, judge

NEEDED: Final = ("start_time", "request_type", "name", "response_time", "exception")


def read_csv(path: Path) -> Iterator[Request]:
    """The requests of a request log, in the order of the file."""
    rows = read_rows(path)
    places = place_columns(path, next(rows).fields, NEEDED)
    start, kind, name, took, exception = (places[column] for column in NEEDED)
    length, code = places.get("response_length"), places.get("status_code")
    for line, fields in rows:
        if len(fields) != len(places):
            broken(
                path, line, f"found {len(fields)} fields, expected {len(places)}: the line is cut off; remove it"
            )
        try:
            sent_ns, took_ns = round(float(fields[start]) * S), round(float(fields[took]) * MS)
        except (ValueError, OverflowError):
            broken(
                path,
                line,
                f"start_time is {fields[start]!r} and response_time {fields[took]!r}; expected seconds since 1970 "
                "and milliseconds",
            )
        status = whole_number(fields[code]) if code is not None else 0
        outcome, detail = judge(status, failed=bool(fields[exception]), error=fields[exception])
        received = whole_number(fields[length]) if length is not None else 0
        label = f"{fields[kind]} {fields[name]}".strip()
        yield Request(label, sent_ns, took_ns, status, outcome, detail, 0, received)
