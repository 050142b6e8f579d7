"""``python -m benchmarks.fuzz_guided READER INPUTS``: one reader under atheris, up to so many inputs in all.

What an input newly reaches in the code of the house decides what is broken next. libFuzzer ends
the process at an input that hangs or fills the memory; a traceback is noted, and it goes on. The corpus is kept
beside the record, and the next process begins with it.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from pathlib import Path

import atheris

INSTRUMENTED = ["analysis", "casedesk", "loadgen", "reports", "savepath", "scenarios", "targets"]
EVERY = 1000  # inputs between two records
LONGEST = 6000  # bytes, where no whole input is half as long

with atheris.instrument_imports(include=INSTRUMENTED):
    from benchmarks.fuzz import HANG_S, MEMORY_MB, Found, feed, memory_mb
    from benchmarks.fuzz_inputs import mutate_bytes, mutate_values
    from benchmarks.fuzz_readers import Reader, readers
    from benchmarks.records import read_record, record_of, write_record


def guide(reader: Reader, wanted: int) -> None:
    """Fuzz until the record says that many inputs; does not return."""
    record = record_of("fuzz", reader.name)
    found, begun = read_record(record, Found()), time.monotonic()
    corpus = record.with_suffix("")
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(reader.seeds):
        reader.read(seed)  # what is whole is read
        (corpus / f"seed-{number}").write_bytes(seed)
    spent = found.seconds

    def take(data: bytes) -> None:
        feed(reader, data, found)
        if found.inputs % EVERY == 0 or found.inputs >= wanted:
            found.memory_mb = max(found.memory_mb, memory_mb())
            found.seconds = spent + time.monotonic() - begun
            write_record(record, found)
        if found.inputs >= wanted:
            os._exit(0)

    def mutate(data: bytes, longest: int, seed: int) -> bytes:
        rng = random.Random(seed)
        chance = rng.random()
        if reader.kind and chance < 0.4 and (values := mutate_values(rng, data, reader.kind)) is not None:
            return values[:longest]
        if chance < 0.7:
            return mutate_bytes(rng, [data, *reader.seeds], reader.kind)[:longest]
        return bytes(atheris.Mutate(data, longest))

    longest = max(LONGEST, *(2 * len(seed) for seed in reader.seeds))
    limits = {"max_len": longest, "timeout": HANG_S, "rss_limit_mb": MEMORY_MB, "seed": found.inputs + 8}
    flags = [f"-{name}={value}" for name, value in {**limits, "artifact_prefix": f"{corpus}-"}.items()]
    atheris.Setup([sys.argv[0], *flags, str(corpus)], take, custom_mutator=mutate)
    atheris.Fuzz()


def main(name: str, wanted: int) -> None:
    with tempfile.TemporaryDirectory(prefix="savepath-fuzz-") as room:
        with atheris.instrument_imports(include=INSTRUMENTED):
            known = {reader.name: reader for reader in readers(Path(room))}
        guide(known[name], wanted)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
