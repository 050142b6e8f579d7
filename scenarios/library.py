"""Scenario files: found by name among those that come with savepath, or by path; read and checked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from scenarios.arrivals import expected_in_cells
from scenarios.errors import InputError, did_you_mean
from scenarios.load import Burst
from scenarios.model import Scenario
from scenarios.recording import read_recording
from scenarios.source import Source, read_yaml
from scenarios.validation import check


def load_scenario(name_or_path: str) -> Scenario:
    """The scenario of that name (``field-sweep``) or in that file. Raises InputError."""
    return parse_scenario(*find_text("scenarios", name_or_path))


def parse_scenario(text: str, file: str) -> Scenario:
    """A scenario from YAML text; ``file`` is the name for messages. Raises InputError with every problem."""
    source = read_yaml(text, file)
    scenario = check(Scenario, source)
    problems = [
        source.problem(("load", "bursts", place, key), message)
        for place, burst in enumerate(scenario.load.bursts)
        for key, message in _problems_of(burst, scenario)
    ]
    if problems:
        raise InputError(problems)
    if scenario.load.replay:
        _take_recording(scenario, source, Path(file).parent / scenario.load.replay)
    if not expected_in_cells(scenario):
        raise InputError(source.problem(("load",), "nothing arrives in the measured window; raise the rate"))
    return scenario


def _problems_of(burst: Burst, scenario: Scenario) -> Iterator[tuple[str, str]]:
    """What a burst names that the scenario does not have: the key, and what is wrong."""
    operation, cohort = burst.kind
    for key, name, known in (
        ("operation", operation, [str(op) for op, weight in scenario.mix.items() if weight]),
        ("cohort", cohort, list(scenario.cohorts)),
    ):
        if name and name not in known:
            hint = did_you_mean(name, known) or f"; expected one of {', '.join(known)}"
            yield key, f"{name!r} is not in the {'mix' if key == 'operation' else 'cohorts'}{hint}"
            return
    if not scenario.can(operation, cohort):
        yield "operation", f"{cohort or 'no cohort'} can{'not' if cohort else ''} do {operation}"


def _take_recording(scenario: Scenario, source: Source, path: Path) -> None:
    possible = {
        name: {str(op) for op, weight in scenario.mix.items() if weight and op.possible_for(cohort)}
        for name, cohort in scenario.cohorts.items()
    }
    if not path.is_file():
        raise InputError(
            source.problem(("load", "replay"), f"{path} is not there; name a CSV beside the scenario")
        )
    scenario.load.take(read_recording(path, possible, from_s=-scenario.warmup_s))


def names(package: str) -> tuple[str, ...]:
    """The YAML files that come with a package, without their ending."""
    return tuple(
        sorted(
            entry.name.removesuffix(".yaml") for entry in files(package).iterdir() if entry.name.endswith(".yaml")
        )
    )


def find_text(package: str, name_or_path: str) -> tuple[str, str]:
    """The text of a YAML file and the name to use for it, by the name it comes with or by its path."""
    what = package.removesuffix("s")
    if name_or_path in names(package):
        resource = files(package) / f"{name_or_path}.yaml"
        return resource.read_text(encoding="utf-8"), f"{package}/{name_or_path}.yaml"
    path = Path(name_or_path)
    try:
        return path.read_text(encoding="utf-8"), name_or_path
    except FileNotFoundError:
        known = names(package)
        hint = did_you_mean(path.stem, known) or f"; those that come with savepath: {', '.join(known)}"
        raise InputError(f"no {what} {name_or_path!r}: neither a name nor a file{hint}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the {what} {name_or_path}: {error}") from None


def scenario_schema() -> dict[str, Any]:
    """The JSON Schema of a scenario file, for editors."""
    schema = Scenario.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "savepath scenario"}


def schema_text(schema: dict[str, Any]) -> str:
    """A schema as the text that is published."""
    return json.dumps(schema, indent=2) + "\n"
