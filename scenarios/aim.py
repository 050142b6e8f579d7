"""Who an arrival is, and what they do: the cohort by its share, the tenant evenly, the operation by the mix."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scenarios.model import Operation, Scenario


class Aim:
    """Who arrives and what they do: cohort by share, tenant evenly, operation by the mix; or as it is said."""

    def __init__(self, scenario: Scenario, operation: str = "", cohort: str = "") -> None:
        self._scenario = scenario
        self._all = list(Operation)
        self._possible: dict[str, dict[Operation, float]] = {}
        for name, one in scenario.cohorts.items():
            mix = {op: w for op, w in scenario.mix.items() if w and op.possible_for(one)}
            mix = {op: w for op, w in mix.items() if operation in ("", op)}
            self._possible[name] = mix if cohort in ("", name) else {}
        weights = [
            scenario.share_of(t.cohort) / scenario.cohorts[t.cohort].tenants if self._possible[t.cohort] else 0.0
            for t in scenario.tenants
        ]
        self._edges = np.cumsum(weights) / np.sum(weights)
        self._last = int(np.flatnonzero(weights)[-1])
        names = list(scenario.cohorts)
        self._cohort_of = np.array([names.index(t.cohort) for t in scenario.tenants])

    def draw(
        self, rng: np.random.Generator, number: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Of so many arrivals the numbers of tenants and operations, and which case, as a part of 1; [number]."""
        tenants = np.minimum(np.searchsorted(self._edges, rng.random(number), side="right"), self._last)
        u_operation, u_case = rng.random(number), rng.random(number)
        operations = np.empty(number, np.int64)
        for place, mix in enumerate(self._possible.values()):
            here = self._cohort_of[tenants] == place
            if here.any():
                edges = np.cumsum(list(mix.values())) / sum(mix.values())
                chosen = np.minimum(np.searchsorted(edges, u_operation[here], side="right"), len(mix) - 1)
                operations[here] = np.array([self._all.index(op) for op in mix])[chosen]
        return tenants, operations, u_case

    def shares(self) -> dict[tuple[str, int], float]:
        """The expected share of each (operation, custom fields); they add up to 1."""
        scenario = self._scenario
        whole = sum(scenario.share_of(name) for name, mix in self._possible.items() if mix)
        return {
            (str(operation), scenario.cohorts[name].custom_fields): scenario.share_of(name)
            / whole
            * weight
            / sum(mix.values())
            for name, mix in self._possible.items()
            for operation, weight in mix.items()
        }
