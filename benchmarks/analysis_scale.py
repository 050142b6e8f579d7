"""What an analysis of many samples costs: folding ten million of them, comparing ten and a hundred million.

In processes of their own, because the largest amount of memory that one ever took is a figure, and
through run folders on disk, as a comparison reads them. Seconds are of one core (the process's own time): the
machines are shared. The ten million go the whole way from
``samples.parquet``; a hundred million are synthesised as slices: longer runs at ten times the rate.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from analysis import notable
from analysis.samples import EFFECT_COLUMNS, OPERATIONS, arrow_schema
from analysis.slices import fold, width_for
from loadgen.run_folder import RunFolder
from loadgen.run_info import Asked, Ledger, RunInfo
from loadgen.tables import (
    compress_effects,
    compress_samples,
    fold_samples,
    write_notable,
    write_outages,
    write_slices,
)
from savepath.comparing import Sides, compare_runs

RUNS, REPEATS = 20, 3
MINUTES = 20
FIELDS = (0, 10, 50, 200, 500)
MILLION = 1_000_000


def samples(rng: np.random.Generator, n: int, begin_s: float, duration_s: float) -> pd.DataFrame:
    """``n`` samples of six operations and five cohorts, 0.2 % of them failures."""
    scheduled_s = np.sort(rng.uniform(begin_s, begin_s + duration_s, n))
    sent_s = scheduled_s + rng.exponential(0.0005, n)
    failed = rng.random(n) < 0.002
    dictionary = {
        "arm": pd.Categorical.from_codes(np.zeros(n, np.int8), [""]),
        "tenant": pd.Categorical.from_codes(rng.integers(0, 50, n), [f"tenant-{k:02d}" for k in range(50)]),
        "operation": pd.Categorical.from_codes(rng.integers(0, len(OPERATIONS), n), list(OPERATIONS)),
        "outcome": pd.Categorical.from_codes(failed.astype(np.int8), ["ok", "http_error"]),
        "detail": pd.Categorical.from_codes(failed.astype(np.int8), ["", "http 503"]),
    }
    return pd.DataFrame(
        {
            "seq": np.arange(n, dtype=np.uint32),
            "worker": np.zeros(n, np.uint16),
            **dictionary,
            "custom_fields": rng.choice(FIELDS, n).astype(np.uint16),
            "scheduled_s": scheduled_s,
            "sent_s": sent_s,
            "done_s": sent_s + rng.lognormal(-2, 0.5, n),
            "status": np.where(failed, 503, 200).astype(np.uint16),
            "bytes_out": rng.integers(100, 5000, n).astype(np.uint32),
            "bytes_in": rng.integers(100, 50000, n).astype(np.uint32),
        }
    )


def many_slices(rng: np.random.Generator, n: int, duration_s: float) -> pd.DataFrame:
    """The slices of ``n`` samples, made and folded one slice after the other."""
    width_s = width_for(duration_s)
    parts = round(duration_s / width_s)
    tables = [fold(samples(rng, n // parts, width_s * part, width_s), width_s) for part in range(parts)]
    return pd.concat(tables, ignore_index=True)


def write_run(folder: RunFolder, number: int, recorded: int, slices: pd.DataFrame) -> None:
    """A run folder that holds slices and no samples."""
    folder.create()
    (folder.path / "samples.parquet").touch()
    schema = arrow_schema(EFFECT_COLUMNS)
    compress_effects([schema.empty_table()], folder.path / "effects.parquet")
    write_slices(slices, folder.path / "slices.parquet")
    write_notable(notable.empty(), folder.path / "notable.parquet")
    write_outages({}, folder.path / "outages.parquet")
    begun = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=2 * MINUTES * number)
    folder.finish(
        RunInfo(
            schema="savepath.run/1",
            id=folder.path.name,
            key="0123456789",
            scenario="scale",
            target="none",
            plan_digest="0" * 64,
            started_at=begun.isoformat(),
            warmup_s=0,
            duration_s=60.0 * MINUTES,
            ended_s=60.0 * MINUTES,
            status="complete",
            offered_per_s=recorded / (60.0 * MINUTES),
            fired=recorded,
            ledger=Ledger(scheduled=recorded, recorded=recorded, aborted=0, unsent=0),
            question=Asked(tolerance=0.1),
        )
    )


def write_runs(place: Path, whole: int) -> None:
    """Two sides with ten runs each, in turns, ``whole`` samples in all."""
    for number in range(RUNS):
        rng = np.random.default_rng(number)
        slices = many_slices(rng, whole // RUNS, 60.0 * MINUTES)
        side = ("before", "after")[number % 2]
        write_run(RunFolder(place / side / f"{number:02d}"), number, int(slices["requests"].sum()), slices)


def measure() -> list[dict[str, Any]]:
    """Rows {figure, value, low, high, goal, reached}: the median of three and the extremes."""
    rows = []
    with tempfile.TemporaryDirectory() as room:
        place = Path(room)
        parquet = place / "samples.parquet"
        table = samples(np.random.default_rng(1), 10 * MILLION, 0.0, 60.0 * MINUTES)
        compress_samples([pa.Table.from_pandas(table, preserve_index=False)], parquet)
        del table
        rows += _figures("slices of 10 M samples from Parquet", "fold", parquet, 10.0)
        for million in (10, 100):
            runs = place / f"{million}"
            write_runs(runs, million * MILLION)
            rows += _figures(f"compare 20 runs, {million} M samples, from slices", "compare", runs, 1.0)
    return rows


def _figures(what: str, work: str, path: Path, goal_s: float) -> list[dict[str, Any]]:
    """What the work takes after its imports: seconds of a core, and memory of its process at most."""
    command = [sys.executable, "-m", "benchmarks.analysis_scale", work, str(path)]
    done = [
        json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        for _ in range(REPEATS)
    ]
    return [
        median_row(f"{what}, core s", [one["s"] for one in done], goal_s),
        median_row("  memory of that process, GB", [one["gb"] for one in done], 1.0),
    ]


def median_row(figure: str, values: list[float], goal: float) -> dict[str, Any]:
    """The median of some measurements and their extremes, held against what it has to be below."""
    value = statistics.median(values)
    return {
        "figure": figure,
        "value": value,
        "low": min(values),
        "high": max(values),
        "goal": f"< {goal:g}",
        "reached": value < goal,
    }


def _timed(work: Callable[[], object]) -> None:
    pa.set_cpu_count(1)
    begun = time.process_time()
    work()
    seconds = time.process_time() - begun
    print(json.dumps({"s": seconds, "gb": _most_memory_gb()}))


def _most_memory_gb() -> float:
    """The most that this process ever held; ru_maxrss would go on from the parent that it was forked from."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024**2


if __name__ == "__main__":
    path = Path(sys.argv[2])
    if sys.argv[1] == "fold":
        _timed(lambda: fold_samples(path))
    else:
        _timed(lambda: compare_runs(Sides([path / "before"], [path / "after"])))
