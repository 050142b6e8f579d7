"""Savepath's own analysis asked about simulated runs, and what it said.

The functions are those that ``analysis.assessment.assess`` calls, on the histograms that it would read
from the slices of the runs (a test compares the two); what they take no part in is left out: gates,
checks, integrity and the timeline.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from analysis.assessment import SLOPE_ALPHA
from analysis.comparison import SLOW, compare, holm
from analysis.findings import CellFinding, Design, Reason, SlopeFinding, StandoutFinding, Verdict, Word
from analysis.histograms import BINS, Histogram, bins_of
from analysis.levels import Cell, paired, predicted
from analysis.runs import Question
from analysis.slope import compare_slopes
from analysis.standing_out import compare_to_the_rest
from analysis.verdict import Judgement, judge
from analysis.within import opposed_by_measure
from benchmarks.truth.worlds import CELLS, ONE_CELL, Drawn, Sides, World, draw

QUESTION = Question(required=frozenset(CELLS))
ANSWERS = (Word.NO_HARM, Word.FASTER, Word.SLOWER, Word.MUCH_SLOWER)
#: What is called slower in a list: Holm-adjusted p below .05 and more than 5 %.
LISTED_ALPHA, LISTED_RATIO = 0.05, 1.05


@dataclass(frozen=True, slots=True)
class Heard:
    """What one simulated comparison said."""

    cells: tuple[CellFinding, ...]
    slopes: tuple[SlopeFinding, ...]
    standouts: tuple[StandoutFinding, ...]
    judgement: Judgement

    @property
    def escalates(self) -> bool:
        """Whether people would have been woken."""
        return self.judgement.verdict is Verdict.ESCALATE

    @property
    def by_latency(self) -> bool:
        """Whether a required cell raised the alarm."""
        return Reason.LATENCY in self.judgement.reasons

    @property
    def by_growth(self) -> bool:
        """Whether growth with custom fields raised it."""
        return Reason.GROWTH in self.judgement.reasons

    @property
    def by_standing_out(self) -> bool:
        """Whether a cell that stands out from the rest of its runs raised it."""
        return Reason.STANDS_OUT in self.judgement.reasons

    def stands_out(self, *cells: Cell) -> bool:
        """Whether one of the cells is told to stand out; any cell where none is named."""
        return any(
            one.stands_out and (not cells or (one.operation, one.custom_fields) in cells) for one in self.standouts
        )

    @property
    def clear(self) -> bool:
        """Whether the window would have been closed."""
        return self.judgement.verdict is Verdict.CLEAR

    @property
    def says_slower(self) -> bool:
        """Whether any cell of the table is called slower."""
        return any(one.word in SLOW for one in self.cells)

    @property
    def answered(self) -> float:
        """The share of the required cells that need no more pairs."""
        required = [one for one in self.cells if one.required]
        return sum(one.word in ANSWERS for one in required) / len(required)

    @property
    def pairs_needed(self) -> int | None:
        """What HOLD promises: pairs until the last required cell is answered."""
        return max((one.pairs_needed for one in self.cells if one.required and one.pairs_needed), default=None)

    def listed(self, cell: Cell = ONE_CELL) -> bool:
        """Whether a cell is found slower by Holm over all cells and by more than 5 %, at p50 or p95."""
        judged = [one for one in self.cells if one.required and not math.isnan(one.p_value)]
        adjusted = holm([one.p_value for one in judged])
        return any(
            p < LISTED_ALPHA and one.ratio > LISTED_RATIO and (one.operation, one.custom_fields) == cell
            for one, p in zip(judged, adjusted, strict=True)
        )

    def p_value(self, quantile: float, cell: Cell = ONE_CELL) -> float:
        """The unadjusted p of a cell, one-sided."""
        (found,) = [c for c in self.cells if ((c.operation, c.custom_fields), c.quantile) == (cell, quantile)]
        return found.p_value


def ask(world: World, seed: int) -> Heard:
    """One comparison in a world."""
    return hear(world, draw(world, np.random.default_rng(seed)))


def hear(world: World, sides: Sides) -> Heard:
    """What the analysis says of some simulated runs."""
    before, after = ([histograms_of(run) for run in side] for side in (sides.before, sides.after))
    apart = world.design == "apart"
    oppose = predicted if apart else paired
    comparison = compare(before, after, QUESTION, oppose, pairs=0 if apart else world.pairs)
    moves = opposed_by_measure(before, after, QUESTION, oppose)
    slopes = compare_slopes(moves, alpha=SLOPE_ALPHA)
    design = Design(world.design)
    standouts = compare_to_the_rest(moves, QUESTION)
    judgement = judge(comparison.cells, slopes, (), (), (), design, standouts=standouts, beyond=comparison.beyond)
    return Heard(comparison.cells, slopes, standouts, judgement)


def histograms_of(run: Drawn) -> dict[Cell, Histogram]:
    """The response histogram of every cell of a run."""
    key, counts = np.unique(run.cell * BINS + bins_of(run.response_s), return_counts=True)
    edges = np.searchsorted(key, np.arange(len(CELLS) + 1) * BINS)
    return {
        cell: Histogram(key[begin:end] % BINS, counts[begin:end])
        for cell, begin, end in zip(CELLS, edges[:-1], edges[1:], strict=True)
    }
