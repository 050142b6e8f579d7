"""Run folders made by hand for the tests of what is said about runs; nothing is driven."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from loadgen.recorder import Effect, Recorder, Sample
from loadgen.run_folder import RunFolder
from loadgen.run_info import ArmFacts, Asked, Generator, Ledger, RunInfo

PER_CELL = 120
Cells = Sequence[tuple[str, int]]
#: A generator that waited for a core nearly all the time: its run is no yardstick.
STARVED = Generator(lag_p50_s=0.001, lag_p99_s=0.002, run_queue_delay=0.9, cpu=0.2)
CELLS: Cells = [("read_case", 0), ("read_case", 500), ("save_custom", 0), ("save_custom", 500)]


def driven(path: Path, arms: Sequence[str] = ("",), cells: Cells = CELLS, **changes: Any) -> Path:
    """A run of 120 requests in each of four cells and arms: 10, 20, 30, ... ms; one in 40 fails."""
    folder = RunFolder(path)
    folder.create()
    n = PER_CELL * len(cells)
    for number, arm in enumerate(arms):
        recorder = Recorder(folder, worker=number, arm=arm)
        for seq in range(n):
            operation, fields = cells[seq % len(cells)]
            due_s, took_s = 12.0 * seq / n, 0.01 * (1 + seq // len(cells))
            failed = seq % 40 == 0
            outcome = (503, "http_error", "http 503") if failed else (200, "ok", "")
            row = (due_s, due_s + 0.001, due_s + 0.001 + took_s)
            recorder.sample(
                Sample(
                    seq * len(arms) + number, number, arm, "tenant-1", fields, operation, *row, *outcome, 300, 90
                )
            )
            if operation == "save_custom":
                seen = 0 if seq == 2 else 1
                told = "missed" if seq == 2 else "once"
                recorder.effect(
                    Effect(seq, "tenant-1", fields, operation, "script", "notify", 1, seen, 9.0, 1.0, 0.1, told)
                )
        recorder.close()
    folder.compact()
    facts = {
        "address": "http://127.0.0.1:8700",
        "offered_per_s": 40.0,
        "fired": n,
        "fingerprint": {"version": "1"},
    }
    ledger = Ledger(scheduled=n, recorded=n, aborted=0, unsent=0)
    folder.finish(
        RunInfo(
            **{
                "schema": "savepath.run/1",
                "id": path.name,
                "key": "0123456789",
                "scenario": "by-hand",
                "target": "desk",
                "plan_digest": "d" * 64,
                "started_at": "2026-11-23T19:00:00+00:00",
                "warmup_s": 1.0,
                "duration_s": 12.0,
                "ended_s": 13.0,
                "status": "complete",
                "offered_per_s": 40.0 * len(arms),
                "fired": n * len(arms),
                "ledger": Ledger(scheduled=n * len(arms), recorded=n * len(arms), aborted=0, unsent=0),
                "generator": Generator(lag_p50_s=0.001, lag_p99_s=0.002, run_queue_delay=0.01, cpu=0.2),
                "fingerprint": {"version": "24.3"},
                "labels": {"release": "24.3"},
                "arms": {arm: ArmFacts(target=f"{arm}-desk", ledger=ledger, **facts) for arm in arms if arm},
                "question": Asked(tolerance=0.1),
                **changes,
            }
        )
    )
    return path


def text_of(file: Path) -> str:
    """Everything that a file holds, a table as its values."""
    if file.suffix == ".parquet":
        return str(pd.read_parquet(file).to_csv())
    return file.read_bytes().decode("utf-8", "replace")
