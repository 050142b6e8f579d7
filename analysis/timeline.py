"""The timeline: response times and failures over the elapsed time of the runs, for a chart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from analysis.findings import TimelinePoint
from analysis.histograms import Histogram
from analysis.quantiles import quantile
from analysis.runs import Run
from analysis.slices import SLICE_S, merge

#: More points than this on an axis cannot be told apart, and make the report heavy.
POINTS_MOST: Final = 30
#: Fewer ok samples than this have no p95 worth drawing.
P95_AT_LEAST: Final = 10


def draw_timeline(before: Sequence[Run], after: Sequence[Run]) -> tuple[TimelinePoint, ...]:
    """Points of both sides by time, operation and cohort; the runs of a side lie over one another.

    Slices are joined until no more than ``POINTS_MOST`` are left.
    """
    end_s = max((float(run.slices["t_s"].max()) for run in (*before, *after) if len(run.slices)), default=0.0)
    width_s = SLICE_S * math.ceil((end_s + SLICE_S) / SLICE_S / POINTS_MOST)
    return (*_points("before", before, width_s), *_points("after", after, width_s))


def _points(side: str, runs: Sequence[Run], width_s: float) -> list[TimelinePoint]:
    tables = [
        run.slices.assign(arm="", t_s=np.floor(run.slices["t_s"] / width_s) * width_s)
        for run in runs
        if len(run.slices)
    ]
    rows: pd.DataFrame = merge(tables)
    found = []
    for row in rows.itertuples():
        histogram = Histogram(np.asarray(row.response_bins, np.int64), np.asarray(row.response_counts, np.int64))
        found.append(
            TimelinePoint(
                side=side,
                operation=str(row.operation),
                custom_fields=int(str(row.custom_fields)),
                t_s=float(str(row.t_s)),
                requests=int(str(row.requests)),
                failures=int(str(row.failures)),
                p95_s=quantile(histogram, 0.95) if histogram.n >= P95_AT_LEAST else math.nan,
            )
        )
    return found
