"""Users of a closed loop: each thinks, asks, waits for the answer, and thinks again.

What a user does next and how long they think before is a pure function of the seed and the number of the user.
When they do it is not: it depends on how long the answers take. So times of a closed loop are not comparable.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heappop, heappush

import numpy as np

from scenarios.aim import Aim
from scenarios.arrivals import Arrival, Wanted
from scenarios.load import Users
from scenarios.model import Operation, Scenario

#: Steps of a user that are drawn at a time.
_BLOCK = 64
#: Last in the seeds, so that none is a seed of a schedule (``scenarios.arrivals``).
_USERS = 3


@dataclass(frozen=True, slots=True)
class Step:
    """What a user does next, and how long they think before; numbers of tenant and operation."""

    think_s: float
    tenant: int
    operation: int
    case: int


class UsersAtWork:
    """Who does what next. Knows no clock: it is told when answers came.

    Of several workers each has every n-th user, who leaves out what is not ``wanted``: other workers' cases. So
    mix and pace are the same for any number of workers, and the number of an arrival is one worker's.
    """

    def __init__(
        self, scenario: Scenario, worker: int = 0, workers: int = 1, wanted: Wanted | None = None
    ) -> None:
        users = _users_of(scenario)
        self._tenants, self._operations = scenario.tenants, list(Operation)
        aim = Aim(scenario)
        self._steps = {
            number: steps_of(scenario, number, aim, wanted) for number in range(worker, users.count, workers)
        }
        self._worker, self._workers = worker, workers
        self._thinking: list[tuple[float, int, Step]] = []  # a heap
        self._waiting: dict[int, int] = {}  # seq -> user
        self._begun = 0
        self._latest_s: deque[float] = deque(maxlen=scenario.load.rate_max_per_s or 0)
        for user in self._steps:
            self._think(user, -scenario.warmup_s)

    @property
    def next_at_s(self) -> float:
        """When the next of them begins, unless an answer has another begin earlier; infinite while all wait."""
        if not self._thinking:
            return math.inf
        at_s = self._thinking[0][0]
        full = self._latest_s.maxlen and len(self._latest_s) == self._latest_s.maxlen
        return max(at_s, self._latest_s[0] + 1) if full else at_s

    def begin(self) -> Arrival:
        """The next of them begins."""
        at_s = self.next_at_s
        _, user, step = heappop(self._thinking)
        seq, self._begun = self._begun * self._workers + self._worker, self._begun + 1
        self._waiting[seq] = user
        self._latest_s.append(at_s)
        return Arrival(seq, at_s, self._tenants[step.tenant], self._operations[step.operation], step.case)

    def answered(self, arrival: Arrival, at_s: float) -> None:
        """Whoever waited for this arrival begins to think."""
        self._think(self._waiting.pop(arrival.seq), at_s)

    def _think(self, user: int, from_s: float) -> None:
        step = next(self._steps[user])
        heappush(self._thinking, (from_s + step.think_s, user, step))


def arrivals_at_most(scenario: Scenario) -> Iterator[Arrival]:
    """The arrivals if every answer came at once: a target that takes its time is asked less."""
    work = UsersAtWork(scenario)
    while work.next_at_s < scenario.duration_s:
        arrival = work.begin()
        yield arrival
        work.answered(arrival, arrival.at_s)


def steps_of(
    scenario: Scenario, user: int, aim: Aim | None = None, wanted: Wanted | None = None
) -> Iterator[Step]:
    """What a user will do, without end, as far as it is wanted.

    At first they are in the middle of a thought: all would begin at once.
    """
    users, aim = _users_of(scenario), aim or Aim(scenario)
    cases_of = np.array([tenant.cases for tenant in scenario.tenants])
    block = 0
    while True:
        rng = np.random.default_rng((scenario.seed, user, block, _USERS))
        exponential = users.think_times == "exponential"
        thinks_s = users.think_s * (rng.standard_exponential(_BLOCK) if exponential else np.ones(_BLOCK))
        if block == 0:
            thinks_s[0] *= rng.random()
        tenants, operations, u_case = aim.draw(rng, _BLOCK)
        cases = (u_case * cases_of[tenants]).astype(np.int64)
        chosen = np.arange(_BLOCK) if wanted is None else np.flatnonzero(wanted(tenants, cases))
        # They think as they would have, however many of their steps are left out.
        thinks = thinks_s[: len(chosen)].tolist()
        columns = (thinks, tenants[chosen].tolist(), operations[chosen].tolist(), cases[chosen].tolist())
        for think_s, tenant, operation, case in zip(*columns, strict=True):
            yield Step(think_s, tenant, operation, case)
        block += 1


def _users_of(scenario: Scenario) -> Users:
    users = scenario.load.users
    assert users is not None  # noqa: S101  # asked for by whoever found them in the load
    return users
