"""What lies under some folders: the runs, finished or not, and the comparisons that were made of them."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from analysis.findings import Assessment
from loadgen.run_folder import RunFolder
from loadgen.runs import looks_like_run
from reports import units
from reports.console import BAD, plain_table, printed
from reports.escaping import one_line
from reports.model import ReportMeta, ResultsError, from_json
from scenarios.errors import InputError
from targets.footprint import FOLDER as FOOTPRINTS

RESULTS: Final = "results.json"
#: Folders inside folders that are looked into; a folder of folders of runs needs two.
DEEP: Final = 5
_NEVER_ENTERED: Final = (".git", ".venv", "node_modules", "shards", FOOTPRINTS)


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run. ``status`` is also ``unfinished`` or ``unreadable``; the rest is then not known."""

    folder: Path
    status: str
    id: str = ""
    scenario: str = ""
    target: str = ""
    started_at: str = ""
    requests: int | None = None
    failures: int | None = None


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One results.json. ``verdict`` is ``unreadable`` where it cannot be read."""

    file: Path
    verdict: str
    title: str = ""
    change: str = ""
    generated_at: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """What was found, by the names of the folders."""

    runs: tuple[RunRow, ...]
    reports: tuple[ReportRow, ...]


def list_folders(paths: Sequence[Path]) -> Listing:
    """Everything under the paths. Raises InputError for one that is not there."""
    runs, reports = [], []
    for folder in _folders(paths):
        if looks_like_run(folder):
            runs.append(_run_row(folder))
        if (folder / RESULTS).is_file():
            reports.append(_report_row(folder / RESULTS))
    return Listing(tuple(runs), tuple(reports))


def read_results(file: Path) -> tuple[Assessment, ReportMeta]:
    """A stored comparison. Raises InputError, which says what is wrong with the file."""
    try:
        return from_json(file.read_bytes())
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror or error}") from None
    except ResultsError as error:
        raise InputError(f"{file}: {error}") from None


def tell_listing(listing: Listing, *, width: int = 80, color: bool = False) -> str:
    """What was found, for people; no line is wider than ``width``."""
    return printed(_parts(listing), width=width, color=color)


def listing_as_json(listing: Listing) -> str:
    """The same as JSON; what is not known is null or empty."""
    return json.dumps(dataclasses.asdict(listing), indent=1, ensure_ascii=False, default=str)


def _folders(paths: Sequence[Path]) -> Iterator[Path]:
    """The paths and the folders in them, each once; a run is not looked into."""
    seen = set()
    for path in paths:
        if not path.is_dir():
            raise InputError(f"{path} is {'a file' if path.exists() else 'not there'}; expected a folder")
        for name, inside, _ in os.walk(path):
            folder = Path(name)
            deep = len(folder.parts) - len(path.parts)
            inside[:] = sorted(one for one in inside if one not in _NEVER_ENTERED and deep < DEEP)
            if looks_like_run(folder):
                inside.clear()
            if folder.resolve() not in seen:
                seen.add(folder.resolve())
                yield folder


def _run_row(path: Path) -> RunRow:
    folder = RunFolder(path)
    if not (path / "run.json").is_file():
        return RunRow(path, "unfinished")
    try:
        info, slices = folder.read(), folder.read_slices()
    except InputError:
        return RunRow(path, "unreadable")
    counts = (int(slices[name].sum()) for name in ("requests", "failures"))
    return RunRow(path, info.status, info.id, info.scenario, info.target, info.started_at, *counts)


def _report_row(file: Path) -> ReportRow:
    try:
        assessment, meta = read_results(file)
    except InputError:
        return ReportRow(file, "unreadable")
    return ReportRow(file, assessment.verdict.value, meta.title, meta.change or "", meta.generated_at)


def _parts(listing: Listing) -> Iterator[RenderableType]:
    if listing.runs:
        yield _runs_table(listing.runs)
    if listing.runs and listing.reports:
        yield ""
    if listing.reports:
        yield _reports_table(listing.reports)
    if not listing.runs and not listing.reports:
        yield Text("no run and no results.json in there")


def _runs_table(runs: Iterable[RunRow]) -> Table:
    table = plain_table(gap=1)
    for name in ("run", "scenario", "target"):
        table.add_column(name, overflow="fold")
    table.add_column("started (UTC)", no_wrap=True)
    table.add_column("status", no_wrap=True)
    for name in ("requests", "failed"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in runs:
        table.add_row(
            Text(one_line(str(row.folder))),
            Text(one_line(row.scenario)),
            Text(one_line(row.target)),
            units.moment(row.started_at).removesuffix(" UTC"),
            Text(row.status, style="" if row.status == "complete" else BAD),
            *("" if number is None else units.count(number) for number in (row.requests, row.failures)),
        )
    return table


def _reports_table(reports: Iterable[ReportRow]) -> Table:
    table = plain_table()
    table.add_column("comparison", overflow="fold")
    table.add_column("verdict", no_wrap=True)
    table.add_column("made (UTC)", no_wrap=True)
    table.add_column("title", overflow="fold")
    for row in reports:
        made = units.moment(row.generated_at).removesuffix(" UTC")
        title = one_line(" ".join(part for part in (row.change, row.title) if part))
        table.add_row(Text(one_line(str(row.file))), row.verdict, made, Text(title))
    return table
