"""Contrasts between the cells of the same runs: what all cells share cancels, and most of the noise with it.

Where a host slows cells down unequally (a full queue adds seconds, not shares), its noise tilts such
contrasts as well. By how much is learnt from the runs of either side: the contrast of a run is regressed on
what all cells of that run share, and what follows from the difference of the sides in it is taken off
(analysis of covariance). Runs by turns or at once have enough of them for that; nights apart have not. It is
taken off only as far as noise explains that difference: a change that made everything three times as slow is
far beyond the range in which the tilt was learnt, and drawing the line on to there would drown any growth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import special

from analysis.comparison import Histograms, Opposing, cells_of, sufficient
from analysis.findings import Measure
from analysis.levels import Contrast, Floats, measure
from analysis.runs import Question

#: What is learnt from the runs before any is left to tell their noise: two means and a tilt.
LEARNT: Final = 3
_QUANTILES: Final = {Measure.MEAN: None, Measure.P95: 0.95}


@dataclass(frozen=True, slots=True)
class Shared:
    """What all cells of a run have in common, by the mean of the logarithms."""

    runs: Floats  # about the mean of their side
    moved: float  # from before to after


@dataclass(frozen=True, slots=True)
class Opposed:
    """One measure of all cells with enough samples, after against before."""

    measure: Measure
    contrast: Contrast
    shared: Shared | None  # None where the runs are too few to learn a tilt from


@dataclass(frozen=True, slots=True)
class Within:
    """Some contrasts: their estimates, and from what their errors are learnt."""

    estimate: Floats  # [contrasts]
    deviations: Floats  # [runs or pairs, contrasts]
    df: int
    factor: float  # variance of an estimate over that of a deviation


def opposed_by_measure(
    before: Histograms, after: Histograms, question: Question, oppose: Opposing
) -> tuple[Opposed, ...]:
    """The mean, by which is known what the cells share, then p95; without what no cell has samples for."""
    cells = [cell for cell in cells_of(before, after, question) if cell not in question.not_applicable]
    shared: Shared | None = None
    found = []
    for of, q in _QUANTILES.items():
        levels = measure(before, cells, q), measure(after, cells, q)
        judged = sufficient(*levels, 0.5 if q is None else q)
        if judged.any():
            contrast = oppose(levels[0].of(judged), levels[1].of(judged))
            if of is Measure.MEAN:
                shared = _shared_by(contrast)
            found.append(Opposed(of, contrast, shared))
    return tuple(found)


def _shared_by(contrast: Contrast) -> Shared | None:
    if len(contrast.runs) <= LEARNT:
        return None
    return Shared(contrast.runs.mean(axis=1), float(contrast.estimate.mean()))


def within(contrast: Contrast, across: Floats, shared: Shared | None) -> Within:
    """The contrasts whose weights are the columns of ``across`` [cells, contrasts], less what noise explains."""
    estimate = contrast.estimate @ across
    spread = float(shared.runs @ shared.runs) if shared else 0.0
    if shared is None or spread == 0:
        rows = contrast.rows @ across
        return Within(estimate, rows - rows.mean(axis=0), len(rows) - 1, contrast.factor)
    runs = contrast.runs @ across
    tilt = shared.runs @ runs / spread
    moved = _explained_by_noise(shared.moved, spread, len(runs))
    return Within(
        estimate - tilt * moved,
        runs - np.outer(shared.runs, tilt),
        len(runs) - LEARNT,
        4 / len(runs) + moved**2 / spread,  # two sides of half as many runs each
    )


def _explained_by_noise(moved: float, spread: float, runs: int) -> float:
    """As much of ``moved`` as the difference of two sides of ``runs`` runs in all reaches by their noise alone."""
    df = runs - 2
    reach = float(special.stdtrit(df, 0.975)) * math.sqrt(4 / runs * spread / df)
    return min(max(moved, -reach), reach)
