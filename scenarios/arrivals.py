"""The plan of arrivals: a pure function of the scenario's seed and the time.

The schedule is made in blocks of ten seconds, each from its own seed, so that any number of workers
sees the same arrivals. Within a Poisson block the number of arrivals is Poisson and their times are
independent, spread as the rate says, which is the law of a Poisson process (Kingman 1993, section 2.4).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scenarios.aim import Aim
from scenarios.load import Burst
from scenarios.model import Operation, Scenario, Tenant

BLOCK_S = 10.0
#: Times of evenly spaced arrivals are sums of fractions: nearer than this they are the same.
INSTANT_S = 1e-9
#: Last in the seeds of what comes beside the rate, so that none is a seed of a block.
_BURSTS, _REPLAY = 1, 2


@dataclass(frozen=True, slots=True)
class Arrival:
    """One thing that a user does at a moment."""

    seq: int
    at_s: float  # from the start of the measured window; negative in the warm-up
    tenant: Tenant
    operation: Operation
    case: int  # which of the tenant's cases, from 0


@dataclass(frozen=True, slots=True)
class Offered:
    """What a schedule amounts to."""

    arrivals: int  # warm-up included
    peak_per_s: int  # the most in any half-open second
    held_back: int  # arrivals that come later than drawn, for the sake of ``rate_max_per_s``
    left_out: int  # of them, those that the end of the run leaves out


#: Which arrivals of a block are wanted, by the numbers of their tenants and cases.
Wanted = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.bool_]]


def arrivals(scenario: Scenario, wanted: Wanted | None = None) -> Iterator[Arrival]:
    """The arrivals of the warm-up and the measured window in order of time: all, or those that are wanted."""
    tenants, operations = scenario.tenants, list(Operation)
    cases_of = np.array([tenant.cases for tenant in tenants])
    first = 0
    for block in _blocks(scenario):
        number = len(block.times_s)  # those that the end of the run leaves out are the last
        who = [part.who() for part in block.parts]
        whose, what, u_case = (np.concatenate(column)[block.order][:number] for column in zip(*who, strict=True))
        cases = (u_case * cases_of[whose]).astype(np.int64)
        chosen = np.arange(number) if wanted is None else np.flatnonzero(wanted(whose, cases))
        columns = [column[chosen].tolist() for column in (block.times_s, whose, what, cases)]
        for seq, at_s, tenant, operation, case in zip((first + chosen).tolist(), *columns, strict=True):
            yield Arrival(seq, at_s, tenants[tenant], operations[operation], case)
        first += number


def survey(scenario: Scenario) -> Offered:
    """How many arrivals the plan holds and how close they come, exactly; without making each of them.

    Of a closed loop as many as there would be if every answer came at once, on average.
    """
    if per_s := scenario.load.by_users_per_s:
        return Offered(round(per_s * (scenario.warmup_s + scenario.duration_s)), math.ceil(per_s), 0, 0)
    number = peak = held_back = left_out = 0
    recent = np.empty(0)
    for block in _blocks(scenario):
        number += len(block.times_s)
        held_back += block.held_back
        left_out += len(block.order) - len(block.times_s)
        recent = np.concatenate([recent[recent > block.begin_s - 1], block.times_s])
        peak = max(peak, most_in_a_second(recent))
    return Offered(number, peak, held_back, left_out)


def most_in_a_second(times_s: NDArray[np.float64]) -> int:
    """The most of the rising times that any half-open second holds."""
    ends = np.searchsorted(times_s, times_s + 1 - INSTANT_S, side="left")
    return int((ends - np.arange(len(times_s))).max(initial=0))


def expected_in_cells(scenario: Scenario) -> dict[tuple[str, int], float]:
    """The arrivals expected in the measured window for each (operation, custom fields) that has any."""
    load, end_s = scenario.load, scenario.duration_s
    curve = load.curve(warmup_s=scenario.warmup_s, duration_s=end_s)
    numbers = {("", ""): curve.expected(end_s) - curve.expected(0) + load.by_users_per_s * end_s}
    for burst in load.bursts:
        whole = sum(
            burst.arrivals * min((end_s - begin_s) / burst.within_s, 1)
            for _, begin_s in _repetitions(burst, end_s)
        )
        numbers[burst.kind] = numbers.get(burst.kind, 0) + whole
    if load.recording:
        at_s = load.recording.at_s
        counts = np.bincount(
            load.recording.kind[(at_s >= 0) & (at_s < end_s)], minlength=len(load.recording.kinds)
        )
        for kind, count in zip(load.recording.kinds, counts.tolist(), strict=True):
            numbers[kind] = numbers.get(kind, 0) + count
    found: dict[tuple[str, int], float] = {}
    for (operation, cohort), number in numbers.items():
        if number and scenario.can(operation, cohort):
            for cell, share in Aim(scenario, operation, cohort).shares().items():
                found[cell] = found.get(cell, 0.0) + share * number
    return found


@dataclass(frozen=True, slots=True)
class _Part:
    """Arrivals of a block that come from one source: some of those which it draws together."""

    times_s: NDArray[np.float64]  # rising
    drawn: int
    chosen: NDArray[np.bool_] | slice
    aim: Aim
    rng: np.random.Generator  # after it gave the times

    def who(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        tenants, operations, cases = self.aim.draw(self.rng, self.drawn)
        return tenants[self.chosen], operations[self.chosen], cases[self.chosen]


@dataclass(frozen=True, slots=True)
class _Block:
    """The arrivals of ten seconds from all sources, in order."""

    begin_s: float
    parts: Sequence[_Part]
    order: NDArray[np.int64]  # of what the parts hold, one after the other
    times_s: NDArray[np.float64]  # perhaps fewer: the end of the run leaves out what was held back too long
    held_back: int


def _blocks(scenario: Scenario) -> Iterator[_Block]:
    whole_s = scenario.warmup_s + scenario.duration_s
    sources = _Sources(scenario)
    ceiling = _Ceiling(scenario.load.rate_max_per_s)
    for number in range(math.ceil(whole_s / BLOCK_S)):
        begin_s = number * BLOCK_S - scenario.warmup_s
        end_s = min((number + 1) * BLOCK_S, whole_s) - scenario.warmup_s
        parts = sources.parts(number, begin_s, end_s)
        drawn_s = np.concatenate([part.times_s for part in parts])
        order = np.argsort(drawn_s, kind="stable")
        times_s = ceiling.hold(drawn_s[order])
        held_back = int((times_s > drawn_s[order] + INSTANT_S).sum())
        yield _Block(begin_s, parts, order, times_s[times_s < max(scenario.duration_s, end_s)], held_back)


class _Sources:
    """The rate, the bursts and the recording of a scenario."""

    def __init__(self, scenario: Scenario) -> None:
        load = scenario.load
        self._seed = scenario.seed
        self._even = load.arrivals == "constant"
        self._curve = load.curve(warmup_s=scenario.warmup_s, duration_s=scenario.duration_s)
        self._anyone = Aim(scenario)
        self._bursts = {
            place: (burst, Aim(scenario, *burst.kind))
            for place, burst in enumerate(load.bursts)
            if scenario.can(*burst.kind)
        }
        self._recording = load.recording
        kinds = load.recording.kinds if load.recording else ()
        self._aims = {place: Aim(scenario, *kind) for place, kind in enumerate(kinds) if scenario.can(*kind)}

    def parts(self, number: int, begin_s: float, end_s: float) -> list[_Part]:
        """What arrives from ``begin_s`` until just before ``end_s``."""
        parts = [self._at_rate(number, begin_s, end_s)]
        for place, (burst, aim) in self._bursts.items():
            parts += self._in_burst(place, burst, aim, begin_s, end_s)
        return [*parts, *self._recorded(number, begin_s, end_s)]

    def _at_rate(self, number: int, begin_s: float, end_s: float) -> _Part:
        rng = np.random.default_rng((self._seed, number))
        begun, done = self._curve.expected(begin_s), self._curve.expected(end_s)
        if self._even:
            at = np.arange(math.ceil(begun - INSTANT_S), math.ceil(done - INSTANT_S), dtype=np.float64)
        else:
            at = np.sort(begun + (done - begun) * rng.random(rng.poisson(done - begun)))
        return _Part(self._curve.moment(at), len(at), slice(None), self._anyone, rng)

    def _in_burst(self, place: int, burst: Burst, aim: Aim, begin_s: float, end_s: float) -> Iterator[_Part]:
        for repetition, at_s in _repetitions(burst, end_s, begin_s):
            rng = np.random.default_rng((self._seed, place, repetition, _BURSTS))
            times_s = at_s + burst.within_s * np.sort(rng.random(burst.arrivals))
            chosen = (times_s >= begin_s) & (times_s < end_s)
            yield _Part(times_s[chosen], burst.arrivals, chosen, aim, rng)

    def _recorded(self, number: int, begin_s: float, end_s: float) -> Iterator[_Part]:
        if self._recording is None:
            return
        first, beyond = np.searchsorted(self._recording.at_s, [begin_s, end_s])
        times_s, kinds = self._recording.at_s[first:beyond], self._recording.kind[first:beyond]
        for kind in np.unique(kinds).tolist():
            if kind in self._aims:
                mine = times_s[kinds == kind]
                rng = np.random.default_rng((self._seed, number, kind, _REPLAY))
                yield _Part(mine, len(mine), slice(None), self._aims[kind], rng)


def _repetitions(burst: Burst, until_s: float, from_s: float = 0.0) -> Iterator[tuple[int, float]]:
    """Number and beginning of each time that the burst comes in that stretch, even in part."""
    if burst.every_s is None:
        if burst.at_s < until_s and burst.at_s + burst.within_s > from_s:
            yield 0, burst.at_s
        return
    first = max(math.floor((from_s - burst.within_s - burst.at_s) / burst.every_s), 0)
    beyond = math.ceil((until_s - burst.at_s) / burst.every_s)
    for repetition in range(first, beyond):
        yield repetition, burst.at_s + repetition * burst.every_s


class _Ceiling:
    """Holds arrivals back so that no half-open second has more than so many: each waits for its place."""

    def __init__(self, per_s: int | None) -> None:
        self._per_s = per_s
        self._last_s = np.full(per_s or 0, -np.inf)  # of as many arrivals as a second may hold

    def hold(self, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """The moments at which they may come, rising; called with the arrivals of a schedule in their order."""
        if self._per_s is None:
            return times_s
        held_s = np.concatenate([self._last_s, times_s])
        for place in range(self._per_s, len(held_s), self._per_s):
            here = held_s[place : place + self._per_s]
            np.maximum(here, held_s[place - self._per_s : place][: len(here)] + 1, out=here)
        self._last_s = held_s[-self._per_s :]
        return held_s[self._per_s :]
