"""The plan of arrivals: a pure function of the scenario's seed and the time.

The schedule is made in blocks of ten seconds, each from its own seed, so that any number of workers
sees the same arrivals. Within a Poisson block the number of arrivals is Poisson and their times
are independent and uniform, which is the law of a Poisson process (Kingman 1993, section 2.4).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scenarios.model import Operation, Scenario, Tenant

BLOCK_S = 10.0


@dataclass(frozen=True, slots=True)
class Arrival:
    """One thing that a user does at a moment."""

    seq: int
    at_s: float  # from the start of the measured window; negative in the warm-up
    tenant: Tenant
    operation: Operation
    case: int  # which of the tenant's cases, from 0


def arrivals(scenario: Scenario) -> Iterator[Arrival]:
    """All arrivals of the warm-up and the measured window, in order of time."""
    tenants = scenario.tenants
    draws = _Draws(scenario, tenants)
    seq = 0
    for block in range(_blocks(scenario)):
        rng = np.random.default_rng((scenario.seed, block))
        times = _times(scenario, block, rng)
        tenant_numbers, uniform_operation, uniform_case = draws.draw(rng, len(times))
        for at_s, number, u_operation, u_case in zip(
            times.tolist(),
            tenant_numbers.tolist(),
            uniform_operation.tolist(),
            uniform_case.tolist(),
            strict=True,
        ):
            tenant = tenants[number]
            operation = draws.operation(tenant, u_operation)
            yield Arrival(seq, at_s, tenant, operation, int(u_case * tenant.cases))
            seq += 1


def count_arrivals(scenario: Scenario) -> int:
    """How many arrivals the plan holds, warm-up included, without making all of them."""
    return sum(
        len(_times(scenario, block, np.random.default_rng((scenario.seed, block))))
        for block in range(_blocks(scenario))
    )


def cell_shares(scenario: Scenario) -> dict[tuple[str, int], float]:
    """The expected share of the arrivals that falls on each (operation, custom fields); they add up to 1."""
    found: dict[tuple[str, int], float] = {}
    for name, cohort in scenario.cohorts.items():
        possible = {op: weight for op, weight in scenario.mix.items() if weight and op.possible_for(cohort)}
        for operation, weight in possible.items():
            cell = (str(operation), cohort.custom_fields)
            share = scenario.share_of(name) * weight / sum(possible.values())
            found[cell] = found.get(cell, 0.0) + share
    return found


def _blocks(scenario: Scenario) -> int:
    return math.ceil((scenario.warmup_s + scenario.duration_s) / BLOCK_S)


def _times(scenario: Scenario, block: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Times of the block's arrivals, from the start of the measured window, rising."""
    begin, end = block * BLOCK_S, min((block + 1) * BLOCK_S, scenario.warmup_s + scenario.duration_s)
    rate = scenario.load.rate_per_s
    if scenario.load.arrivals == "constant":
        first, last = math.ceil(begin * rate - 1e-9), math.ceil(end * rate - 1e-9)
        times = np.arange(first, last) / rate
    else:
        times = np.sort(rng.uniform(begin, end, rng.poisson(rate * (end - begin))))
    return times - scenario.warmup_s


class _Draws:
    """Who arrives and what they do: cohort by share, tenant evenly, operation by the mix."""

    def __init__(self, scenario: Scenario, tenants: tuple[Tenant, ...]) -> None:
        weight = [scenario.share_of(t.cohort) / scenario.cohorts[t.cohort].tenants for t in tenants]
        self._tenant_edges = np.cumsum(weight) / np.sum(weight)
        self._operations: dict[str, tuple[list[Operation], list[float]]] = {}
        for name, cohort in scenario.cohorts.items():
            possible = [(op, w) for op, w in scenario.mix.items() if w and op.possible_for(cohort)]
            total = sum(w for _, w in possible)
            edges = np.cumsum([w / total for _, w in possible]).tolist() if possible else []
            self._operations[name] = ([op for op, _ in possible], edges)

    def draw(
        self, rng: np.random.Generator, n: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        tenants = np.searchsorted(self._tenant_edges, rng.random(n), side="right")
        return np.minimum(tenants, len(self._tenant_edges) - 1), rng.random(n), rng.random(n)

    def operation(self, tenant: Tenant, u: float) -> Operation:
        operations, edges = self._operations[tenant.cohort]
        return next((op for op, edge in zip(operations, edges, strict=True) if u < edge), operations[-1])
