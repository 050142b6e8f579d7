"""The generator's own health: was it late, and did it get the cores that it needed?

A run whose generator was late says nothing about the target, so these figures stand in ``run.json``
and the comparison drops such runs.
"""

from __future__ import annotations

import math
import os
import time
from array import array
from collections.abc import Callable
from pathlib import Path

import numpy as np

#: Linux tells here: time on a core, time waited for one (both ns), number of time slices.
SCHEDSTAT = Path("/proc/self/schedstat")


class Health:
    """Collects schedule lag and what the process waited and used, from ``start`` to ``stop``."""

    def __init__(self, *, wall: Callable[[], float] = time.monotonic, schedstat: Path = SCHEDSTAT) -> None:
        self._wall = wall
        self._schedstat = schedstat
        self._lags_s = array("d")
        self._recent = 0
        self.lag_p99_s = math.nan  # of the last whole second
        self.run_queue_delay = math.nan
        self.cpu = math.nan
        self._begin: tuple[float, float, float] | None = None

    def start(self) -> None:
        """Begin to count."""
        self._begin = self._read()

    def note_lag(self, lag_s: float) -> None:
        """How late an arrival was taken up that nothing but the generator could hold back."""
        self._lags_s.append(lag_s)

    def tick(self) -> None:
        """Once a second: the lag of the last second, and the shares since the start."""
        new = self._lags_s[self._recent :]
        self._recent = len(self._lags_s)
        self.lag_p99_s = _quantile(new, 0.99)
        if self._begin is not None:
            wall, waited, used = (now - then for now, then in zip(self._read(), self._begin, strict=True))
            if wall > 0:
                self.run_queue_delay, self.cpu = waited / wall, used / wall

    def stop(self) -> None:
        """Count no further: what follows the load is not the load."""
        self.tick()
        self._begin = None

    def lag_quantile_s(self, q: float) -> float:
        """A quantile of all lags; NaN where there was none."""
        return _quantile(self._lags_s, q)

    def _read(self) -> tuple[float, float, float]:
        """Wall clock, time waited for a core (NaN where the system does not tell) and CPU time, in seconds."""
        try:
            waited = int(self._schedstat.read_text(encoding="ascii").split()[1]) / 1e9
        except (OSError, ValueError, IndexError):
            waited = math.nan
        times = os.times()
        return self._wall(), waited, times.user + times.system


def _quantile(values: array[float], q: float) -> float:
    return float(np.quantile(np.frombuffer(values, dtype=np.float64), q)) if len(values) else math.nan
