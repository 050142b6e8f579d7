"""Alarms: what raises one after a block, and whether one that was acknowledged still shows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

from analysis.window import failing
from analysis.window.baseline import Baseline
from analysis.window.blocks import Block
from analysis.window.decisions import Alarm, Hold, Kind, Reason
from analysis.window.detector import TOLD, Signal
from analysis.window.spans import span
from analysis.window.state import State

Floats = NDArray[np.float64]

#: So many blocks in a row of which nothing succeeded are an alarm: no restart takes that long.
OUTAGE_BLOCKS: Final = 3
#: An agreed share of bad effects is broken if its excess has a smaller chance than this.
EFFECTS_ALPHA: Final = 1e-6
EVERYTHING: Final = "everything"


def raise_alarms(
    baseline: Baseline, state: State, block: Block, signals: Mapping[str, Signal]
) -> tuple[list[Alarm], list[Reason]]:
    """What raises an alarm after this block, and what would if the baseline were long enough."""
    at_s = block.end_s
    found = []
    for (kind, outcome), (bad, checked) in (state.effects or {}).items():
        allowed = {(e.kind, e.outcome): e.allowed for e in block.effects}.get((kind, outcome))
        if allowed is not None and _is_broken(bad, checked, allowed):
            text = f"{bad:.0f} of {checked:.0f} {kind} effects {outcome} within a day, {allowed:.1%} are allowed"
            found.append(Alarm(Kind.INTEGRITY, f"{kind} {outcome}", at_s, text))
    if state.outage >= OUTAGE_BLOCKS:
        text = f"nothing succeeded for {span(state.outage * block.length_s)}"
        found.append(Alarm(Kind.FAILURES, EVERYTHING, at_s, f"{text}: {block.unreachable}".removesuffix(": ")))
    strong = failing.strength(state.failing) >= failing.limit(len(baseline.failures))
    for operation in np.array(list(baseline.failures))[strong].tolist():
        n, y = _failed(state, operation)
        text = f"{operation}: {y} of {n} requests failed in the last hour, normal is "
        found.append(
            Alarm(Kind.FAILURES, operation, at_s, text + f"{baseline.failures[operation].share:.2%} at most")
        )
    loud = sorted((one for one in signals.values() if one.score >= 1), key=lambda one: -one.score)
    raised = [
        Alarm(Kind.GROWTH if one.growth else Kind.LATENCY, one.stream, at_s, tell(one, baseline)) for one in loud
    ]
    watched_s = at_s - (at_s if state.started_s is None else state.started_s)
    if raised and baseline.is_short and watched_s < baseline.day_s:
        known = "a baseline of less than a day is too short to escalate on it before a day of watching"
        return found, [Reason(Hold.SHORT_BASELINE, f"{raised[0].text}; {known}")]
    return found + raised, []


def tell(signal: Signal, baseline: Baseline) -> str:
    """One signal in one sentence."""
    minutes = signal.blocks * baseline.block_s / 60
    span = f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.0f} h"
    return f"{signal.stream} {math.expm1(signal.shift):+.0%} over the last {span}"


def _is_broken(bad: float, checked: float, allowed: float) -> bool:
    if allowed <= 0:
        return bad > 0
    return bad > allowed * checked and float(special.pdtrc(math.ceil(bad) - 1, allowed * checked)) < EFFECTS_ALPHA


def fade(
    before: Mapping[tuple[str, str], tuple[float, float]], block: Block, share: float
) -> dict[tuple[str, str], tuple[float, float]]:
    """Counts of bad and of checked effects; those of a day ago count for a third."""
    faded = {key: (bad * (1 - share), checked * (1 - share)) for key, (bad, checked) in before.items()}
    for one in block.effects:
        bad, checked = faded.get((one.kind, one.outcome), (0.0, 0.0))
        faded[one.kind, one.outcome] = bad + one.count, checked + one.checked
    return faded


def _failed(state: State, operation: str) -> tuple[int, int]:
    """Requests and failures of an operation in the last twelve blocks."""
    counts = [one for block in state.blocks[-12:] for one in block.counts if one.operation == operation]
    return sum(one.requests for one in counts), sum(one.failures for one in counts)


def joined(before: tuple[Alarm, ...], found: list[Alarm], acknowledged: tuple[Alarm, ...]) -> tuple[Alarm, ...]:
    """Alarms stay as they were raised; what was acknowledged is not raised again while it still shows."""
    known = {(one.kind, one.what) for one in (*before, *acknowledged)}
    return (*before, *(one for one in found if (one.kind, one.what) not in known))


def still_shows(alarm: Alarm, signals: Mapping[str, Signal], outage: int) -> bool:
    """Whether what raised the alarm is still there; ``outage`` blocks in a row nothing has succeeded."""
    if alarm.what == EVERYTHING:
        return outage > 0
    return alarm.what in signals and signals[alarm.what].score >= TOLD
