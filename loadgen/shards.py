"""Shards: tables that grow by a record batch a second and stay readable whenever the writer dies.

A shard is an Arrow IPC stream. Its dictionary columns are plain strings here, so that each batch
stands for itself; the run folder encodes them when it compacts. A process that drives writes them without pandas,
which pyarrow would load to look at the first Python value that it is given: half a second of a core and 50 MB.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa


def shard_schema(columns: Mapping[str, str]) -> pa.Schema:
    """The schema of a shard of a table of ``analysis.samples``."""
    return pa.schema(
        [(name, pa.string() if kind == "dictionary" else getattr(pa, kind)()) for name, kind in columns.items()]
    )


class ShardWriter:
    """Appends rows to the shard at ``path``. What it was given is in the file when ``append`` returns."""

    def __init__(self, path: Path, columns: Mapping[str, str]) -> None:
        self._kinds = list(columns.values())
        self._schema = shard_schema(columns)
        self._file = path.open("xb", buffering=0)
        self._stream = pa.ipc.new_stream(self._file, self._schema)

    def append(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Write rows, in the order of the columns, as one batch."""
        if not rows:
            return
        columns = zip(zip(*rows, strict=True), self._kinds, strict=True)
        arrays = [_texts(column) if kind == "dictionary" else _numbers(column, kind) for column, kind in columns]
        self._stream.write_batch(pa.record_batch(arrays, schema=self._schema))

    def close(self) -> None:
        """End the stream; a shard that was never closed can be read as well."""
        self._stream.close()
        self._file.close()


def _numbers(column: Sequence[float], kind: str) -> pa.Array:
    """Numbers of an Arrow type that numpy knows by the same name."""
    return pa.Array.from_buffers(
        getattr(pa, kind)(), len(column), [None, pa.py_buffer(np.array(column, dtype=kind))]
    )


def _texts(column: Sequence[str]) -> pa.Array:
    encoded = [text.encode() for text in column]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    return pa.Array.from_buffers(
        pa.string(), len(column), [None, pa.py_buffer(ends), pa.py_buffer(b"".join(encoded))]
    )


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
    import pyarrow.compute as pc  # a tenth of a second, and who writes does not read

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
    import pyarrow.compute as pc

    found: set[int] = set()
    for batch in batches_of(path, schema):
        found.update(pc.unique(pc.divide(batch["seq"], seqs_at_once)).to_pylist())
    return found
