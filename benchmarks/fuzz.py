"""Broken input in bulk: every reader of files gets what was whole, mutated, and may say only what is for users.

``FUZZ_S`` seconds a reader (30), seed 8; what was tried is counted. A mutation changes bytes (flipped, cut,
repeated, spliced with another file) or, of YAML and JSON, a value of the tree (another type, a huge number, deep
nesting, text of every alphabet, a key too many or too few). It is no coverage-guided fuzzing. Anything but the
errors of the house is a traceback; an input that takes ``HANG_S`` hangs; memory is that of a process a reader.
"""

from __future__ import annotations

import copy
import gzip
import json
import os
import pickle
import random
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from casedesk.disk import parse_profile
from casedesk.problems import ProfileError
from loadgen.run_folder import RunFolder
from loadgen.shards import read_shard
from reports.model import ResultsError, from_json
from savepath.importing.folder import read_files
from savepath.importing.label_map import own_names, parse_label_map
from scenarios.errors import SavepathError
from scenarios.library import parse_scenario
from targets.footprint import Footprint, Heading, Made, Making, Tokens, read_footprint
from targets.mapping import parse_target
from tests.run_examples import driven

LASTS_S = 30.0
HANG_S = 10
SEED = 8
MEMORY_MB = 500
OF_THE_HOUSE = (SavepathError, ProfileError, ResultsError)
ROOT = Path(__file__).parent.parent

Mutate = Callable[[random.Random, Sequence[bytes]], bytes]


@dataclass
class Reader:
    """Something that reads: whole inputs to begin with, and what takes one input in."""

    name: str
    seeds: list[bytes]
    read: Callable[[bytes], object]
    tree: str = ""  # yaml, json or lines of json, where its inputs are one


@dataclass
class Found:
    """What came of the inputs of a reader."""

    inputs: int = 0
    refused: int = 0  # with an error of the house
    hangs: int = 0
    memory_mb: float = 0.0
    tracebacks: Counter[str] = field(default_factory=Counter)  # by place
    examples: dict[str, bytes] = field(default_factory=dict)


class _Hang(BaseException):
    """An input took too long; no reader catches it."""


# -- mutations -----------------------------------------------------------------------------------------

NASTY: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 10**30, -(2**63), 2**64, 0.5, -0.0, 1e308, float("inf"), float("nan"), "", " ",
    "\x00", "x" * 5000, "1e999", "NaN", "null", "a\nb", "\u202e\U0001f4a5é", "{{ save.id }}", "{{ 9**9**9 }}",
    "{{", "%s%n", "../../etc/passwd", "http://[", "2026-13-45T99:99", [], {}, [[]], {"": ""}, [None] * 50,
)  # fmt: skip
WORDS = (
    b"1e999", b"NaN", b"\xff\xfe", b"\x00", b"[" * 200, b"{" * 200, b"&a *a", b"<<: ", b"!!binary ", b"\r\n",
    b"99999999999999999999", b"!!python/object/apply:os.system [ls]",
)  # fmt: skip


