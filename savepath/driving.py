"""One or more runs of a scenario against a target, from a quiet check of the target to whole run folders."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from savepath.launch import Launch, drive
from savepath.progress import Progress
from scenarios.errors import InputError
from scenarios.library import load_scenario
from scenarios.model import Scenario
from targets.control import preflight
from targets.inventory import Inventory
from targets.mapping import Target, load_target
from targets.provisioning import provision


def drive_runs(
    scenario: str,
    target: str,
    settings: Mapping[str, str],
    folders: Sequence[Path],
    *,
    labels: Mapping[str, str],
    purpose: str = "",
) -> None:
    """Make one run in each of the folders, in order.

    Everything that can be wrong is looked at before anything is sent or written: the files, the
    folders, the target. Then tenants, fields and cases are made once, and each run finds them there.
    """
    plan, system = load_scenario(scenario), load_target(target, settings)
    for folder in folders:
        refuse_used(folder)
    progress = Progress(sys.stderr)
    inventory = prepare(plan, system, progress)
    with tempfile.TemporaryDirectory(prefix="savepath-") as room:
        known = Path(room) / "inventory.json"
        known.write_text(inventory.model_dump_json(), encoding="utf-8")
        for number, folder in enumerate(folders, start=1):
            title = f"run {number} of {len(folders)}: " if len(folders) > 1 else ""
            drive_one(
                Launch(scenario, target, folder, settings, labels, known, purpose),
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


def refuse_used(folder: Path) -> None:
    """Raises InputError for a folder that holds something already: nothing is ever overwritten."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is there already and not empty; choose another --out or remove it")
