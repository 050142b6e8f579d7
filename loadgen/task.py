"""What one process is to drive: a scenario on prepared targets, and which of its arrivals are this process's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from loadgen.chosen import CLIENTS
from loadgen.prepared import Prepared
from loadgen.run_folder import RunFolder
from scenarios.arms import arm_of
from scenarios.arrivals import Arrival, arrivals
from scenarios.model import Scenario
from scenarios.parts import Parts
from scenarios.users import UsersAtWork


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be driven: a scenario on prepared targets, and which part of it."""

    scenario: Scenario  # the whole
    prepared: Mapping[str, Prepared]  # by the name of the arm
    folder: RunFolder
    run_key: str
    client: str = CLIENTS[0]
    worker: int = 0
    workers: int = 1
    spare: str | None = None  # the arm that may be missing, and then ends nothing

    def schedule(self, arm: str) -> Iterator[Arrival]:
        """The arrivals of this part that are the arm's."""
        whole = arrivals(self.scenario) if self.workers == 1 else self._parts(arm).arrivals(self.worker)
        return self._of_arm(arm, whole)

    def users(self, scenario: Scenario) -> UsersAtWork:
        """The users of this part of a closed loop, which drives one target; ``scenario`` is scaled to the part."""
        (arm,) = self.prepared
        wanted = self._parts(arm).of(self.worker) if self.workers > 1 else None
        return UsersAtWork(scenario, self.worker, self.workers, wanted)

    def inherited(self, arm: str, lost: int) -> Iterator[Arrival]:
        """Those that a lost worker leaves to this one, from the beginning of the plan."""
        return self._of_arm(arm, self._parts(arm).inherited(self.worker, lost))

    def _parts(self, arm: str) -> Parts:
        known = self.prepared[arm].inventory.tenants
        return Parts(self.scenario, self.workers, {key: len(tenant.cases) for key, tenant in known.items()})

    def _of_arm(self, arm: str, schedule: Iterator[Arrival]) -> Iterator[Arrival]:
        return (one for one in schedule if arm_of(self.run_key, one.seq) == arm) if arm else schedule
