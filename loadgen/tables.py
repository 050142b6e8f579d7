"""How the tables of a run are kept in Parquet, and read back.

Samples dominate, so their times are stored as whole microseconds (what is below is noise of the clock),
each relative to the one before it: planned, then how long until sent, then how long until done. Such
small numbers take the bits that vary and no more. Reading gives back float64 seconds.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from analysis.details import CellOutage, Kept, Outage, OutageKind
from analysis.notable import READS as READS_NOTABLE
from analysis.notable import pick, pick_again
from analysis.outages import READS as READS_OUTAGES
from analysis.outages import READS_EFFECTS, find_outages
from analysis.samples import EFFECT_COLUMNS, SAMPLE_COLUMNS, arrow_schema
from analysis.slices import READS, VERSION, fold, merge, width_for

#: columns of samples.parquet in place of scheduled_s, sent_s and done_s; int64 microseconds
SCHEDULED, WAITED, SERVED = "scheduled_us", "waited_us", "served_us"

#: Samples that are folded at a time: the memory it takes does not grow with the run.
FOLDED_AT_ONCE = 1_000_000
#: Outages are looked for in so many samples; all of them have to be in memory.
LOOKED_THROUGH = 1_000_000

_US = 1e6
_VERSION_KEY = b"savepath.slices"
_OUTAGES = pa.schema({
    "arm": pa.string(),
    "begun_s": pa.float64(),
    "ended_s": pa.float64(),
    "failed": pa.int64(),
    "requests": pa.int64(),
    "kinds": pa.list_(pa.struct({"outcome": pa.string(), "detail": pa.string(), "count": pa.int64()})),
    "cells": pa.list_(pa.struct({
        "operation": pa.string(),
        "custom_fields": pa.int64(),
        "requests": pa.int64(),
        "failed": pa.int64(),
        "slow": pa.int64(),
        "down_s": pa.float64(),
        "gone_s": pa.float64(),
        "again_s": pa.float64(),
    })),
    "kept": pa.struct({"acknowledged": pa.int64(), "checked": pa.int64(), "lost": pa.int64()}),
})  # fmt: skip
_ZSTD = {"compression": "zstd", "compression_level": 9, "write_statistics": False}


def compress_samples(pieces: Iterable[pa.Table], path: Path) -> None:
    """Write the pieces of a samples table (times as float64 seconds) to Parquet, sorted by seq.

    The numbers of each piece come after those of the one before.
    """
    encodings = dict.fromkeys(["seq", SCHEDULED], "DELTA_BINARY_PACKED")  # these rise
    encodings |= dict.fromkeys([WAITED, SERVED, "bytes_out", "bytes_in"], "BYTE_STREAM_SPLIT")
    _write((_sample_columns(piece) for piece in pieces), path, encodings)


def _sample_columns(table: pa.Table) -> pa.Table:
    table = table.sort_by([("seq", "ascending")])
    scheduled, sent, done = (_to_us(table[name]) for name in ("scheduled_s", "sent_s", "done_s"))
    table = table.drop_columns(["scheduled_s", "sent_s", "done_s"])
    for name, values in ((SCHEDULED, scheduled), (WAITED, sent - scheduled), (SERVED, done - sent)):
        table = table.append_column(name, pa.array(values))
    return _with_dictionaries(table, SAMPLE_COLUMNS)


def restore_samples(table: pa.Table, columns: Sequence[str] = tuple(SAMPLE_COLUMNS)) -> pd.DataFrame:
    """A samples table as read from Parquet, with (some) columns, types and seconds of ``SAMPLE_COLUMNS``."""
    sent = pc.add(table[SCHEDULED], table[WAITED])
    times = {"scheduled_s": table[SCHEDULED], "sent_s": sent, "done_s": pc.add(sent, table[SERVED])}
    for name, values in times.items():
        table = table.append_column(name, pa.array(values.to_numpy() / _US))
    return _to_pandas(table, columns)


def fold_samples(path: Path) -> pd.DataFrame:
    """The slices of a samples table in Parquet, read and folded piece by piece.

    How long they are follows from the last sample that was due, so that folding again makes the same.
    """
    stored = [name for name in READS if not name.endswith("_s")] + [SCHEDULED, WAITED, SERVED]
    with pq.ParquetFile(path) as file:
        last_us = pc.max(file.read([SCHEDULED])[SCHEDULED]).as_py() or 0
        width_s = width_for(last_us / _US)
        pieces = file.iter_batches(FOLDED_AT_ONCE, columns=stored)
        return merge([fold(restore_samples(pa.Table.from_batches([piece]), READS), width_s) for piece in pieces])


def pick_notable(path: Path) -> pd.DataFrame:
    """The notable samples of a samples table in Parquet, read and picked piece by piece."""
    stored = [name for name in READS_NOTABLE if not name.endswith("_s")] + [SCHEDULED, WAITED, SERVED]
    with pq.ParquetFile(path) as file:
        pieces = file.iter_batches(FOLDED_AT_ONCE, columns=stored)
        parts = (restore_samples(pa.Table.from_batches([piece]), READS_NOTABLE) for piece in pieces)
        return pick_again(pick(part) for part in parts)


def look_for_outages(samples: Path, effects: Path) -> dict[str, tuple[Outage, ...]] | None:
    """The outages of each arm that has any; None where there are too many samples to look."""
    with pq.ParquetFile(samples) as file:
        if file.metadata.num_rows > LOOKED_THROUGH:
            return None
        stored = [name for name in READS_OUTAGES if not name.endswith("_s")]
        rows = restore_samples(file.read(["arm", *stored, SCHEDULED, WAITED, SERVED]), ("arm", *READS_OUTAGES))
    promised: pd.DataFrame = pq.read_table(effects, columns=["arm", *READS_EFFECTS]).to_pandas()
    arms = rows["arm"].unique().tolist()
    found = {arm: find_outages(rows[rows["arm"] == arm], promised[promised["arm"] == arm]) for arm in arms}
    return {arm: outages for arm, outages in found.items() if outages}


def write_outages(found: Mapping[str, Sequence[Outage]], path: Path) -> None:
    """Write the outages of each arm to Parquet."""
    rows = [{"arm": arm, **dataclasses.asdict(one)} for arm, outages in found.items() for one in outages]
    pq.write_table(pa.Table.from_pylist(rows, _OUTAGES), path, compression="zstd")


def read_outages(path: Path) -> dict[str, tuple[Outage, ...]]:
    """The outages of each arm that has any."""
    found: dict[str, tuple[Outage, ...]] = {}
    for row in pq.read_table(path, schema=_OUTAGES).to_pylist():
        arm = row.pop("arm")
        kinds = tuple(OutageKind(**kind) for kind in row.pop("kinds"))
        cells = tuple(CellOutage(**cell) for cell in row.pop("cells"))
        outage = Outage(kinds=kinds, cells=cells, kept=Kept(**row.pop("kept")), **row)
        found[arm] = (*found.get(arm, ()), outage)
    return found


def write_notable(picked: pd.DataFrame, path: Path) -> None:
    """Write notable samples to Parquet."""
    pq.write_table(pa.Table.from_pandas(picked, preserve_index=False), path, compression="zstd")


def write_slices(slices: pd.DataFrame, path: Path) -> None:
    """Write a table of slices to Parquet, with the version of ``analysis.slices``."""
    table = pa.Table.from_pandas(slices, preserve_index=False)
    table = table.replace_schema_metadata({_VERSION_KEY: str(VERSION)})
    pq.write_table(table, path, compression="zstd", write_statistics=False)


def read_slices(path: Path) -> pd.DataFrame | None:
    """The slices in Parquet; None if they are of another version, or are no slices."""
    with pq.ParquetFile(path) as file:
        if (file.schema_arrow.metadata or {}).get(_VERSION_KEY) != str(VERSION).encode():
            return None
        found: pd.DataFrame = file.read().to_pandas(types_mapper=_lists_as_they_are, ignore_metadata=True)
    return found


def _lists_as_they_are(kind: pa.DataType) -> pd.ArrowDtype | None:
    return pd.ArrowDtype(kind) if pa.types.is_list(kind) else None


def compress_effects(pieces: Iterable[pa.Table], path: Path) -> None:
    """Write the pieces of an effects table to Parquet, sorted by seq, kind and name; see ``compress_samples``."""
    order = [(name, "ascending") for name in ("seq", "kind", "name")]
    encodings = {"seq": "DELTA_BINARY_PACKED"}
    encodings |= {name: "BYTE_STREAM_SPLIT" for name, kind in EFFECT_COLUMNS.items() if kind == "float64"}
    _write((_with_dictionaries(piece.sort_by(order), EFFECT_COLUMNS) for piece in pieces), path, encodings)


def call_foreign(effects: pa.Table, strays: Collection[int]) -> tuple[pa.Table, dict[str, int]]:
    """The effects with the lost values of these saves called foreign, and how many they were in each arm."""
    if not strays:
        return effects, {}
    is_lost = pc.and_(pc.equal(effects["kind"], "value"), pc.equal(effects["outcome"], "lost"))
    moved = pc.and_(is_lost, pc.is_in(effects["seq"], pa.array(sorted(strays), effects["seq"].type)))
    outcomes = pc.if_else(moved, "foreign", effects["outcome"])
    arms = Counter(effects["arm"].filter(moved).to_pylist())
    place = effects.schema.get_field_index("outcome")
    return effects.set_column(place, effects.schema.field(place), outcomes), dict(arms)


def restore_effects(table: pa.Table) -> pd.DataFrame:
    """An effects table as read from Parquet, with the columns and types of ``EFFECT_COLUMNS``."""
    return _to_pandas(table, EFFECT_COLUMNS)


def _to_us(column: pa.ChunkedArray) -> NDArray[np.int64]:
    seconds: NDArray[np.float64] = column.to_numpy()
    return np.rint(seconds * _US).astype(np.int64)


def _with_dictionaries(table: pa.Table, columns: Mapping[str, str]) -> pa.Table:
    """Text columns dictionary-encoded, as the schema of the table wants them."""
    for field in arrow_schema(dict(columns)):
        if pa.types.is_dictionary(field.type):
            place = table.schema.get_field_index(field.name)
            encoded = table[field.name].combine_chunks().dictionary_encode().cast(field.type)
            table = table.set_column(place, field, encoded)
    return table


def _write(pieces: Iterable[pa.Table], path: Path, encodings: Mapping[str, str]) -> None:
    """Each piece is a row group; there is one piece at least."""
    remaining = iter(pieces)
    first = next(remaining)
    others = [name for name in first.column_names if name not in encodings]
    options = {"column_encoding": dict(encodings), "use_dictionary": others, **_ZSTD}
    with pq.ParquetWriter(path, first.schema, **options) as writer:
        for piece in itertools.chain([first], remaining):
            writer.write_table(piece)


def _to_pandas(table: pa.Table, columns: Iterable[str]) -> pd.DataFrame:
    frame: pd.DataFrame = table.select(list(columns)).to_pandas()
    return frame
