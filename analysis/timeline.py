"""The timeline: response times and failures over the elapsed time of the runs, for a chart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from analysis.findings import TimelinePoint
from analysis.reduction import pool
from analysis.runs import Run
from analysis.slices import SLICE_S, width_for

#: Fewer ok samples than this have no p95 worth drawing.
P95_AT_LEAST: Final = 10


def draw_timeline(before: Sequence[Run], after: Sequence[Run]) -> tuple[TimelinePoint, ...]:
    """Points of both sides by time, operation and cohort; the runs of a side lie over one another.

    Slices are joined until no more are left than one run has.
    """
    end_s = max((float(run.reduced.t_s.max()) for run in (*before, *after) if len(run.slices)), default=0.0)
    width_s = width_for(end_s + SLICE_S)
    return (*_points("before", before, width_s), *_points("after", after, width_s))


def _points(side: str, runs: Sequence[Run], width_s: float) -> list[TimelinePoint]:
    parts = [run.reduced for run in runs if len(run.slices)]
    cells = sorted({cell for part in parts for cell in part.cells})
    slots = [(part.t_s // width_s).astype(np.int64) for part in parts]
    groups = max((int(slot.max()) + 1 for slot in slots), default=0) * len(cells)
    by_row = [slot * len(cells) + part.places_in(cells) for slot, part in zip(slots, parts, strict=True)]
    pooled = pool(parts, by_row, groups)
    p95_s = np.where(pooled.n >= P95_AT_LEAST, pooled.quantiles(0.95), math.nan).tolist()
    requests, failures = np.zeros(groups), np.zeros(groups)
    for group, part in zip(by_row, parts, strict=True):
        requests += np.bincount(group, part.counts["requests"], groups)
        failures += np.bincount(group, part.counts["failures"], groups)
    return [
        TimelinePoint(
            side=side,
            operation=cells[group % len(cells)][0],
            custom_fields=cells[group % len(cells)][1],
            t_s=group // len(cells) * width_s,
            requests=int(requests[group]),
            failures=int(failures[group]),
            p95_s=p95_s[group],
        )
        for group in sorted({group for own in by_row for group in np.unique(own).tolist()})
    ]
