"""Outages of a run: when its requests failed or hung in a row, for how long, and what came after.

An arrival is *bad* if it failed, or took more than ``HANGS`` times the median of its cell; while the generator
itself stood still (``analysis.stalls``) nothing hangs. An outage begins with the first of ``IN_A_ROW`` bad ones
in a row, of all arrivals or of one operation, by the moments in which they were due; it ends with the first of
so many good ones, of each operation that was out. Single failures are none, however many: at one in twenty, five
in a row come once in three million arrivals.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC
from typing import Final

import numpy as np
import pandas as pd

from analysis.details import KEPT_S, CellOutage, Kept, Outage, OutageKind, RunOutage
from analysis.runs import Run
from analysis.samples import FAILURES
from analysis.stalls import seconds_taken

IN_A_ROW: Final = 5
HANGS: Final = 10.0
#: Below this nobody notices, whatever the median.
HANGS_LEAST_S: Final = 0.1
#: As before: so many arrivals of a cell in a row within so many times its median.
AS_BEFORE: Final = 2.0
#: Outages less than this apart are one.
JOINED_S: Final = 5.0
#: What is read of samples and effects, besides the arm.
READS: Final = (
    "seq", "worker", "operation", "custom_fields", "scheduled_s", "sent_s", "done_s", "outcome", "detail",
)  # fmt: skip
READS_EFFECTS: Final = ("seq", "kind", "outcome")

_LOST: Final = {"value": ("lost", "partial", "foreign"), "script": ("missed", "doubled")}


def find_outages(samples: pd.DataFrame, effects: pd.DataFrame) -> tuple[Outage, ...]:
    """The outages of one run, or of one arm of it, in order.

    Reads the columns ``READS`` of the samples, warm-up included, and ``READS_EFFECTS`` of the effects.
    """
    rows = samples[samples["outcome"] != "aborted"].sort_values("scheduled_s", kind="stable")
    if rows.empty:
        return ()
    took_s = seconds_taken(rows)
    failed = rows["outcome"].isin(FAILURES).to_numpy() & (rows["outcome"] != "conflict").to_numpy()
    cell = rows.groupby(["operation", "custom_fields"], observed=True, sort=True).ngroup().to_numpy()
    usual_s = _medians(took_s, failed, cell)[cell]
    slow = ~failed & (took_s > np.maximum(HANGS * usual_s, HANGS_LEAST_S))
    if np.count_nonzero(failed | slow) < IN_A_ROW:
        return ()
    table = pd.DataFrame(
        {
            "seq": rows["seq"].to_numpy(),
            "operation": rows["operation"].astype(str).to_numpy(),
            "custom_fields": rows["custom_fields"].to_numpy(),
            "due_s": rows["scheduled_s"].to_numpy(float),
            "done_s": rows["done_s"].to_numpy(float),
            "outcome": rows["outcome"].astype(str).to_numpy(),
            "detail": rows["detail"].astype(str).to_numpy(),
            "failed": failed,
            "slow": slow,
            "usual": ~failed & ~(took_s > AS_BEFORE * usual_s),
        }
    )
    spans = _joined([*_spans(table), *(s for _, part in table.groupby("operation") for s in _spans(part))])
    following = [*(begun_s for begun_s, _ in spans[1:]), math.inf]
    return tuple(_outage(table, effects, *span, next_s) for span, next_s in zip(spans, following, strict=False))


def tell_outages(side: str, runs: Sequence[Run]) -> tuple[RunOutage, ...]:
    """Those of all runs of a side, run by run; of runs in which nobody looked there are none."""
    return tuple(
        RunOutage(side, run.id, run.started_at.astimezone(UTC).isoformat(), outage)
        for run in runs
        for outage in run.outages or ()
    )


def _medians(took_s: np.ndarray, failed: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """The median of what was answered, by cell; infinite for a cell that never was: nothing in it is slow."""
    medians = np.full(int(cell.max()) + 1, math.inf)
    for number in np.unique(cell[~failed]):
        medians[number] = float(np.median(took_s[~failed & (cell == number)]))
    return medians


def _spans(rows: pd.DataFrame) -> Iterator[tuple[float, float]]:
    """Beginning and end of each stretch that begins with bad arrivals in a row and ends with good ones."""
    due_s = rows["due_s"].to_numpy()
    bad = (rows["failed"] | rows["slow"]).to_numpy()
    place, begun = 0, None
    while True:
        place = _in_a_row(bad if begun is None else ~bad, place)
        if place < 0:
            break
        if begun is None:
            begun = place
        else:
            yield float(due_s[begun]), float(due_s[place])
            begun = None
    if begun is not None:
        yield float(due_s[begun]), math.inf  # nothing comes after


def _in_a_row(what: np.ndarray, start: int) -> int:
    """Where the first ``IN_A_ROW`` of them in a row begin, from ``start`` on; -1 if nowhere."""
    if len(what) - start < IN_A_ROW:
        return -1
    sums = np.convolve(what[start:].astype(int), np.ones(IN_A_ROW, dtype=int), "valid")
    found = np.flatnonzero(sums == IN_A_ROW)
    return start + int(found[0]) if len(found) else -1


def _joined(spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    joined: list[tuple[float, float]] = []
    for begun_s, ended_s in sorted(spans):
        if joined and begun_s <= joined[-1][1] + JOINED_S:
            joined[-1] = (joined[-1][0], max(joined[-1][1], ended_s))
        else:
            joined.append((begun_s, ended_s))
    return joined


def _outage(table: pd.DataFrame, effects: pd.DataFrame, begun_s: float, ended_s: float, until_s: float) -> Outage:
    # What was under way when it began was due before.
    after = table[((table["due_s"] >= begun_s) | (table["failed"] & (table["done_s"] >= begun_s)))]
    after = after[after["due_s"] < until_s]
    inside = after[after["due_s"] < ended_s]
    failed = inside[inside["failed"]]
    kinds = Counter(zip(failed["outcome"], failed["detail"], strict=True)).most_common()
    cells = [
        _cell(str(operation), int(str(fields)), part, begun_s, ended_s)
        for (operation, fields), part in after.groupby(["operation", "custom_fields"], sort=True)
    ]
    return Outage(
        begun_s=begun_s,
        ended_s=ended_s if math.isfinite(ended_s) else math.nan,
        failed=len(failed),
        requests=len(inside),
        kinds=tuple(OutageKind(str(outcome), str(detail), n) for (outcome, detail), n in kinds),
        cells=tuple(cells),
        kept=_kept(table, effects, begun_s),
    )


def _cell(operation: str, fields: int, rows: pd.DataFrame, begun_s: float, ended_s: float) -> CellOutage:
    """One cell from the beginning of an outage to that of the next."""
    inside = rows[rows["due_s"] < ended_s]
    failed = inside[inside["failed"]]
    down_s, gone_s = math.nan, 0.0
    if len(failed):
        first_s, last_s = max(float(failed["due_s"].iloc[0]), begun_s), float(failed["due_s"].iloc[-1])
        answered = rows[~rows["failed"] & (rows["due_s"] > last_s)]["due_s"]
        down_s, gone_s = first_s - begun_s, float(answered.iloc[0]) - first_s if len(answered) else math.nan
    place = _in_a_row(rows["usual"].to_numpy(), 0)
    again_s = max(float(rows["due_s"].iloc[place]) - begun_s, 0.0) if place >= 0 else math.nan
    slow = int(inside["slow"].sum())
    return CellOutage(operation, fields, len(inside), len(failed), slow, down_s, gone_s, again_s)


def _kept(table: pd.DataFrame, effects: pd.DataFrame, begun_s: float) -> Kept:
    saves = table["operation"].isin(("save_standard", "save_custom", "run_script")) & (table["outcome"] == "ok")
    acknowledged = table[saves & table["done_s"].between(begun_s - KEPT_S, begun_s)]["seq"]
    looked = effects[effects["seq"].isin(acknowledged) & effects["kind"].isin(list(_LOST))]
    looked = looked[looked["outcome"] != "unverified"]
    lost = [looked[(looked["kind"] == kind) & looked["outcome"].isin(bad)]["seq"] for kind, bad in _LOST.items()]
    return Kept(len(acknowledged), looked["seq"].nunique(), len(set().union(*(set(one) for one in lost))))
