"""Holding: signs of harm short of an alarm, load that cannot be judged, and what is still lacking for a CLEAR."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analysis.window.baseline import Baseline
from analysis.window.blocks import Block
from analysis.window.clearing import unsettled
from analysis.window.decisions import Hold, Reason
from analysis.window.detector import Signal
from analysis.window.spans import ago, span
from analysis.window.state import State, Terms

Floats = NDArray[np.float64]

#: From this share of an alarm on the window stays open for half a day.
DEVIATES: Final = 0.9
#: A block that is slower than every one of the baseline by this much is looked at for an hour.
SUDDEN: Final = math.log(1.25)


def usable(baseline: Baseline, state: State, block: Block) -> tuple[list[Reason], Floats]:
    """Why not all may be judged, and the residuals [streams] that may; NaN for the others."""
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


def deviations(
    before: Mapping[str, float], signals: Mapping[str, Signal], at_s: float, day_s: float
) -> dict[str, float]:
    """The streams that came close to an alarm within half a day, and when last."""
    kept = {name: when for name, when in before.items() if at_s - when < day_s / 2}
    return kept | {name: at_s for name, signal in signals.items() if signal.score >= DEVIATES}


def suddenly(baseline: Baseline, row: Floats, at_s: float) -> tuple[str, float] | None:
    """A stream that is far beyond everything in the baseline, and when; None if none is."""
    own = row[: baseline.streams.own]
    beyond = np.flatnonzero(np.where(np.isfinite(own), own, -math.inf) > baseline.highest[: len(own)] + SUDDEN)
    return (baseline.streams.names[int(beyond[0])], at_s) if len(beyond) else None


def signs_of_harm(baseline: Baseline, state: State, at_s: float) -> list[Reason]:
    """Signs that something is wrong, short of an alarm."""
    reasons = []
    deviated = state.deviated or {}
    if deviated:
        last = max(deviated, key=lambda name: deviated[name])
        text = f"{last} came close to an alarm {ago(at_s - deviated[last])}"
        reasons.append(Reason(Hold.DEVIATION, text))
    if state.sudden is not None and at_s - state.sudden[1] < baseline.day_s / 24:
        text = f"{state.sudden[0]} was 25 % beyond everything in the baseline {ago(at_s - state.sudden[1])}"
        reasons.append(Reason(Hold.SUDDEN, text))
    if state.acknowledged:
        names = ", ".join(dict.fromkeys(one.what for one in state.acknowledged))
        reasons.append(Reason(Hold.ACKNOWLEDGED, f"acknowledged, and it still shows: {names}"))
    if state.gap is not None and at_s - state.gap[1] < baseline.day_s / 2:
        text = f"nothing is known of {span(state.gap[1] - state.gap[0])} that ended {ago(at_s - state.gap[1])}"
        reasons.append(Reason(Hold.GAP, text))
    return reasons


def lacking(baseline: Baseline, terms: Terms, state: State, at_s: float) -> list[Reason]:
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
        reasons.append(Reason(Hold.SETTLING, f"{span(terms.settle_s - watched_s)} of the settling time are left"))
    settled = bool(reasons) or state.cleared_s is not None  # nothing more is asked, or it was shown already
    open_ = {} if settled else unsettled(baseline, state.totals, state.recent, terms.tolerance)
    if open_:
        name, why = next(iter(open_.items()))
        more = f" (and {len(open_) - 1} other streams)" if len(open_) > 1 else ""
        reasons.append(Reason(Hold.NEEDS_DATA, f"{name}: {why}{more}"))
    return reasons
