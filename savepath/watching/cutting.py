"""The scenario of a watch, cut to one block, and kept beside the state so that the load generator can read it.

A daily profile follows the clock: each block begins at the hour that it is (UTC), whatever hour a run of the whole
scenario would start at.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scenarios.errors import InputError
from scenarios.model import Scenario
from targets.lasting import write_whole

NAME: Final = "scenario.yaml"
#: A driven run leaves this share of its block, and so many seconds at most, for its start and its verification.
PAUSE_SHARE: Final = 0.3
PAUSE_MOST_S: Final = 30.0
WARMUP_SHARE: Final = 0.05


@dataclass(frozen=True, slots=True)
class Cut:
    """A scenario cut to a block, and the file that it is in."""

    path: Path
    scenario: Scenario

    def write(self, now_s: float) -> None:
        """Write the scenario of a block that begins now. Raises OSError."""
        told = at_hour(self.scenario, now_s).model_dump(mode="json", exclude_none=True)
        write_whole(self.path, json.dumps(told, indent=1).encode())

    def follow_the_clock(self, now_s: float) -> None:
        """Write it again where its load depends on the hour; on a full disk the last one stays."""
        if self.scenario.load.daily is not None:
            with suppress(OSError):
                self.write(now_s)


def refuse_unwatchable(scenario: Scenario) -> None:
    """Raises InputError for a load that blocks cannot be made of."""
    if scenario.load.users:
        raise InputError(
            f"scenario {scenario.name} has load.users (closed loop), whose times no watch can judge: what a "
            "stall keeps from being asked does not show; give load.rate_per_s in their place"
        )
    if scenario.load.replay:
        raise InputError(
            f"scenario {scenario.name} has load.replay, of which every block would send the same first minutes; "
            "give load.rate_per_s in its place, and load.daily where the hour of the day matters"
        )


def cut_to_block(scenario: Scenario, block_s: float) -> Scenario:
    """The scenario for one block, with a pause at its end."""
    warmup_s = min(scenario.warmup_s, WARMUP_SHARE * block_s)
    pause_s = min(PAUSE_SHARE * block_s, PAUSE_MOST_S)
    return scenario.model_copy(update={"warmup_s": warmup_s, "duration_s": block_s - warmup_s - pause_s})


def at_hour(scenario: Scenario, now_s: float) -> Scenario:
    """The scenario with its daily profile, if it has one, where it is at a Unix time."""
    load = scenario.load
    if load.daily is None:
        return scenario
    hour = now_s % load.daily.lasts_s / load.daily.lasts_s * 24
    daily = load.daily.model_copy(update={"starts_at_h": round(hour, 4) % 24})
    return scenario.model_copy(update={"load": load.model_copy(update={"daily": daily})})
