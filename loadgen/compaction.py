"""Compaction: what the workers appended to their shards becomes the tables of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from analysis.samples import EFFECT_COLUMNS, SAMPLE_COLUMNS
from loadgen.shards import by_seq, shard_schema
from loadgen.tables import (
    call_foreign,
    compress_effects,
    compress_samples,
    fold_samples,
    look_for_outages,
    pick_notable,
    write_notable,
    write_outages,
    write_slices,
)

#: Arrivals whose rows are compacted at a time, so that the memory it takes does not grow with the run.
COMPACTED_AT_ONCE: Final = 500_000


def compact(folder: Path, shards: Path, strays: Collection[int]) -> dict[str, int]:
    """Shards to ``samples.parquet`` and ``effects.parquet``, sorted by arrival; the samples to slices.

    The slices are folded from the samples as they are stored, so that whoever folds them again finds
    the same numbers. ``strays`` are saves whose values one worker has seen in a case of its own and another
    has called lost: these are foreign. Returns how many there were in each arm.
    """
    _write(folder, "samples", _rows(shards, "samples", SAMPLE_COLUMNS), compress_samples)
    moved: Counter[str] = Counter()

    def put_right(pieces: Iterable[pa.Table]) -> Iterator[pa.Table]:
        for piece in pieces:
            effects, number = call_foreign(piece, strays)
            moved.update(number)
            yield effects

    _write(folder, "effects", put_right(_rows(shards, "effects", EFFECT_COLUMNS)), compress_effects)
    _write_slices(folder)
    return dict(moved)


def keep(folder: Path, samples: pa.Table) -> None:
    """The tables of a run that has samples and no effects."""
    _write(folder, "samples", [samples], compress_samples)
    _write(folder, "effects", [shard_schema(EFFECT_COLUMNS).empty_table()], compress_effects)
    _write_slices(folder)


def _rows(shards: Path, table: str, columns: Mapping[str, str]) -> Iterator[pa.Table]:
    return by_seq(sorted(shards.glob(f"worker-*-{table}*.arrow")), columns, COMPACTED_AT_ONCE)


def _write(folder: Path, name: str, table: Any, write: Callable[[Any, Path], None]) -> None:
    temporary = folder / f".{name}.tmp"
    write(table, temporary)
    temporary.replace(folder / f"{name}.parquet")


def _write_slices(folder: Path) -> None:
    _write(folder, "slices", fold_samples(folder / "samples.parquet"), write_slices)
    _write(folder, "notable", pick_notable(folder / "samples.parquet"), write_notable)
    outages = look_for_outages(folder / "samples.parquet", folder / "effects.parquet")
    if outages is not None:
        _write(folder, "outages", outages, write_outages)
