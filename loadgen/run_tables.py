"""The tables of a run, as its analysis wants them; one that cannot be read is told with what to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from analysis.details import Outage
from loadgen import tables
from scenarios.errors import InputError

_Table = TypeVar("_Table")


def read_samples(folder: Path) -> pd.DataFrame:
    """The samples, columns as ``analysis.samples.SAMPLE_COLUMNS``, in order of seq; times in seconds."""
    return _read(folder, "samples", lambda path: tables.restore_samples(pq.read_table(path)))


def read_effects(folder: Path) -> pd.DataFrame:
    """The effects, columns as ``analysis.samples.EFFECT_COLUMNS``, in order of seq."""
    return _read(folder, "effects", lambda path: tables.restore_effects(pq.read_table(path)))


def read_slices(folder: Path) -> pd.DataFrame:
    """The slices (``analysis.slices``). An older run's, or those of another version, are folded here and now.

    Nothing is written: a run that is kept stays as it was.
    """
    there = (folder / "slices.parquet").exists()
    found = _read(folder, "slices", tables.read_slices) if there else None
    return _read(folder, "samples", tables.fold_samples) if found is None else found


def read_notable(folder: Path) -> pd.DataFrame:
    """The notable samples (``analysis.notable``); an older run's are picked here and now."""
    if (folder / "notable.parquet").exists():
        return _read(folder, "notable", pd.read_parquet)
    return _read(folder, "samples", tables.pick_notable)


def read_outages(folder: Path) -> Mapping[str, tuple[Outage, ...]] | None:
    """The outages of each arm that has any; an older run's are found here and now.

    None where there are too many samples to look.
    """
    if (folder / "outages.parquet").exists():
        return _read(folder, "outages", tables.read_outages)
    return _read(folder, "samples", lambda path: tables.look_for_outages(path, folder / "effects.parquet"))


def _read(folder: Path, name: str, read: Callable[[Path], _Table]) -> _Table:
    """A table of the run by its name. Raises InputError if its file is damaged, or of another time."""
    path = folder / f"{name}.parquet"
    try:
        return read(path)
    except (OSError, pa.ArrowException, ValueError) as error:  # ValueError: names that are no text
        what = (
            "delete it, it is made of the samples"
            if name in ("slices", "notable", "outages")
            else "the run is damaged, make it again"
        )
        raise InputError(f"{path} cannot be read ({str(error).splitlines()[0]}); {what}") from None
    except KeyError as error:
        raise InputError(
            f"{path} has no column {error.args[0]}: another version of savepath made it; make the run again, "
            "or read it with that version"
        ) from None
