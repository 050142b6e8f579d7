"""Whose file is this? Told from its first bytes, so that a file of another tool is named and not misread."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from savepath.importing import jtl, k6, locust, vegeta
from savepath.importing.files import read_head
from savepath.importing.requests import Request
from scenarios.errors import InputError

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file: its name for people, how it begins, and how it is read or what to do instead."""

    tool: str  # as on the command line
    name: str
    looks: Callable[[bytes], bool]
    read: Callable[[Path, Say], Iterator[Request]] | None
    instead: str = ""  # where it cannot be read

    def requests(self, path: Path, say: Say) -> Iterator[Request]:
        """The requests of a file of this format; ``say`` is told of what else is in it."""
        if self.read is None:
            raise InputError(f"{path} looks like {self.name}; {self.instead}")
        return self.read(path, say)


def _with_columns(*names: bytes) -> Callable[[bytes], bool]:
    """Whether the first line has all these words."""

    def looks(head: bytes) -> bool:
        words = set(re.split(rb"[^\w/% ]+", head.split(b"\n", 1)[0].strip()))
        return set(names) <= words

    return looks


_LISTENER: Final = (
    "let a listener write the requests, eight lines that docs/importing.md gives, and import its file"
)

FORMATS: Final = (
    Format("k6", "k6 JSON", lambda head: b'"type":"Metric"' in head or b'"type":"Point"' in head, k6.read_json),
    Format("k6", "k6 CSV", _with_columns(b"metric_name", b"metric_value"), k6.read_csv),
    Format(
        "k6",
        "k6's summary",
        lambda head: head.lstrip().startswith(b"{") and b'"metrics"' in head,
        None,
        "it holds no requests: run k6 with --out json=FILE and import that",
    ),
    Format("jtl", "JMeter JTL (CSV)", _with_columns(b"timeStamp", b"elapsed"), lambda path, _: jtl.read_csv(path)),
    Format("jtl", "JMeter JTL (XML)", lambda head: b"<testResults" in head, lambda path, _: jtl.read_xml(path)),
    Format(
        "jtl",
        "a JMeter JTL without its header",
        lambda head: re.match(rb"\d{13}[,;\t|]\d+[,;\t|]", head) is not None,
        None,
        "set jmeter.save.saveservice.print_field_names=true, or write the names of the columns as its first line "
        "(timeStamp,elapsed,label,responseCode,...)",
    ),
    Format(
        "locust",
        "a Locust request log",
        _with_columns(b"start_time", b"response_time", b"name"),
        lambda path, _: locust.read_csv(path),
    ),
    Format(
        "locust",
        "Locust's statistics (--csv)",
        lambda head: head.startswith((b"Type,Name,Request Count", b"Timestamp,User Count", b"Method,Name,Error")),
        None,
        f"it holds rounded percentiles and no requests: {_LISTENER}",
    ),
    Format(
        "locust",
        "Locust's statistics (--json)",
        lambda head: b'"num_none_requests"' in head,
        None,
        f"it holds rounded times and no requests: {_LISTENER}",
    ),
    Format(
        "vegeta",
        "vegeta JSON",
        lambda head: head.startswith(b"{") and b'"latency":' in head and b'"timestamp":' in head,
        lambda path, _: vegeta.read_json(path),
    ),
    Format(
        "vegeta",
        "vegeta CSV",
        lambda head: re.match(rb"\d{19},\d{1,3},\d+,\d+,\d+,", head) is not None,
        lambda path, _: vegeta.read_csv(path),
    ),
    Format(
        "vegeta",
        "vegeta's binary results",
        lambda head: b"Result" in head[:64] and b"\x00" not in head[:2] and b"Attack" in head[:128],
        None,
        "convert it with: vegeta encode --to json RESULTS.bin > RESULTS.json",
    ),
)
TOOLS: Final = tuple(dict.fromkeys(one.tool for one in FORMATS))


def recognise(path: Path, tool: str) -> Format:
    """The format of a file of that tool. Raises InputError that says whose file it is, where it is another's."""
    head = read_head(path)
    found = next((one for one in FORMATS if one.looks(head)), None)
    if found is None:
        begins = head[:40].decode("utf-8", "replace")
        expected = " or ".join(one.name for one in FORMATS if one.tool == tool and one.read)
        raise InputError(f"{path} is not a file of {tool}: it begins with {begins!r}; expected {expected}")
    if found.tool != tool and found.read:
        raise InputError(f"{path} looks like {found.name}; use: savepath import {found.tool} {path}")
    return found
