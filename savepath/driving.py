"""One or more runs of a scenario, from a quiet check of its targets to whole run folders.

The targets go by the side that they are on: ``before`` is the one that is there, ``after`` the one that is
held against it, if there is one. A turn drives one of them, or both at once.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from loadgen.chosen import ChosenTarget, environ_of, refuse_blind, secrets_side
from loadgen.plan import Plan, make_plan, plan_for
from loadgen.run_folder import refuse_used
from savepath.launch import How, Launch, drive
from savepath.progress import Progress
from savepath.sink import sink_for
from scenarios.errors import InputError, Refused, SavepathError
from scenarios.library import load_scenario
from scenarios.model import Scenario
from targets.control import preflight
from targets.credentials import Credentials
from targets.extension import find_class
from targets.footprint import Footprint
from targets.inventory import Inventory
from targets.model import Target
from targets.provisioning import provision
from targets.quotas import over_quota
from targets.safety import refuse_unsafe

BEFORE, AFTER = "before", "after"


@dataclass(frozen=True, slots=True)
class Command:
    """What all runs of one command have in common; of a watch the after side is the one that is watched."""

    scenario: str  # name or path
    targets: Mapping[str, ChosenTarget]  # by side
    labels: Mapping[str, str] = field(default_factory=dict)
    how: How = field(default_factory=How)
    #: Variables with secrets for this process alone: the child does not get them, unless a target names them too.
    withheld: frozenset[str] = frozenset()
    #: A side that may be missing: then its runs are made without it, or it is got ready by them.
    spare: str | None = None

    def environ(self, side: str) -> Mapping[str, str]:
        """The environment in which the target on a side finds its secrets."""
        return environ_of(secrets_side(side, watched=self.how.watched), os.environ)


@dataclass(frozen=True, slots=True)
class Turn:
    """One run of several: which sides it drives, and where it is kept."""

    folder: Path
    sides: tuple[str, ...]  # of a watch the watched one comes first
    labels: Mapping[str, str] = field(default_factory=dict)
    title: str = ""


def runs_of(sides: tuple[str, ...], out: Path, number: int) -> list[Turn]:
    """So many runs of the same sides, one after the other: OUT itself, or OUT/run-01, OUT/run-02, ..."""
    if number == 1:
        return [Turn(out, sides)]
    return [Turn(out / f"run-{run:02d}", sides, title=f"run {run} of {number}: ") for run in range(1, number + 1)]


def in_turns(out: Path, pairs: int) -> Iterator[Turn]:
    """Runs of both sides by turns: OUT/before/run-01, OUT/after/run-01, ... See ``pair_in_turn``."""
    for pair in range(1, pairs + 1):
        yield from pair_in_turn(out, pair, pairs)


def pair_in_turn(out: Path, pair: int, pairs: int) -> Iterator[Turn]:
    """The two runs of one pair, the order swapped from pair to pair.

    Before, after, after, before: what drifts evenly meanwhile falls on both sides alike.
    """
    for side in (BEFORE, AFTER) if pair % 2 else (AFTER, BEFORE):
        title = f"pair {pair} of {pairs}, {side:<6} "
        yield Turn(out / side / f"run-{pair:02d}", (side,), {"side": side}, title)


def drive_runs(command: Command, turns: Sequence[Turn], out: Path, progress: Progress) -> None:
    """Make the runs in ``out``, in order; see ``ready`` for what comes before."""
    with ready(command, turns, out, progress) as make:
        for turn in turns:
            make(turn)


@contextmanager
def ready(
    command: Command, turns: Sequence[Turn], out: Path, progress: Progress
) -> Iterator[Callable[[Turn], None]]:
    """Get everything ready for runs such as ``turns``, and yield what makes one of them.

    Everything that can be wrong is looked at before anything is sent or written: the files, the
    folders, the quotas, the targets. Then tenants, fields and cases are made once on each target, and
    each run finds them there; what was made is kept in ``out/footprint``. Raises Refused for a plan that is
    over a quota of a target.
    """
    scenario, how = load_scenario(command.scenario), command.how
    how.workers.refuse_unfit(scenario)
    targets = {side: chosen.load(allow_python=how.allow_python) for side, chosen in command.targets.items()}
    for target in targets.values():
        refuse_unsafe(target, scenario.tenant_keys, production=how.production)
        refuse_blind(how.client, target.allowed_hosts)
        if target.python:
            find_class(target.python)
    tenants = [tenant.key for tenant in scenario.tenants]
    credentials = {side: Credentials(target, tenants, command.environ(side)) for side, target in targets.items()}
    for side, target in targets.items():
        _refuse_told_secrets(command, side, target, credentials[side])
    withheld = command.withheld.difference(*(one.names for one in credentials.values()))
    for turn in turns:
        refuse_used(turn.folder)
    _refuse_over_quota(scenario, targets, at_once=how.watched or any(len(turn.sides) > 1 for turn in turns))
    with ExitStack() as stack:
        for target in targets.values():
            stack.enter_context(sink_for(target))
        room = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="savepath-")))
        known: dict[str, Path] = {}
        for side, target in targets.items():
            name = f"prepared-{side}" if len(targets) > 1 else "prepared"
            owner = secrets_side(side, watched=how.watched)
            footprint = command.targets[side].footprint(out, name, target, scenario, owner)
            stack.callback(footprint.close)
            try:
                inventory = prepare(scenario, target, progress, command.environ(side), footprint)
            except SavepathError:
                if side != command.spare:
                    raise
                continue
            known[side] = room / f"{side}.json"
            known[side].write_text(inventory.model_dump_json(), encoding="utf-8")

        def make(turn: Turn) -> None:
            drive_one(_launch(command, turn, known, withheld), progress.titled(turn.title))

        yield make


def drive_one(launch: Launch, progress: Progress) -> None:
    """Make one run and leave the terminal on a fresh line, however it ends."""
    try:
        drive(launch, progress.show)
    finally:
        progress.close()


def prepare(
    scenario: Scenario,
    target: Target,
    progress: Progress,
    environ: Mapping[str, str] = os.environ,
    footprint: Footprint | None = None,
) -> Inventory:
    """Check that the target answers, then make or find the scenario's tenants, fields and cases."""
    preflight(target, environ)
    try:
        return provision(target, scenario, environ, progress.step, footprint)
    finally:
        progress.close()


