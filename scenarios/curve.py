"""A rate over time: straight between its corners, with a jump where two of them share a moment.

What an inhomogeneous process needs of it is its integral, the arrivals expected so far, and the inverse of
that: the moment at which so many are expected (Cinlar 1975, chapter 4: Poisson arrivals at rate 1, put through
the inverse, are Poisson arrivals at this rate). Both are exact here, so nothing is drawn and thrown away.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Curve:
    """A rate per second from the first corner to the last; outside of them nothing arrives.

    ``at_s`` never falls; the last of several corners at the same moment is where the curve goes on.
    """

    def __init__(self, at_s: Sequence[float], rate_per_s: Sequence[float]) -> None:
        self._at_s = np.asarray(at_s, dtype=np.float64)
        self._rate = np.asarray(rate_per_s, dtype=np.float64)
        widths = np.diff(self._at_s)
        areas = (self._rate[:-1] + self._rate[1:]) / 2 * widths
        self._so_far = np.concatenate([[0.0], np.cumsum(areas)])
        slopes = np.divide(np.diff(self._rate), widths, out=np.zeros_like(widths), where=widths > 0)
        self._slope = np.append(slopes, 0.0)

    @property
    def highest(self) -> float:
        """The highest rate."""
        return float(self._rate.max())

    @property
    def lowest(self) -> float:
        """The lowest rate."""
        return float(self._rate.min())

    def expected(self, until_s: float) -> float:
        """How many arrivals are expected from the first corner until then."""
        until_s = min(max(until_s, float(self._at_s[0])), float(self._at_s[-1]))
        corner = int(np.searchsorted(self._at_s, until_s, side="right")) - 1
        since_s = until_s - self._at_s[corner]
        return float(self._so_far[corner] + (self._rate[corner] + self._slope[corner] * since_s / 2) * since_s)

    def moment(self, expected: ArrayLike) -> NDArray[np.float64]:
        """When so many are expected; after a pause, where the curve is 0 and the same number holds for long."""
        wanted = np.asarray(expected, dtype=np.float64)
        corner = np.clip(np.searchsorted(self._so_far, wanted, side="right") - 1, 0, len(self._at_s) - 1)
        rest = wanted - self._so_far[corner]
        rate, slope = self._rate[corner], self._slope[corner]
        # The root of slope/2 x^2 + rate x = rest in the form that has no difference of near numbers in it.
        below = rate + np.sqrt(np.maximum(rate * rate + 2 * slope * rest, 0.0))
        since_s = np.divide(2 * rest, below, out=np.zeros_like(rest), where=below > 0)
        found: NDArray[np.float64] = self._at_s[corner] + since_s
        return found
