"""Notable samples: the few requests of a run that an engineer will want to look up in the target's traces.

The slowest of each operation and the first failures of each kind. A run keeps them beside its slices, so that
telling them costs no second look at all its samples.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import pandas as pd

from analysis.details import Notable
from analysis.runs import Run
from analysis.samples import FAILURES

#: Of each operation (and arm), in one run.
SLOWEST: Final = 5
#: Of each outcome and detail (and arm), in one run.
FAILED: Final = 3
READS: Final = (
    "seq", "arm", "tenant", "custom_fields", "operation", "scheduled_s", "sent_s", "done_s", "outcome", "detail",
)  # fmt: skip
COLUMNS: Final = (
    "seq", "arm", "tenant", "custom_fields", "operation", "scheduled_s", "response_s", "outcome", "detail",
)  # fmt: skip
#: In a report: of each operation on each side, and of each kind of failure.
TOLD_SLOWEST: Final = 3
TOLD_FAILED: Final = 3


def pick(samples: pd.DataFrame) -> pd.DataFrame:
    """The notable ones of some samples (columns ``READS``), with the columns ``COLUMNS``. The warm-up is left out.

    Picking from a union and picking from the picks of its parts is the same.
    """
    counted = samples[samples["scheduled_s"] >= 0]
    outcome = counted["outcome"]
    took = counted.assign(response_s=counted["done_s"] - counted["scheduled_s"])
    return _chosen(took[outcome == "ok"], took[outcome.isin(FAILURES)])


def pick_again(picked: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """The notable ones of the picks of several parts."""
    parts = [part for part in picked if len(part)]
    if not parts:
        return empty()
    if len(parts) == 1:  # as of every run of less than a million samples
        return parts[0]
    rows = pd.concat(parts, ignore_index=True)
    return _chosen(rows[rows["outcome"] == "ok"], rows[rows["outcome"] != "ok"])


def empty() -> pd.DataFrame:
    """No notable sample."""
    texts = ("arm", "tenant", "operation", "outcome", "detail")
    kinds = {name: "str" if name in texts else "float64" if name.endswith("_s") else "int64" for name in COLUMNS}
    return pd.DataFrame({name: pd.Series([], dtype=kind) for name, kind in kinds.items()})


def tell_notable(side: str, runs: Sequence[Run]) -> tuple[Notable, ...]:
    """Those of a whole side: the slowest first, by operation; then the failures by kind, the earliest first."""
    parts = [run.notable.assign(run=run.id) for run in runs if len(run.notable)]
    if not parts:
        return ()
    rows = pd.concat(parts, ignore_index=True)
    ok = rows[rows["outcome"] == "ok"].sort_values("response_s", ascending=False, kind="stable")
    failed = rows[rows["outcome"] != "ok"].sort_values(["outcome", "detail", "scheduled_s"], kind="stable")
    slowest = ok.groupby("operation", sort=False).head(TOLD_SLOWEST)
    first = failed.groupby(["outcome", "detail"], sort=False).head(TOLD_FAILED)
    return tuple(
        Notable(
            side=side,
            run=str(row["run"]),
            trace_id=str(row["trace_id"]),
            operation=str(row["operation"]),
            custom_fields=int(row["custom_fields"]),
            tenant=str(row["tenant"]),
            scheduled_s=float(row["scheduled_s"]),
            response_s=float(row["response_s"]),
            outcome=str(row["outcome"]),
            detail=str(row["detail"]),
        )
        for row in pd.concat([slowest, first]).to_dict("records")
    )


def _chosen(ok: pd.DataFrame, failed: pd.DataFrame) -> pd.DataFrame:
    slow = ok.sort_values(["response_s", "seq"], ascending=[False, True])
    slow = slow.groupby(["arm", "operation"], observed=True, sort=False).head(SLOWEST)
    first = failed.sort_values(["scheduled_s", "seq"])
    first = first.groupby(["arm", "outcome", "detail"], observed=True, sort=False).head(FAILED)
    rows = pd.concat([slow, first], ignore_index=True)[list(COLUMNS)]
    if not len(rows):
        return empty()
    texts = {name: rows[name].astype(str) for name in ("arm", "tenant", "operation", "outcome", "detail")}
    numbers = {name: rows[name].astype(np.int64) for name in ("seq", "custom_fields")}
    return rows.assign(**texts, **numbers)
