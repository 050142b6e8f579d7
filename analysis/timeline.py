"""The timeline: response times and failures over the elapsed time of the runs, for a chart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from analysis.findings import TimelinePoint
from analysis.quantiles import quantile
from analysis.runs import Run
from analysis.slices import SLICE_S, histograms_by, width_for

#: Fewer ok samples than this have no p95 worth drawing.
P95_AT_LEAST: Final = 10
_KEYS: Final = ["t_s", "operation", "custom_fields"]
_READS: Final = [*_KEYS, "requests", "failures", "response_bins", "response_counts"]


def draw_timeline(before: Sequence[Run], after: Sequence[Run]) -> tuple[TimelinePoint, ...]:
    """Points of both sides by time, operation and cohort; the runs of a side lie over one another.

    Slices are joined until no more are left than one run has.
    """
    end_s = max((float(run.slices["t_s"].max()) for run in (*before, *after) if len(run.slices)), default=0.0)
    width_s = width_for(end_s + SLICE_S)
    return (*_points("before", before, width_s), *_points("after", after, width_s))


def _points(side: str, runs: Sequence[Run], width_s: float) -> list[TimelinePoint]:
    tables = [run.slices[_READS] for run in runs if len(run.slices)]
    if not tables:
        return []
    rows = pd.concat(tables, ignore_index=True)
    rows["t_s"] = np.floor(rows["t_s"] / width_s) * width_s
    sums = rows.groupby(_KEYS, observed=True)[["requests", "failures"]].sum()
    keys, histograms = histograms_by(rows, _KEYS)
    times, operations, cohorts = (keys[name].tolist() for name in _KEYS)
    return [
        TimelinePoint(
            side=side,
            operation=operation,
            custom_fields=custom_fields,
            t_s=t_s,
            requests=requests,
            failures=failures,
            p95_s=quantile(histogram, 0.95) if histogram.n >= P95_AT_LEAST else math.nan,
        )
        for t_s, operation, custom_fields, requests, failures, histogram in zip(
            times,
            operations,
            cohorts,
            sums["requests"].tolist(),
            sums["failures"].tolist(),
            histograms,
            strict=True,
        )
    ]
