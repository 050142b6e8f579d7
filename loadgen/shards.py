"""Shards: tables that grow by a record batch a second and stay readable whenever the writer dies.

A shard is an Arrow IPC stream. Its dictionary columns are plain strings here, so that each batch
stands for itself; the run folder encodes them when it compacts.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


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
        pa.array([])  # the first one of a process imports pandas, for half a second: not while load is offered

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
    """All whole batches of a shard."""
    schema = shard_schema(columns)
    return pa.Table.from_batches(list(batches_of(path, schema)), schema=schema)


def batches_of(path: Path, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The batches of a shard, one after the other; one that was cut off by the writer's death is left out.

    So is what comes after a damaged one, and a stream of other columns: what is missing opens the run's ledger.
    """
    with path.open("rb") as file, contextlib.suppress(pa.ArrowException, OSError, MemoryError):
        for batch in pa.ipc.open_stream(file):
            if batch.schema != schema:
                return
            batch.validate(full=True)
            yield batch


def by_seq(paths: Iterable[Path], columns: Mapping[str, str], seqs_at_once: int) -> Iterator[pa.Table]:
    """The rows of shards in pieces, each of the next so many numbers of arrivals; one piece at least.

    Rows stand in their shards about in the order of their arrivals, so that few of them are read twice, and what
    is held at a time does not grow with the run. Within a piece they are in no order.
    """
    schema = shard_schema(columns)
    pieces_of = {path: _pieces(path, schema, seqs_at_once) for path in paths}
    for piece in sorted(set().union(*pieces_of.values())) or [0]:
        first, beyond = piece * seqs_at_once, (piece + 1) * seqs_at_once
        rows = [
            batch.filter(pc.and_(pc.greater_equal(batch["seq"], first), pc.less(batch["seq"], beyond)))
            for path, pieces in pieces_of.items()
            if piece in pieces
            for batch in batches_of(path, schema)
        ]
        yield pa.Table.from_batches([one for one in rows if one.num_rows], schema=schema)


def _pieces(path: Path, schema: pa.Schema, seqs_at_once: int) -> set[int]:
    """Which pieces a shard has rows of."""
    found: set[int] = set()
    for batch in batches_of(path, schema):
        found.update(pc.unique(pc.divide(batch["seq"], seqs_at_once)).to_pylist())
    return found
