"""The parts of a plan that several workers drive: which of them a case belongs to.

A pure function of the plan, so that any number of workers offers the same arrivals. All saves of a case are one
worker's, since only whoever knows each of them can say what became of one: whether its values were superseded
and whose turn its scripts had. The cases of a cohort are dealt out one by one: all of them are hit alike, so the
parts are as large as each other, and no cohort is measured by a process of its own, whose delays would be taken
for those of the cohort.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from scenarios.arrivals import Arrival
from scenarios.errors import InputError
from scenarios.model import Scenario


class Parts:
    """The cases of a scenario, dealt out to ``workers``. ``cases`` tells by tenant how many the target has."""

    def __init__(self, scenario: Scenario, workers: int, cases: Mapping[str, int] | None = None) -> None:
        self._workers = workers
        self._place: dict[str, int] = {}  # of a tenant in its cohort
        self._tenants: dict[str, int] = {}  # of the cohort of a tenant, how many
        self._order: dict[str, list[int]] = {}  # who gets the first case of the cohort, the second, ...
        self._cases = {tenant.key: (cases or {}).get(tenant.key, tenant.cases) for tenant in scenario.tenants}
        self._expected = [0.0] * workers
        for name, cohort in scenario.cohorts.items():
            members = [tenant.key for tenant in scenario.tenants if tenant.cohort == name]
            # Where the cases cannot be shared out evenly, those come first who have the least so far.
            order = sorted(range(workers), key=lambda worker: self._expected[worker])
            for place, key in enumerate(members):
                self._place[key], self._tenants[key], self._order[key] = place, cohort.tenants, order
            hits = scenario.share_of(name) / cohort.tenants
            for key in members:
                for worker, number in self._dealt(key).items():
                    self._expected[worker] += hits * number / self._cases[key]

    @property
    def expected(self) -> tuple[float, ...]:
        """The share of the arrivals that each worker will get; they add up to 1."""
        return tuple(self._expected)

    def worker_of(self, arrival: Arrival) -> int:
        """Who drives the arrival."""
        key = arrival.tenant.key
        return self._worker(key, arrival.case % self._cases[key])

    def of(self, worker: int, schedule: Iterable[Arrival]) -> Iterator[Arrival]:
        """The arrivals of a schedule that are one worker's."""
        return (one for one in schedule if self.worker_of(one) == worker)

    def _worker(self, key: str, case: int) -> int:
        return self._order[key][(case * self._tenants[key] + self._place[key]) % self._workers]

    def _dealt(self, key: str) -> dict[int, int]:
        """How many cases of a tenant each worker has: what comes after ``workers`` cases comes again."""
        whole, rest = divmod(self._cases[key], self._workers)
        found: dict[int, int] = {}
        for case in range(min(self._workers, self._cases[key])):
            worker = self._worker(key, case)
            found[worker] = found.get(worker, 0) + whole + (case < rest)
        return found


def refuse_too_many(scenario: Scenario, workers: int) -> None:
    """Raises InputError for more workers than there is something to do for."""
    cases = sum(tenant.cases for tenant in scenario.tenants)
    for number, what in ((cases, "cases in all"), (scenario.load.in_flight_max, "open requests at most")):
        if workers > number:
            raise InputError(
                f"{workers} workers are too many for scenario {scenario.name}: it has {number} {what}, and each "
                f"worker needs one of its own; take {number} or fewer"
            )


def scaled(scenario: Scenario, worker: int, workers: int) -> Scenario:
    """The scenario as one worker drives it: what is bounded for the run is shared out, the rest is as it was."""
    load, checks = scenario.load, scenario.verification
    return scenario.model_copy(
        update={
            "load": load.model_copy(update={"in_flight_max": _share(load.in_flight_max, worker, workers)}),
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
