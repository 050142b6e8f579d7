"""Shards: tables that grow by a record batch a second and stay readable whenever the writer dies.

A shard is an Arrow IPC stream. Its dictionary columns are plain strings here, so that each batch
stands for itself; the run folder encodes them when it compacts.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa


def shard_schema(columns: Mapping[str, str]) -> pa.Schema:
    """The schema of a shard of a table of ``analysis.samples``."""
    return pa.schema(
        [(name, pa.string() if kind == "dictionary" else getattr(pa, kind)()) for name, kind in columns.items()]
    )


class ShardWriter:
    """Appends rows to the shard at ``path``. What it was given is in the file when ``append`` returns."""

    def __init__(self, path: Path, columns: Mapping[str, str]) -> None:
        self._schema = shard_schema(columns)
        self._file = path.open("xb", buffering=0)
        self._stream = pa.ipc.new_stream(self._file, self._schema)

    def append(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Write rows, in the order of the columns, as one batch."""
        if not rows:
            return
        arrays = [
            pa.array(column, type=field.type)
            for column, field in zip(zip(*rows, strict=True), self._schema, strict=True)
        ]
        self._stream.write_batch(pa.record_batch(arrays, schema=self._schema))

    def close(self) -> None:
        """End the stream; a shard that was never closed can be read as well."""
        self._stream.close()
        self._file.close()


def read_shard(path: Path, columns: Mapping[str, str]) -> pa.Table:
    """All whole batches of a shard; a batch that was cut off by the writer's death is left out.

    So is what comes after a damaged one, and a stream of other columns: what is missing opens the run's ledger.
    """
    schema = shard_schema(columns)
    batches: list[pa.RecordBatch] = []
    with path.open("rb") as file, contextlib.suppress(pa.ArrowException, OSError, MemoryError):
        for batch in pa.ipc.open_stream(file):
            if batch.schema != schema:
                break
            batch.validate(full=True)
            batches.append(batch)
    return pa.Table.from_batches(batches, schema=schema)
