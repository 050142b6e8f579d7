"""Details: what engineers look at behind a verdict, as frozen results; no verdict rests on them.

A *distribution*, a *shift*, a point of the *course* and a *heat map* describe one cell: one operation of one
cohort. Times are seconds, ratios are after / before; what is not known is NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: Saves that were acknowledged so long before an outage are looked at: did they survive it?
KEPT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Distribution:
    """The response times of a cell over all runs of one side: quantiles as far as enough samples lie beyond."""

    side: str  # before, after
    operation: str
    custom_fields: int
    n: int
    quantiles: tuple[float, ...]
    times_s: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Shift:
    """How far one quantile of a cell moved, with a range of its own (95 %)."""

    operation: str
    custom_fields: int
    quantile: float
    ratio: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class CoursePoint:
    """After against before in one slice of elapsed time: the mean of the logarithms, and its own 95 % range."""

    operation: str
    custom_fields: int
    t_s: float  # start of the slice from the start of the measured window
    ratio: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class HeatMap:
    """How many requests of a cell took how long in which slice of elapsed time, on one side.

    ``counts[i][k]`` is that of the slice that starts at ``times_s[i]`` and of the durations from ``edges_s[k]``
    to ``edges_s[k + 1]``.
    """

    side: str
    operation: str
    custom_fields: int
    slice_s: float
    times_s: tuple[float, ...]
    edges_s: tuple[float, ...]
    counts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Notable:
    """One request to look up in the target's traces: one of the slowest, or one that failed."""

    side: str
    run: str
    trace_id: str  # W3C, 32 hexadecimal digits; empty where the run sent none
    operation: str
    custom_fields: int
    tenant: str
    scheduled_s: float
    response_s: float
    outcome: str
    detail: str


@dataclass(frozen=True, slots=True)
class CellOutage:
    """An operation of a cohort in an outage. What never came is NaN.

    ``down_s``: from the beginning of the outage to the first arrival that failed; NaN where none did. ``gone_s``:
    from there to the first after the last of them that was answered; 0 where none failed. ``again_s``: from the
    beginning of the outage until it was as before.
    """

    operation: str
    custom_fields: int
    requests: int
    failed: int
    slow: int  # answered, but hung
    down_s: float
    gone_s: float
    again_s: float


@dataclass(frozen=True, slots=True)
class OutageKind:
    """How requests failed in an outage, and how many did in this way."""

    outcome: str
    detail: str
    count: int


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of saves that were acknowledged in the ``KEPT_S`` seconds before an outage."""

    acknowledged: int
    checked: int  # of them, those whose value or scripts were looked at
    lost: int  # of these, those that are not there, or not once


@dataclass(frozen=True, slots=True)
class Outage:
    """An outage of a run. ``ended_s`` is NaN where the run ended in it. Times as in the samples."""

    begun_s: float
    ended_s: float
    failed: int
    requests: int
    kinds: tuple[OutageKind, ...]  # the most frequent first
    cells: tuple[CellOutage, ...]
    kept: Kept


@dataclass(frozen=True, slots=True)
class RunOutage:
    """An outage of one of the runs of a comparison."""

    side: str
    run: str
    started_at: str  # of the run: ISO 8601, UTC; its second 0
    outage: Outage


@dataclass(frozen=True, slots=True)
class Details:
    """All of it. Empty where there was nothing to look at."""

    distributions: tuple[Distribution, ...] = ()
    shifts: tuple[Shift, ...] = ()
    course: tuple[CoursePoint, ...] = ()
    heat: tuple[HeatMap, ...] = ()
    notable: tuple[Notable, ...] = ()
    outages: tuple[RunOutage, ...] = ()
