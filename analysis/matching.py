"""How the runs of both sides were set against each other in time, and which of them make a pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.findings import Design
from analysis.runs import Run


@dataclass(frozen=True, slots=True)
class Pair:
    """A run before and a run after that were made close in time."""

    before: Run
    after: Run


@dataclass(frozen=True, slots=True)
class Matching:
    """The design that the starting times show. Runs apart in time have no pairs."""

    design: Design
    pairs: tuple[Pair, ...]
    unpaired: tuple[Run, ...]


def match(before: Sequence[Run], after: Sequence[Run]) -> Matching:
    """Pair the runs of both sides by the time they started.

    CONCURRENT if each run drove both sides, or the i-th runs of both ran at the same time; ALTERNATING
    if neighbours in time are of different sides (whichever came first), except for a minority of runs
    that are left over; APART otherwise.
    """
    before, after = _in_order(before), _in_order(after)
    others = {run.at_once: run for run in after if run.at_once}
    shared = [Pair(run, others[run.at_once]) for run in before if run.at_once in others]
    if shared:
        paired = {run.id for pair in shared for run in (pair.before, pair.after)}
        unpaired = [run for run in (*before, *after) if run.id not in paired]
        return Matching(Design.CONCURRENT, tuple(shared), tuple(unpaired))
    together = [Pair(b, a) for b, a in zip(before, after, strict=False) if _overlap(b, a)]
    if together and len(together) == len(before) == len(after):
        return Matching(Design.CONCURRENT, tuple(together), ())
    pairs, unpaired = _neighbours(before, after)
    if pairs and len(pairs) == min(len(before), len(after)) and (not unpaired or len(unpaired) < len(pairs)):
        return Matching(Design.ALTERNATING, tuple(pairs), tuple(unpaired))
    return Matching(Design.APART, (), ())


def _neighbours(before: Sequence[Run], after: Sequence[Run]) -> tuple[list[Pair], list[Run]]:
    """Walk through all runs in time; two neighbours of different sides are a pair."""
    walk = sorted(
        [(run, False) for run in before] + [(run, True) for run in after], key=lambda one: one[0].started_at
    )
    pairs: list[Pair] = []
    unpaired: list[Run] = []
    at = 0
    while at < len(walk):
        run, is_after = walk[at]
        if at + 1 < len(walk) and walk[at + 1][1] != is_after:
            other = walk[at + 1][0]
            pairs.append(Pair(other, run) if is_after else Pair(run, other))
            at += 2
        else:
            unpaired.append(run)
            at += 1
    return pairs, unpaired


def _in_order(runs: Sequence[Run]) -> list[Run]:
    return sorted(runs, key=lambda run: (run.started_at, run.id))


def _overlap(one: Run, other: Run) -> bool:
    """Whether both were running for at least half of the shorter one's time."""
    apart_s = abs((one.started_at - other.started_at).total_seconds())
    return apart_s <= min(one.duration_s, other.duration_s) / 2