def plan_of(scenario: Scenario, targets: Mapping[str, Target], *, at_once: bool) -> list[Plan]:
    """The plan of each kind of run: one for both targets at once, else one a target."""
    if at_once:
        return [plan_for(scenario, list(targets.values()))]
    return [make_plan(scenario, target) for target in targets.values()]


def _launch(command: Command, turn: Turn, known: Mapping[str, Path], withheld: frozenset[str]) -> Launch:
    # The child tells the secrets of two arms apart itself; of one it cannot know whose they are.
    environ = command.environ(turn.sides[0])
    chosen = [replace(command.targets[side], inventory=known.get(side)) for side in turn.sides]
    return Launch(
        command.scenario,
        chosen[0],
        turn.folder,
        versus=chosen[1] if len(chosen) > 1 else None,
        labels={**command.labels, **turn.labels},
        how=command.how,
        environ={name: value for name, value in environ.items() if name.removesuffix("_FILE") not in withheld},
    )


def _refuse_told_secrets(command: Command, side: str, target: Target, credentials: Credentials) -> None:
    """Raises InputError for a secret on the command line: it would be in the process list and in run.json."""
    words = {f"--set {key}": value for key, value in command.targets[side].variables.items()}
    words |= {f"--label {key}": value for key, value in command.labels.items()}
    words["--purpose"] = command.how.purpose
    for flag, value in words.items():
        if credentials.are_in(value):
            raise InputError(
                f"{flag} holds a secret of the target {target.name}; everyone on this machine can read it there, "
                "and it would be kept with the run: leave it out, and set another secret"
            )


def _refuse_over_quota(scenario: Scenario, targets: Mapping[str, Target], *, at_once: bool) -> None:
    """Raises Refused, or InputError where two targets cannot be offered the same."""
    offered = plan_of(scenario, targets, at_once=at_once)[0].scenario
    reasons = [reason for target in targets.values() for reason in over_quota(target, offered, at_once=at_once)]
    if reasons:
        raise Refused("\n".join(reasons))
