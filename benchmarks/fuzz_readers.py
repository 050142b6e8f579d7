"""Every reader of what others may have written, and whole inputs to begin with.

Each takes bytes, so that one way of breaking them serves all; where a reader wants a file, it gets one.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from analysis.samples import SAMPLE_COLUMNS
from analysis.window.blocks import fold_block
from benchmarks.fuzz_inputs import Kind
from casedesk.disk import parse_profile
from casedesk.problems import ProfileError
from loadgen.run_folder import RunFolder
from loadgen.shards import ShardWriter, read_shard
from reports.model import ResultsError, from_json, to_json
from savepath.comparing import Sides, compare_runs
from savepath.importing.folder import read_files
from savepath.importing.label_map import own_names, parse_label_map
from savepath.watching.agreed import Agreed, read_agreed
from savepath.watching.history import History
from savepath.watching.journal import UNREADABLE
from savepath.watching.remote import read_status
from savepath.watching.state import Watching, make_state, open_state, read_baseline
from savepath.watching.status import judge, status_of
from savepath.watching.view import watched_of
from scenarios.errors import SavepathError
from scenarios.library import parse_scenario
from scenarios.recording import read_recording
from targets.footprint import Footprint, Heading, Made, Making, Tokens, read_footprint
from targets.mapping import parse_target
from tests.run_examples import driven

#: What a reader may raise; anything else would be a traceback.
OF_THE_HOUSE = (SavepathError, ProfileError, ResultsError)
ROOT = Path(__file__).parent.parent
LABELS = ROOT / "tests" / "imported" / "cases.yaml"
RECORDING = b"at_s,operation,cohort\n0.25,read_case,large\n0.31,save_custom,\n1.5,,small\n2,,\n"
ASKED = {"large": {"read_case", "save_custom"}, "small": {"read_case"}}
#: When the service of a watch answered, Unix time.
ANSWERED_S = 3600.0
Take = Callable[[bytes], object]


@dataclass
class Reader:
    """Something that reads: whole inputs to begin with, and what takes one input in."""

    name: str
    seeds: Sequence[bytes]
    read: Take
    kind: Kind = ""


def readers(room: Path) -> list[Reader]:
    """All of them, those that issue from other hands first; ``room`` is for files of theirs."""
    run = driven(room / "run")
    mappings = [one for one in _examples() if one.startswith(b"operations:") or b"\noperations:" in one]
    names = own_names()
    return [
        Reader("scenario", _shipped("scenarios"), _text(lambda text: parse_scenario(text, "s.yaml")), "yaml"),
        Reader("target", mappings, _text(lambda text: parse_target(text, "t.yaml")), "yaml"),
        Reader("disk profile", _shipped("casedesk", "disks"),
               _text(lambda text: parse_profile(text, where="d.yaml")), "yaml"),
        Reader("results.json", [_results(room, run)], from_json, "json"),
        Reader("shard", [_shard(room)], _file(room / "s.arrow", lambda path: read_shard(path, SAMPLE_COLUMNS))),
        Reader("samples.parquet", *_table_of(run, "samples", RunFolder.read_samples)),
        Reader("slices.parquet", *_table_of(run, "slices", RunFolder.read_slices)),
        Reader("effects.parquet", *_table_of(run, "effects", RunFolder.read_effects)),
        *(
            Reader(f"import {tool} {form}".rstrip(), [whole],
                   _file(room / f"{tool}.txt", lambda path, tool=tool: read_files(tool, [path], names)),
                   "lines" if form == "json" else "")
            for tool, form, whole in _imports()
        ),
        Reader("label map", [LABELS.read_bytes()], _text(lambda text: parse_label_map(text, "l.yaml")), "yaml"),
        Reader("recording", [RECORDING],
               _file(room / "r.csv", lambda path: read_recording(path, ASKED, from_s=0))),
        Reader("run.json", [(run / "run.json").read_bytes()],
               _in_place(run / "run.json", lambda: RunFolder(run).read()), "json"),
        Reader("footprint", [_footprint(room)], _file(room / "f.jsonl", read_footprint), "lines"),
        *_of_a_watch(room / "watch", run),
    ]  # fmt: skip


def _shipped(package: str, *folder: str) -> list[bytes]:
    there = files(package).joinpath(*folder)
    return [one.read_bytes() for one in there.iterdir() if one.name.endswith(".yaml")]


def _examples() -> list[bytes]:
    """The YAML of the documentation: small, and it shows every key."""
    pages = [page.read_text() for page in sorted((ROOT / "docs").glob("*.md"))]
    return [block.encode() for page in pages for block in re.findall(r"^```yaml\n(.*?)^```", page, re.M | re.S)]


def _text(parse: Callable[[str], object]) -> Take:
    return lambda data: parse(data.decode("utf-8", "replace"))


def _file(path: Path, read: Callable[[Path], object]) -> Take:
    def take(data: bytes) -> object:
        path.write_bytes(data)
        return read(path)

    return take


def _in_place(path: Path, read: Callable[[], object]) -> Take:
    """Reads what stands around ``path`` with the input in its place."""
    whole = path.read_bytes()

    def take(data: bytes) -> object:
        path.write_bytes(data)
        try:
            return read()
        finally:
            path.write_bytes(whole)

    return take


def _table_of(run: Path, name: str, read: Callable[[RunFolder], object]) -> tuple[list[bytes], Take]:
    file = run / f"{name}.parquet"
    return [file.read_bytes()], _in_place(file, lambda: read(RunFolder(run)))


def _of_a_watch(state: Path, run: Path) -> list[Reader]:
    """The three files of a watch that decided twice, and what its service answers the gate."""
    slices = RunFolder(run).read_slices()
    blocks = [fold_block(slices, 300.0 * number, 300.0) for number in range(12)]
    terms = {"block_s": 300, "settle_s": 600, "begun_s": 3000, "lasts_s": 9000, "tolerance": 0.1, "source": "runs"}
    agreed = Agreed.model_validate(terms)
    make_state(state, agreed, blocks[:10])
    watching = open_state(state)
    for block in blocks[10:]:
        watching.decide(block, "run", 0.0)
    baseline = watching.baseline

    def journal() -> None:
        with suppress(SavepathError):
            history = History(state)
            with suppress(*UNREADABLE):
                watched_of(history, 9000.0)
        Watching(state, agreed, baseline)

    files_of: dict[str, tuple[Kind, Callable[[], object]]] = {
        "watch.json": ("json", lambda: read_agreed(state).terms),
        "baseline.jsonl": ("lines", lambda: read_baseline(state, agreed)),
        "decisions.jsonl": ("lines", journal),
    }
    answer = status_of(History(state), ANSWERED_S).model_dump_json(by_alias=True).encode()
    return [
        *(
            Reader(f"watch {name}", [(state / name).read_bytes()], _in_place(state / name, read), kind)
            for name, (kind, read) in files_of.items()
        ),
        Reader("watch status.json", [answer], _gate, "json"),
    ]


def _gate(answer: bytes) -> bytes:
    """What ``savepath gate --url`` prints."""
    return judge(read_status(answer, "http://watch", ANSWERED_S), ANSWERED_S).line.encode()


def _results(room: Path, run: Path) -> bytes:
    """Of each list two: more of the same leads nowhere new, and most of the time went into reading it."""
    assessment, meta = compare_runs(Sides(before=[run], after=[driven(room / "other")]))
    return json.dumps(_two_of_each(json.loads(to_json(assessment, meta=meta)))).encode()


def _two_of_each(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _two_of_each(value) for key, value in tree.items()}
    return [_two_of_each(value) for value in tree[:2]] if isinstance(tree, list) else tree


def _shard(room: Path) -> bytes:
    path = room / "whole.arrow"
    writer = ShardWriter(path, SAMPLE_COLUMNS)
    row = (1, 0, "", "t", 0, "read_case", 0.1, 0.1, 0.2, 200, "ok", "", 10, 10)
    for _ in range(4):
        writer.append([row] * 5)
    writer.close()
    return path.read_bytes()


def _footprint(room: Path) -> bytes:
    footprint = Footprint(
        room, "whole", Heading(scenario="s", tenants=("t",), mapping="t.yaml", address="http://a")
    )
    footprint.announce(Tokens(run_key="0123456789", tenants={"t": {"id": "1"}}))
    footprint.announce(Making(kind="case", tenant="t", number=2, there=("1",)))
    footprint.note(Made(kind="case", tenant="t", id="7"))
    footprint.close()
    assert footprint.path is not None
    return footprint.path.read_bytes()


def _imports() -> Iterator[tuple[str, str, bytes]]:
    """Tool, form and a few lines of its results."""
    folder = ROOT / "tests" / "imported"
    for tool, form, name in (("k6", "json", "k6-before-1.json.gz"), ("k6", "csv", "k6.csv.gz"),
                             ("locust", "csv", "locust-before-1.csv.gz")):  # fmt: skip
        yield tool, form, b"\n".join(gzip.decompress((folder / name).read_bytes()).split(b"\n")[:12]) + b"\n"
    head = b"timeStamp,elapsed,label,responseCode,success,bytes,sentBytes\n"
    yield "jtl", "csv", head + b"".join(b"17639%05d000,%d,save,200,true,90,300\n" % (n, 9 + n) for n in range(8))
    one = b'<httpSample t="%d" ts="17639%05d000" s="true" lb="save" rc="200" by="90" sby="300"/>\n'
    head = b'<?xml version="1.0"?>\n<testResults version="1.2">\n'
    yield "jtl", "xml", head + b"".join(one % (9 + n, n) for n in range(8)) + b"</testResults>\n"
    one = (
        b'{"attack":"save","seq":%d,"code":200,"timestamp":"2026-11-23T19:00:%02d.5Z","latency":%d,'
        b'"bytes_out":1,"bytes_in":2,"error":""}\n'
    )
    yield "vegeta", "json", b"".join(one % (n, n, 10_000_000 + n) for n in range(8))
    one = b"17639%014d,200,%d,1,2,,aGk=,save,%d,GET,http://127.0.0.1/,\n"
    yield "vegeta", "csv", b"".join(one % (n, 10_000_000 + n, n) for n in range(8))
