"""From the run folders of two sides to an assessment: which runs are held against which, and what comes of it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from analysis.assessment import assess
from analysis.closer_look import look
from analysis.errors import IncomparableRuns
from analysis.findings import Assessment
from analysis.ranking import rank
from analysis.runs import Run, listed
from loadgen.run_folder import RunFolder
from loadgen.runs import find_runs
from loadgen.tables import LOOKED_THROUGH
from reports import units
from reports.model import ReportMeta
from savepath import __version__
from savepath.loading import load_both_arms, load_run, question_of
from scenarios.errors import InputError


@dataclass(frozen=True, slots=True)
class Sides:
    """The folders that were given: runs of either side, or runs of which each holds both."""

    before: Sequence[Path] = ()
    after: Sequence[Path] = ()
    both: Sequence[Path] = ()
    candidates: Mapping[str, Sequence[Path]] = field(default_factory=dict)  # instead of after, by name

    @property
    def words(self) -> list[str]:
        """The flags that say the same."""
        flags = {"--before": self.before, "--after": self.after, "--both": self.both}
        words = [word for flag, paths in flags.items() if paths for word in (flag, *map(str, paths))]
        for name, (first, *others) in self.candidates.items():
            words += ["--candidate", f"{name}={first}", *map(str, others)]
        return words


@dataclass(frozen=True, slots=True)
class _Loaded:
    """The runs of both sides, and the folder of the first one, which says what is asked of them all."""

    before: list[Run]
    after: list[Run]
    first: Path


def compare_runs(
    sides: Sides, *, planned: Sequence[str] = (), title: str = "", change: str = ""
) -> tuple[Assessment, ReportMeta]:
    """The assessment of the runs in these folders. Raises InputError for what is no run or not comparable."""
    try:
        if sides.candidates:
            assessment = _rank(sides, planned)
        else:
            runs = _load_both(sides.both) if sides.both else _load_sides(sides)
            assessment = assess(runs.before, runs.after, question_of(runs.first, planned))
            warnings = (*assessment.warnings, *_unlooked([*runs.before, *runs.after]))
            assessment = replace(assessment, details=look(runs.before, runs.after), warnings=warnings)
    except IncomparableRuns as error:
        raise InputError(str(error)) from None
    command = ["savepath", "compare", *sides.words, *(word for key in planned for word in ("--planned", key))]
    meta = ReportMeta(
        title=title or _title(assessment),
        change=change or None,
        generated_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        version=__version__,
        commands=(shlex.join(command),),
    )
    return assessment, meta


def _unlooked(runs: Sequence[Run]) -> list[str]:
    """What to say of runs in which nobody looked for outages."""
    large = [run.id for run in runs if run.outages is None]
    most = units.count(LOOKED_THROUGH)
    return [f"Outages were not looked for where a run has over {most} samples: {listed(large)}."] if large else []


def _title(assessment: Assessment) -> str:
    if assessment.ranking:
        return f"{assessment.scenario}: {units.counted(len(assessment.ranking), 'candidate')}"
    return f"{assessment.scenario}: {assessment.before.target} before and after"


def _rank(sides: Sides, planned: Sequence[str]) -> Assessment:
    loaded = _load_side("--before", sides.before)
    others = [_load_side(f"--candidate {name}", paths) for name, paths in sides.candidates.items()]
    before, *after = _told_apart(loaded, *others)
    candidates = dict(zip(sides.candidates, after, strict=True))
    found = rank(before, candidates, question_of(next(iter(loaded)), planned))
    return replace(found, details=look(before, candidates[found.ranking[0].name]))


def _load_sides(sides: Sides) -> _Loaded:
    before, after = _load_side("--before", sides.before), _load_side("--after", sides.after)
    runs_before, runs_after = _told_apart(before, after)
    return _Loaded(runs_before, runs_after, next(iter(before)))


def _told_apart(*sides: Mapping[Path, Run]) -> list[list[Run]]:
    """The runs of each side, called by so many of the last parts of their paths as tell them all apart.

    The runs of both sides are often run-01, run-02, ...: by these alone one that was late would be blamed
    together with its namesakes.
    """
    parts = {path: path.resolve().parts for side in sides for path in side}
    for depth in range(1, max(map(len, parts.values())) + 1):
        names = {path: "/".join(own[-depth:]) for path, own in parts.items()}
        if len(set(names.values())) == len(set(parts.values())):
            break
    return [[replace(run, id=names[path]) for path, run in side.items()] for side in sides]


def _load_side(flag: str, paths: Sequence[Path]) -> dict[Path, Run]:
    """The runs of one side, by their folders."""
    found = _found(flag, paths)
    for path in found:
        if RunFolder(path).read().arms:
            raise InputError(
                f"{flag}: {path} holds both sides, as it drove two targets at once; "
                f"compare them with --both {path}"
            )
    return {path: _filled(path, load_run(path)) for path in found}


def _load_both(paths: Sequence[Path]) -> _Loaded:
    """Of runs that drove two targets at once."""
    found = _found("--both", paths)
    for path in found:
        if not RunFolder(path).read().arms:
            raise InputError(
                f"--both: {path} drove one target only; give it with the others of its side to --before or --after"
            )
    arms = [load_both_arms(path) for path in found]
    for path, pair in zip(found, arms, strict=True):
        for run in pair.values():
            _filled(path, run)
    return _Loaded([pair["before"] for pair in arms], [pair["after"] for pair in arms], found[0])


def _found(flag: str, paths: Sequence[Path]) -> list[Path]:
    found = find_runs(paths)
    if not found:
        raise InputError(f"{flag}: no run in the folders given; a run is a folder with a run.json")
    return found


def _filled(path: Path, run: Run) -> Run:
    if run.slices.empty:
        raise InputError(
            f"{path} recorded nothing: no sample lies in its measured window; "
            "leave it out, or run longer or at a higher rate"
        )
    return run
