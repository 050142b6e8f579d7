"""The custom-field slope: did an operation slow down more, the more custom fields a case has?

Noise is mostly common to all cells of a run, and a contrast between cells of the same run cancels it
(``analysis.within``): this is the most powerful test of the incident, on a noisy host as on a quiet one. What
it cannot see is a defect at one middle cohort; ``analysis.standing_out`` can.

The slope is taken of the mean of the logarithms, which all samples bear, and of the p95, which sees a
tail that the mean hardly feels. One hypothesis goes before the others: what the operations that write
custom fields have in common. It rests on the most samples, so it has most of the allowed error.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import special

from analysis.comparison import holm
from analysis.findings import Measure, SlopeFinding
from analysis.levels import Floats
from analysis.samples import WRITES_FIELDS
from analysis.variation import QUANTISATION, expected_own, vary_about
from analysis.within import Opposed, within

#: Fewer cohorts than this make a line that fits by construction.
COHORTS: Final = 3
#: Growth up to this is not acted upon: it is what a uniform slow-down of 10 % may leave behind where
#: cells gain unequally, and the largest cohort may grow as much as a cell may slow down.
MARGIN: Final = math.log(1.10)
#: Share of the allowed error that the pooled slope of the means has to itself.
POOLED_SHARE: Final = 0.75
#: Joins the names of pooled operations.
AND: Final = "+"


@dataclass(frozen=True, slots=True)
class _Slope:
    """Growth on the log scale from 0 fields to the most, and its standard error."""

    operation: str  # several, joined by AND, where it is pooled
    measure: Measure
    estimate: float
    se: float
    df: float

    @property
    def p_value(self) -> float:
        return float(special.stdtr(self.df, -self.estimate / self.se))

    @property
    def goes_first(self) -> bool:
        """Whether this is the hypothesis that goes before the others."""
        return AND in self.operation and self.measure is Measure.MEAN


def compare_slopes(moves: Sequence[Opposed], *, alpha: float) -> tuple[SlopeFinding, ...]:
    """The slopes of every operation with three cohorts or more, and pooled over those that write fields.

    ``fires`` holds for all of them at once (Holm at ``alpha``, weighted) and needs growth beyond
    ``MARGIN``. The intervals are simultaneous at 95 % (Bonferroni). Needs two rows; else there are none.
    """
    slopes: list[_Slope] = []
    for moved in moves:
        slopes += _slopes(moved)
    level = 1 - 0.05 / (2 * max(len(slopes), 1))
    found = []
    for one, adjusted in zip(slopes, holm([one.p_value for one in slopes], _weights(slopes)), strict=True):
        reach = float(special.stdtrit(one.df, level)) * one.se
        found.append(
            SlopeFinding(
                operation=one.operation,
                measure=one.measure,
                growth=_growth(one.estimate),
                low=_growth(one.estimate - reach),
                high=_growth(one.estimate + reach),
                fires=adjusted < alpha and one.estimate > MARGIN,
                p_value=one.p_value,
            )
        )
    return tuple(found)


def line(custom_fields: Floats, most: float) -> Floats:
    """c_f with sum(c_f y_f) = the least-squares slope of y on fields / ``most``. Needs two different numbers."""
    u = custom_fields / most
    centred = u - u.mean()
    slope: Floats = centred / np.sum(centred**2)
    return slope


def _weights(slopes: Sequence[_Slope]) -> list[float]:
    """How the allowed error is shared out: evenly, but for the hypothesis that goes first."""
    first = sum(one.goes_first for one in slopes)
    if not first:
        return [1.0] * len(slopes)
    others = (1 - POOLED_SHARE) / max(len(slopes) - first, 1)
    return [POOLED_SHARE if one.goes_first else others for one in slopes]


def _slopes(moved: Opposed) -> list[_Slope]:
    """The slopes of one measure: by operation, then pooled.

    Their variation has two levels like that of the cells: noise tilts all operations of a run together,
    by more than what they share explains, and each has a part of its own. Operations differ in
    their cohorts and samples, so their own parts are held against what is expected of each; pooling
    the variances themselves lets a rare operation (an e-mail batch) pass for as quiet as a read.
    """
    contrast = moved.contrast
    expected = np.maximum(expected_own(contrast.rows, contrast.sampling), QUANTISATION)
    most = max((fields for _, fields in contrast.cells), default=0)
    operations, lines = [], []
    for operation in dict.fromkeys(operation for operation, _ in contrast.cells):
        own = np.array([cell[0] == operation for cell in contrast.cells])
        if own.sum() >= COHORTS:
            weights = np.zeros(len(own))
            weights[own] = line(np.array([fields for _, fields in contrast.cells], np.float64)[own], most)
            operations.append(operation)
            lines.append(weights)
    if not operations:
        return []
    across = np.array(lines).T
    fitted = within(contrast, across, moved.shared)
    variation = vary_about(fitted.deviations, fitted.df, expected @ across**2)
    # Of the variance of the mean over the operations, what their own parts do not explain.
    tilt = max(variation.common - float(variation.own.mean()) / len(operations), 0.0)
    combinations = dict(zip(operations, np.eye(len(operations)), strict=True))
    writing = np.array([operation in WRITES_FIELDS for operation in operations])
    if writing.sum() > 1:
        name = AND.join(operation for operation in operations if operation in WRITES_FIELDS)
        combinations[name] = _against_the_others(writing, variation.own, tilt)
    found = []
    for name, weights in combinations.items():
        tilted, own_part = weights.sum() ** 2 * tilt, float(weights**2 @ variation.own)
        variance = max(tilted + own_part, QUANTISATION)
        df = variance**2 / max(tilted**2 / variation.common_df + own_part**2 / variation.own_df, variance**2 / 1e6)
        estimate, se = float(weights @ fitted.estimate), math.sqrt(fitted.factor * variance)
        found.append(_Slope(name, moved.measure, estimate, se, df))
    return found


def _against_the_others(writing: np.ndarray[tuple[int], np.dtype[np.bool_]], own: Floats, tilt: float) -> Floats:
    """The mean slope of the writing operations less as much of the others' as lessens its variance most.

    Where noise tilts all operations alike, the others tell by how much; where it does not, they would
    only add noise of their own.
    """
    weights: Floats = writing / writing.sum()
    others = ~writing
    if others.any() and tilt > 0:
        share = tilt / (tilt + float(own[others].mean()) / others.sum())
        weights -= share * others / others.sum()
    return weights


def _growth(log: float) -> float:
    return math.inf if log > 700 else math.expm1(log)
