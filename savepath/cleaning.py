"""Cleaning up: finds the footprints of runs, and removes from their targets what they name.

A run that was killed may have left requests under way. Where things were asked for and never answered, a moment is
waited after the last sign of life, so that what comes late is found as well.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from loadgen.chosen import ChosenTarget, environ_of
from scenarios.errors import InputError, SavepathError
from targets.footprint import (
    FOLDER,
    Closed,
    Heading,
    Recorded,
    Removed,
    append,
    footprints_in,
    read_footprint,
    taken,
)
from targets.model import Target
from targets.removal import Fate, remove
from targets.safety import refuse_unsafe

#: So long after the last sign of a run that was killed, what it had under way is taken to be over.
SETTLE_S: Final = 10.0
#: Folders inside folders that are looked into.
DEEP: Final = 5


@dataclass(frozen=True, slots=True)
class Choice:
    """What the command line says of the targets, in place of what the footprints say."""

    mapping: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    allow_python: bool = False
    production: bool = False
    unasked: bool = False  # only where the mapping wants it without being asked (clean_up.after)


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What became of all that one footprint names; ``error`` says why some of it was not reached."""

    path: Path
    heading: Heading | None  # None: its writer was killed before anything was asked for
    fates: tuple[Fate, ...] = ()
    before: bool = False  # it was clean already, and nothing was asked
    gone: frozenset[str] = frozenset()  # tenants that it made and that are removed, by key
    error: SavepathError | None = None


def clean(
    runs: Sequence[Path], choice: Choice, say: Callable[[str], None], *, settle_s: float = SETTLE_S
) -> list[Cleaned]:
    """Remove what the footprints in these folders name, one after the other.

    Raises InputError for a folder without a footprint; what is wrong with one of them stops no other.
    """
    cleaned: list[Cleaned] = []
    for path in dict.fromkeys(path for folder in runs for path in find_footprints(folder)):
        above = [one for one in cleaned if path.parent.parent.is_relative_to(one.path.parent.parent)]
        cleaned.append(_clean_one(path, choice, say, settle_s, above))
    return cleaned


def removes_after(target: Target) -> bool:
    """Whether the mapping wants what runs made to be removed when they are over."""
    return target.clean_up is not None and target.clean_up.after == "remove"


def find_footprints(folder: Path) -> list[Path]:
    """All footprints in a folder and in those below. Raises InputError if there are none."""
    if not folder.is_dir():
        raise InputError(f"{folder} is {'a file' if folder.exists() else 'not there'}; expected a run folder")
    found = list(_below(folder))
    if not found:
        raise InputError(
            f"{folder} holds no footprint: no run in there has made or sent anything since savepath keeps them "
            f"({FOLDER}/*.jsonl); what an older run left is removed by hand"
        )
    return found


def _below(folder: Path) -> Iterator[Path]:
    for name, inside, _ in os.walk(folder):
        deep = len(Path(name).parts) - len(folder.parts)
        inside[:] = sorted(one for one in inside if one not in (FOLDER, "shards") and deep < DEEP)
        yield from footprints_in(Path(name))


def _clean_one(
    path: Path, choice: Choice, say: Callable[[str], None], settle_s: float, above: Sequence[Cleaned]
) -> Cleaned:
    """Clean one footprint; ``above`` are those whose tenants it may have used, which may be gone by now."""
    fates: list[Fate] = []
    heading, gone = None, frozenset[str]()
    try:
        with taken(path) as file:
            recorded = read_footprint(path)
            if recorded is None:
                return Cleaned(path, None)
            heading, gone = recorded.heading, frozenset(recorded.tenants_removed)
            if recorded.closed:
                return Cleaned(path, heading, before=True, gone=gone)
            target = _load(path, heading, choice)
            if choice.unasked and not removes_after(target):
                return Cleaned(path, heading, before=True, gone=gone)
            refuse_unsafe(target, heading.tenants, production=choice.production)
            _let_settle(path, recorded, say, settle_s)

            def tell(fate: Fate) -> None:
                fates.append(fate)
                if fate.is_settled:
                    append(file, Removed(kind=fate.kind, tenant=fate.tenant, name=fate.name))

            there = [one.gone for one in above if one.heading and one.heading.address == heading.address]
            remove(target, recorded, environ_of(heading.side, os.environ), tell, gone=frozenset().union(*there))
            if all(fate.is_settled for fate in fates):
                append(file, Closed(), lasting=True)
    except SavepathError as error:
        return Cleaned(path, heading, tuple(fates), gone=gone, error=error)
    return Cleaned(path, heading, tuple(fates), gone=gone | _tenants_in(fates))


def _tenants_in(fates: Sequence[Fate]) -> set[str]:
    return {fate.name for fate in fates if fate.kind == "tenant" and fate.is_settled}


def _load(path: Path, heading: Heading, choice: Choice) -> Target:
    """The target as it was chosen. Raises InputError where the mapping leads elsewhere by now."""
    chosen = ChosenTarget(choice.mapping or heading.mapping, {**heading.settings, **choice.settings})
    try:
        target = chosen.load(allow_python=choice.allow_python)
    except InputError as error:
        if choice.mapping or Path(heading.mapping).is_file() or "/" not in heading.mapping:
            raise
        raise InputError(f"{error}; name the mapping where it is now with --target") from None
    if target.base_url != heading.address and "base_url" not in choice.settings:
        raise InputError(
            f"{path}: it was made at {heading.address}, and the mapping leads to {target.base_url} now; "
            f"say which one is meant, with --set base_url={heading.address}"
        )
    return target


def _let_settle(path: Path, recorded: Recorded, say: Callable[[str], None], settle_s: float) -> None:
    """Wait until what a killed run had under way is over."""
    run = path.parent.parent
    announced = sum(one.number for one in recorded.makings)
    if announced == len(recorded.made) and (not recorded.tokens or (run / "run.json").is_file()):
        return
    signs = [path, *(run / name for name in ("progress.json", "failure.json")), *(run / "shards").glob("*")]
    last = max(sign.stat().st_mtime for sign in signs if sign.is_file())
    wait_s = min(settle_s - (time.time() - last), settle_s)
    if wait_s > 0:
        say(f"waiting {wait_s:.0f} s for what the run in {run} may still have under way")
        time.sleep(wait_s)
