"""One run as the analysis sees it: its facts and its slices, without a file or a clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pandas as pd

from analysis.details import Outage
from analysis.reduction import Reduction
from analysis.samples import Fact


@dataclass(frozen=True, slots=True)
class Origin:
    """The tool that made the results of a run, where that was not savepath, and what they do not tell."""

    tool: str
    lacks: frozenset[Fact]
    notes: tuple[str, ...] = ()  # what else was seen when they were imported: whole sentences


@dataclass(frozen=True, slots=True)
class Run:
    """What a comparison needs of one run.

    ``slices`` is the table made by ``analysis.slices.fold``; ``effects`` has the columns of
    ``analysis.samples.EFFECT_COLUMNS``. ``status`` is ``complete``, ``aborted`` or ``interrupted``.
    """

    id: str
    started_at: datetime  # aware, UTC
    status: str
    scenario: str
    target: str
    plan_digest: str
    duration_s: float  # length of the measured window that was really driven
    scheduled: int
    recorded: int
    aborted: int
    unsent: int
    run_queue_delay: float  # share of the time that the generator waited for a core; NaN if unknown
    cpu: float  # share of one core that the generator used; NaN if unknown
    slices: pd.DataFrame
    effects: pd.DataFrame
    labels: Mapping[str, str] = field(default_factory=dict)
    fingerprint: Mapping[str, str] = field(default_factory=dict)
    stored_cases: int | None = None
    lasted_s: float = float("nan")  # from its first arrival to its last check, warm-up included
    at_once: str = ""  # the run that drove this side and the other at once; empty where each had its own
    waited_for_pool: int | None = None  # arrivals held back because in_flight_max requests were open already
    users: int = 0  # of a closed loop, each of whom waited for the answer; 0: the load was open
    origin: Origin | None = None  # None: driven by savepath, which tells everything
    notable: pd.DataFrame = field(default_factory=pd.DataFrame)  # analysis.notable.COLUMNS and trace_id
    outages: tuple[Outage, ...] | None = ()  # None: nobody looked
    reason: str = ""  # why it did not go through to its end
    lost: int = 0  # arrivals of a worker that died, of which nobody knows what became
    taken_over: str = ""  # who died, and when, where others drove its part to the end
    reduced: Reduction = field(init=False, repr=False, compare=False)  # its sums, made when they are asked for

    def __post_init__(self) -> None:
        object.__setattr__(self, "reduced", Reduction(self.slices, self.effects))

    def lacks(self, fact: Fact) -> bool:
        """Whether this is not told."""
        return self.origin is not None and fact in self.origin.lacks


@dataclass(frozen=True, slots=True)
class Objective:
    """One agreed limit on what users get; the fields of ``scenarios.objectives.Objective``, which says more."""

    text: str  # as it was written
    measure: str  # quantile, failures, slower, effects
    limit: float
    unit: str  # s, share, count
    operation: str | None = None
    custom_fields: int | None = None
    quantile: float | None = None
    effect: str | None = None
    outcome: str | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a comparison: the agreed limits, from the scenario.

    ``required`` holds (operation, custom_fields); ``integrity_limits`` maps (kind, outcome) to
    the largest share of the checked effects that is allowed, 0.0 where it is not named.
    """

    tolerance: float = 0.10
    quantiles: tuple[float, ...] = (0.5, 0.95, 0.99)
    required: frozenset[tuple[str, int]] = frozenset()
    integrity_limits: Mapping[tuple[str, str], float] = field(default_factory=dict)
    planned: frozenset[str] = frozenset()  # settings whose difference was announced
    not_applicable: frozenset[tuple[str, int]] = frozenset()  # cells that cannot exist
    objectives: tuple[Objective, ...] = ()


def listed(ids: Sequence[str]) -> str:
    """Some runs by their ids, the first five by name."""
    return ", ".join(ids[:5]) + (f" and {len(ids) - 5} more" if len(ids) > 5 else "")
