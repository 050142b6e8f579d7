"""The account of one run by itself: how fast it was, what failed, what became of its effects.

Nothing here is a comparison. An interval says how well the run's own requests pin down a time of that run;
how much the next run would differ it cannot know, since runs vary by more than their samples do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from analysis.findings import IntegrityFinding, ObjectiveFinding
from analysis.integrity import check_integrity
from analysis.loop import fault_of
from analysis.objectives import measure_objectives
from analysis.quantiles import interval, quantile
from analysis.runs import Question, Run
from analysis.slices import kinds_of

QUANTILES: Final = (0.5, 0.95, 0.99)
#: Samples that must be expected beyond a quantile for it to have a value.
BEYOND: Final = 1


@dataclass(frozen=True, slots=True)
class Time:
    """A quantile of the response times, in seconds, and what spans it with 95 %; NaN where too few bound it.

    So few samples that none is expected beyond the quantile give no value: their longest is not their p99.
    """

    quantile: float
    value_s: float
    low_s: float
    high_s: float


@dataclass(frozen=True, slots=True)
class CellAccount:
    """One operation of one cohort. The times are of those that were answered (``n``)."""

    operation: str
    custom_fields: int
    requests: int
    failures: int
    n: int
    times: tuple[Time, ...]


@dataclass(frozen=True, slots=True)
class FailureCount:
    """What failed how, and how often."""

    outcome: str
    detail: str
    operation: str
    count: int


@dataclass(frozen=True, slots=True)
class Account:
    """Everything that one run, or one arm of it, says by itself."""

    cells: tuple[CellAccount, ...]
    failures: tuple[FailureCount, ...]  # the most frequent first
    integrity: tuple[IntegrityFinding, ...]  # counts stand under ``after``; nothing stands before
    objectives: tuple[ObjectiveFinding, ...]  # without those that need a run before the change
    fault: str  # what keeps the run out of a comparison of times, a clause after "the run"; else empty

    @property
    def requests(self) -> int:
        """Answered or failed, in the measured window."""
        return sum(cell.requests for cell in self.cells)

    @property
    def failed(self) -> int:
        """Of them, those that failed."""
        return sum(cell.failures for cell in self.cells)


def account_of(run: Run, question: Question) -> Account:
    """What the run says by itself, held against what its scenario agreed. Reads its slices and effects."""
    fault = fault_of(run)
    objectives = [one for one in question.objectives if one.measure != "slower"]
    kinds = sorted(kinds_of(run.slices).items(), key=lambda kind: (-kind[1], kind[0]))
    return Account(
        cells=_cells(run),
        failures=tuple(FailureCount(*kind, count) for kind, count in kinds),
        integrity=check_integrity([], [run], question),
        objectives=measure_objectives(objectives, [run], timed=[] if fault else [run]),
        fault=fault,
    )


def _cells(run: Run) -> tuple[CellAccount, ...]:
    """Every operation of every cohort that was asked, sorted by both names."""
    reduced = run.reduced
    requests, failures = reduced.of_cells("requests"), reduced.of_cells("failures")
    found = []
    for cell, histogram in reduced.by_cell.items():
        times = []
        for q in QUANTILES:
            span = interval(histogram, q)
            value_s = quantile(histogram, q) if histogram.n * (1 - q) > BEYOND - 1e-9 else math.nan
            times.append(Time(q, value_s, span.low_s, span.high_s))
        found.append(CellAccount(*cell, requests[cell], failures[cell], histogram.n, tuple(times)))
    return tuple(found)
