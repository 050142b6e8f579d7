"""Was the same load really offered on both sides, by a generator that kept up? Each with its value and limit.

Pairs whose *generator* was at fault (``analysis.generator``) are dropped from the latency comparison,
and said. What the *target* causes is never a reason to drop: ``analysis.data_checks`` looks at that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from analysis.findings import ENOUGH_PAIRS, Check, Design, Reason
from analysis.generator import (
    OFFERED_AT_LEAST,
    RUN_QUEUE_MOST,
    Gate,
    known_share,
    late_s,
    milliseconds,
    offered_share,
)
from analysis.loop import check_loop
from analysis.matching import Matching
from analysis.origin import tell_origin
from analysis.runs import Run, listed

DROPPED_MOST: Final = 0.25
PAIRS_AT_LEAST: Final = 2
MIX_MOST: Final = 0.02
#: Of the share of a cell itself: where cells are many each has a small one.
MIX_OF_CELL_MOST: Final = 0.10


@dataclass(frozen=True, slots=True)
class Left:
    """How many runs there are on each side; of a paired design as many as there are pairs."""

    before: int
    after: int


def check_load(
    before: Sequence[Run], after: Sequence[Run], matching: Matching, gate: Gate, *, kept: Left
) -> list[Check]:
    """Whether the same load was really offered, by a generator that kept up."""
    runs = (*before, *after)
    return [
        _same_plan(runs),
        _complete(before, after),
        _ledger(runs),
        _offered(runs),
        _on_time(runs, gate),
        _had_a_core(runs),
        _kept(matching, Left(len(before), len(after)), kept),
        _same_mix(before, after),
        _same_cohorts(before, after),
        *tell_origin(before, after),
        *check_loop(before, after),
    ]


def _complete(before: Sequence[Run], after: Sequence[Run]) -> Check:
    aborted = [[run for run in side if run.status == "aborted"] for side in (before, after)]
    if any(aborted):
        reason = Reason.BASELINE_UNFIT if aborted[0] else Reason.INVALID_LOAD
        told = [f"{run.id} ({run.reason})" if run.reason else run.id for side in aborted for run in side]
        return Check.failed("runs complete", f"Aborted before their end: {listed(told)}. Make them again.", reason)
    short = [run.id for run in (*before, *after) if run.status != "complete"]
    if short:
        return Check.noted(
            "runs complete", f"Interrupted, and left out of the latency comparison: {listed(short)}."
        )
    return Check.passed("runs complete", "Every run went through to its end.")


def _same_plan(runs: Sequence[Run]) -> Check:
    digest = runs[0].plan_digest[:12]
    if any(run.origin for run in runs):
        return Check.passed("same plan", f"All {len(runs)} runs were imported with one label map ({digest}).")
    return Check.passed("same plan", f"All {len(runs)} runs follow the plan {digest}.")


def _ledger(runs: Sequence[Run]) -> Check:
    if any(run.lacks("schedule") for run in runs):
        return Check.noted(
            "ledger closes", "What was planned is not told: requests that were never sent are not seen."
        )
    open_ = [run.id for run in runs if run.scheduled != run.recorded + run.aborted + run.unsent + run.lost]
    if open_:
        return Check.failed(
            "ledger closes",
            f"Scheduled is not recorded + aborted + unsent in {listed(open_)}: samples were lost.",
            Reason.INVALID_LOAD,
        )
    whole = sum(run.scheduled for run in runs)
    if lost := sum(run.lost for run in runs):
        return Check.noted(
            "ledger closes",
            f"Of {whole:,} scheduled arrivals {lost:,} were lost with a worker: nobody knows what became of them.",
        )
    return Check.passed("ledger closes", f"All {whole:,} scheduled arrivals are recorded, aborted or unsent.")


def _offered(runs: Sequence[Run]) -> Check:
    if any(run.lacks("schedule") for run in runs):
        return Check.noted(
            "offered rate", "What was planned is not told: whether all of it was sent is not known."
        )
    least = min(offered_share(run) for run in runs)
    text = f"The generator sent {least:.1%} of each schedule or more; at least {OFFERED_AT_LEAST:.0%} asked."
    return Check.passed("offered rate", text) if least >= OFFERED_AT_LEAST else Check.noted("offered rate", text)


def _on_time(runs: Sequence[Run], gate: Gate) -> Check:
    lags = [lag for run in runs if not math.isnan(lag := late_s(run))]
    if not lags:
        return Check.noted("generator on time", "No request tells how late it was sent.")
    worst_s, limit_s = max(lags), gate.lag_limit_s
    text = f"95 of 100 requests were sent within {milliseconds(worst_s)}; limit {milliseconds(limit_s)}."
    return (Check.passed if worst_s <= limit_s else Check.noted)("generator on time", text)


def _had_a_core(runs: Sequence[Run]) -> Check:
    known = [share for run in runs if not math.isnan(share := known_share(run.run_queue_delay))]
    if len(known) < len(runs):
        return Check.noted(
            "generator had a core", f"{len(runs) - len(known)} runs do not tell if they waited for a core."
        )
    text = f"The generator waited for a core {max(known):.1%} of its time at most; limit {RUN_QUEUE_MOST:.0%}."
    outcome = Check.passed if max(known) <= RUN_QUEUE_MOST else Check.noted
    return outcome("generator had a core", text)


def _kept(matching: Matching, made: Left, kept: Left) -> Check:
    """Enough pairs, and not too many of them dropped."""
    name, apart = ENOUGH_PAIRS, matching.design is Design.APART
    if apart:
        unit, before, after = "runs", made.before + made.after, kept.before + kept.after
    else:
        unit, before, after = "pairs", len(matching.pairs), kept.before
    enough = kept.before >= PAIRS_AT_LEAST and kept.after >= 1
    dropped = before - after
    if dropped > DROPPED_MOST * before or (dropped and not enough):
        return Check.failed(
            name,
            f"{dropped} of {before} {unit} were dropped because their generator was at fault or they were "
            f"interrupted; more than {DROPPED_MOST:.0%}, or fewer than {PAIRS_AT_LEAST} left, give no answer.",
            Reason.INVALID_LOAD,
        )
    if apart:
        text = f"{kept.before} runs before and {kept.after} after, apart in time"
        if enough:
            return Check.passed(name, f"{text}.")
        least = f"at least {PAIRS_AT_LEAST} before and one after, better five nights before"
        return Check.failed(name, f"{text}; asked are {least}.", Reason.NEEDS_DATA)
    text = f"{after} of {before} pairs are compared; at least {PAIRS_AT_LEAST} asked"
    if not enough:
        why = "one pair cannot tell a change from the noise between runs"
        return Check.failed(name, f"{text}: {why}.", Reason.NEEDS_DATA)
    return (Check.noted if dropped else Check.passed)(name, f"{text}.")


def _same_mix(before: Sequence[Run], after: Sequence[Run]) -> Check:
    sides = [_cell_requests(side) for side in (before, after)]
    totals = [max(sum(side.values()), 1) for side in sides]
    worst, beyond = 0.0, False
    for cell in sides[0].keys() | sides[1].keys():
        shares = [side.get(cell, 0) / n for side, n in zip(sides, totals, strict=True)]
        apart, mean = abs(shares[1] - shares[0]), sum(shares) / 2
        chance = 4 * math.sqrt(mean * (1 - mean) * (1 / totals[0] + 1 / totals[1]))
        worst, beyond = max(worst, apart), beyond or apart > max(min(MIX_MOST, MIX_OF_CELL_MOST * mean), chance)
    text = (
        f"The cells' shares of the requests differ by {worst:.1%} at most between the sides; "
        f"limit {MIX_MOST:.0%}, or {MIX_OF_CELL_MOST:.0%} of a cell's own share."
    )
    if beyond and all(sides):
        return Check.failed("same mix", text, Reason.INVALID_LOAD)
    return Check.passed("same mix", text)


def _same_cohorts(before: Sequence[Run], after: Sequence[Run]) -> Check:
    sides = [sorted({fields for _, fields in _cell_requests(side)}) for side in (before, after)]
    told = [", ".join(f"{fields:,}" for fields in side) or "none" for side in sides]
    if sides[0] == sides[1]:
        return Check.passed("same cohorts", f"Both sides asked tenants with {told[0]} custom fields.")
    text = f"Tenants with {told[0]} custom fields were asked before, with {told[1]} after."
    return (
        Check.failed("same cohorts", text, Reason.INVALID_LOAD)
        if all(sides)
        else Check.noted("same cohorts", text)
    )


def _cell_requests(runs: Iterable[Run]) -> dict[tuple[str, int], int]:
    found: dict[tuple[str, int], int] = {}
    for run in runs:
        for name in ("requests", "aborted"):  # a target that is slow to the end does not change what was asked
            for cell, n in run.reduced.of_cells(name).items():
                found[cell] = found.get(cell, 0) + n
    return found
