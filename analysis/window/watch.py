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
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

from analysis.findings import Verdict
from analysis.window import failing
from analysis.window.baseline import Baseline
from analysis.window.blocks import Block
from analysis.window.clearing import Totals, accumulate, no_totals, unsettled
from analysis.window.decisions import Alarm, Decision, Evidence, Hold, Kind, Reason
from analysis.window.detector import TOLD, Recent, Signal, append, no_recent, scores, strongest
from analysis.window.explanation import Objective, explain
from analysis.window.hours import Progress, is_stretch, watch_stretches, watched_whole
from analysis.window.noise import SCALES
from analysis.window.streams import TELLING

Floats = NDArray[np.float64]

#: From this share of an alarm on the window stays open for half a day.
DEVIATES: Final = 0.9
#: A block that is slower than every one of the baseline by this much is looked at for an hour.
SUDDEN: Final = math.log(1.25)
#: A gap in the data longer than this is remembered for half a day.
GAP_S: Final = 1800.0
#: So many blocks in a row of which nothing succeeded are an alarm: no restart takes that long.
OUTAGE_BLOCKS: Final = 3
#: An agreed share of bad effects is broken if its excess has a smaller chance than this.
EFFECTS_ALPHA: Final = 1e-6
EVERYTHING: Final = "everything"
#: Verdicts of CLEAR are withdrawn by these only: evidence of harm, or of being shut out, not a passing lack of it.
WITHDRAWS: Final = frozenset(
    {Hold.OUTAGE, Hold.DEVIATION, Hold.SUDDEN, Hold.ACKNOWLEDGED, Hold.SHORT_BASELINE, Hold.CREDENTIALS, Hold.GAP}
)


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
    hours: Progress = field(default_factory=dict)  # of the stretches of the day that are required


def begin(baseline: Baseline) -> State:
    """Before the first block."""
    streams = len(baseline.streams.names)
    return State(no_recent(streams), failing.no_evidence(baseline.failures), no_totals(streams))


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


def step(baseline: Baseline, terms: Terms, state: State, block: Block) -> tuple[State, Decision]:
    """The state and the decision after one more block."""
    if block.start_s < state.ended_s - block.length_s / 2:
        text = "a block lies before the last one: the clock was set back, or it was told twice; it is left out"
        return state, _decide(baseline, terms, state, [Reason(Hold.CLOCK, text)], state.ended_s, {}, {})
    state = _admit(_place(baseline, state, block), block)
    reasons, row = _usable(baseline, state, block)
    clipped = np.clip(row, -baseline.clip, baseline.clip)
    recent = append(state.recent, clipped)
    signals = strongest(baseline, *scores(baseline, recent))
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
        blocks=(*state.blocks, block)[-SCALES[-1] :],
        started_s=started_s,
        ended_s=block.end_s,
        seen_s=state.seen_s if block.is_blind else block.end_s,
        events=state.events | set(block.events) | watched_whole(hours, block.length_s, baseline.day_s),
        hours=hours,
        effects=_fade(state.effects or {}, block, baseline.block_s / baseline.day_s),
        deviated=_deviations(state.deviated or {}, signals, block.end_s, baseline.day_s),
        sudden=_sudden(baseline, row, block.end_s) or state.sudden,
        acknowledged=tuple(one for one in state.acknowledged if _still_shows(one, signals, outage)),
        outage=outage,
    )
    found, held = _alarms(baseline, state, block, signals)
    if found:
        state = replace(state, alarms=_joined(state.alarms, found, state.acknowledged))
    reasons = [*held, *reasons]
    decision = _decide(baseline, terms, state, reasons, block.end_s, signals, _telling(baseline, row))
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


def _admit(state: State, block: Block) -> State:
    """Since when the target refuses our credentials: until something succeeds, and nothing more is refused."""
    if block.refused:
        return state if state.refused_s is not None else replace(state, refused_s=block.start_s)
    return state if block.nothing_succeeded else replace(state, refused_s=None)


def _usable(baseline: Baseline, state: State, block: Block) -> tuple[list[Reason], Floats]:
    """The residuals that may be judged, and why others may not."""
    nothing = np.full(len(baseline.streams.names), math.nan)
    refused: list[Reason] = []
    if state.refused_s is not None:
        since = datetime.fromtimestamp(state.refused_s, UTC).strftime("%m-%d %H:%M UTC")
        text = f"credentials refused since {since}"
        refused = [Reason(Hold.CREDENTIALS, f"{text}: {block.refused}".removesuffix(": "))]
    if block.fault:
        return [*refused, Reason(Hold.INVALID_LOAD, block.fault)], nothing
    if block.is_outage:
        text = block.unreachable or f"all {block.requests} requests of the block failed"
        text = f"nothing succeeded: {text}"
        return [*refused, Reason(Hold.OUTAGE, text)], nothing
    row, part = baseline.residual(block), baseline.bin_of(block)
    reasons = list(refused)
    low, high = float(baseline.rate_low[part]), float(baseline.rate_high[part])
    if not low <= block.rate <= high:
        row = np.where(baseline.streams.is_contrast, math.nan, row)
        if refused:  # which is why
            return reasons, row
        text = (
            f"{block.rate:.0f} requests a block, at this time of day the baseline had {max(low, 0):.0f} to "
            f"{high:.0f}: growth with custom fields is not judged"
        )
        reasons.append(Reason(Hold.LOAD_CHANGED, text))
    missing = sorted({f for _, f in baseline.streams.cells} - {one.custom_fields for one in block.cells})
    if missing:
        names = ", ".join(map(str, missing))
        reasons.append(Reason(Hold.LOAD_CHANGED, f"no load from tenants with {names} custom fields"))
    return reasons, row


