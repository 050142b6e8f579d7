"""What a long bench found so far, kept in ``benchmarks/out``, so that one that was ended goes on where it was."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

OUT = Path(__file__).parent / "out"
ROOT = OUT.parent.parent
FoundT = TypeVar("FoundT")


def record_of(bench: str, name: str) -> Path:
    """The file that holds what a bench found of one of its subjects."""
    return OUT / bench / f"{re.sub('[^a-z0-9]+', '-', name)}.json"


def read_record(path: Path, empty: FoundT) -> FoundT:
    """What was found so far, or ``empty``, a dataclass that was filled from nothing."""
    try:
        return type(empty)(**json.loads(path.read_text()))
    except FileNotFoundError:
        return empty


def write_record(path: Path, found: Any) -> None:
    """Keep what was found, by rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".tmp").write_text(json.dumps(asdict(found)))
    path.with_suffix(".tmp").replace(path)


def put_table(command: str, table: str, document: Path = ROOT / "docs" / "security.md") -> None:
    """Put what a command measured between its two comments in the document."""
    begin, end = f"<!-- made by `{command}` -->", f"<!-- end of what `{command}` made -->"
    head, found, rest = document.read_text(encoding="utf-8").partition(begin)
    _, closed, tail = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{document}: expected the lines {begin} and {end}")
    document.write_text(f"{head}{begin}\n\n{table}\n\n{end}{tail}", encoding="utf-8")
