"""The selection: which runs of both sides are held against each other, how, and what was dropped and why.

Every step that tells something of latency starts from it, so that all of them speak of the same runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.comparison import Histograms, Opposing
from analysis.days import PredictedByDay
from analysis.findings import Design
from analysis.generator import Gate, gate
from analysis.levels import paired
from analysis.matching import Matching, match
from analysis.runs import Run


@dataclass(frozen=True, slots=True)
class Kept:
    """The runs whose latency is compared; in a paired design run k of both sides is pair k."""

    before: tuple[Run, ...]
    after: tuple[Run, ...]
    dropped: int  # pairs, or runs where they lie apart
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Selection:
    """The runs that are compared, with the response histograms of their cells, run by run, before and after."""

    matching: Matching
    guard: Gate
    kept: Kept
    histograms: tuple[Histograms, Histograms]

    @property
    def design(self) -> Design:
        """How the sides lie in time."""
        return self.matching.design

    @property
    def oppose(self) -> Opposing:
        """How after is held against before: pair by pair, or apart in time as one observation against the days."""
        return PredictedByDay(self.kept.before, self.kept.after) if self.design is Design.APART else paired


def select(before: Sequence[Run], after: Sequence[Run]) -> Selection:
    """Match the runs, and keep those whose generator is beyond reproach."""
    matching, guard = match(before, after), gate(before, after)
    kept = _keep(matching, before, after, guard)
    return Selection(matching, guard, kept, (_histograms(kept.before), _histograms(kept.after)))


def _histograms(runs: Sequence[Run]) -> Histograms:
    return [run.reduced.by_cell for run in runs]


def _keep(matching: Matching, before: Sequence[Run], after: Sequence[Run], guard: Gate) -> Kept:
    """Drop what the generator spoiled, and say so."""
    warnings = [f"Run {run.id} has no partner close in time and is not compared." for run in matching.unpaired]
    if matching.design is Design.APART:
        bad = [run for run in (*before, *after) if run.id in guard.faults]
        warnings += [f"Run {run.id} is not compared: it {guard.faults[run.id]}." for run in bad]
        warnings.append(
            "The sides lie apart in time: all runs after count as one observation, and those of a day before "
            "as one; what else changed meanwhile cannot be told from the change."
        )
        good = [[run for run in side if run.id not in guard.faults] for side in (before, after)]
        return Kept(tuple(good[0]), tuple(good[1]), len(bad), tuple(warnings))
    good_pairs = []
    for number, pair in enumerate(matching.pairs, start=1):
        bad = [run for run in (pair.before, pair.after) if run.id in guard.faults]
        if bad:
            why = "; ".join(dict.fromkeys(f"run {run.id} {guard.faults[run.id]}" for run in bad))
            warnings.append(f"Pair {number} is dropped: {why}.")
        else:
            good_pairs.append(pair)
    return Kept(
        tuple(pair.before for pair in good_pairs),
        tuple(pair.after for pair in good_pairs),
        len(matching.pairs) - len(good_pairs),
        tuple(warnings),
    )
