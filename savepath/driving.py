"""One or more runs of a scenario against a target, from a quiet check of the target to whole run folders."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from loadgen.plan import make_plan
from loadgen.run_folder import refuse_used
from savepath.launch import Launch, drive
from savepath.progress import Progress
from savepath.sink import sink_for
from scenarios.errors import Refused
from scenarios.library import load_scenario
from scenarios.model import Scenario
from targets.control import preflight
from targets.extension import find_class
from targets.inventory import Inventory
from targets.mapping import Target, load_target
from targets.provisioning import provision
from targets.quotas import over_quota


def drive_runs(
    scenario: str,
    target: str,
    settings: Mapping[str, str],
    folders: Sequence[Path],
    *,
    labels: Mapping[str, str],
    purpose: str = "",
    allow_python: bool = False,
) -> None:
    """Make one run in each of the folders, in order.

    Everything that can be wrong is looked at before anything is sent or written: the files, the
    folders, the quotas, the target. Then tenants, fields and cases are made once, and each run finds
    them there. Raises Refused for a plan that is over a quota of the target.
    """
    plan, system = load_scenario(scenario), load_target(target, settings, allow_python=allow_python)
    if system.python:
        find_class(system.python)
    for folder in folders:
        refuse_used(folder)
    reasons = over_quota(system, make_plan(plan, system).scenario)
    if reasons:
        raise Refused("\n".join(reasons))
    progress = Progress(sys.stderr)
    with sink_for(system), tempfile.TemporaryDirectory(prefix="savepath-") as room:
        inventory = prepare(plan, system, progress)
        known = Path(room) / "inventory.json"
        known.write_text(inventory.model_dump_json(), encoding="utf-8")
        for number, folder in enumerate(folders, start=1):
            title = f"run {number} of {len(folders)}: " if len(folders) > 1 else ""
            drive_one(
                Launch(scenario, target, folder, settings, labels, known, purpose, allow_python),
                Progress(sys.stderr, title=title),
            )


def drive_one(launch: Launch, progress: Progress) -> None:
    """Make one run and leave the terminal on a fresh line, however it ends."""
    try:
        drive(launch, progress.show)
    finally:
        progress.close()


def prepare(scenario: Scenario, target: Target, progress: Progress) -> Inventory:
    """Check that the target answers, then make or find the scenario's tenants, fields and cases."""
    preflight(target, os.environ)
    try:
        return provision(target, scenario, os.environ, progress.step)
    finally:
        progress.close()
