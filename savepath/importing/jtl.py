"""JMeter's results (JTL), as CSV and as XML.

``timeStamp`` (``ts``) is in milliseconds since 1970 and is the start of the sample, since jmeter.properties comes
with ``sampleresult.timestamp.start=true``; somebody who set it to false moves a request by its own duration, and
its duration stays what it is. ``elapsed`` (``t``) is in whole milliseconds, from just before the request is sent
until the last of the answer has come, connecting included; ``Latency`` (until the first of the answer) and
``Connect`` are parts of it (JMeter's user manual, Glossary). Nothing tells when a thread should have sent it.

In XML only the direct children of ``testResults`` are read, as JMeter writes only them to CSV: sub-samples
(redirects, embedded resources, members of a transaction) are parts of their parent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final
from xml.parsers import expat

from savepath.importing.files import (
    broken,
    is_whole_number,
    place_columns,
    read_chunks,
    read_head,
    read_rows,
    whole_number,
)
from savepath.importing.requests import MS, Request, judge

#: Attribute in XML -> column in CSV.
ATTRIBUTES: Final = {
    "ts": "timeStamp",
    "t": "elapsed",
    "lb": "label",
    "rc": "responseCode",
    "rm": "responseMessage",
    "s": "success",
    "by": "bytes",
    "sby": "sentBytes",
}
NEEDED: Final = ("timeStamp", "elapsed", "label")
DELIMITERS: Final = ",;\t|"


def read_csv(path: Path) -> Iterator[Request]:
    """The samples of a CSV file with a header, in the order of the file."""
    rows = read_rows(path, delimiter_of(read_head(path)))
    places = place_columns(path, next(rows).fields, NEEDED)
    known = {name: places[name] for name in ATTRIBUTES.values() if name in places}
    for line, fields in rows:
        if len(fields) != len(places):
            broken(
                path,
                line,
                f"found {len(fields)} fields, expected {len(places)}: the line is cut off, or JMeter wrote other "
                "columns; remove it, or import files of other columns one by one",
            )
        yield _request(path, line, {name: fields[place] for name, place in known.items()})


def delimiter_of(head: bytes) -> str:
    """What stands between the columns: jmeter.save.saveservice.default_delimiter is a comma, or what users set."""
    first = head.split(b"\n", 1)[0].decode("utf-8", "replace")
    return max(DELIMITERS, key=first.count)


def read_xml(path: Path) -> Iterator[Request]:
    """The samples of an XML file, in the order of the file."""
    found: list[Request] = []
    parser = expat.ParserCreate()
    depth = 0

    def start(name: str, attributes: Mapping[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth == 2 and "ts" in attributes:
            row = {column: attributes[name] for name, column in ATTRIBUTES.items() if name in attributes}
            found.append(_request(path, parser.CurrentLineNumber, row))

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1

    def refuse_doctype(*_: object) -> None:
        broken(path, parser.CurrentLineNumber, "a DOCTYPE; JMeter writes none, so this is no JTL")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.StartDoctypeDeclHandler = refuse_doctype
    try:
        for piece in read_chunks(path):
            parser.Parse(piece)
            yield from found
            found.clear()
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        reason = expat.ErrorString(error.code)
        hint = "; where JMeter was stopped, append </testResults>" if reason == "no element found" else ""
        broken(path, error.lineno, f"not whole XML ({reason}){hint}")
    yield from found


def _request(path: Path, line: int, row: Mapping[str, str]) -> Request:
    """A sample from the texts of its columns."""
    sent, took = row.get("timeStamp", ""), row.get("elapsed", "")
    if not is_whole_number(sent):
        broken(
            path,
            line,
            f"timeStamp is {sent!r}; expected milliseconds since 1970 "
            "(jmeter.save.saveservice.timestamp_format=ms): a date without its zone is no moment",
        )
    if not is_whole_number(took):
        broken(path, line, f"elapsed is {took!r}; expected whole milliseconds")
    code = row.get("responseCode", "")
    status = whole_number(code) if len(code) == 3 else 0
    # Without the column success, the status decides; a transaction has neither status nor failure.
    failed = row["success"] != "true" if "success" in row else bool(code) and not 200 <= status < 400
    error = "" if status else f"{code} {row.get('responseMessage', '')}"
    outcome, detail = judge(status, failed=failed, error=error)
    return Request(
        row.get("label", ""),
        int(sent) * MS,
        int(took) * MS,
        status,
        outcome,
        detail,
        whole_number(row.get("sentBytes", "")),
        whole_number(row.get("bytes", "")),
    )
