"""What a run needs to be told, and what is known of it once it is prepared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from loadgen.chosen import ALONE, CLIENTS, ChosenTarget, Workers
from loadgen.plan import Plan
from loadgen.prepared import Prepared
from loadgen.run_folder import RunFolder
from loadgen.task import Task
from scenarios.arms import ARMS


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run needs to be told."""

    scenario: str  # name or path
    target: ChosenTarget
    versus: ChosenTarget | None = None  # a second one, driven at the same time
    run_dir: Path | None = None  # None: runs/<UTC time>-<scenario>
    labels: Mapping[str, str] = field(default_factory=dict)
    purpose: str = ""
    allow_python: bool = False  # whether the mapping may name a class of its own
    client: str = CLIENTS[0]
    production: bool = False  # whether production is meant
    workers: Workers = ALONE  # the processes that drive it
    metrics_port: int | None = None  # of 127.0.0.1; where Prometheus looks while the run lasts
    #: The target is the after side and gets its half of the arrivals; the second one, before, may be missing.
    watched: bool = False

    @property
    def targets(self) -> dict[str, ChosenTarget]:
        """The targets by the name of their arm, which is empty where there is only one."""
        if self.watched:
            found = {"after": self.target}
            return found if self.versus is None else {"before": self.versus, **found}
        if self.versus is None:
            return {"": self.target}
        return dict(zip(ARMS, (self.target, self.versus), strict=True))

    @property
    def spare(self) -> str | None:
        """The arm that may be missing; None where none may."""
        return "before" if self.watched else None


@dataclass(frozen=True, slots=True)
class PreparedRun:
    """A run whose targets answer and have what its plan needs."""

    settings: Settings
    plan: Plan
    folder: RunFolder
    key: str
    targets: Mapping[str, Prepared]  # by the name of the arm

    def task_of(self, worker: int) -> Task:
        """What one of its workers is to drive; all of it where there is only one."""
        client, workers, spare = self.settings.client, self.settings.workers.number, self.settings.spare
        return Task(self.plan.scenario, self.targets, self.folder, self.key, client, worker, workers, spare)
