"""The parts of a plan that several workers drive: which of them a case belongs to.

A pure function of the plan, so that any number of workers offers the same arrivals. All saves of a case are one
worker's, since only whoever knows each of them can say what became of one: whether its values were superseded
and whose turn its scripts had. The cases of a cohort are dealt out one by one: all of them are hit alike, so the
parts are as large as each other, and no cohort is measured by a process of its own, whose delays would be taken
for those of the cohort. The cases of a worker that was lost are dealt out once more, to those that are left.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from scenarios.arrivals import Arrival, Wanted, arrivals
from scenarios.errors import InputError
from scenarios.model import Scenario


class Parts:
    """The cases of a scenario, dealt out to ``workers``. ``cases`` tells by tenant how many the target has."""

    def __init__(self, scenario: Scenario, workers: int, cases: Mapping[str, int] | None = None) -> None:
        self._scenario = scenario
        self._workers = workers
        tenants = scenario.tenants
        cohorts = list(scenario.cohorts)
        # By the number of a tenant: its cases, its place in its cohort, and how many are in that.
        self._cases = np.array([(cases or {}).get(tenant.key, tenant.cases) for tenant in tenants])
        self._place = np.array([place for cohort in scenario.cohorts.values() for place in range(cohort.tenants)])
        self._members = np.array([scenario.cohorts[tenant.cohort].tenants for tenant in tenants])
        self._cohort = np.array([cohorts.index(tenant.cohort) for tenant in tenants])
        self._order = np.zeros(
            (len(cohorts), workers), np.int64
        )  # who gets the first case of a cohort, the second
        self._expected = np.zeros(workers)
        for number, name in enumerate(cohorts):
            # Where the cases cannot be shared out evenly, those come first who have the least so far.
            self._order[number] = np.argsort(self._expected, kind="stable")
            for tenant in np.flatnonzero(self._cohort == number):
                known = np.arange(self._cases[tenant])
                hands = np.bincount(self.workers_of(np.full_like(known, tenant), known), minlength=workers)
                share = scenario.share_of(name) / scenario.cohorts[name].tenants
                self._expected += share * hands / len(known)

    @property
    def expected(self) -> tuple[float, ...]:
        """The share of the arrivals that each worker will get; they add up to 1."""
        return tuple(self._expected.tolist())

    def workers_of(self, tenants: NDArray[np.int64], cases: NDArray[np.int64]) -> NDArray[np.int64]:
        """Who drives arrivals, by the numbers of their tenants and cases; [arrivals], as these are."""
        dealt = self._dealt(tenants, cases)
        found: NDArray[np.int64] = self._order[self._cohort[tenants], dealt % self._workers]
        return found

    def heirs_of(self, lost: int, tenants: NDArray[np.int64], cases: NDArray[np.int64]) -> NDArray[np.int64]:
        """Who drives arrivals of a worker that was lost, its cases being dealt out once more; -1 for others."""
        left = np.delete(np.arange(self._workers), lost)
        again = self._dealt(tenants, cases) // self._workers
        return np.where(self.workers_of(tenants, cases) == lost, left[again % len(left)], -1)

    def _dealt(self, tenants: NDArray[np.int64], cases: NDArray[np.int64]) -> NDArray[np.int64]:
        """The place of each case among those of its cohort."""
        found: NDArray[np.int64] = (cases % self._cases[tenants]) * self._members[tenants] + self._place[tenants]
        return found

    def arrivals(self, worker: int) -> Iterator[Arrival]:
        """The arrivals of the plan that are one worker's; the others are not made."""
        return arrivals(self._scenario, self.of(worker))

    def of(self, worker: int) -> Wanted:
        """What tells one worker's arrivals from the others', by the numbers of their tenants and cases."""
        return lambda tenants, cases: self.workers_of(tenants, cases) == worker

    def inherited(self, worker: int, lost: int) -> Iterator[Arrival]:
        """The arrivals of the whole plan that a lost worker leaves to this one."""
        return arrivals(self._scenario, lambda tenants, cases: self.heirs_of(lost, tenants, cases) == worker)


def refuse_too_many(scenario: Scenario, workers: int) -> None:
    """Raises InputError for more workers than there is something to do for."""
    load, cases = scenario.load, sum(tenant.cases for tenant in scenario.tenants)
    bounds = [(cases, "cases in all"), (load.in_flight_max, "open requests at most")]
    if load.users:
        bounds += [(load.users.count, "users")]
        bounds += [(load.rate_max_per_s, "arrivals a second at most")] if load.rate_max_per_s else []
    for number, what in bounds:
        if workers > number:
            raise InputError(
                f"{workers} workers are too many for scenario {scenario.name}: it has {number} {what}, and each "
                f"worker needs one of its own; take {number} or fewer"
            )


def scaled(scenario: Scenario, worker: int, workers: int) -> Scenario:
    """The scenario as one worker drives it: what is bounded for the run is shared out, the rest is as it was."""
    load, checks = scenario.load, scenario.verification
    bounds = {"in_flight_max": _share(load.in_flight_max, worker, workers)}
    if load.users and load.rate_max_per_s:  # of a schedule that is held before it is shared out
        bounds["rate_max_per_s"] = _share(load.rate_max_per_s, worker, workers)
    return scenario.model_copy(
        update={
            "load": load.model_copy(update=bounds),
            "verification": checks.model_copy(
                update={
                    "rate_per_s": checks.rate_per_s / workers,
                    "pending_max": max(_share(checks.pending_max, worker, workers), 1),
                }
            ),
        }
    )


def _share(whole: int, worker: int, workers: int) -> int:
    return whole // workers + (worker < whole % workers)
