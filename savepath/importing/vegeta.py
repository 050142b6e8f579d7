"""vegeta's results as ``vegeta encode --to json`` and ``--to csv`` write them; its own binary file is Go's gob.

``timestamp`` is taken when a worker takes the request up, right before it is sent (``hit`` in vegeta's
lib/attack.go), not when the pacer wanted it sent: it is late where all workers are busy. ``latency`` is in
nanoseconds from there until the whole body was read, connecting included. CSV has no header; its columns are the
time in nanoseconds since 1970, status, latency, bytes out, bytes in, error, body, attack, sequence number and,
in newer versions, method, URL and headers (lib/results.go).

The label is method and URL, or the name of the attack where an older vegeta wrote neither.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson

from savepath.importing.files import broken, is_whole_number, read_lines, read_rows, whole_number
from savepath.importing.requests import Request, judge, rfc3339_ns


def read_json(path: Path) -> Iterator[Request]:
    """The requests of a JSON file, an object a line."""
    for number, text in read_lines(path):
        try:
            found = orjson.loads(text)
            sent_ns, took_ns = rfc3339_ns(found["timestamp"]), int(found["latency"])
            status, error = int(found["code"]), str(found.get("error") or "")
            label = f"{found.get('method') or ''} {found.get('url') or found.get('attack') or ''}".strip()
            sizes = int(found.get("bytes_out") or 0), int(found.get("bytes_in") or 0)
        except orjson.JSONDecodeError as error_:
            broken(path, number, f"not whole JSON ({error_}); where vegeta was stopped, remove the line")
        except (KeyError, TypeError, ValueError, AttributeError):
            broken(
                path, number, "expected timestamp (RFC 3339), latency (nanoseconds) and code, as vegeta encode has"
            )
        yield _request(label, sent_ns, took_ns, status, error, sizes)


def read_csv(path: Path) -> Iterator[Request]:
    """The requests of a CSV file."""
    for line, fields in read_rows(path):
        if len(fields) < 9:
            broken(path, line, f"found {len(fields)} fields, expected 9 or 12: the line is cut off; remove it")
        sent, code, took, out, received, error, _, attack = fields[:8]
        if not all(map(is_whole_number, (sent, code, took))):
            broken(
                path,
                line,
                f"found {sent!r}, {code!r}, {took!r}; expected nanoseconds since 1970, a status and nanoseconds",
            )
        label = f"{fields[9]} {fields[10]}".strip() if len(fields) > 10 else attack
        sizes = whole_number(out), whole_number(received)
        yield _request(label, int(sent), int(took), int(code), error, sizes)


def _request(label: str, sent_ns: int, took_ns: int, status: int, error: str, sizes: tuple[int, int]) -> Request:
    # vegeta's own rule: an error, or a status outside 200 to 399.
    failed = bool(error) or not 200 <= status < 400
    outcome, detail = judge(status, failed=failed, error=error)
    return Request(label, sent_ns, took_ns, status, outcome, detail, *sizes)
