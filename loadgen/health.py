"""The generator's own health: was it late, and did it get the cores that it needed?

A run whose generator was late says nothing about the target, so these figures stand in ``run.json``
and the comparison drops such runs.
"""

from __future__ import annotations

import math
import os
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

#: Linux tells here: time on a core, time waited for one (both ns), number of time slices.
SCHEDSTAT = Path("/proc/self/schedstat")
#: Seconds that are kept one by one, the longest window of an abort rule.
KEPT_S: Final = 600
#: Lags are counted in bins that are half a percent wide, from here up to hours.
SMALLEST_S: Final = 1e-7
_RATIO: Final = 1.005
_BINS: Final = math.ceil(math.log(1e5 / SMALLEST_S) / math.log(_RATIO))


class Health:
    """Collects schedule lag and what the process waited and used, from ``start`` to ``stop``.

    What it keeps does not grow: the last ten minutes second by second, and of the whole a histogram.
    """

    def __init__(self, *, wall: Callable[[], float] = time.monotonic, schedstat: Path = SCHEDSTAT) -> None:
        self._wall = wall
        self._schedstat = schedstat
        self._new: list[float] = []
        self._seconds: deque[NDArray[np.float64]] = deque(maxlen=KEPT_S)
        self._readings: deque[_Reading] = deque(maxlen=KEPT_S + 1)
        self._counts = np.zeros(_BINS, np.int64)
        self.lag_p99_s = math.nan  # of the last whole second
        self.run_queue_delay = math.nan
        self.cpu = math.nan
        self._begin: _Reading | None = None

    def start(self) -> None:
        """Begin to count."""
        self._begin = self._read()
        self._readings.append(self._begin)

    def note_lag(self, lag_s: float) -> None:
        """How late an arrival was taken up that nothing but the generator could hold back."""
        self._new.append(lag_s)

    def tick(self) -> None:
        """Once a second: the lag of the last second, and the shares since the start."""
        new, self._new = np.array(self._new, dtype=np.float64), []
        self._seconds.append(new)
        self._counts += np.bincount(_bin_of(new), minlength=_BINS)
        self.lag_p99_s = _quantile(new, 0.99)
        if self._begin is not None:
            now = self._read()
            self._readings.append(now)
            self.run_queue_delay, self.cpu = now.since(self._begin)

    def stop(self) -> None:
        """Count no further: what follows the load is not the load."""
        self.tick()
        self._begin = None

    @property
    def lag_counts(self) -> dict[int, int]:
        """How many lags there were, by the number of their bin; none for an empty bin."""
        bins = np.flatnonzero(self._counts)
        return dict(zip(bins.tolist(), self._counts[bins].tolist(), strict=True))

    def lags_over_s(self, over_s: float) -> NDArray[np.float64]:
        """The lags of the last so many seconds, each of them whole; none until there are so many seconds."""
        number = math.ceil(over_s)
        return np.concatenate(list(self._seconds)[-number:]) if len(self._seconds) >= number else np.empty(0)

    def delay_over(self, over_s: float) -> float:
        """The share of the last so many seconds that it waited for a core; NaN until there are so many."""
        number = math.ceil(over_s)
        if len(self._readings) <= number:
            return math.nan
        return self._readings[-1].since(self._readings[-1 - number])[0]

    def _read(self) -> _Reading:
        try:
            waited = int(self._schedstat.read_text(encoding="ascii").split()[1]) / 1e9
        except (OSError, ValueError, IndexError):
            waited = math.nan
        times = os.times()
        return _Reading(self._wall(), waited, times.user + times.system)


def quantile_of(lag_counts: Mapping[int, int], q: float) -> float:
    """A quantile of lags that were counted by the bin, to half a percent; NaN where there was none."""
    rank, so_far = q * (sum(lag_counts.values()) - 1), 0
    for place in sorted(lag_counts):
        so_far += lag_counts[place]
        if so_far > rank:
            return float(SMALLEST_S * _RATIO ** (place + 0.5))
    return math.nan


@dataclass(frozen=True, slots=True)
class _Reading:
    """Wall clock, time waited for a core (NaN where the system does not tell) and CPU time, in seconds."""

    wall_s: float
    waited_s: float
    used_s: float

    def since(self, before: _Reading) -> tuple[float, float]:
        """The shares of the time in between that were waited and used."""
        wall_s = self.wall_s - before.wall_s
        if wall_s <= 0:
            return math.nan, math.nan
        return (self.waited_s - before.waited_s) / wall_s, (self.used_s - before.used_s) / wall_s


def _bin_of(lags_s: NDArray[np.float64]) -> NDArray[np.int64]:
    bins = np.log(np.maximum(lags_s, SMALLEST_S) / SMALLEST_S) / math.log(_RATIO)
    return np.minimum(bins.astype(np.int64), _BINS - 1)


def _quantile(values: NDArray[np.float64], q: float) -> float:
    return float(np.quantile(values, q)) if len(values) else math.nan
