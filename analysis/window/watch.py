"""The watch: a fold over blocks. One block in, one decision and the next state out; no file and no clock.

What it says after a block depends on the baseline, the terms and the blocks so far, and on nothing else,
so a watch that was killed goes on by folding its journal again.

ESCALATE: a stream beyond its threshold, failures beyond their limit, or a broken effect; it stays until it is
acknowledged. HOLD: evidence of harm short of that, or a lack of evidence. CLEAR: every stream shown
harmless and settled, the settling time over, every required event seen. No data is HOLD.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analysis.findings import Verdict
from analysis.window import failing
from analysis.window.against import of_the_watched, own_shifts
from analysis.window.alarms import fade, joined, raise_alarms, still_shows
from analysis.window.baseline import Baseline
from analysis.window.blocks import Block
from analysis.window.clearing import accumulate
from analysis.window.decisions import Decision, Evidence, Hold, Kind, Reason
from analysis.window.detector import Signal, append, scores, strongest
from analysis.window.explanation import explain
from analysis.window.holding import deviations, lacking, signs_of_harm, suddenly, usable
from analysis.window.hours import is_stretch, watch_stretches, watched_whole
from analysis.window.noise import SCALES
from analysis.window.state import State, Terms
from analysis.window.streams import TELLING

Floats = NDArray[np.float64]

#: A gap in the data longer than this is remembered for half a day.
GAP_S: Final = 1800.0
#: Verdicts of CLEAR are withdrawn by these only: evidence of harm, or of being shut out, not a passing lack of it.
WITHDRAWS: Final = frozenset(
    {Hold.OUTAGE, Hold.DEVIATION, Hold.SUDDEN, Hold.ACKNOWLEDGED, Hold.SHORT_BASELINE, Hold.CREDENTIALS, Hold.GAP}
)


def step(baseline: Baseline, terms: Terms, state: State, block: Block) -> tuple[State, Decision]:
    """The state and the decision after one more block."""
    if block.start_s < state.ended_s - block.length_s / 2:
        text = "a block lies before the last one: the clock was set back, or it was told twice; it is left out"
        return state, _decide(baseline, terms, state, [Reason(Hold.CLOCK, text)], state.ended_s, {}, {})
    state = _admit(_place(baseline, state, block), block)
    reasons, row = usable(baseline, state, block)
    clipped = np.clip(row, -baseline.clip, baseline.clip)
    recent = append(state.recent, clipped)
    blocks = (*state.blocks, block)[-SCALES[-1] :]
    own = np.vstack([state.own, own_shifts(baseline, block)])[-SCALES[-1] :]
    signals = of_the_watched(baseline, blocks, own, strongest(baseline, *scores(baseline, recent)))
    started_s = block.start_s if state.started_s is None else state.started_s
    hours = state.hours
    if not block.fault and not block.refused and not block.is_outage:
        stretches = [event for event in terms.required_events if is_stretch(event)]
        hours = watch_stretches(hours, block, stretches, baseline.day_s)
    outage = state.outage + 1 if block.is_outage else 0
    state = replace(
        state,
        recent=recent,
        failing=failing.weigh(baseline.failures, state.failing, block),
        totals=accumulate(state.totals, clipped),
        own=own,
        blocks=blocks,
        started_s=started_s,
        ended_s=block.end_s,
        seen_s=state.seen_s if block.is_blind else block.end_s,
        events=state.events | set(block.events) | watched_whole(hours, block.length_s, baseline.day_s),
        hours=hours,
        effects=fade(state.effects or {}, block, baseline.block_s / baseline.day_s),
        deviated=deviations(state.deviated or {}, signals, block.end_s, baseline.day_s),
        sudden=suddenly(baseline, row, block.end_s) or state.sudden,
        acknowledged=tuple(one for one in state.acknowledged if still_shows(one, signals, outage)),
        outage=outage,
        versus_s=block.end_s if block.versus else state.versus_s,
    )
    found, held = raise_alarms(baseline, state, block, signals)
    if found:
        state = replace(state, alarms=joined(state.alarms, found, state.acknowledged))
    reasons = [*held, *reasons]
    decision = _decide(baseline, terms, state, reasons, block.end_s, signals, _telling(baseline, row))
    decision = replace(decision, alone_since_s=_alone_since(baseline, state, block))
    cleared_s = _cleared(state, decision)
    return (state if cleared_s == state.cleared_s else replace(state, cleared_s=cleared_s)), decision


def evidence(baseline: Baseline, terms: Terms, state: State) -> Evidence | None:
    """What is known of the first alarm in latency that nobody has acknowledged."""
    slow = next((one for one in state.alarms if one.kind in (Kind.GROWTH, Kind.LATENCY)), None)
    if slow is None or not state.blocks:
        return None
    return explain(
        baseline,
        state.blocks,
        slow.what,
        tolerance=terms.tolerance,
        objectives=terms.objectives,
        tenants=terms.tenants,
    )


def _place(baseline: Baseline, state: State, block: Block) -> State:
    """Time without blocks has no values; where nothing was seen for long, it is a gap."""
    if state.started_s is None:
        return state
    missing = block.start_s - state.ended_s
    recent, nothing = state.recent, np.full(len(baseline.streams.names), math.nan)
    for _ in range(min(round(missing / baseline.block_s), SCALES[-1])):
        recent = append(recent, nothing)
    seen_s = max(state.seen_s, state.started_s)
    until_s = block.end_s if block.is_blind else block.start_s
    gap = (seen_s, until_s) if until_s - seen_s > GAP_S * baseline.day_s / 86_400 else state.gap
    return replace(state, recent=recent, gap=gap)


def _alone_since(baseline: Baseline, state: State, block: Block) -> float | None:
    """Since when the old environment has not answered, though it once did; None if it does, or nobody asks it."""
    alone = not block.versus and block.requests > 0 and not block.is_outage
    if not alone or not (baseline.streams.against or state.versus_s is not None):
        return None
    return state.started_s if state.versus_s is None else state.versus_s


def _admit(state: State, block: Block) -> State:
    """Since when the target refuses our credentials: until something succeeds, and nothing more is refused."""
    if block.refused:
        return state if state.refused_s is not None else replace(state, refused_s=block.start_s)
    return state if block.nothing_succeeded else replace(state, refused_s=None)


def _telling(baseline: Baseline, row: Floats) -> dict[str, float]:
    found = dict(zip(baseline.streams.names, row.tolist(), strict=True))
    return {name: found[name] for name in TELLING if math.isfinite(found.get(name, math.nan))}


def _decide(
    baseline: Baseline,
    terms: Terms,
    state: State,
    reasons: list[Reason],
    at_s: float,
    signals: Mapping[str, Signal],
    shifts: Mapping[str, float],
) -> Decision:
    reasons = [*reasons, *signs_of_harm(baseline, state, at_s), *lacking(baseline, terms, state, at_s)]
    verdict = Verdict.HOLD if reasons else Verdict.CLEAR
    if state.alarms:
        verdict = Verdict.ESCALATE
    elif state.cleared_s is not None and not any(one.code in WITHDRAWS for one in reasons):
        verdict, reasons = Verdict.CLEAR, []
    return Decision(
        at_s=at_s,
        verdict=verdict,
        alarms=state.alarms,
        reasons=tuple(sorted(reasons, key=lambda one: list(Hold).index(one.code))),
        strongest=max(signals.values(), key=lambda one: one.score, default=None),
        shifts=shifts,
    )


def _cleared(state: State, decision: Decision) -> float | None:
    """Since when it is CLEAR without a break; a passing lack of evidence does not break it."""
    if decision.verdict is not Verdict.CLEAR:
        return None
    return decision.at_s if state.cleared_s is None else state.cleared_s
