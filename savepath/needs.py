"""How many pairs of runs it takes to tell a change of a given size, and how long that lasts."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from analysis.assessment import SLOPE_ALPHA
from analysis.levels import Cell
from analysis.pairs import (
    PAIRS_MOST,
    RUNS_AT_LEAST,
    PairNoise,
    enough_samples,
    noise_of_pairs,
    noise_of_runs,
    pairs_for_growth,
    pairs_to_clear,
    pairs_to_see,
    smallest_growth,
    smallest_rise,
    smallest_seen,
    typical_noise,
)
from loadgen.plan import Plan
from loadgen.run_folder import RunFolder
from loadgen.runs import find_runs
from reports import units
from savepath.loading import load_both_arms, load_run
from scenarios.arrivals import expected_in_cells
from scenarios.errors import InputError
from scenarios.model import Scenario

#: What a run takes beside its warm-up and its window: the start of the generator, the drain, the last checks.
BESIDES_S: Final = 8.0
#: Share of failures before, where no run tells it.
TYPICAL_FAILURES: Final = 0.001
_BY_TURNS, _AT_ONCE = "by turns", "both at once"
_HIGH: Final = 0.95
#: Levels are told at p95, growth by the mean of the logarithms (None).
_MEASURES: Final = (_HIGH, None)


@dataclass(frozen=True, slots=True)
class Host:
    """How much a pair of runs of the same system differs: sd of the logarithm of p95."""

    design: str
    name: str
    common_sd: float  # of what all cells share
    own_sd: float  # of each cell beside that


#: Measured on two shared cores; docs/running-a-comparison.md says how.
TYPICAL: Final = (
    Host(_BY_TURNS, "quiet", 0.07, 0.042),
    Host(_BY_TURNS, "noisy", 0.23, 0.07),
    Host(_AT_ONCE, "quiet", 0.02, 0.042),
    Host(_AT_ONCE, "noisy", 0.055, 0.07),
)


@dataclass(frozen=True, slots=True)
class _Noise:
    """How much the runs of one way of comparing differ, by measure, and from whom that is known."""

    design: str
    name: str
    of: Mapping[float | None, PairNoise]  # by quantile; None is the mean


@dataclass(frozen=True, slots=True)
class Need:
    """What one way of comparing needs. None: not with 200 pairs, or never."""

    design: str
    noise: str
    seconds_a_pair: float
    seen: int | None  # pairs until such a change of one required cell is shown
    clear: int | None  # pairs until nothing changed is shown of all required cells
    growth: int | None  # pairs until so much more growth fires
    smallest_seen: float  # with the pairs planned
    smallest_growth: float


@dataclass(frozen=True, slots=True)
class Needs:
    """The answer to ``plan --detect``."""

    detect: float
    pairs: int  # planned, for the smallest effects
    needs: tuple[Need, ...]
    failures_before: float
    failures_seen: float  # the smallest share that the pairs planned tell from it
    failures_of: str  # the required operation with the fewest requests
    left_out: tuple[str, ...]  # required cells with too few samples in a run for p95


def needs_of(plan: Plan, detect: float, pairs: int, earlier: Sequence[Path]) -> Needs:
    """What it takes to tell a change of ``detect`` (0.10). Raises InputError for runs that tell no noise."""
    scenario = plan.scenario
    if plan.is_closed:
        raise InputError(
            f"--detect: scenario {scenario.name} has load.users (closed loop): no number of pairs gives a verdict "
            "on speed, as what a stall keeps from being asked does not show; give load.rate_per_s in their place"
        )
    whole = dict(sorted(expected_in_cells(scenario).items()))
    required = [cell for cell in whole if cell in scenario.required_cells or not scenario.required_cells]
    if earlier:
        noises, failed = _noise_of(find_runs(earlier), whole)
    else:
        noises, failed = _typical_noises(whole), TYPICAL_FAILURES
    needs = [_need(noise, scenario, required, detect, pairs) for noise in noises]
    judged = enough_samples(whole, _HIGH)
    requests = {op: pairs * sum(n for (name, _), n in whole.items() if name == op) for op, _ in required}
    rarest = min(requests, key=lambda op: requests[op])
    return Needs(
        detect=detect,
        pairs=pairs,
        needs=tuple(needs),
        failures_before=failed,
        failures_seen=smallest_rise(failed, requests[rarest], len({op for op, _ in whole})),
        failures_of=rarest,
        left_out=tuple(f"{op}@{fields}" for op, fields in required if (op, fields) not in judged),
    )


def needs_as_data(needs: Needs) -> dict[str, object]:
    """The same as plain data; what cannot be reached is null."""
    return {name: _known(value) for name, value in asdict(needs).items()}


def _known(value: object) -> object:
    """Infinite numbers as null, at any depth."""
    if isinstance(value, dict):
        return {name: _known(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_known(part) for part in value]
    return None if value == math.inf else value


def tell_needs(needs: Needs) -> str:
    """The same for people, in 80 columns."""
    change = f"{needs.detect:+.0%}".replace("%", " %")
    lines = [
        f"pairs of runs that tell {change} at p95, 9 times in 10, and how long they take",
        f"{'':<26}{f'{change} in one cell':>18}{'no change: CLEAR':>18}{f'{change} growth':>18}",
    ]
    for need in needs.needs:
        cells = [_pairs(number, need.seconds_a_pair) for number in (need.seen, need.clear, need.growth)]
        lines.append(f"{f'{need.design}, {need.noise}':<26}" + "".join(f"{cell:>18}" for cell in cells))
        smallest = [_least(need.smallest_seen), "", _least(need.smallest_growth)]
        planned = f"  {needs.pairs} pairs, {units.duration(needs.pairs * need.seconds_a_pair)}"
        lines.append(f"{planned:<26}" + "".join(f"{cell:>18}" for cell in smallest))
    notes = []
    if any(need.growth is None for need in needs.needs):
        notes.append("Growth up to +10 % is never acted upon, and growth needs three cohorts of an operation.")
    if any(None in (need.seen, need.clear) for need in needs.needs):
        notes.append(f"never: not with {PAIRS_MOST} pairs. Longer runs, a higher rate or a quieter host help.")
    if needs.left_out:
        notes.append(
            f"Too few requests in a run for p95 of {', '.join(needs.left_out[:4])}: it needs 10. Make runs longer."
        )
    notes.append(
        f"Failures: {needs.pairs} pairs tell a rise from {needs.failures_before:.2%} to {needs.failures_seen:.2%} "
        f"in {needs.failures_of}, if they do not come in bursts. Integrity is counted: one break is enough."
    )
    notes.append(
        "Apart in time: one run a night; with five nights before, one run after tells +25 % growth. "
        "A uniform slow-down is never more than HOLD there."
    )
    return "\n".join([*lines, *(line for note in notes for line in _wrapped(note))])


def _typical_noises(whole: dict[Cell, float]) -> list[_Noise]:
    return [
        _Noise(
            host.design,
            host.name,
            {
                q: typical_noise(
                    _in_one_run(whole, host.design, q), q, common_sd=host.common_sd, own_sd=host.own_sd
                )
                for q in _MEASURES
                if _in_one_run(whole, host.design, q)
            },
        )
        for host in TYPICAL
    ]


def _in_one_run(whole: dict[Cell, float], design: str, q: float | None) -> dict[Cell, float]:
    """Samples of each cell on one side of a run, of those that have enough."""
    return enough_samples({cell: n / 2 if design == _AT_ONCE else n for cell, n in whole.items()}, q)


def _noise_of(paths: Sequence[Path], whole: dict[Cell, float]) -> tuple[list[_Noise], float]:
    """The noise of earlier runs, and the share of their requests that failed."""
    if len(paths) < RUNS_AT_LEAST:
        raise InputError(
            f"--from: {units.counted(len(paths), 'run')}; "
            f"noise is learnt from {RUNS_AT_LEAST} or more of one system"
        )
    arms = [bool(RunFolder(path).read().arms) for path in paths]
    if any(arms) and not all(arms):
        raise InputError("--from: some runs drove one target and some two; give runs of one kind")
    found: dict[float | None, PairNoise] = {}
    if all(arms):
        design, pairs = _AT_ONCE, [load_both_arms(path) for path in paths]
        runs = [pair["before"] for pair in pairs]
        sides = [[pair[side].reduced.by_cell for pair in pairs] for side in ("before", "after")]
    else:
        design, runs = _BY_TURNS, [load_run(path) for path in paths]
        sides = [[run.reduced.by_cell for run in runs]]
    for q in _MEASURES:
        cells = _in_one_run(whole, design, q)
        noise = (
            noise_of_pairs(sides[0], sides[1], cells, q) if len(sides) == 2 else noise_of_runs(sides[0], cells, q)
        )
        if noise is not None:
            found[q] = noise
    if _HIGH not in found:
        raise InputError(
            "--from: the runs have too few samples in the cells of this scenario; give longer runs of it"
        )
    failed, sent = (sum(int(run.slices[name].sum()) for run in runs) for name in ("failures", "requests"))
    return [_Noise(design, f"{len(paths)} runs", found)], failed / max(sent, 1)


def _need(noise: _Noise, scenario: Scenario, required: Sequence[Cell], detect: float, pairs: int) -> Need:
    high, mean = noise.of.get(_HIGH), noise.of.get(None)
    cells = [cell for cell in required if high and cell in high.cells]
    runs = 1 if noise.design == _AT_ONCE else 2
    return Need(
        design=noise.design,
        noise=noise.name,
        seconds_a_pair=runs * (scenario.warmup_s + scenario.duration_s + BESIDES_S),
        seen=pairs_to_see(high, cells, detect) if high and cells else None,
        clear=pairs_to_clear(high, cells, scenario.limits.slower) if high and cells else None,
        growth=pairs_for_growth(mean, detect, alpha=SLOPE_ALPHA) if mean else None,
        smallest_seen=smallest_seen(high, cells, pairs) if high and cells and pairs > 1 else math.inf,
        smallest_growth=smallest_growth(mean, pairs, alpha=SLOPE_ALPHA) if mean and pairs > 1 else math.inf,
    )


def _wrapped(note: str) -> list[str]:
    """Lines of 80 columns that part no number from its unit."""
    return [line.replace("\xa0", " ") for line in textwrap.wrap(note.replace(" %", "\xa0%"), 80)]


def _pairs(number: int | None, seconds_a_pair: float) -> str:
    return f"{number} ({units.duration(number * seconds_a_pair)})" if number else "never"


def _least(effect: float) -> str:
    return f"from +{effect:.0%}".replace("%", " %") if effect < 10 else "nothing"
