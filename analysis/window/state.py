"""What was agreed about a window, and all that a watch remembers between two blocks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from analysis.window import failing
from analysis.window.baseline import Baseline
from analysis.window.blocks import Block
from analysis.window.clearing import Totals, no_totals
from analysis.window.decisions import Alarm
from analysis.window.detector import Recent, no_recent
from analysis.window.explanation import Objective
from analysis.window.hours import Progress

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Terms:
    """What was agreed about the window."""

    settle_s: float = 86_400.0  # CLEAR not before
    tolerance: float = 0.10
    required_events: tuple[str, ...] = ()
    objectives: tuple[Objective, ...] = ()
    tenants: Mapping[int, tuple[str, ...]] = field(default_factory=dict)  # by number of custom fields


@dataclass(frozen=True, slots=True)
class State:
    """All that a watch remembers. Times are Unix times."""

    recent: Recent
    failing: Floats
    totals: Totals
    own: Floats  # of each of ``blocks`` what the watched target itself did (``against.own_shifts``)
    blocks: tuple[Block, ...] = ()  # of the last day, for the explanation
    started_s: float | None = None
    ended_s: float = -math.inf  # end of the last block
    seen_s: float = -math.inf  # end of the last one that said anything of the target
    refused_s: float | None = None  # since when our credentials are refused
    alarms: tuple[Alarm, ...] = ()
    acknowledged: tuple[Alarm, ...] = ()  # that still show
    deviated: Mapping[str, float] | None = None  # stream -> when last
    sudden: tuple[str, float] | None = None  # stream, when
    gap: tuple[float, float] | None = None  # from, to
    events: frozenset[str] = frozenset()
    effects: Mapping[tuple[str, str], tuple[float, float]] | None = None  # bad ones and checked, fading over a day
    cleared_s: float | None = None
    outage: int = 0  # blocks in a row of which nothing succeeded
    versus_s: float | None = None  # end of the last block in which the old environment answered
    hours: Progress = field(default_factory=dict)  # of the stretches of the day that are required


def begin(baseline: Baseline) -> State:
    """Before the first block."""
    streams, against = len(baseline.streams.names), len(baseline.streams.against)
    return State(
        recent=no_recent(streams),
        failing=failing.no_evidence(baseline.failures),
        totals=no_totals(streams),
        own=np.empty((0, against)),
    )


def acknowledge(state: State, baseline: Baseline) -> State:
    """Somebody knows of the alarms so far. They no longer escalate; what still shows of them holds."""
    return replace(
        state,
        alarms=(),
        acknowledged=(*state.acknowledged, *state.alarms),
        failing=failing.no_evidence(baseline.failures),
        effects={},
    )


def see(state: State, event: str) -> State:
    """Somebody saw an event that the load cannot show, as a failover."""
    return replace(state, events=state.events | {event})
