"""What a run will offer to a target, before anything is sent: how much, how fast, how long, and its digest."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from loadgen.chosen import CLIENTS
from loadgen.disk import DiskUse, disk_use
from loadgen.guard import ENOUGH
from scenarios.abort_rules import OVER_MOST_S
from scenarios.arrivals import Offered, expected_in_cells, survey
from scenarios.errors import InputError
from scenarios.model import Operation, Scenario
from targets.model import Target

#: How a run of it is labelled, for people.
CLOSED_LOOP: Final = "closed loop, times not comparable"


@dataclass(frozen=True, slots=True)
class Plan:
    """A scenario on a target. Two runs may be compared when their digests are equal.

    ``scenario`` is what will be driven: its mix without the operations that the target has no mapping
    for, each of which has its sentence in ``warnings``.
    """

    scenario: Scenario
    target_name: str
    digest: str  # 64 hexadecimal digits
    arrivals_expected: int  # warm-up included; exact, as the schedule follows from the seed; see ``is_closed``
    peak_rate_per_s: float  # the most arrivals in any one second
    rows: int  # samples and effects that will be written, expected
    disk: DiskUse
    duration_s: float  # warm-up and measured window
    warnings: tuple[str, ...] = ()

    @property
    def is_closed(self) -> bool:
        """Whether users wait for their answers: then the arrivals are those of a target that answers at once."""
        return self.scenario.load.users is not None

    def as_dict(self) -> dict[str, Any]:
        """The plan as plain data for ``plan.json``."""
        return {
            "scenario": self.scenario.model_dump(mode="json"),
            "target": self.target_name,
            "digest": self.digest,
            "arrivals_expected": self.arrivals_expected,
            "peak_rate_per_s": self.peak_rate_per_s,
            "rows": self.rows,
            "bytes_expected": self.disk.most,
            "bytes_kept": self.disk.kept,
            "duration_s": self.duration_s,
            "warnings": list(self.warnings),
        }


def make_plan(scenario: Scenario, target: Target) -> Plan:
    """The plan of the scenario on the target. Raises InputError if nothing of the mix can be done there."""
    driven, warnings = _without_unsupported(scenario, target)
    offered = survey(driven)
    number = offered.arrivals
    effects = round(number * _effects_per_arrival(driven))
    duration_s = driven.warmup_s + driven.duration_s
    return Plan(
        scenario=driven,
        target_name=target.name,
        digest=_digest(driven, target),
        arrivals_expected=number,
        peak_rate_per_s=float(offered.peak_per_s),
        rows=number + effects,
        disk=disk_use(number, effects, duration_s),
        duration_s=duration_s,
        warnings=(*warnings, *_notes(driven, offered), *notes_on_rules(driven, number)),
    )


def notes_on_rules(scenario: Scenario, arrivals: int, parts: int = 1) -> list[str]:
    """Abort rules that may never be judged: too few requests finish in their window in each of so many parts."""
    per_s = arrivals / (scenario.warmup_s + scenario.duration_s) / parts
    whose = "" if parts == 1 else f" of each of the {parts} parts that are judged"
    notes = []
    for rule in scenario.abort_rules:
        if rule.of_requests and 0 < per_s * rule.over_s < ENOUGH:
            enough_s = math.ceil(ENOUGH / per_s)
            remedy = f"give it {enough_s} s" if enough_s <= OVER_MOST_S else "no window is long enough for it"
            notes.append(
                f"abort rule {rule.text!r} wants {ENOUGH} finished requests in its {rule.over_s:g} s, and about "
                f"{per_s * rule.over_s:.2g} come{whose}; {remedy}"
            )
    return notes


def plan_for(scenario: Scenario, targets: Sequence[Target], *, client: str = CLIENTS[0]) -> Plan:
    """The plan of the scenario on one target, or on two that share its arrivals: each gets about half of them.

    Raises InputError where the two cannot be offered the same, or are the same system: then the saves of
    one arm would overwrite the other's, and its effects could not be told apart.

    What another ``client`` than our own measures is of another plan: its own cost is in every response time.
    """
    plans = [make_plan(scenario, target) for target in targets]
    if client != CLIENTS[0]:
        sealed = [hashlib.sha256(f"{plan.digest} sent by {client}".encode()).hexdigest() for plan in plans]
        plans = [replace(plan, digest=digest) for plan, digest in zip(plans, sealed, strict=True)]
    if len(plans) == 1:
        return plans[0]
    (old, new), (plan, other) = targets, plans
    if plan.is_closed:
        raise InputError(
            f"scenario {scenario.name} has load.users, who wait for each answer: one target would hold up what "
            "the other is asked; drive the targets by turns (--alternate), or give a rate in place of users"
        )
    if plan.digest != other.digest:
        raise InputError(
            f"the targets {old.name} and {new.name} cannot be driven at once: their operations on the scenario "
            f"{scenario.name} differ; give both the same operations (only address, login and checks may differ)"
        )
    if (old.base_url, old.variables) == (new.base_url, new.variables):
        raise InputError(
            f"both targets are the system at {old.base_url}; name the other one, as with "
            "--versus-set base_url=http://..."
        )
    return replace(
        plan,
        target_name=" and ".join(dict.fromkeys((old.name, new.name))),
        digest=hashlib.sha256(f"{plan.digest} both at once".encode()).hexdigest(),
        disk=disk_use(plan.arrivals_expected, plan.rows - plan.arrivals_expected, plan.duration_s, arms=2),
        warnings=(
            *plan.warnings,
            f"each target gets about half of the arrivals, {plan.arrivals_expected / plan.duration_s / 2:.3g}/s",
        ),
    )


def _notes(scenario: Scenario, offered: Offered) -> list[str]:
    """What becomes of arrivals that are not simply offered as they are drawn."""
    load, notes = scenario.load, []
    if load.users:
        notes.append(f"{CLOSED_LOOP}: response times of these runs give no verdict; effects and failures do")
    if offered.held_back:
        lost = f", and {offered.left_out:,} are left out by the end of the run" if offered.left_out else ""
        notes.append(f"load.rate_max_per_s {load.rate_max_per_s} makes {offered.held_back:,} arrivals later{lost}")
    if load.recording:
        recorded, replayed = len(load.recording.at_s), offered.arrivals
        if recorded > replayed:
            notes.append(f"{recorded - replayed:,} of the {recorded:,} arrivals of {load.replay} are not replayed")
    return notes


def _missing(scenario: Scenario, target: Target) -> dict[Operation, str]:
    """Operations of the mix that the target cannot do, with the reason."""
    missing: dict[Operation, str] = {}
    for operation in (op for op, weight in scenario.mix.items() if weight and not target.supports(op)):
        mapped = target.mapping_of(operation) is not None
        missing[operation] = "it has no verify.scripts to await" if mapped else "its mapping does not have it"
    return missing


def _without_unsupported(scenario: Scenario, target: Target) -> tuple[Scenario, list[str]]:
    missing = _missing(scenario, target)
    if not missing:
        return scenario, []
    in_bursts = {burst.operation for burst in scenario.load.bursts}
    warnings = [
        f"{op} is left out of the mix{' and its bursts' if op in in_bursts else ''}: {why} ({target.name})"
        for op, why in missing.items()
    ]
    mix = {op: weight for op, weight in scenario.mix.items() if weight and op not in missing}
    idle = [name for name, cohort in scenario.cohorts.items() if not any(op.possible_for(cohort) for op in mix)]
    if idle:
        raise InputError(
            f"target {target.name} leaves nothing to do for cohort {', '.join(idle)} of scenario {scenario.name}: "
            + "; ".join(warnings)
        )
    required = tuple(text for text in scenario.required if text.partition("@")[0] not in missing)
    if scenario.required and not required:
        raise InputError(
            f"target {target.name} can do none of the required operations of scenario {scenario.name}: "
            + "; ".join(warnings)
        )
    return scenario.model_copy(update={"mix": mix, "required": required}), warnings


def _digest(scenario: Scenario, target: Target) -> str:
    """What decides the load, and nothing else: neither who is asked where, nor what is asked about it."""
    asked = {"about", "pairs", "limits", "objectives", "required", "abort"}
    offered = scenario.model_dump(mode="json", exclude=asked)
    # What a scenario does not say is no part of it, so that runs of before these keys stay comparable.
    offered["load"] = {key: value for key, value in offered["load"].items() if value}
    if scenario.load.recording:
        offered["load"]["replay"] = scenario.load.recording.sha256  # not where the file is
    operations = target.model_dump(mode="json", by_alias=True)["operations"]
    text = json.dumps({"scenario": offered, "operations": operations}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _effects_per_arrival(scenario: Scenario) -> float:
    """Expected rows of the effects table for one arrival."""
    cells = expected_in_cells(scenario)
    scripts = {cohort.custom_fields: cohort.scripts_on_save for cohort in scenario.cohorts.values()}
    rows = 0.0
    for (operation, custom_fields), number in cells.items():
        match Operation(operation):
            case Operation.SEND_EMAIL:
                rows += number
            case Operation.SEND_BATCH:
                rows += number * scenario.batch_size
            case Operation.SAVE_CUSTOM:
                rows += number * (scripts[custom_fields] + scenario.verification.read_back_share)
            case Operation.SAVE_STANDARD | Operation.RUN_SCRIPT:
                rows += number * scripts[custom_fields]
            case Operation.READ_CASE:
                pass
    return rows / sum(cells.values())
