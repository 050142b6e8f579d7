"""How the two tables of a run are kept in Parquet, and read back.

Samples dominate, so their times are stored as whole microseconds (what is below is noise of the clock),
each relative to the one before it: planned, then how long until sent, then how long until done. Such
small numbers take the bits that vary and no more. Reading gives back float64 seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from analysis.samples import EFFECT_COLUMNS, SAMPLE_COLUMNS, arrow_schema

#: columns of samples.parquet in place of scheduled_s, sent_s and done_s; int64 microseconds
SCHEDULED, WAITED, SERVED = "scheduled_us", "waited_us", "served_us"

_US = 1e6
_ZSTD = {"compression": "zstd", "compression_level": 9, "write_statistics": False}


def compress_samples(table: pa.Table, path: Path) -> None:
    """Write a samples table (times as float64 seconds) to Parquet, sorted by seq."""
    table = table.sort_by([("seq", "ascending")])
    scheduled, sent, done = (_to_us(table[name]) for name in ("scheduled_s", "sent_s", "done_s"))
    table = table.drop_columns(["scheduled_s", "sent_s", "done_s"])
    for name, values in ((SCHEDULED, scheduled), (WAITED, sent - scheduled), (SERVED, done - sent)):
        table = table.append_column(name, pa.array(values))
    encodings = dict.fromkeys(["seq", SCHEDULED], "DELTA_BINARY_PACKED")  # these rise
    encodings |= dict.fromkeys([WAITED, SERVED, "bytes_out", "bytes_in"], "BYTE_STREAM_SPLIT")
    _write(_with_dictionaries(table, SAMPLE_COLUMNS), path, encodings)


def restore_samples(table: pa.Table) -> pd.DataFrame:
    """A samples table as read from Parquet, with the columns, types and seconds of ``SAMPLE_COLUMNS``."""
    sent = pc.add(table[SCHEDULED], table[WAITED])
    times = {"scheduled_s": table[SCHEDULED], "sent_s": sent, "done_s": pc.add(sent, table[SERVED])}
    for name, values in times.items():
        table = table.append_column(name, pa.array(values.to_numpy() / _US))
    return _to_pandas(table, SAMPLE_COLUMNS)


def compress_effects(table: pa.Table, path: Path) -> None:
    """Write an effects table to Parquet, sorted by seq, kind and name."""
    table = table.sort_by([("seq", "ascending"), ("kind", "ascending"), ("name", "ascending")])
    encodings = {"seq": "DELTA_BINARY_PACKED"}
    encodings |= {name: "BYTE_STREAM_SPLIT" for name, kind in EFFECT_COLUMNS.items() if kind == "float64"}
    _write(_with_dictionaries(table, EFFECT_COLUMNS), path, encodings)


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


def _write(table: pa.Table, path: Path, encodings: Mapping[str, str]) -> None:
    others = [name for name in table.column_names if name not in encodings]
    pq.write_table(table, path, column_encoding=dict(encodings), use_dictionary=others, **_ZSTD)


def _to_pandas(table: pa.Table, columns: Mapping[str, str]) -> pd.DataFrame:
    frame: pd.DataFrame = table.select(list(columns)).to_pandas()
    return frame
