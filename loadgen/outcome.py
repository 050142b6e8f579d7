"""What is said of a run when it is over: the facts of its arms, and of the whole."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata

from loadgen.ending import Ending
from loadgen.part import Part, facts_of_arm, facts_of_workers, generator_of, with_foreign
from loadgen.run_info import ArmFacts, Asked, Cell, IntegrityLimit, RunInfo, arms_of_run, facts_of_all
from loadgen.settings import PreparedRun
from scenarios.arms import count_arms
from scenarios.model import Scenario


@dataclass(frozen=True, slots=True)
class Outcome:
    """A run that was driven: what each worker counted, and the facts of each arm."""

    run: PreparedRun
    parts: Sequence[Part]
    arms: Mapping[str, ArmFacts]

    @property
    def driven_s(self) -> float:
        """How much of the measured window was driven."""
        return max(part.driven_s for part in self.parts)

    def info(self, ending: Ending, *, started_at: datetime, ended_s: float) -> RunInfo:
        """The facts of the run."""
        run, scenario, whole = self.run, self.run.plan.scenario, facts_of_all(self.arms)
        return RunInfo(
            schema="savepath.run/1",
            id=run.folder.path.resolve().name,
            key=run.key,
            purpose=run.settings.purpose,
            scenario=scenario.name,
            target=whole.target,
            environment=whole.environment,
            plan_digest=run.plan.digest,
            labels=dict(run.settings.labels),
            fingerprint=whole.fingerprint,
            started_at=started_at.isoformat(timespec="milliseconds"),
            warmup_s=scenario.warmup_s,
            duration_s=round(self.driven_s, 3),
            ended_s=round(ended_s, 3),
            status=ending.status,
            reason=ending.reason,
            offered_per_s=whole.offered_per_s,
            fired=whole.fired,
            ledger=whole.ledger,
            generator=generator_of(self.parts, whole, run.settings.client),
            verification=whole.verification,
            effects=whole.effects,
            stored_cases=whole.stored_cases,
            arms=arms_of_run(self.arms),
            workers=facts_of_workers(self.parts),
            users=scenario.load.users,
            question=question_of(scenario),
            versions=_versions(),
        )


def outcome_of(run: PreparedRun, parts: Sequence[Part], found_elsewhere: Mapping[str, int]) -> Outcome:
    """The parts as one. ``found_elsewhere``: of each arm, values that one worker called lost and another saw."""
    planned = run.plan.arrivals_expected
    if run.plan.is_closed:  # what comes next is decided by the answers: what began was what was due
        planned = sum(counts.fired for part in parts for counts in part.arms.values())
    scheduled = {"": planned} if "" in run.targets else count_arms(run.key, planned)
    driven_s = max(part.driven_s for part in parts)
    arms = {
        name: with_foreign(
            facts_of_arm(prepared.about, [part.arms[name] for part in parts], scheduled[name], driven_s),
            found_elsewhere.get(name, 0),
        )
        for name, prepared in run.targets.items()
        if all(name in part.arms for part in parts)
    }
    return Outcome(run, parts, arms)


def question_of(scenario: Scenario) -> Asked:
    """What the scenario asks of a comparison."""
    limits = scenario.limits
    return Asked(
        tolerance=limits.slower,
        required=tuple(Cell(operation=op, custom_fields=n) for op, n in sorted(scenario.required_cells)),
        not_applicable=tuple(Cell(operation=op, custom_fields=n) for op, n in sorted(scenario.impossible_cells)),
        limits=(
            IntegrityLimit(kind="script", outcome="late", share=limits.late_scripts),
            IntegrityLimit(kind="mail", outcome="late", share=limits.late_mails),
        ),
        objectives=scenario.parsed_objectives,
    )


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in ("savepath", "locust", "gevent", "geventhttpclient", "pyarrow"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
