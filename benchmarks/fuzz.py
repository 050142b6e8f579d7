"""Broken input in bulk: every reader of files gets what was whole, broken, and may say only what is for users.

``python -m benchmarks fuzz [--inputs N] [--readers NAME ...] [--write]``

100,000 inputs a reader, guided by coverage (``benchmarks.fuzz_guided``), each reader in a process of its own. What
was tried is kept in ``benchmarks/out/fuzz``, so that a bench that was ended goes on where it was. Anything but the
errors of the house is a traceback; an input that takes ``HANG_S`` hangs, and ends its process, as more than
``MEMORY_MB`` do. ``--write`` puts the table into docs/security.md.
"""

from __future__ import annotations

import argparse
import base64
import random
import resource
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.fuzz_inputs import mutate_bytes, mutate_values
from benchmarks.fuzz_readers import OF_THE_HOUSE, Reader, readers
from benchmarks.records import ROOT, put_table, read_record, record_of, write_record

INPUTS = 100_000
HANG_S = 30  # of a clock on the wall, on a machine that others use too
MEMORY_MB = 500
#: Exit codes of a guided process that broke off by itself (Python's, and libFuzzer's for a signal).
NO_FINDING = (1, 72)


@dataclass
class Found:
    """What came of the inputs of a reader, over all processes that tried it."""

    inputs: int = 0
    refused: int = 0  # with an error of the house
    hangs: int = 0
    memory_mb: float = 0.0
    seconds: float = 0.0
    tracebacks: dict[str, int] = field(default_factory=dict)  # by place
    examples: dict[str, str] = field(default_factory=dict)  # by place, in Base64


def feed(reader: Reader, data: bytes, found: Found) -> None:
    """Give the reader one input, and note what it said."""
    found.inputs += 1
    try:
        reader.read(data)
    except OF_THE_HOUSE:
        found.refused += 1
    except Exception as error:
        place = _place_of(error)
        found.tracebacks[place] = found.tracebacks.get(place, 0) + 1
        found.examples.setdefault(place, base64.b64encode(data).decode())


def _place_of(error: Exception) -> str:
    """The last line of our own that the error went through."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [one for one in frames if one.filename.startswith(str(ROOT)) and "benchmarks" not in one.filename]
    last = (ours or list(frames))[-1]
    return f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}"


def inputs_of(reader: Reader, rng: random.Random) -> Iterator[bytes]:
    """Inputs without end and without a guide: some with bytes changed, some with values, where there are any."""
    while True:
        values = mutate_values(rng, rng.choice(reader.seeds), reader.kind) if reader.kind else None
        yield mutate_bytes(rng, reader.seeds, reader.kind) if values is None or rng.random() < 0.4 else values


def memory_mb() -> float:
    """The most that this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


# -- the bench -----------------------------------------------------------------------------------------


def measure(options: Sequence[str] = ()) -> list[dict[str, object]]:
    """Three rows a reader: inputs, tracebacks and hangs, memory."""
    with tempfile.TemporaryDirectory(prefix="savepath-fuzz-") as room:
        names = [reader.name for reader in readers(Path(room))]
    parser = argparse.ArgumentParser(prog="python -m benchmarks fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=INPUTS, help="of each reader")
    parser.add_argument("--readers", nargs="+", default=names, choices=names, metavar="NAME", help="only these")
    parser.add_argument("--write", action="store_true", help="into docs/security.md")
    asked = parser.parse_args(options)
    for name in asked.readers:
        if read_record(record_of("fuzz", name), Found()).inputs < asked.inputs:
            _guide(name, asked.inputs)
    found = {name: read_record(record_of("fuzz", name), Found()) for name in names}
    if asked.write:
        put_table("make bench-fuzz", markdown(found))
    return [row for name, one in found.items() for row in _rows(name, one)]


def markdown(found: Mapping[str, Found]) -> str:
    """The table, a line for each reader that had inputs."""
    lines = [
        f"| {name} | {one.inputs:,} | {one.refused:,} | {sum(one.tracebacks.values())} | {one.hangs} "
        f"| {one.memory_mb:.0f} | {one.seconds / 60:.0f} |"
        for name, one in found.items()
        if one.inputs
    ]
    head = "| reader | inputs | refused | tracebacks | hangs | most memory, MB | minutes |"
    return "\n".join([head, "|---|---:|---:|---:|---:|---:|---:|", *lines])


def _guide(name: str, wanted: int) -> None:
    """Fuzz one reader up to that many inputs. A process that an input ended is a hang; the next one goes on."""
    command = [sys.executable, "-m", "benchmarks.fuzz_guided", name, str(wanted)]
    done = subprocess.run(command, capture_output=True, text=True)
    found = read_record(record_of("fuzz", name), Found())
    if done.returncode in NO_FINDING:
        raise SystemExit(f"{name}: {done.stderr[-2000:]}\nwhere atheris is missing, make bench-fuzz installs it")
    if done.returncode:
        print(f"{name}: {done.stderr[-3000:]}", file=sys.stderr)
        found.hangs += 1
        write_record(record_of("fuzz", name), found)
    print(f"{name}: {found.inputs:,} inputs in {found.seconds:.0f} s", file=sys.stderr, flush=True)


def _rows(name: str, found: Found) -> Iterator[dict[str, object]]:
    for place, number in found.tracebacks.items():
        example = base64.b64decode(found.examples[place])[:200]
        print(f"{name}: {number} x {place}: {example!r}", file=sys.stderr)
    wrong = sum(found.tracebacks.values()) + found.hangs
    tried = f"{name}: inputs (refused {found.refused:,})"
    yield _row(tried, found.inputs, f">= {INPUTS:,}", found.inputs >= INPUTS)
    yield _row("  tracebacks and hangs", wrong, "0", wrong == 0)
    yield _row("  memory, MB", found.memory_mb, f"< {MEMORY_MB}", found.memory_mb < MEMORY_MB)


def _row(figure: str, value: float, goal: str, reached: bool) -> dict[str, object]:
    return {"figure": figure, "value": value, "low": value, "high": value, "goal": goal, "reached": reached}
