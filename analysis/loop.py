"""The loop: did users wait for an answer before they asked again? Then what they would have asked is missing.

In a closed loop a slow target is asked less, and least while it stalls: those who would have waited longest never
asked (coordinated omission). Its times are told, and give no verdict. Failures and effects are counts of what was
asked, and are judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from analysis.findings import Check, Reason
from analysis.generator import gate
from analysis.origin import sent_per_s
from analysis.runs import Run

_CLOSED: Final = "drove a closed loop: what a stall kept from being asked does not show (coordinated omission)"


def fault_of(run: Run) -> str:
    """Why the times of a run are no yardstick, a clause after "the run"; empty if they are."""
    return _CLOSED if run.users else gate([run], []).faults.get(run.id, "")


def of_open_load(runs: Sequence[Run]) -> list[Run]:
    """Those whose arrivals came when they were due, whatever the target did."""
    return [run for run in runs if not run.users]


def check_loop(before: Sequence[Run], after: Sequence[Run]) -> list[Check]:
    """A failed check where users waited, as times are then not comparable; nothing where the load was open."""
    users = max((run.users for run in (*before, *after)), default=0)
    if not users:
        return []
    return [
        Check.failed(
            "times from due moment",
            f"{users:,} users waited for each answer before they asked again (closed loop): what a stall kept "
            "from being asked does not show in these times (coordinated omission), so they give no verdict. "
            f"Asked were {sent_per_s(before):,.1f} requests/s before and {sent_per_s(after):,.1f} after; a slower "
            "target is asked less. For a verdict on speed, drive the same mix with load.rate_per_s.",
            Reason.INVALID_LOAD,
        )
    ]
