"""Failures with a known truth, judged by ``analysis.failures`` on slices as a run holds them."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd

from analysis.failures import compare_failures
from analysis.runs import Run
from benchmarks.truth.worlds import FIELDS, OPERATIONS

#: Five pairs of two minutes by turns are 20 minutes, as ten runs of both sides at once are.
BY_TURNS, AT_ONCE = 5, 10
DURATION_S, RATE_PER_S, SLICE_S = 120, 30, 10
SHARE = 0.001


def fires(seed: int, *, after: float, runs: int, bursty: bool) -> bool:
    """Whether failures alarm where custom saves fail with the share ``after`` and all else with ``SHARE``."""
    rng = np.random.default_rng(seed)
    before = [_run(rng, SHARE, bursty=bursty) for _ in range(runs)]
    return any(one.fires for one in compare_failures(before, [_run(rng, after, bursty=bursty) for _ in before]))


def _run(rng: np.random.Generator, share: float, *, bursty: bool) -> Run:
    starts = np.arange(0, DURATION_S, SLICE_S, dtype=np.float64)
    grid = pd.MultiIndex.from_product([starts, OPERATIONS, FIELDS], names=["t_s", "operation", "custom_fields"])
    rows = grid.to_frame(index=False)
    rows["requests"] = rng.poisson(RATE_PER_S * SLICE_S / (len(OPERATIONS) * len(FIELDS)), len(rows))
    shares = np.where(rows["operation"] == "save_custom", share, SHARE)
    if bursty:  # one slice in ten has ten times the failures of the mean, the others none
        hit = rng.random(len(starts)) < 0.1
        shares = shares * 10 * np.repeat(hit, len(rows) // len(starts))
    rows["failures"] = rng.binomial(rows["requests"], shares)
    rows["ok"], rows["aborted"] = rows["requests"] - rows["failures"], 0
    return Run(
        id="simulated",
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        status="complete",
        scenario="simulated",
        target="simulated",
        plan_digest="",
        duration_s=DURATION_S,
        scheduled=0,
        recorded=0,
        aborted=0,
        unsent=0,
        run_queue_delay=0.0,
        cpu=0.0,
        slices=rows,
        effects=pd.DataFrame(),
    )
