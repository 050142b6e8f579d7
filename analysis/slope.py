"""The custom-field slope: did an operation slow down more, the more custom fields a case has?

Noise is mostly common to all cells of a run, and a contrast between cells of the same run cancels it:
this is by far the most powerful test here, on a noisy host as on a quiet one. It also needs 10
hypotheses instead of 75. What it cannot see is a defect at one middle cohort; the list of cells can.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import stats

from analysis.comparison import DECIDING, Histograms, Opposing, cells_of, holm, sufficient
from analysis.findings import SlopeFinding
from analysis.levels import Contrast, Floats, measure
from analysis.runs import Question
from analysis.variation import QUANTISATION, expected_own

#: Fewer cohorts than this make a line that fits by construction.
COHORTS: Final = 3
#: Growth up to this is not acted upon: it is what a uniform slow-down of 10 % may leave behind where
#: cells gain unequally, and the largest cohort may grow as much as a cell may slow down.
MARGIN: Final = math.log(1.10)
_DF_MOST: Final = 60


@dataclass(frozen=True, slots=True)
class _Slope:
    """The slope of one operation: growth on the log scale from 0 fields to the most, and its standard error."""

    operation: str
    quantile: float
    estimate: float
    se: float
    df: int


def compare_slopes(
    before: Histograms, after: Histograms, question: Question, oppose: Opposing, *, alpha: float
) -> tuple[SlopeFinding, ...]:
    """The slopes of every operation with three cohorts or more, at p50 and p95.

    ``fires`` holds for all of them at once (Holm at ``alpha``) and needs growth beyond ``MARGIN``.
    The intervals are simultaneous at 95 % (Bonferroni). Needs two rows; else there are no slopes.
    """
    cells = [cell for cell in cells_of(before, after, question) if cell not in question.not_applicable]
    slopes: list[_Slope] = []
    for q in (q for q in question.quantiles if q in DECIDING):
        levels = measure(before, cells, q), measure(after, cells, q)
        judged = sufficient(*levels, q)
        if judged.any():
            slopes += _slopes(oppose(levels[0].of(judged), levels[1].of(judged)), q)
    p_values = [float(stats.t.sf(one.estimate / one.se, one.df)) for one in slopes]
    level = 1 - 0.05 / (2 * max(len(slopes), 1))
    found = []
    for one, p_value, adjusted in zip(slopes, p_values, holm(p_values), strict=True):
        reach = float(stats.t.ppf(level, one.df)) * one.se
        found.append(
            SlopeFinding(
                operation=one.operation,
                quantile=one.quantile,
                growth=_growth(one.estimate),
                low=_growth(one.estimate - reach),
                high=_growth(one.estimate + reach),
                fires=adjusted < alpha and one.estimate > MARGIN,
                p_value=p_value,
            )
        )
    return tuple(found)


def weights(custom_fields: Floats, most: float) -> Floats:
    """c_f with sum(c_f y_f) = the least-squares slope of y on fields / ``most``. Needs two different numbers."""
    u = custom_fields / most
    centred = u - u.mean()
    slope: Floats = centred / np.sum(centred**2)
    return slope


def _slopes(contrast: Contrast, q: float) -> list[_Slope]:
    """The slopes at one quantile, their variance pooled over the operations.

    Operations differ in how many cohorts and samples they have, so what is pooled is the ratio of the
    variance seen to the variance expected; pooling the variances themselves lets a rare operation
    (an e-mail batch) pass for as quiet as a read, and alarm falsely.
    """
    expected = expected_own(contrast.rows, contrast.sampling)
    most = max((fields for _, fields in contrast.cells), default=0)
    estimates, scales, ratios, operations = [], [], [], []
    df = len(contrast.rows) - 1
    for operation in dict.fromkeys(operation for operation, _ in contrast.cells):
        at = np.array([place for place, cell in enumerate(contrast.cells) if cell[0] == operation])
        fields = np.array([contrast.cells[place][1] for place in at], np.float64)
        if len(at) < COHORTS:
            continue
        c = weights(fields, most)
        scale = float(np.sum(c**2 * np.maximum(expected[at], QUANTISATION)))
        operations.append(operation)
        estimates.append(float(contrast.estimate[at] @ c))
        scales.append(scale)
        ratios.append(float((contrast.rows[:, at] @ c).var(ddof=1)) / scale)
    pooled = float(np.mean(ratios)) if ratios else 0.0
    return [
        _Slope(
            operation,
            q,
            estimate,
            math.sqrt(contrast.factor * scale * max(pooled, 1e-3)),
            min(len(operations) * df, _DF_MOST),
        )
        for operation, estimate, scale in zip(operations, estimates, scales, strict=True)
    ]


def _growth(log: float) -> float:
    return math.inf if log > 700 else math.expm1(log)
