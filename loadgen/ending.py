"""How a run ends, and where it is until then."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from pydantic import Field

from loadgen.run_info import Unknowable, effects_of_all
from loadgen.tally import CellTally, cells_of_all
from scenarios.errors import SavepathError
from scenarios.source import StrictModel

log = logging.getLogger(__name__)

Phase = Literal["provision", "warm-up", "measure", "drain", "verify", "done"]


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ends before its schedule is through, or because it is."""

    status: Literal["complete", "aborted", "interrupted"] = "complete"
    reason: str = ""
    exit_code: int = 0
    target_answers: bool = True  # so that what it promised can be looked up still


def ending_of(error: Exception, folder: Path) -> Ending:
    """How a run ends that met this error: the disk is full, or it is a mistake of ours, which is logged."""
    if isinstance(error, SavepathError):  # said already, for people
        return Ending("aborted", str(error), error.exit_code, target_answers=False)
    if isinstance(error, OSError):  # the disk is full, or the folder is gone
        reason = f"{folder} cannot be written: {error.strerror or error}"
        return Ending("aborted", reason, 4, target_answers=False)
    log.error("%s", "".join(traceback.format_exception(error)))
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(last.filename).name}:{last.lineno}"
    return Ending("aborted", f"a mistake in savepath or in the mapping: {error!r} at {where}", 1, False)


class Progress(StrictModel):
    """Where a run is, or one worker's part of it."""

    phase: Phase = "provision"
    sent: int = 0
    recorded: int = 0
    failures: int = 0
    aborted: int = 0
    waited_for_pool: int = 0  # arrivals that found in_flight_max requests open
    in_flight: int = 0
    pending_effects: int = 0
    lag_p99_s: Unknowable = float("nan")  # of the last second
    effects: dict[str, dict[str, dict[str, int]]] = Field({})  # by arm, kind and outcome
    cells: tuple[CellTally, ...] = ()
    workers_lost: int = 0


def progress_of_all(parts: Sequence[Progress]) -> Progress:
    """The parts as one: counts are added; the phase is that of the last, the lag that of the latest."""
    phases = get_args(Phase)
    lags = [part.lag_p99_s for part in parts if part.lag_p99_s == part.lag_p99_s]
    return Progress(
        phase=min((part.phase for part in parts), key=phases.index),
        sent=sum(part.sent for part in parts),
        recorded=sum(part.recorded for part in parts),
        failures=sum(part.failures for part in parts),
        aborted=sum(part.aborted for part in parts),
        waited_for_pool=sum(part.waited_for_pool for part in parts),
        in_flight=sum(part.in_flight for part in parts),
        pending_effects=sum(part.pending_effects for part in parts),
        lag_p99_s=max(lags, default=float("nan")),
        effects={
            arm: effects_of_all([part.effects.get(arm, {}) for part in parts])
            for arm in dict.fromkeys(arm for part in parts for arm in part.effects)
        },
        cells=cells_of_all([part.cells for part in parts]),
    )
