"""Small run folders to watch: some seconds of reads and saves, healthy or growing with the custom fields."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from loadgen.recorder import Recorder, Sample
from loadgen.run_folder import RunFolder
from loadgen.run_info import Asked, Ledger, RunInfo
from scenarios.objectives import parse_objective

BEGIN = datetime(2026, 11, 23, 19, tzinfo=UTC)
BLOCK_S = 20.0
AGREED = ("save_custom p95 <= 800 ms", "read_case@100 p95 <= 0.4 s", "failures <= 5 %")


def write_run(path: Path, number: int, growth: float = 0.0, *, lasts_s: float = BLOCK_S) -> None:
    """Three operations of three cohorts, 100 ms each and more with the fields; ``number`` of those in turn."""
    rng = np.random.default_rng(number)
    folder = RunFolder(path / f"run-{number:03d}")
    folder.create()
    recorder, seq = Recorder(folder), 0
    for operation in ("read_case", "save_custom", "save_standard"):
        for fields in (10, 100, 500):
            for at_s in np.linspace(0, lasts_s - 0.1, 25).tolist():
                took_s = 0.1 * float(rng.lognormal(0, 0.2)) * (1 + growth * fields / 500)
                recorder.sample(
                    Sample(seq, 0, "", "t", fields, operation, at_s, at_s, at_s + took_s, 200, "ok", "", 0, 9)
                )
                seq += 1
    recorder.close()
    folder.compact()
    begun = BEGIN + timedelta(seconds=lasts_s * number)
    folder.finish(
        RunInfo(
            schema="savepath.run/1", id=f"run-{number}", key="0123456789", scenario="smoke", target="casedesk",
            plan_digest="d" * 64, started_at=begun.isoformat(), warmup_s=0.0, duration_s=lasts_s, ended_s=lasts_s,
            status="complete", offered_per_s=seq / lasts_s, fired=seq,
            question=Asked(tolerance=0.1, objectives=tuple(map(parse_objective, AGREED))),
            ledger=Ledger(scheduled=seq, recorded=seq, aborted=0, unsent=0),
        )
    )  # fmt: skip
