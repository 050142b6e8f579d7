"""What an old environment beside the watched one is worth: false alarms, and how fast a change is found.

On simulated months (``benchmarks.window_months``), through the very functions that the service calls. With the old
one each of the two gets half of the requests. In some months it becomes faster, as when its users leave.

So many histories as the statements need, at 95 %: of ``WINDOWS`` the third and the tenth bound the median delay,
and where ten are found sooner beside the old one, so are most (sign test); ``MONTHS`` without an alarm say that
there is less than one a month (3 / n, the rule of three). Each history is kept in ``benchmarks/out/watch-beside``
as soon as it is known: a bench that was ended shows what it has, and the next one goes on.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from benchmarks.records import read_record, record_of, write_record
from benchmarks.watch_truth import decide, delay_row, minutes_to_escalate, row
from benchmarks.window_months import DRIFTING, NORMAL, OFFSETS, Beside, Environment, growing, month, uniform

MONTHS, WINDOWS = 4, 12
CHANGES = {
    "all slower by 25 %": (uniform(0.25), 3.0),
    "all slower by 10 %": (uniform(0.10), 3.0),
    "all slower by 25 % over 6 h": (uniform(0.25, over_h=6), 3.0),
    "+25 % at 500 fields": (growing(0.25), 2.0),
}
HOW = {"both asked": Beside(), "alone": None}


@dataclass
class Found:
    """What came of the histories of a subject, in the order of their seeds."""

    values: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Subject:
    """A line of the table: how many histories it wants, what a seed gives, and how they are told."""

    name: str
    histories: int
    one: Callable[[int], float]
    told: Callable[[Sequence[float]], dict[str, Any]]

    def found(self) -> Found:
        """What is known so far."""
        return read_record(record_of("watch-beside", self.name), Found())


def measure() -> Iterator[dict[str, Any]]:
    """Rows {figure, value, low, high, goal, reached, n}."""
    delays = {name: [_delay(name, how, beside) for how, beside in HOW.items()] for name in CHANGES}
    try:
        yield from go_on([*(one for pair in delays.values() for one in pair), *_quiet_months()])
    finally:
        for name, (both, alone) in delays.items():
            pairs = zip(both.found().values, alone.found().values, strict=False)
            if sooner := [float(a < b) for a, b in pairs]:
                yield row(f"{name}: found sooner with both asked", sooner, None)


def go_on(subjects: Sequence[Subject]) -> Iterator[dict[str, Any]]:
    """Decide on the histories that are missing, a seed after the other; then the rows, also where it was ended."""
    try:
        for seed in range(max(one.histories for one in subjects)):
            for subject in subjects:
                found = subject.found()
                if len(found.values) <= seed < subject.histories:
                    found.values.append(subject.one(seed))
                    write_record(record_of("watch-beside", subject.name), found)
                    print(f"{subject.name}: {seed + 1} of {subject.histories}", file=sys.stderr, flush=True)
    finally:
        for subject in subjects:
            if values := subject.found().values:
                yield subject.told(values)


def _delay(name: str, how: str, beside: Beside | None) -> Subject:
    change, days = CHANGES[name]
    figure = f"{name}, {how}"
    one = partial(minutes_to_escalate, change, days, beside=beside)
    return Subject(figure, WINDOWS, one, partial(delay_row, figure, goal=None))


def _quiet_months() -> Iterator[Subject]:
    worlds = {f"{env.name}, both asked, nothing changed": (env, Beside()) for env in (NORMAL, OFFSETS, DRIFTING)}
    for share in (0.10, 0.30):
        left = Beside(change=uniform(1 / (1 + share) - 1))
        worlds[f"normal, the old environment became faster by {share:.0%}"] = NORMAL, left
    for name, (env, beside) in worlds.items():
        figure = f"{name}: false ESCALATE a month"
        told = partial(row, figure, goal=1, at_most=True)
        yield Subject(figure, MONTHS, partial(_alarms, env, beside), told)


def _alarms(env: Environment, beside: Beside, seed: int) -> float:
    return float(decide(month(env, 50_000 + seed, beside=beside))[1])
