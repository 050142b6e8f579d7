"""The noise: how much the mean of so many blocks moves by itself, at every length of a window that is looked at.

Measured where it will be used, so that neither a model of the noise nor its memory has to be guessed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

from analysis.window.blocks import Block

Floats = NDArray[np.float64]

#: Lengths of the windows that are looked at, in blocks: 25 min to a day where a block is 5 minutes.
SCALES: Final = (5, 9, 18, 36, 72, 144, 288)
#: Share of a window's blocks that must have a value.
FILLED: Final = 2 / 3
#: From this length on the allowance for having been told from little grows no more.
INFLATED_UP_TO: Final = 72
#: No system stands stiller than this; protects from a baseline that happened to be quiet.
SIGMA_LEAST: Final = 0.005
_MAD: Final = 1.4826


def on_grid(rows: Floats, blocks: Sequence[Block], block_s: float) -> Floats:
    """The rows at their places in time, NaN between them; gaps longer than a day's worth are cut short."""
    steps = np.rint(np.diff([one.start_s for one in blocks]) / block_s).astype(int)
    place = np.concatenate([[0], np.cumsum(np.clip(steps, 1, SCALES[-1]))])
    grid = np.full((place[-1] + 1, rows.shape[1]), math.nan)
    grid[place] = rows
    return grid


def window_means(rows: Floats, k: int) -> Floats:
    """The mean of each k consecutive rows, NaN where too few of them have a value; [rows - k + 1, streams]."""
    present = np.isfinite(rows)
    sums = np.cumsum(np.vstack([np.zeros(rows.shape[1]), np.where(present, rows, 0.0)]), axis=0)
    counts = np.cumsum(np.vstack([np.zeros(rows.shape[1]), present]), axis=0)
    total, n = sums[k:] - sums[:-k], counts[k:] - counts[:-k]
    means: Floats = np.where(n >= FILLED * k, total / np.maximum(n, 1), math.nan)
    return means


def sigmas(rows: Floats) -> Floats:
    """The standard deviation of the mean of k blocks for every scale, [scales, streams].

    A scale of which the baseline holds fewer than three windows takes over the one before: its noise
    is then over-estimated, never under-estimated. That few independent windows tell little is allowed for
    by the lower quintile of chi-squared, for the longest scales as if they were ``INFLATED_UP_TO``: they
    cannot be quieter than what the shorter ones add up to.
    """
    found: list[Floats] = []
    for k in SCALES:
        independent = len(rows) / k
        if found and independent < 3:
            found.append(found[-1])
            continue
        square = mean_of(window_means(rows, k) ** 2) * allowance(freedom(len(rows), min(k, INFLATED_UP_TO)))
        least = found[-1] * math.sqrt(SCALES[len(found) - 1] / k) if found else SIGMA_LEAST
        found.append(np.maximum(np.sqrt(square), least))
    return np.array(found)


def freedom(blocks: int, k: int) -> float:
    """The degrees of freedom of a variance of means of k blocks, from so many blocks."""
    return max(blocks / k - 1, 1.0)


@cache
def allowance(df: float) -> float:
    """By how much a variance that was told from ``df`` is made larger: a fifth of such are too small by more."""
    return df / float(special.chdtri(df, 0.8))


def scales_of(rows: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """A robust scale of each column: MAD, else p10 to p90, else sd, else 1 %; and which had no variation."""
    columns, flat = [], []
    for column in rows.T:
        values = column[np.isfinite(column)]
        low, middle, high = np.quantile(values, [0.1, 0.5, 0.9]) if len(values) else (0.0, 0.0, 0.0)
        mad = float(np.median(np.abs(values - middle))) if len(values) else 0.0
        candidates = (_MAD * mad, float(high - low) / 2.563, float(values.std()) if len(values) else 0.0)
        scale = next((one for one in candidates if one > 1e-9), 0.0)
        columns.append(scale or 0.01)
        flat.append(scale == 0.0)
    return np.array(columns), np.array(flat, np.bool_)


def mean_of(rows: Floats) -> Floats:
    """The mean of each column over what has a value; 0 where nothing has."""
    present = np.isfinite(rows)
    mean: Floats = np.where(present, rows, 0.0).sum(axis=0) / np.maximum(present.sum(axis=0), 1)
    return mean


def highest_of(rows: Floats) -> Floats:
    """The largest value of each column; 0 where it has none."""
    highest: Floats = np.where(np.isfinite(rows), rows, -np.inf).max(axis=0)
    return np.where(np.isfinite(highest), highest, 0.0)
