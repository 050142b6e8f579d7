"""What a run will take on its disk: most of it in shards while it lasts, little of it afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: A shard is ended after an hour, so that whole ones can be copied away and a damaged one costs no more.
ROTATE_S: Final = 3600.0
#: A batch of a shard has no more rows than this: writing all of a second would keep arrivals and answers waiting.
BATCH_ROWS: Final = 256
#: A row in a shard, and in the compacted table.
_SAMPLE_BYTES, _SAMPLE_KEPT_BYTES = 110, 12
_EFFECT_BYTES, _EFFECT_KEPT_BYTES = 125, 14
#: Of each table a batch at least is written in every second in which there is a row: at 1/s it outweighs the row.
_BATCH_BYTES: Final = 960
#: What each file begins and ends with; of each table there is one an hour.
_FILE_BYTES: Final = 1500


@dataclass(frozen=True, slots=True)
class DiskUse:
    """Bytes: when the shards are about to be removed, and what stays."""

    most: int
    kept: int


def disk_use(samples: int, effects: int, seconds: float, *, arms: int = 1) -> DiskUse:
    """Of so many rows in so many seconds; each arm has shards of its own."""
    batches = sum(min(rows, arms * round(seconds)) + rows // BATCH_ROWS for rows in (samples, effects))
    kept = samples * _SAMPLE_KEPT_BYTES + effects * _EFFECT_KEPT_BYTES
    files = 2 * arms * (1 + int(seconds // ROTATE_S))
    shards = samples * _SAMPLE_BYTES + effects * _EFFECT_BYTES + batches * _BATCH_BYTES + files * _FILE_BYTES
    return DiskUse(shards + kept, kept)
