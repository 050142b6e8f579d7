"""Does one cell stand out: did it slow down against the rest of the same runs?

By itself a cell is only as sure as the host is quiet, since what all cells of a run share moves it as well.
Against the rest of its runs (``analysis.within``) that cancels: a cell that became 25 % slower is found on a host
whose runs differ by 30 %, where by itself it is hardly ever. It says what slowed down *beside* the rest, never
what all cells did together. A change that made the rest faster leaves a cell behind that did not change: that
is shown, and nobody is woken, as an alarm needs a cell that became slower by itself as well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import special

from analysis.comparison import holm
from analysis.findings import Measure, StandoutFinding
from analysis.levels import Cell, Contrast, ratio_of
from analysis.runs import Question
from analysis.variation import QUANTISATION, expected_own, vary, vary_about
from analysis.within import Opposed, within

#: With fewer cells there is no rest that one of them could stand out from.
CELLS: Final = 4
#: What is told of is surely slower than the rest, and by more than this.
TOLD: Final = math.log(1.05)
#: Of all that is told of by mistake in a comparison.
TOLD_ALPHA: Final = 0.02
#: Of an alarm: less, as it is only one of the reasons for one, and their errors add up.
ALARM_ALPHA: Final = 0.002


@dataclass(frozen=True, slots=True)
class _Against:
    """One cell against the rest of its runs, on the log scale, and its standard error."""

    cell: Cell
    measure: Measure
    estimate: float
    se: float
    df: float
    by_itself: float  # the change of the cell, whatever the rest did

    @property
    def p_value(self) -> float:
        return float(special.stdtr(self.df, -self.estimate / self.se))


def compare_to_the_rest(moves: Sequence[Opposed], question: Question) -> tuple[StandoutFinding, ...]:
    """Every cell against the mean of all others, by the mean of the logarithms and by p95.

    ``stands_out`` holds for all of them at once (Holm at ``TOLD_ALPHA``) and needs more than ``TOLD``; ``fires``
    (Holm at ``ALARM_ALPHA``) needs a required cell that is slower by more than the tolerance both against the
    rest and, by its best estimate, by itself, and a rest that did not surely become faster. The intervals are
    simultaneous at 95 % (Bonferroni). Needs two rows and ``CELLS`` cells; else there are none.
    """
    found: list[_Against] = []
    left_behind = False
    for moved in moves:
        if len(moved.contrast.cells) < CELLS:
            continue
        if moved.measure is Measure.MEAN:
            left_behind = _surely_faster(moved.contrast)
        found += _against_the_rest(moved)
    level = 1 - 0.05 / (2 * max(len(found), 1))
    told = []
    for one, adjusted in zip(found, holm([one.p_value for one in found]), strict=True):
        reach = float(special.stdtrit(one.df, level)) * one.se
        told.append(
            StandoutFinding(
                operation=one.cell[0],
                custom_fields=one.cell[1],
                measure=one.measure,
                ratio=ratio_of(one.estimate),
                low=ratio_of(one.estimate - reach),
                high=ratio_of(one.estimate + reach),
                stands_out=adjusted < TOLD_ALPHA and one.estimate > TOLD,
                fires=adjusted < ALARM_ALPHA
                and min(one.estimate, one.by_itself) > math.log1p(question.tolerance)
                and one.cell in question.required
                and not left_behind,
                p_value=one.p_value,
            )
        )
    return tuple(told)


def _against_the_rest(moved: Opposed) -> list[_Against]:
    """Every cell of one measure less the mean of the others."""
    contrast, cells = moved.contrast, len(moved.contrast.cells)
    across = (np.eye(cells) - 1 / cells) * cells / (cells - 1)
    fitted = within(contrast, across, moved.shared)
    expected = np.maximum(expected_own(contrast.rows, contrast.sampling), QUANTISATION)
    # What the contrasts have in common is nothing: they add up to zero. What is a cell's own is the variance
    # of its contrast, which is larger than that of the cell itself by the mean of the others.
    variation = vary_about(fitted.deviations, fitted.df, expected)
    own = np.maximum(variation.own * (cells - 1) / cells, QUANTISATION)
    se = np.sqrt(fitted.factor * own)
    return [
        _Against(
            cell=cell,
            measure=moved.measure,
            estimate=float(fitted.estimate[at]),
            se=float(se[at]),
            df=variation.own_df,
            by_itself=float(contrast.estimate[at]),
        )
        for at, cell in enumerate(contrast.cells)
    ]


def _surely_faster(contrast: Contrast) -> bool:
    """Whether all cells together became faster, by more than chance (97.5 %)."""
    variation = vary(contrast.rows)
    reach = float(special.stdtrit(variation.common_df, 0.975))
    return float(contrast.estimate.mean()) + reach * math.sqrt(contrast.factor * variation.common) < 0
