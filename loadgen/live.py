"""What there is to see of a run while it lasts: the file ``progress.json``, which everyone reads who shows it."""

from __future__ import annotations

import math
from typing import Final

from pydantic import Field

from analysis.samples import EFFECT_OUTCOMES, UNDECIDED
from loadgen.ending import Phase, Progress
from loadgen.run_info import Unknowable, effects_of_all
from loadgen.tally import CellTally
from scenarios.model import Operation
from scenarios.source import StrictModel

SHARES: Final = (0.5, 0.95, 0.99)
#: Operations in the order in which they are shown: what this is all about comes first.
_ORDER: Final = (Operation.SAVE_CUSTOM, Operation.SAVE_STANDARD, Operation.RUN_SCRIPT, *Operation)


class LiveCell(StrictModel):
    """An operation of a cohort so far; times from the planned moment, failures included, to 1 %."""

    arm: str = ""
    operation: str
    custom_fields: int
    requests: int
    failures: int
    p50_s: float
    p95_s: float
    p99_s: float


class Live(StrictModel):
    """Where a run is. Of its arrivals, scheduled = recorded + aborted + in flight + those that are to come.

    Of a closed loop nobody knows how many will come: ``scheduled`` is None.
    """

    phase: Phase = "provision"
    elapsed_s: float = 0.0
    total_s: float = 0.0
    scheduled: int | None = 0
    sent: int = 0
    recorded: int = 0
    failures: int = 0
    in_flight: int = 0
    aborted: int = 0
    waited_for_pool: int = 0
    rate_per_s: float = 0.0
    pending_effects: int = 0
    lag_p99_s: Unknowable = math.nan  # of the last second
    effects: dict[str, dict[str, int]] = Field({})  # by kind and outcome
    cells: tuple[LiveCell, ...] = ()
    workers_lost: int = 0

    @property
    def broken_effects(self) -> int:
        """Effects that did not come out as promised; what nobody can tell is not among them."""
        return sum(
            number
            for kind, outcomes in self.effects.items()
            for outcome, number in outcomes.items()
            if is_broken(kind, outcome)
        )


def is_broken(kind: str, outcome: str) -> bool:
    """Whether an effect with this outcome broke its promise."""
    return outcome not in (EFFECT_OUTCOMES[kind][0], *UNDECIDED)


def live_of(
    progress: Progress, *, scheduled: int | None, elapsed_s: float, total_s: float, recorded_before: int
) -> Live:
    """What is shown of this progress; ``recorded_before`` requests were finished a second ago."""
    return Live(
        phase=progress.phase,
        elapsed_s=round(min(max(elapsed_s, 0.0), total_s), 1),
        total_s=total_s,
        scheduled=scheduled,
        sent=progress.sent,
        recorded=progress.recorded,
        failures=progress.failures,
        in_flight=progress.in_flight,
        aborted=progress.aborted,
        waited_for_pool=progress.waited_for_pool,
        rate_per_s=progress.recorded - recorded_before,
        pending_effects=progress.pending_effects,
        lag_p99_s=round(progress.lag_p99_s, 6),
        effects=effects_of_all(list(progress.effects.values())),
        cells=tuple(_live_cell(one) for one in sorted(progress.cells, key=_place)),
        workers_lost=progress.workers_lost,
    )


def _place(tally: CellTally) -> tuple[int, int, str]:
    return _ORDER.index(Operation(tally.operation)), tally.custom_fields, tally.arm


def _live_cell(tally: CellTally) -> LiveCell:
    p50_s, p95_s, p99_s = (round(time_s, 6) for time_s in tally.quantiles_s(SHARES))
    return LiveCell(
        arm=tally.arm,
        operation=tally.operation,
        custom_fields=tally.custom_fields,
        requests=tally.requests,
        failures=tally.failures,
        p50_s=p50_s,
        p95_s=p95_s,
        p99_s=p99_s,
    )
