"""Beginning a watch, or going on with one: everything that can be wrong is looked at before the first block."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from analysis.runs import Objective
from analysis.window.blocks import Block
from analysis.window.hours import busiest_hour
from analysis.window.learning import learn_baseline
from analysis.window.streams import Cell
from loadgen.chosen import ChosenTarget
from loadgen.runs import find_runs
from savepath.driving import AFTER, BEFORE, Command
from savepath.exits import exit_code
from savepath.launch import How
from savepath.loading import question_of
from savepath.progress import NOBODY, Progress
from savepath.screen import note
from savepath.watching.agreed import Agreed, AgreedTime, is_state, read_agreed
from savepath.watching.beside import Beside
from savepath.watching.blocks_of_runs import BATCH, blocks_of_all, tenants_of
from savepath.watching.cutting import NAME, Cut, cut_to_block, refuse_unwatchable
from savepath.watching.gatekeeping import ask
from savepath.watching.journal import unwritable
from savepath.watching.rounds import drive, follow
from savepath.watching.state import Watching, found_in_a_day, make_state, only_watch, open_state
from scenarios.errors import InputError
from scenarios.library import load_scenario
from scenarios.model import Scenario
from targets.safety import refuse_unsafe

#: The breach of objectives on this quantile is told.
BREACH_QUANTILE: Final = 0.95
PEAK: Final = "peak"
_NOT_HELD: Final = (
    "the baseline's runs drove one target only, so how far two differ by themselves is not known: the old\n"
    "      environment is told of in evidence, and raises no alarm; a baseline of savepath run --versus knows"
)
#: The tenants of each cohort are read from so many of the latest runs of the baseline.
TENANTS_FROM: Final = 3


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks for."""

    state: Path
    baseline: tuple[Path, ...]
    scenario: str
    target: str
    follow: Path | None
    lasts_s: float
    block_s: float
    settle_s: float
    day_s: float
    required_events: tuple[str, ...]
    until_clear: bool
    settings: Mapping[str, str] = field(default_factory=dict)
    versus: ChosenTarget | None = None  # the old environment, driven at once
    labels: Mapping[str, str] = field(default_factory=dict)
    allow_python: bool = False
    production: bool = False
    beside: Beside = field(default_factory=Beside)


def watch(wanted: Wanted, say: Callable[[str], None], *, quiet: bool = False) -> int:
    """Watch until the window is over; the exit code of the gate then. ``quiet``: only decisions and errors."""
    wanted.beside.refuse()
    if wanted.follow is None:  # errors of the scenario and the target come first
        scenario, target = load_scenario(wanted.scenario), ChosenTarget(wanted.target, dict(wanted.settings))
        refuse_unwatchable(scenario)
        for one in (target, wanted.versus):
            if one is not None:
                loaded = one.load(allow_python=wanted.allow_python)
                refuse_unsafe(loaded, scenario.tenant_keys, production=wanted.production)
    if is_state(wanted.state):
        _refuse_other_terms(wanted)
    else:
        _begin(wanted)
    with only_watch(wanted.state), ExitStack() as stack:
        watching = open_state(wanted.state)
        if not quiet:
            note(_heading(watching))
            if wanted.versus is not None:
                note(_whom(wanted, target, wanted.versus))
            if wanted.versus is not None and not watching.baseline.streams.against:
                note(_NOT_HELD)
            if wanted.follow is None and (other := _other_load(scenario, watching, wanted)):
                note(other)
        page = wanted.beside.begin(wanted.state, stack)
        if page and not quiet:
            note(f"status page: {page}")
        try:
            if wanted.follow is not None:
                follow(watching, wanted.follow, until_clear=wanted.until_clear, say=say)
            else:
                cut = Cut(wanted.state / NAME, cut_to_block(scenario, wanted.block_s))
                try:
                    cut.write(time.time())
                except OSError as error:
                    raise unwritable(cut.path, error) from None
                command, runs = _command(wanted, cut, target), wanted.state / "runs"
                progress = Progress(NOBODY if quiet else sys.stderr)
                drive(watching, command, cut, runs, progress, until_clear=wanted.until_clear, say=say)
        except KeyboardInterrupt:
            return 130
        with suppress(OSError):  # a full disk: the gate then holds, as for a watch that died
            watching.end(time.time())
    return exit_code(ask(wanted.state, time.time()).verdict, "hold")