def _telling(baseline: Baseline, row: Floats) -> dict[str, float]:
    found = dict(zip(baseline.streams.names, row.tolist(), strict=True))
    return {name: found[name] for name in TELLING if math.isfinite(found.get(name, math.nan))}


def _deviations(
    before: Mapping[str, float], signals: Mapping[str, Signal], at_s: float, day_s: float
) -> dict[str, float]:
    kept = {name: when for name, when in before.items() if at_s - when < day_s / 2}
    return kept | {name: at_s for name, signal in signals.items() if signal.score >= DEVIATES}


def _sudden(baseline: Baseline, row: Floats, at_s: float) -> tuple[str, float] | None:
    beyond = np.flatnonzero(np.where(np.isfinite(row), row, -math.inf) > baseline.highest + SUDDEN)
    return (baseline.streams.names[int(beyond[0])], at_s) if len(beyond) else None


def _still_shows(alarm: Alarm, signals: Mapping[str, Signal], outage: int) -> bool:
    if alarm.what == EVERYTHING:
        return outage > 0
    return alarm.what in signals and signals[alarm.what].score >= TOLD


def _alarms(
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
        text = f"nothing succeeded for {_span(state.outage * block.length_s)}"
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
        Alarm(Kind.GROWTH if one.contrast else Kind.LATENCY, one.stream, at_s, tell(one, baseline)) for one in loud
    ]
    watched_s = at_s - (at_s if state.started_s is None else state.started_s)
    if raised and baseline.is_short and watched_s < baseline.day_s:
        known = f"the baseline of {baseline.days:.1f} days is too short to escalate on it before a day of watching"
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


def _fade(
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


def _joined(before: tuple[Alarm, ...], found: list[Alarm], acknowledged: tuple[Alarm, ...]) -> tuple[Alarm, ...]:
    """Alarms stay as they were raised; what was acknowledged is not raised again while it still shows."""
    known = {(one.kind, one.what) for one in (*before, *acknowledged)}
    return (*before, *(one for one in found if (one.kind, one.what) not in known))


def _decide(
    baseline: Baseline,
    terms: Terms,
    state: State,
    reasons: list[Reason],
    at_s: float,
    signals: Mapping[str, Signal],
    shifts: Mapping[str, float],
) -> Decision:
    reasons = [*reasons, *_evidence_of_harm(baseline, state, at_s), *_lacking(baseline, terms, state, at_s)]
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


def _evidence_of_harm(baseline: Baseline, state: State, at_s: float) -> list[Reason]:
    """Signs that something is wrong, short of an alarm."""
    reasons = []
    deviated = state.deviated or {}
    if deviated:
        last = max(deviated, key=lambda name: deviated[name])
        ago = _ago(at_s - deviated[last])
        reasons.append(Reason(Hold.DEVIATION, f"{last} came close to an alarm {ago}"))
    if state.sudden is not None and at_s - state.sudden[1] < baseline.day_s / 24:
        text = f"{state.sudden[0]} was 25 % beyond everything in the baseline {_ago(at_s - state.sudden[1])}"
        reasons.append(Reason(Hold.SUDDEN, text))
    if state.acknowledged:
        names = ", ".join(dict.fromkeys(one.what for one in state.acknowledged))
        reasons.append(Reason(Hold.ACKNOWLEDGED, f"acknowledged, and it still shows: {names}"))
    if state.gap is not None and at_s - state.gap[1] < baseline.day_s / 2:
        minutes = (state.gap[1] - state.gap[0]) / 60
        text = f"nothing is known of {minutes:.0f} minutes that ended {_ago(at_s - state.gap[1])}"
        reasons.append(Reason(Hold.GAP, text))
    return reasons


def _lacking(baseline: Baseline, terms: Terms, state: State, at_s: float) -> list[Reason]:
    """What is still missing for a CLEAR."""
    reasons = []
    if baseline.degenerate:
        text = f"{', '.join(baseline.degenerate)}: no variation at all in the baseline, so nothing can be shown"
        reasons.append(Reason(Hold.DEGENERATE, text))
    missing = [name for name in terms.required_events if name not in state.events]
    if missing:
        reasons.append(Reason(Hold.EVENT, f"not seen yet: {', '.join(missing)}"))
    watched_s = 0.0 if state.started_s is None else at_s - state.started_s
    if watched_s < terms.settle_s:
        reasons.append(Reason(Hold.SETTLING, f"{_span(terms.settle_s - watched_s)} of the settling time are left"))
    settled = bool(reasons) or state.cleared_s is not None  # nothing more is asked, or it was shown already
    open_ = {} if settled else unsettled(baseline, state.totals, state.recent, terms.tolerance)
    if open_:
        name, why = next(iter(open_.items()))
        more = f" (and {len(open_) - 1} other streams)" if len(open_) > 1 else ""
        reasons.append(Reason(Hold.NEEDS_DATA, f"{name}: {why}{more}"))
    return reasons


def _cleared(state: State, decision: Decision) -> float | None:
    """Since when it is CLEAR without a break; a passing lack of evidence does not break it."""
    if decision.verdict is not Verdict.CLEAR:
        return None
    return decision.at_s if state.cleared_s is None else state.cleared_s


def _span(seconds: float) -> str:
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.0f} h"


def _ago(seconds: float) -> str:
    return "now" if seconds <= 0 else f"{_span(seconds)} ago"
