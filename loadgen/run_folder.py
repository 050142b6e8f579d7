"""The run folder: the one interface between driving a target and everything that is said about it later.

    plan.json         what was to be offered
    progress.json     where the run is, once a second while it lasts
    shards/           what was recorded, appended once a second; readable after a kill, gone after the end
    samples.parquet   the samples, compacted        } written when the run ends
    effects.parquet   the effects, compacted        }
    slices.parquet    the samples, folded           } what every comparison reads
    notable.parquet   the slowest and failed samples}
    run.json          the facts of the run, written last and by rename
    failure.json      only where the run could not begin: {exit_code, message, unauthorised}
    footprint/        what was made on the target, for ``savepath clean`` (``targets.footprint``)

A folder without ``run.json`` is unfinished and never taken for a run. Nothing here imports Locust
or gevent, so that any process may read runs.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from loadgen.run_info import SCHEMA, RunInfo
from loadgen.tables import (
    fold_samples,
    pick_notable,
    read_slices,
    restore_effects,
    restore_samples,
)
from scenarios.errors import InputError, Refused
from targets.footprint import FOLDER as FOOTPRINTS

_Table = TypeVar("_Table")

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
        return _read_info(self.path)

    def read_samples(self) -> pd.DataFrame:
        """The samples, columns as ``analysis.samples.SAMPLE_COLUMNS``, in order of seq; times in seconds."""
        return self._read("samples", lambda path: restore_samples(pq.read_table(path)))

    def read_effects(self) -> pd.DataFrame:
        """The effects, columns as ``analysis.samples.EFFECT_COLUMNS``, in order of seq."""
        return self._read("effects", lambda path: restore_effects(pq.read_table(path)))

    def read_slices(self) -> pd.DataFrame:
        """The slices (``analysis.slices``). An older run's, or those of another version, are folded here and now.

        Nothing is written: a run that is kept stays as it was.
        """
        found = self._read("slices", read_slices) if self._slices.exists() else None
        return self._read("samples", fold_samples) if found is None else found

    def read_notable(self) -> pd.DataFrame:
        """The notable samples (``analysis.notable``); an older run's are picked here and now."""
        if (self.path / "notable.parquet").exists():
            return self._read("notable", pd.read_parquet)
        return self._read("samples", pick_notable)

    @property
    def _slices(self) -> Path:
        return self.path / "slices.parquet"

    def _read(self, name: str, read: Callable[[Path], _Table]) -> _Table:
        """A table of the run by its name. Raises InputError if its file is damaged, or of another time."""
        path = self.path / f"{name}.parquet"
        try:
            return read(path)
        except (OSError, pa.ArrowException, ValueError) as error:  # ValueError: names that are no text
            what = (
                "delete it, it is made of the samples"
                if name in ("slices", "notable")
                else "the run is damaged, make it again"
            )
            raise InputError(f"{path} cannot be read ({str(error).splitlines()[0]}); {what}") from None
        except KeyError as error:
            raise InputError(
                f"{path} has no column {error.args[0]}: another version of savepath made it; make the run again, "
                "or read it with that version"
            ) from None


def write_whole(path: Path, content: bytes, *, lasting: bool = False) -> None:
    """Write a file by rename, so that a reader sees all of it or none; ``lasting``: also after a crash."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as file:
        file.write(content)
        if lasting:
            file.flush()
            os.fsync(file.fileno())
    temporary.replace(path)
    if lasting:
        _sync_folder(path.parent)


def refuse_used(path: Path) -> None:
    """Raises InputError for a path that holds something already, or cannot be made: nothing is ever overwritten.

    Footprints may be there: of what was made for the run, or of one before it that could not begin.
    """
    if path.exists() and (not path.is_dir() or any(inside.name != FOOTPRINTS for inside in path.iterdir())):
        raise InputError(f"{path} is there already and not empty; choose another folder or remove it")
    there = next(one for one in (path, *path.absolute().parents) if one.exists())
    if not os.access(there, os.W_OK):
        raise InputError(f"{path} cannot be made: {there} cannot be written; choose another folder")


def open_run(path: Path) -> RunFolder:
    """The run in that folder. Raises InputError, which says what is there instead and what to do."""
    folder = RunFolder(path)
    folder.read()
    return folder


def find_runs(paths: Iterable[Path]) -> list[Path]:
    """The runs at the paths: each a run, or a folder whose direct subfolders are runs.

    Raises InputError for a path that is no folder, and for each unfinished run by its name; a folder
    that holds neither runs nor remains of runs gives none.
    """
    found: list[Path] = []
    for path in paths:
        inside = sorted(p for p in path.iterdir() if looks_like_run(p)) if path.is_dir() else []
        candidates = inside if inside and not looks_like_run(path) else [path]
        if path.is_dir() and not inside and not looks_like_run(path):
            continue
        for candidate in candidates:
            open_run(candidate)
            found.append(candidate)
    return found


def looks_like_run(path: Path) -> bool:
    """Whether a folder holds a run, finished or not."""
    return path.is_dir() and any((path / name).exists() for name in _MARKS)


_MARKS = ("run.json", "progress.json", "plan.json", "failure.json", "shards")


def _read_info(path: Path) -> RunInfo:
    if not path.is_dir():
        what = "is a file" if path.exists() else "is not there"
        raise InputError(f"{path} {what}; expected a run folder, as savepath run makes it")
    try:
        text = (path / "run.json").read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(_unfinished(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path / 'run.json'} cannot be read: {error}") from None
    info = _parse(path / "run.json", text)
    missing = [name for name in ("samples.parquet", "effects.parquet") if not (path / name).is_file()]
    if missing:
        raise InputError(
            f"{path} has a run.json but no {' and no '.join(missing)}; copy the whole folder or make the run again"
        )
    return info


def _parse(file: Path, text: str) -> RunInfo:
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{file}:{error.lineno}:{error.colno}: not valid JSON ({error.msg}); the file is damaged, "
            "copy it again or make the run again"
        ) from None
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        schema = found.get("schema") if isinstance(found, dict) else None
        raise InputError(
            f"{file}: the schema is {schema!r}; this savepath reads {SCHEMA!r}, use the version that made the run"
        )
    try:
        return RunInfo.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{file}: {where}: {first['msg']}; the file was changed or is damaged") from None


def _unfinished(path: Path) -> str:
    """What a folder without run.json holds, and what to do about it."""
    names = sorted(p.name for p in path.iterdir() if not p.name.startswith("."))
    if not names:
        return f"{path} is empty; expected a run folder with a run.json"
    if not looks_like_run(path):
        return f"{path} has no run.json, so it is no run; it holds {_listed(names)}"
    said = ""
    try:
        said = str(json.loads((path / "failure.json").read_text(encoding="utf-8"))["message"])
    except (OSError, ValueError, KeyError, TypeError):
        said = ""
    why = f"it could not begin: {said}" if said else "it was killed, or is still going on"
    return (
        f"{path} has no run.json: the run is unfinished ({why}); it holds {_listed(names)}. "
        "Leave it out or make it again; what it recorded stays readable in shards/"
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
