"""The files of a run for workers of other machines: scenario, recording, mappings, by the names they get there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from loadgen.chosen import ChosenTarget
from scenarios.errors import InputError
from scenarios.library import find_text, names
from scenarios.model import Scenario


def files_of(name_or_path: str, scenario: Scenario, targets: Mapping[str, ChosenTarget]) -> dict[str, str]:
    """Texts by name. Those that come with savepath are there already, as both sides have the same version."""
    found = {}
    if name_or_path not in names("scenarios"):
        found[scenario_name(name_or_path)] = find_text("scenarios", name_or_path)[0]
        if scenario.load.replay:
            if not stays_below(scenario.load.replay):
                raise InputError(
                    f"{scenario.load.replay} cannot be sent to workers of other machines; put the recording "
                    f"beside {name_or_path}, or below its folder"
                )
            recording = Path(name_or_path).parent / scenario.load.replay
            found[scenario.load.replay] = recording.read_text(encoding="utf-8")
    for arm, chosen in targets.items():
        if chosen.mapping not in names("targets"):
            found[mapping_name(arm, chosen.mapping)] = find_text("targets", chosen.mapping)[0]
    return found


def scenario_name(name_or_path: str) -> str:
    """What the scenario is called there."""
    return name_or_path if name_or_path in names("scenarios") else "the-scenario.yaml"


def mapping_name(arm: str, name_or_path: str) -> str:
    """What the mapping of an arm is called there."""
    return name_or_path if name_or_path in names("targets") else f"the-mapping-{arm or 'alone'}.yaml"


def stays_below(name: str) -> bool:
    """Whether a name leads to a file in a folder or below it, and nowhere else."""
    path = PurePosixPath(name)
    return bool(path.name) and not path.is_absolute() and ".." not in path.parts
