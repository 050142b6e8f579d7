"""From the files of another tool to a run folder, which appears only when it is whole."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from analysis.samples import OPERATIONS
from loadgen.run_folder import RunFolder, refuse_used
from loadgen.run_info import Asked, Ledger, Origin, RunInfo
from savepath import __version__
from savepath.importing.collecting import Collected
from savepath.importing.formats import recognise
from savepath.importing.label_map import LabelMap
from savepath.importing.requests import S
from scenarios.errors import InputError

#: Files of one run follow each other or overlap; with a longer pause between them they are several runs.
PAUSE_MOST_S: Final = 60
#: The year 2000: what is older was written in another unit, as seconds for milliseconds.
EARLIEST_NS: Final = 946_684_800 * S
#: So many labels are named.
NAMED_MOST: Final = 30
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read from the files of one run."""

    tool: str
    files: tuple[Path, ...]
    format: str  # for people
    collected: Collected
    notes: tuple[str, ...]  # whole sentences


def read_files(tool: str, files: Sequence[Path], label_map: LabelMap) -> Reading:
    """Read the files of one run.

    Raises InputError for a file that is not of this tool, is broken, holds no request, or is of another run.
    """
    collected = Collected(label_map)
    notes: list[str] = []
    formats = []
    for path in files:
        found = recognise(path, tool)
        formats.append(found.name)
        before = len(collected.spans)
        try:
            collected.add(found.requests(path, notes.append))
        except OverflowError:
            raise InputError(
                f"{path} holds a time or a duration beyond the year 2262; is its unit the one {tool} writes?"
            ) from None
        if len(collected.spans) == before:
            raise InputError(f"{path} holds no HTTP request, though it looks like {found.name}")
    _one_run(files, collected)
    return Reading(tool, tuple(files), ", ".join(dict.fromkeys(formats)), collected, tuple(notes))


def make_run(reading: Reading, out: Path, label_map: LabelMap, *, labels: Mapping[str, str]) -> RunInfo:
    """Make the run folder ``out``. Raises InputError, and then leaves nothing behind."""
    refuse_used(out)
    start_ns = _start_ns(reading, label_map)
    info = _facts(reading, label_map, start_ns, name=out.resolve().name, labels=labels)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    except OSError as error:
        raise InputError(f"{out} cannot be made: {error.strerror or error}") from None
    try:
        building.chmod(0o755)
        folder = RunFolder(building)
        folder.create()
        folder.write_plan({"imported_from": reading.tool, **label_map.document.model_dump(mode="json")})
        folder.keep(reading.collected.table(start_ns))
        folder.finish(info)
        building.rename(out)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    return info


def listed(counts: Mapping[str, int], most: int = NAMED_MOST) -> str:
    """``'GET /login' 10, 'GET /' 2 and 3 more labels``."""
    shown = ", ".join(f"{label!r} {n:,}" for label, n in list(counts.items())[:most])
    return f"{shown} and {len(counts) - most:,} more labels" if len(counts) > most else shown


def _one_run(files: Sequence[Path], collected: Collected) -> None:
    """Raises InputError where a long pause shows that the files are of several runs."""
    spans = sorted(zip(collected.spans, files, strict=True), key=lambda one: one[0].first_ns)
    last_ns, last = spans[0][0].last_ns, spans[0][1]
    for span, path in spans[1:]:
        pause_s = (span.first_ns - last_ns) / S
        if pause_s > PAUSE_MOST_S:
            raise InputError(
                f"{path} begins {timedelta(seconds=round(pause_s))} after {last} ended: these are two runs; "
                "import each into a folder of its own, since a comparison counts runs, not requests"
            )
        if span.last_ns > last_ns:
            last_ns, last = span.last_ns, path


def _start_ns(reading: Reading, label_map: LabelMap) -> int:
    """Second 0: the first request of any label, and the warm-up after it. Raises InputError if nothing is left."""
    collected = reading.collected
    if not len(collected):
        raise InputError(_nothing_named(collected))
    first_ns = min(span.first_ns for span in collected.spans)
    if first_ns < EARLIEST_NS:
        raise InputError(
            f"the first request was sent at {_moment(first_ns)}; is the time in another unit than "
            f"{reading.tool} writes?"
        )
    warmup_s = label_map.document.warmup_s
    start_ns = first_ns + round(warmup_s * S)
    if max(span.last_ns for span in collected.spans) < start_ns:
        raise InputError(f"no request was sent after the warm-up of {warmup_s:g} s; give a shorter warmup_s")
    return start_ns


def _facts(
    reading: Reading, label_map: LabelMap, start_ns: int, *, name: str, labels: Mapping[str, str]
) -> RunInfo:
    collected, document = reading.collected, label_map.document
    last_ns = max(span.last_ns for span in collected.spans)
    duration_s = round(max((last_ns - start_ns) / S, 0.001), 3)
    n, digest = len(collected), label_map.digest(reading.tool)
    names = tuple(path.name for path in reading.files)
    return RunInfo(
        schema="savepath.run/1",
        id=name,
        key=hashlib.sha256(f"{digest} {start_ns} {n}".encode()).hexdigest()[:10],
        purpose=f"imported from {', '.join(names)}",
        scenario=document.name,
        target=document.target,
        plan_digest=digest,
        labels=dict(labels),
        started_at=_moment(start_ns),
        warmup_s=document.warmup_s,
        duration_s=duration_s,
        ended_s=duration_s,
        status="complete",
        offered_per_s=round(n / (duration_s + document.warmup_s), 4),
        fired=n,
        ledger=Ledger(scheduled=n, recorded=n, aborted=0, unsent=0),
        question=Asked(tolerance=0.10),
        versions={"savepath": __version__},
        origin=Origin(
            tool=reading.tool,
            files=names,
            lacks=("schedule", "generator", *(() if label_map.tells_cohorts else ("cohorts",)), "effects"),
            unmapped=_shortened(collected.unmapped),
            ignored=_shortened(collected.ignored),
            notes=(*reading.notes, *_left_out(collected)),
        ),
    )


def _left_out(collected: Collected) -> list[str]:
    """The note on the requests of labels that the map does not name."""
    unmapped = collected.unmapped
    if not unmapped:
        return []
    n = sum(unmapped.values())
    share = n / sum(collected.labels.values())
    return [
        f"{n:,} requests ({share:.1%}) are left out, since the label map does not name their labels: "
        f"{listed(unmapped, 3)}."
    ]


def _moment(ns: int) -> str:
    return (_EPOCH + timedelta(microseconds=ns // 1000)).isoformat(timespec="milliseconds")


def _shortened(counts: Mapping[str, int]) -> dict[str, int]:
    """The most frequent, and the rest in one: labels that hold an id may be as many as the requests."""
    first = dict(list(counts.items())[:NAMED_MOST])
    rest = sum(counts.values()) - sum(first.values())
    return {**first, "(other labels)": rest} if rest else first


def _nothing_named(collected: Collected) -> str:
    most = collected.labels.most_common(1)[0][0]
    return (
        f"the label map names none of the labels found: {listed(dict(collected.labels.most_common()))}; "
        f"write what they stand for into a file for --map, as labels: [{{label: {most!r}, operation: ...}}], "
        f"with an operation of {', '.join(OPERATIONS)}"
    )