def _begin(wanted: Wanted) -> None:
    found = find_runs(wanted.baseline)
    if not found:
        raise InputError("--baseline: no run in the folders given; a watch needs runs from before the change")
    blocks = blocks_of_all(found, wanted.block_s)
    try:
        baseline = learn_baseline(blocks, day_s=wanted.day_s)
    except ValueError as error:
        fault = next((f"; {one.fault}" for one in blocks if one.fault), "")
        raise InputError(f"--baseline: {error} of {wanted.block_s:g} s{fault}") from None
    batch = (BATCH,) if any(BATCH in one.events for one in blocks) else ()
    required = [_event(one, blocks, wanted.day_s) for one in wanted.required_events]
    question = question_of(found[0], ())
    agreed = Agreed(
        block_s=wanted.block_s,
        day_s=wanted.day_s,
        settle_s=wanted.settle_s,
        begun_s=time.time(),
        lasts_s=wanted.lasts_s,
        tolerance=question.tolerance,
        required_events=tuple(dict.fromkeys((*batch, *required))),
        source=_source(wanted),
        objectives=_agreed_times(question.objectives, baseline.streams.cells),
        tenants=tenants_of(found[: -TENANTS_FROM - 1 : -1]),
    )
    make_state(wanted.state, agreed, blocks)


def _source(wanted: Wanted) -> str:
    """For people: what is watched."""
    if wanted.follow:
        return str(wanted.follow)
    beside = "" if wanted.versus is None else f" beside {wanted.versus.mapping}"
    return f"{wanted.scenario} on {wanted.target}{beside}"


def _event(name: str, blocks: Sequence[Block], day_s: float) -> str:
    """A required event; ``peak`` is the busiest hour of the baseline's day. Raises InputError if it has none."""
    if name != PEAK:
        return name
    hour = busiest_hour(blocks, day_s)
    if not hour:
        raise InputError(
            "--require peak: no hour of the baseline's day stands out, or it does not cover one; "
            "name the hours in UTC, as --require 09:00-11:00"
        )
    return hour


def _agreed_times(objectives: Sequence[Objective], cells: Sequence[Cell]) -> tuple[AgreedTime, ...]:
    """The objectives on a p95, for the cells that they speak of; of an operation that with the most fields."""
    found = []
    for one in objectives:
        if one.measure != "quantile" or one.quantile != BREACH_QUANTILE:
            continue
        for operation in dict.fromkeys(name for name, _ in cells if one.operation in (None, name)):
            fields = [number for name, number in cells if name == operation]
            number = max(fields) if one.custom_fields is None else one.custom_fields
            if number in fields:
                found.append(AgreedTime(operation=operation, custom_fields=number, p95_s=one.limit))
    return tuple(found)


def _refuse_other_terms(wanted: Wanted) -> None:
    """A watch goes on under the terms that it began with."""
    agreed = read_agreed(wanted.state)
    asked = {"--every": wanted.block_s, "--settle": wanted.settle_s, "--for": wanted.lasts_s}
    kept = {"--every": agreed.block_s, "--settle": agreed.settle_s, "--for": agreed.lasts_s}
    for flag, value in asked.items():
        if value != kept[flag]:
            raise InputError(
                f"{flag}: the watch in {wanted.state} was begun with {kept[flag]:g} s, not {value:g} s; "
                "go on with the same, or begin another with another --state"
            )


def _command(wanted: Wanted, cut: Cut, target: ChosenTarget) -> Command:
    return Command(
        str(cut.path),
        {BEFORE: target} if wanted.versus is None else {BEFORE: wanted.versus, AFTER: target},
        labels=wanted.labels,
        how=How(
            purpose="watch",
            allow_python=wanted.allow_python,
            production=wanted.production,
            watched=wanted.versus is not None,
        ),
        withheld=wanted.beside.secrets,
    )


def _other_load(scenario: Scenario, watching: Watching, wanted: Wanted) -> str:
    """What to say where the baseline never had the load that will be offered; empty if it had."""
    load, baseline = scenario.load, watching.baseline
    if load.rate_per_s is None or not load.is_steady:
        return ""
    share, whose = (1.0, "the target gets") if wanted.versus is None else (0.5, "each of the targets gets")
    offered = share * load.rate_per_s * watching.agreed.block_s
    low, high = max(float(baseline.rate_low.min()), 0.0), float(baseline.rate_high.max())
    if low <= offered <= high:
        return ""
    fitting = load.rate_per_s * (low + high) / 2 / offered
    return (
        f"{whose} {offered:.0f} requests a block, the baseline had {low:.0f} to {high:.0f}: growth will not be\n"
        f"      judged (HOLD, load-changed); a scenario with a rate_per_s of {fitting:.3g} fits"
    )


def _whom(wanted: Wanted, target: ChosenTarget, old: ChosenTarget) -> str:
    """Which of the two is watched: whoever took one for the other would watch the wrong one for days."""
    watched, beside = (one.load(allow_python=wanted.allow_python).base_url for one in (target, old))
    return f"watched: {watched}; the old environment beside it: {beside}"


def _heading(watching: Watching) -> str:
    """What the baseline can find."""
    baseline = watching.baseline
    return (
        f"baseline: {baseline.days:.1f} days, {baseline.blocks} blocks, {len(baseline.streams.names)} streams; "
        f"a day can find: {found_in_a_day(baseline)}"
    )
