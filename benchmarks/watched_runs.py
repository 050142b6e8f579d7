"""Small run folders to watch: some seconds of reads and saves, healthy or growing with the custom fields."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from loadgen.recorder import Effect, Recorder, Sample
from loadgen.run_folder import RunFolder
from loadgen.run_info import ArmFacts, Asked, Ledger, RunInfo
from scenarios.objectives import parse_objective

BEGIN = datetime(2026, 11, 23, 19, tzinfo=UTC)
BLOCK_S = 20.0
AGREED = ("save_custom p95 <= 800 ms", "read_case@100 p95 <= 0.4 s", "failures <= 5 %")


def write_run(
    path: Path,
    number: int,
    growth: float = 0.0,
    *,
    lasts_s: float = BLOCK_S,
    beside: bool = False,
    refused: Mapping[int, str] | None = None,
) -> None:
    """Three operations of three cohorts, 100 ms each and more with the fields; ``number`` of those in turn.

    ``beside`` it an old environment was asked at the same moments, which takes 50 ms and loses every second value.
    ``refused`` names the tenants of the requests, by their number, that were answered 401; all others are of t.
    """
    rng = np.random.default_rng(number)
    folder = RunFolder(path / f"run-{number:03d}")
    folder.create()
    recorder, seq, arm = Recorder(folder, 0, "after" if beside else ""), 0, "after" if beside else ""
    for operation in ("read_case", "save_custom", "save_standard"):
        for fields in (10, 100, 500):
            for at_s in np.linspace(0, lasts_s - 0.1, 25).tolist():
                took_s = 0.1 * float(rng.lognormal(0, 0.2)) * (1 + growth * fields / 500)
                shut_out = seq in (refused or {})
                recorder.sample(
                    Sample(
                        seq=seq,
                        worker=0,
                        arm=arm,
                        tenant=(refused or {}).get(seq, "t"),
                        custom_fields=fields,
                        operation=operation,
                        scheduled_s=at_s,
                        sent_s=at_s,
                        done_s=at_s + took_s,
                        status=401 if shut_out else 200,
                        outcome="http_error" if shut_out else "ok",
                        detail="",
                        bytes_out=0,
                        bytes_in=9,
                    )
                )
                seq += 1
    recorder.close()
    if beside:
        _write_old(folder, seq, lasts_s)
    folder.compact()
    begun = BEGIN + timedelta(seconds=lasts_s * number)
    folder.finish(
        RunInfo(
            schema="savepath.run/1", id=f"run-{number}", key="0123456789", scenario="smoke", target="casedesk",
            plan_digest="d" * 64, started_at=begun.isoformat(), warmup_s=0.0, duration_s=lasts_s, ended_s=lasts_s,
            status="complete", offered_per_s=seq / lasts_s, fired=seq,
            question=Asked(tolerance=0.1, objectives=tuple(map(parse_objective, AGREED))),
            ledger=Ledger(scheduled=seq, recorded=seq, aborted=0, unsent=0),
            arms={side: _facts(seq, lasts_s) for side in ("before", "after")} if beside else {},
        )
    )  # fmt: skip


def repeat_run(like: Path, number: int, later: int) -> None:
    """The run once more beside it, by another number and so many blocks later."""
    path = like.parent / f"run-{number:03d}"
    shutil.copytree(like, path)
    info = json.loads((path / "run.json").read_bytes())
    begun = datetime.fromisoformat(info["started_at"]) + timedelta(seconds=BLOCK_S * later)
    (path / "run.json").write_text(json.dumps(info | {"id": f"run-{number}", "started_at": begun.isoformat()}))


def _write_old(folder: RunFolder, number: int, lasts_s: float) -> None:
    """The other side of a run: half of its requests are refused our credentials, half of its values lost."""
    recorder = Recorder(folder, 0, "before")
    for seq in range(number):
        operation, fields = ("read_case", "save_custom", "save_standard")[seq % 3], (10, 100, 500)[seq // 3 % 3]
        at_s, refused = seq / number * (lasts_s - 0.1), seq // 9 % 2 == 0
        status, outcome = (401, "http_error") if refused else (200, "ok")
        recorder.sample(
            Sample(seq, 0, "before", "t", fields, operation, at_s, at_s, at_s + 0.05, status, outcome, "", 0, 9)
        )
        if operation == "save_custom" and not refused:
            recorder.effect(
                Effect(seq, "t", fields, operation, "value", "read-back", 1, 0, at_s, at_s, 0.0, "lost")
            )
    recorder.close()


def _facts(number: int, lasts_s: float) -> ArmFacts:
    ledger = Ledger(scheduled=number, recorded=number, aborted=0, unsent=0)
    return ArmFacts(target="casedesk", address="", offered_per_s=number / lasts_s, fired=number, ledger=ledger)
