"""The run folder: the one interface between driving a target and everything that is said about it later.

    plan.json         what was to be offered
    progress.json     where the run is, once a second while it lasts
    shards/           what was recorded, appended once a second; readable after a kill, gone after the end
    samples.parquet   the samples, compacted        } written when the run ends
    effects.parquet   the effects, compacted        }
    slices.parquet    the samples, folded           } what every comparison reads
    notable.parquet   the slowest and failed samples}
    outages.parquet   when requests failed in a row }
    run.json          the facts of the run, written last and by rename
    failure.json      only where the run could not begin: {exit_code, message, unauthorised}
    footprint/        what was made on the target, for ``savepath clean`` (``targets.footprint``)

A folder without ``run.json`` is unfinished and never taken for a run (``loadgen.runs``). Nothing here imports
Locust or gevent, so that any process may read runs, and pandas only where a table is read: a process that drives
reads none.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadgen.run_info import RunInfo
from loadgen.runs import read_info
from scenarios.errors import InputError, Refused
from targets.footprint import FOLDER as FOOTPRINTS
from targets.lasting import write_whole

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from analysis.details import Outage

#: A run may not fill its disk beyond this.
KEPT_FREE_BYTES = 200_000_000


class RunFolder:
    """A run folder at ``path``. Writing goes create, write_plan, shards, compact, finish; reading needs finish."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def shards(self) -> Path:
        """Where the workers append what they record."""
        return self.path / "shards"

    def create(self) -> None:
        """Make the folder. Raises InputError if something is there already: nothing is overwritten."""
        try:
            refuse_used(self.path)
            self.shards.mkdir(parents=True)
        except OSError as error:
            raise InputError(f"{self.path} cannot be made: {error.strerror or error}") from None

    def refuse_small_disk(self, expected_bytes: int) -> None:
        """Raises Refused where the disk of the folder cannot hold what a run will write."""
        free = shutil.disk_usage(self.path).free
        if free < expected_bytes + KEPT_FREE_BYTES:
            raise Refused(
                f"{self.path} has {free / 1e6:,.0f} MB free, the run will write about "
                f"{expected_bytes / 1e6:,.0f} MB and {KEPT_FREE_BYTES / 1e6:.0f} MB must be left; free some, "
                "choose another disk, or make the run shorter"
            )

    def write_plan(self, plan: Mapping[str, Any]) -> None:
        """Keep what was to be offered, for people and for later."""
        self.write_whole("plan.json", json.dumps(plan, indent=1).encode())

    def shard(self, worker: int, table: str, arm: str = "", part: int = 0) -> Path:
        """The shard of a worker's ``samples`` or ``effects``, of one arm where the run has two; an hour each."""
        numbered = f"-{part:04d}" if part else ""
        return self.shards / f"worker-{worker}{'-' if arm else ''}{arm}-{table}{numbered}.arrow"

    def shards_of(self, worker: int, table: str, arm: str = "") -> list[Path]:
        """The shards that a worker has made of a table and an arm, in order."""
        return sorted(self.shards.glob(f"{self.shard(worker, table, arm).stem}*.arrow"))

    def write_whole(self, name: str, content: bytes, *, lasting: bool = False) -> None:
        """Write a file of the folder so that a reader sees all of it or none; ``lasting``: also after a crash."""
        write_whole(self.path / name, content, lasting=lasting)

    def compact(self, strays: Collection[int] = ()) -> dict[str, int]:
        """Shards to tables; see ``loadgen.compaction``."""
        from loadgen.compaction import compact

        return compact(self.path, self.shards, strays)

    def keep(self, samples: pa.Table) -> None:
        """Keep the samples of a run that no worker recorded here; it has no effects. Columns as in a shard."""
        from loadgen.compaction import keep

        keep(self.path, samples)

    def finish(self, info: RunInfo) -> None:
        """Make the folder a run: the last thing that is written. The shards go: the tables hold their rows."""
        self.write_whole("run.json", info.to_json(), lasting=True)
        shutil.rmtree(self.shards, ignore_errors=True)

    def read(self) -> RunInfo:
        """The facts of the run. Raises InputError for a folder that is no whole run."""
        return read_info(self.path)

    def read_samples(self) -> pd.DataFrame:
        """The samples, columns as ``analysis.samples.SAMPLE_COLUMNS``, in order of seq; times in seconds."""
        from loadgen.run_tables import read_samples

        return read_samples(self.path)

    def read_effects(self) -> pd.DataFrame:
        """The effects, columns as ``analysis.samples.EFFECT_COLUMNS``, in order of seq."""
        from loadgen.run_tables import read_effects

        return read_effects(self.path)

    def read_slices(self) -> pd.DataFrame:
        """The slices (``analysis.slices``)."""
        from loadgen.run_tables import read_slices

        return read_slices(self.path)

    def read_notable(self) -> pd.DataFrame:
        """The notable samples (``analysis.notable``)."""
        from loadgen.run_tables import read_notable

        return read_notable(self.path)

    def read_outages(self) -> Mapping[str, tuple[Outage, ...]] | None:
        """The outages of each arm that has any; None where there are too many samples to look."""
        from loadgen.run_tables import read_outages

        return read_outages(self.path)


def refuse_used(path: Path) -> None:
    """Raises InputError for a path that holds something already, or cannot be made: nothing is ever overwritten.

    Footprints may be there: of what was made for the run, or of one before it that could not begin.
    """
    if path.exists() and (not path.is_dir() or any(inside.name != FOOTPRINTS for inside in path.iterdir())):
        raise InputError(f"{path} is there already and not empty; choose another folder or remove it")
    there = next(one for one in (path, *path.absolute().parents) if one.exists())
    if not os.access(there, os.W_OK):
        raise InputError(f"{path} cannot be made: {there} cannot be written; choose another folder")