def mutate_bytes(rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """A few changes of the bytes of one of the inputs."""
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        place = rng.randrange(len(data) + 1)
        length = rng.choice((1, 2, 8, 64))
        match rng.randrange(6):
            case 0 if data:
                data[place % len(data)] ^= 1 << rng.randrange(8)
            case 1:
                del data[place : place + length]
            case 2:
                data[place:place] = data[place : place + length] * rng.choice((1, 2, 50))
            case 3:
                data[place:place] = rng.choice(WORDS)
            case 4:
                other = rng.choice(seeds)
                begin = rng.randrange(len(other) + 1)
                data[place:] = other[begin:]
            case _:
                data[place : place + length] = rng.randbytes(length)
    return bytes(data)


def mutate_tree(rng: random.Random, tree: Any) -> Any:
    """A few values of the tree replaced, added or taken away."""
    tree = copy.deepcopy(tree)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        places = list(_places(tree))
        if not places:
            return rng.choice(NASTY)
        holder, key = rng.choice(places)
        match rng.randrange(5):
            case 0:
                del holder[key]
            case 1 if isinstance(holder, dict):
                holder[rng.choice(("surplus", "", "a b", "name", "é"))] = rng.choice(NASTY)
            case 2:
                donor, other = rng.choice(places)
                holder[key] = copy.deepcopy(donor[other])
            case 3:
                deep: Any = rng.choice(NASTY)
                for _ in range(rng.choice((3, 70, 400))):
                    deep = [deep] if rng.random() < 0.5 else {"a": deep}
                holder[key] = deep
            case _:
                holder[key] = copy.deepcopy(rng.choice(NASTY))
    return tree


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Everything in a tree: what holds it, and its key there."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield tree, key
        yield from _places(value)


def inputs_of(reader: Reader, rng: random.Random) -> Iterator[bytes]:
    """Inputs without end: half of them with bytes changed, half with values, where there are any."""
    loaded = [load(seed, reader.tree) for seed in reader.seeds] if reader.tree else []
    while True:
        if not loaded or rng.random() < 0.4:
            yield mutate_bytes(rng, reader.seeds)
            continue
        try:
            yield dump(mutate_tree(rng, rng.choice(loaded)), reader.tree)
        except (RecursionError, ValueError, TypeError, yaml.YAMLError):
            continue  # no such text can be written


def load(data: bytes, kind: str) -> Any:
    if kind == "yaml":
        return yaml.safe_load(data)
    return [json.loads(line) for line in data.splitlines()] if kind == "lines" else json.loads(data)


def dump(tree: Any, kind: str) -> bytes:
    if kind == "yaml":
        return yaml.safe_dump(tree, allow_unicode=True, sort_keys=False).encode("utf-8", "surrogatepass")
    lines = tree if kind == "lines" and isinstance(tree, list) else [tree]
    return b"\n".join(json.dumps(line).encode() for line in lines) + b"\n"


# -- readers -------------------------------------------------------------------------------------------


def readers(room: Path) -> list[Reader]:
    """Every reader of what others may have written; ``room`` is for files of theirs."""
    shipped = {package: [one.read_bytes() for one in files(package).iterdir() if one.name.endswith(".yaml")]
               for package in ("scenarios", "targets")}  # fmt: skip
    pages = [page.read_text() for page in (ROOT / "docs").glob("writing-*.md")]
    examples = [
        block.encode() for page in pages for block in re.findall(r"^```yaml\n(.*?)^```", page, re.M | re.S)
    ]
    shipped["targets"] = [one for one in examples if b"\noperations:" in one] + shipped["targets"][:1]
    disks = [one.read_bytes() for one in (files("casedesk") / "disks").iterdir() if one.name.endswith(".yaml")]
    run = driven(room / "run")
    return [
        Reader("scenario", shipped["scenarios"], _text(lambda text: parse_scenario(text, "s.yaml")), "yaml"),
        Reader("target", shipped["targets"], _text(lambda text: parse_target(text, "t.yaml")), "yaml"),
        Reader("disk profile", disks, _text(lambda text: parse_profile(text, where="d.yaml")), "yaml"),
        Reader("label map", [(ROOT / "tests/imported/cases.yaml").read_bytes()], _text(_label_map), "yaml"),
        Reader("results.json", [_results(room, run)], from_json, "json"),
        Reader("run.json", [(run / "run.json").read_bytes()], _in_run(run, "run.json", RunFolder.read), "json"),
        Reader("samples.parquet", [(run / "samples.parquet").read_bytes()],
               _in_run(run, "samples.parquet", RunFolder.read_samples)),
        Reader("slices.parquet", [(run / "slices.parquet").read_bytes()],
               _in_run(run, "slices.parquet", RunFolder.read_slices)),
        Reader("shard", [_shard(room)], _shard_reader(room)),
        Reader("footprint", [_footprint(room)], _file(room / "f.jsonl", read_footprint), "lines"),
        *(Reader(f"import {tool}", seeds, _importer(room, tool)) for tool, seeds in _imports().items()),
    ]  # fmt: skip


def _text(parse: Callable[[str], object]) -> Callable[[bytes], object]:
    return lambda data: parse(data.decode("utf-8", "replace"))


def _label_map(text: str) -> object:
    return parse_label_map(text, "labels.yaml")


def _file(path: Path, read: Callable[[Path], object]) -> Callable[[bytes], object]:
    def take(data: bytes) -> object:
        path.write_bytes(data)
        return read(path)

    return take


def _in_run(run: Path, name: str, read: Callable[[RunFolder], object]) -> Callable[[bytes], object]:
    def take(data: bytes) -> object:
        whole = (run / name).read_bytes()
        (run / name).write_bytes(data)
        try:
            return read(RunFolder(run))
        finally:
            (run / name).write_bytes(whole)

    return take


def _results(room: Path, run: Path) -> bytes:
    from reports.model import to_json
    from savepath.comparing import Sides, compare_runs

    assessment, meta = compare_runs(Sides(before=[run], after=[driven(room / "other")]))
    return to_json(assessment, meta=meta)


def _shard(room: Path) -> bytes:
    from analysis.samples import SAMPLE_COLUMNS
    from loadgen.shards import ShardWriter

    path = room / "whole.arrow"
    writer = ShardWriter(path, SAMPLE_COLUMNS)
    row = (1, 0, "", "t", 0, "read_case", 0.1, 0.1, 0.2, 200, "ok", "", 10, 10)
    for _ in range(4):
        writer.append([row] * 5)
    writer.close()
    return path.read_bytes()


def _shard_reader(room: Path) -> Callable[[bytes], object]:
    from analysis.samples import SAMPLE_COLUMNS

    return _file(room / "shard.arrow", lambda path: read_shard(path, SAMPLE_COLUMNS))


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


def _imports() -> dict[str, list[bytes]]:
    """A few lines of the results of each tool."""
    folder = ROOT / "tests" / "imported"

    def few(name: str) -> bytes:
        return b"\n".join(gzip.decompress((folder / name).read_bytes()).split(b"\n")[:30]) + b"\n"

    jtl = b"timeStamp,elapsed,label,responseCode,success,bytes,sentBytes\n" + b"".join(
        b"17639%05d000,%d,save,200,true,90,300\n" % (number, 10 + number) for number in range(20)
    )
    xml = b'<?xml version="1.0"?>\n<testResults version="1.2">\n' + b"".join(
        b'<httpSample t="%d" ts="17639%05d000" s="true" lb="save" rc="200" by="90" sby="300"/>\n' % (9 + n, n)
        for n in range(20)
    ) + b"</testResults>\n"  # fmt: skip
    vegeta = b"".join(
        b'{"attack":"save","seq":%d,"code":200,"timestamp":"2026-11-23T19:00:%02d.5Z","latency":%d,'
        b'"bytes_out":1,"bytes_in":2,"error":""}\n' % (n, n, 10_000_000 + n)
        for n in range(20)
    )
    return {
        "k6": [few("k6-before-1.json.gz"), few("k6.csv.gz")],
        "locust": [few("locust-before-1.csv.gz")],
        "jtl": [jtl, xml],
        "vegeta": [vegeta],
    }


def _importer(room: Path, tool: str) -> Callable[[bytes], object]:
    names = own_names()
    return _file(room / f"{tool}.txt", lambda path: read_files(tool, [path], names))


# -- fuzzing -------------------------------------------------------------------------------------------


def fuzz(reader: Reader, rng: random.Random, *, seconds: float, at_most: int = sys.maxsize) -> Found:
    """Feed the reader in a process of its own."""
    with tempfile.TemporaryFile() as told:
        pid = os.fork()
        if pid == 0:
            try:
                pickle.dump(_fuzz(reader, rng, seconds, at_most), told)
                told.flush()
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(0)
        _, status = os.waitpid(pid, 0)
        told.seek(0)
        try:
            found = pickle.load(told)
        except EOFError:
            return Found(tracebacks=Counter({f"the process died ({status})": 1}))
        assert isinstance(found, Found)
        return found


def _fuzz(reader: Reader, rng: random.Random, seconds: float, at_most: int) -> Found:
    found, until = Found(), time.monotonic() + seconds
    signal.signal(signal.SIGALRM, _give_up)
    for seed in reader.seeds:
        reader.read(seed)  # what is whole is read
    for data in inputs_of(reader, rng):
        if time.monotonic() > until or found.inputs >= at_most:
            break
        found.inputs += 1
        signal.alarm(HANG_S)
        try:
            reader.read(data)
        except OF_THE_HOUSE:
            found.refused += 1
        except _Hang:
            found.hangs += 1
            found.examples["hang"] = data
        except BaseException as error:
            frames = traceback.extract_tb(error.__traceback__)
            ours = [
                frame for frame in frames if str(ROOT) in frame.filename and "benchmarks" not in frame.filename
            ]
            last = ours[-1] if ours else frames[-1]
            place = f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}"
            found.tracebacks[place] += 1
            found.examples.setdefault(place, data)
        finally:
            signal.alarm(0)
    found.memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return found


