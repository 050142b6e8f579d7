"""The generator: was it late, starved or short of its schedule, and not by the target's doing?

A target that answers slowly fills the pool of open requests, and arrivals wait: that is part of the
response time and never the generator's fault. A generator that waits for a core is, and its run is
of no use for latency.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analysis.histograms import joined, total
from analysis.quantiles import quantile
from analysis.runs import Run

NAN: Final = float("nan")
OFFERED_AT_LEAST: Final = 0.99
RUN_QUEUE_MOST: Final = 0.20
LAG_SHARE: Final = 0.05
LAG_FLOOR_S: Final = 0.010
#: The verdict rests on p50 and p95: the latest one request in a hundred cannot move them.
LAG_QUANTILE: Final = 0.95
WAITED_MOST: Final = 0.01
#: From here on too few arrivals are left to tell the generator's lag by.
ALL_WAITED: Final = 0.99
#: Where a run does not tell how many arrivals waited for the pool: as many open requests are taken for a full one.
IN_FLIGHT_MANY: Final = 50


@dataclass(frozen=True, slots=True)
class Gate:
    """Which runs are kept out of the latency comparison, by id, and why (a clause after "the run")."""

    faults: Mapping[str, str]
    lag_limit_s: float


def gate(before: Sequence[Run], after: Sequence[Run]) -> Gate:
    """Look at the generator of every run.

    The lag limit is 5 % of the overall p50, but never below 10 ms. Latency counts from the scheduled
    time, so a lag is part of the response time on both sides alike; at a p50 of 3 ms, 5 % would be
    0.15 ms, which a shared machine (timers in 1 ms steps, run queues of several ms) never keeps:
    every run would be dropped for a lateness that nobody could notice.
    """
    runs = (*before, *after)
    p50_s = quantile(joined([run.reduced.response for run in runs]), 0.5)
    limit_s = max(LAG_SHARE * p50_s, LAG_FLOOR_S) if not math.isnan(p50_s) else LAG_FLOOR_S
    faults = {run.id: fault for run in runs if (fault := _fault(run, limit_s))}
    return Gate(faults, limit_s)


def waited_share(run: Run) -> float:
    """The share of arrivals that waited because the target held every request that may be open.

    0 where nobody knows when they were due: many open requests may be just what was asked for.
    """
    if run.lacks("schedule"):
        return 0.0
    if run.waited_for_pool is not None:
        return min(run.waited_for_pool / max(run.recorded, 1), 1.0)
    if not len(run.slices):
        return 0.0
    crowded = _crowded(run)
    requests = run.slices["requests"].to_numpy(np.float64)
    return float(requests[crowded].sum() / max(requests.sum(), 1))


def late_s(run: Run) -> float:
    """p95 of the lag of arrivals that did not wait for the target; NaN if all did, none was sent or none was due.

    Those that waited have the longest lags, so leaving the longest out leaves them out.
    """
    if not len(run.slices) or run.lacks("schedule"):
        return NAN
    if run.waited_for_pool is not None:
        waited = waited_share(run)
        return quantile(run.reduced.lag, LAG_QUANTILE * (1 - waited)) if waited < ALL_WAITED else NAN
    return quantile(total(run.slices, "lag", ~_crowded(run)), LAG_QUANTILE)


def _fault(run: Run, lag_limit_s: float) -> str | None:
    """What keeps a run out of the latency comparison though its target is not to blame; None if nothing does."""
    if run.status == "interrupted":
        return "was interrupted"
    if run.taken_over:
        return f"lost a worker, whose part others took over: {run.taken_over}"
    if offered_share(run) < OFFERED_AT_LEAST:
        return f"offered only {offered_share(run):.1%} of its schedule"
    lag_s = late_s(run)
    if lag_s > lag_limit_s:
        return f"sent its requests late (p95 {milliseconds(lag_s)}, limit {milliseconds(lag_limit_s)})"
    if known_share(run.run_queue_delay) > RUN_QUEUE_MOST:
        return f"waited for a core {run.run_queue_delay:.0%} of its time (limit {RUN_QUEUE_MOST:.0%})"
    return None


def offered_share(run: Run) -> float:
    """The share of the schedule that a generator sent, as far as that was up to it."""
    if run.status != "complete" or not run.scheduled or waited_share(run) > WAITED_MOST:
        return 1.0
    return (run.recorded + run.aborted) / run.scheduled


def _crowded(run: Run) -> NDArray[np.bool_]:
    """Rows of slices in which the target held very many requests at once (Little's law: busy time / time)."""
    starts, number = np.unique(run.slices["t_s"].to_numpy(np.float64), return_inverse=True)
    busy_s = np.bincount(number, weights=run.slices["busy_us"].to_numpy(np.float64)) / 1e6
    length_s = min(float(np.diff(starts).min()) if len(starts) > 1 else math.inf, max(run.duration_s, 1e-9))
    crowded: NDArray[np.bool_] = (busy_s / length_s >= IN_FLIGHT_MANY)[number]
    return crowded


def known_share(value: float | None) -> float:
    """A share that may be unknown; NaN then."""
    return NAN if value is None else value


def milliseconds(seconds: float) -> str:
    """A short time for people."""
    return f"{seconds * 1000:,.1f} ms"
