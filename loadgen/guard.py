"""When to stop by ourselves: the target is gone, or a rule of the scenario says so.

A slow or full target is a finding and never a reason to stop, unless the scenario has a rule for it. The rules are
looked at once a second, over the whole seconds that are in their window.
"""

from __future__ import annotations

import math
import os
import shutil
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from loadgen.health import Health
from scenarios.abort_rules import AbortRule

REFUSED_IN_A_ROW = 20
REFUSED_FOR_S = 3.0
#: Fewer finished requests in a window say nothing of a share or a percentile.
ENOUGH = 20

#: Linux tells here how many pages of memory the process holds.
STATM = Path("/proc/self/statm")


class Watch:
    """What one target answered lately, and whether it is there at all."""

    def __init__(self, rules: Sequence[AbortRule] = ()) -> None:
        self._in_a_row = 0
        self._since_s = 0.0
        self._last_s = 0.0
        self._rules = [rule for rule in rules if rule.of_requests]
        self._keeps_times = any(rule.measure == "quantile" for rule in self._rules)
        self._finished = self._failed = self._timeouts = 0
        self._times_s: list[float] = []
        longest_s = max((rule.over_s for rule in self._rules), default=0)
        self._seconds: deque[_Second] = deque(maxlen=math.ceil(longest_s))

    def note(self, outcome: str, done_s: float, response_s: float = 0.0) -> None:
        """One finished request. Anything but a refusal, even an error or a timeout, is a sign of life."""
        self._finished += 1
        if self._keeps_times:
            self._times_s.append(response_s)
        if outcome == "ok":
            self._in_a_row = 0
            return
        self._failed += 1
        self._timeouts += outcome == "timeout"
        if outcome != "refused":
            self._in_a_row = 0
            return
        if not self._in_a_row:
            self._since_s = done_s
        self._in_a_row += 1
        self._last_s = done_s

    @property
    def is_gone(self) -> bool:
        """Whether nothing but refusals has come for a while."""
        return self._in_a_row >= REFUSED_IN_A_ROW and self._last_s - self._since_s >= REFUSED_FOR_S

    def reason(self) -> str:
        """Why the run must stop, or nothing; ends a second, so it is asked once in each."""
        times_s, self._times_s = self._times_s, []
        self._seconds.append(_Second(self._finished, self._failed, self._timeouts, np.array(times_s)))
        self._finished = self._failed = self._timeouts = 0
        if self.is_gone:
            return (
                f"the target is gone: {self._in_a_row} requests in a row were refused or reset "
                f"over {self._last_s - self._since_s:.1f} s; start it again and make the run again"
            )
        return next((said for rule in self._rules if (said := _broken(rule, self._value(rule)))), "")

    def _value(self, rule: AbortRule) -> float:
        """What the rule looks at; NaN until its window is full, and where too few requests are in it."""
        seconds = list(self._seconds)[-math.ceil(rule.over_s) :]
        finished = sum(second.finished for second in seconds)
        if len(seconds) < rule.over_s or finished < ENOUGH:
            return math.nan
        match rule.measure:
            case "failures":
                return sum(second.failed for second in seconds) / finished
            case "timeouts":
                return sum(second.timeouts for second in seconds) / finished
            case _:
                return _beyond(np.concatenate([second.times_s for second in seconds]), rule)


@dataclass(frozen=True, slots=True)
class _Second:
    """What finished in one second."""

    finished: int
    failed: int
    timeouts: int
    times_s: NDArray[np.float64]


class Guard:
    """Looks after the generator and asks the watches of all targets."""

    def __init__(
        self, rules: Sequence[AbortRule], watches: Mapping[str, Watch], health: Health, folder: Path
    ) -> None:
        self._rules = [rule for rule in rules if not rule.of_requests]
        self._watches = watches
        self._health = health
        self._folder = folder

    def reason(self) -> str:
        """Why the run must stop, or nothing; to be asked once a second."""
        said = [
            f"{name}: {why}" if name else why for name, watch in self._watches.items() if (why := watch.reason())
        ]
        said += [why for rule in self._rules if (why := _broken(rule, self._value(rule)))]
        return said[0] if said else ""

    def _value(self, rule: AbortRule) -> float:
        match rule.measure:
            case "schedule lag":
                return _beyond(self._health.lags_over_s(rule.over_s), rule)
            case "run-queue delay":
                return self._health.delay_over(rule.over_s)
            case "memory":
                return memory_bytes()
            case _:
                return _disk_free_bytes(self._folder)


def _beyond(values: NDArray[np.float64], rule: AbortRule) -> float:
    """The quantile that the rule is about, where it can lie beyond the limit; else NaN.

    It cannot where too few values do, and counting these costs a tenth of finding the quantile.
    """
    beyond = int(np.count_nonzero(values > rule.limit))
    if not beyond or beyond < math.floor((1 - rule.quantile) * (len(values) - 1)):
        return math.nan
    return float(np.quantile(values, rule.quantile))


def memory_bytes(statm: Path = STATM) -> float:
    """What this process holds in memory; NaN where the system does not tell."""
    try:
        return int(statm.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return math.nan


def _disk_free_bytes(folder: Path) -> float:
    try:
        return float(shutil.disk_usage(folder).free)
    except OSError:
        return math.nan


def _broken(rule: AbortRule, value: float) -> str:
    return f"{rule.text}: it is {_shown(rule, value)}" if rule.broken_by(value) else ""


def _shown(rule: AbortRule, value: float) -> str:
    match rule.measure:
        case "quantile" | "schedule lag":
            return f"{value:.3g} s" if value >= 1 else f"{value * 1000:.3g} ms"
        case "memory" | "disk free":
            return f"{value / 1e6:,.0f} MB"
        case _:
            return f"{value:.1%}"