def _give_up(number: int, frame: object) -> None:
    raise _Hang


def measure() -> list[dict[str, object]]:
    seconds = float(os.environ.get("FUZZ_S", LASTS_S))
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory(prefix="savepath-fuzz-") as room:
        for reader in readers(Path(room)):
            found = fuzz(reader, random.Random(f"{SEED} {reader.name}"), seconds=seconds)
            for place, number in found.tracebacks.items():
                example = found.examples.get(place, b"")[:300]
                print(f"{reader.name}: {number} x {place}: {example!r}", file=sys.stderr)
            if found.hangs:
                print(f"{reader.name}: hangs: {found.examples['hang'][:300]!r}", file=sys.stderr)
            rows.append(_row(f"{reader.name}: inputs (refused {found.refused:,})", found.inputs, "", None))
            wrong = sum(found.tracebacks.values()) + found.hangs
            rows.append(_row("  tracebacks and hangs", wrong, "0", wrong == 0))
            rows.append(_row("  memory, MB", found.memory_mb, f"< {MEMORY_MB}", found.memory_mb < MEMORY_MB))
    return rows


def _row(figure: str, value: float, goal: str, reached: bool | None) -> dict[str, object]:
    return {"figure": figure, "value": value, "low": value, "high": value, "goal": goal, "reached": reached}
