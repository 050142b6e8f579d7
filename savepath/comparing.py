"""From run folders to an assessment: loads the runs of both sides and asks the analysis."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from analysis.assessment import assess
from analysis.errors import IncomparableRuns
from analysis.findings import Assessment, Verdict
from analysis.runs import Origin, Question, Run
from analysis.slices import fold
from loadgen.run_folder import RunFolder, RunInfo, find_runs
from reports.model import ReportMeta
from savepath import __version__
from savepath.exits import Exit
from scenarios.errors import InputError


def compare_runs(
    before: Sequence[Path],
    after: Sequence[Path],
    *,
    planned: Sequence[str] = (),
    title: str = "",
    change: str = "",
) -> tuple[Assessment, ReportMeta]:
    """The assessment of the runs in these folders. Raises InputError for what is no run or not comparable."""
    sides = find_runs(before), find_runs(after)
    for flag, found in zip(("--before", "--after"), sides, strict=True):
        if not found:
            raise InputError(f"{flag}: no run in the folders given; a run is a folder with a run.json")
    question = question_of(sides[0][0], planned)
    try:
        loaded_before, loaded_after = ([_load_filled_run(path) for path in side] for side in sides)
        assessment = assess(loaded_before, loaded_after, question)
    except IncomparableRuns as error:
        raise InputError(str(error)) from None
    command = ["savepath", "compare", "--before", *map(str, before), "--after", *map(str, after)]
    meta = ReportMeta(
        title=title or f"{assessment.scenario}: {assessment.before.target} before and after",
        change=change or None,
        generated_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        version=__version__,
        commands=(shlex.join([*command, *(word for key in planned for word in ("--planned", key))]),),
    )
    return assessment, meta


def load_run(path: Path) -> Run:
    """One run folder as the analysis wants it."""
    folder = RunFolder(path)
    info = folder.read()
    return Run(
        id=info.id,
        started_at=datetime.fromisoformat(info.started_at),
        status=info.status,
        scenario=info.scenario,
        target=info.target,
        plan_digest=info.plan_digest,
        duration_s=info.duration_s,
        scheduled=info.ledger.scheduled,
        recorded=info.ledger.recorded,
        aborted=info.ledger.aborted,
        unsent=info.ledger.unsent,
        waited_for_pool=None if info.origin else info.generator.waited_for_pool,
        run_queue_delay=info.generator.run_queue_delay,
        cpu=info.generator.cpu,
        slices=fold(folder.read_samples()),
        effects=folder.read_effects(),
        labels=info.labels,
        fingerprint=info.fingerprint,
        stored_cases=info.stored_cases,
        origin=_origin_of(info),
    )


def _origin_of(info: RunInfo) -> Origin | None:
    if info.origin is None:
        return None
    return Origin(info.origin.tool, frozenset(info.origin.lacks), info.origin.notes)


def _load_filled_run(path: Path) -> Run:
    run = load_run(path)
    if run.slices.empty:
        raise InputError(
            f"{path} recorded nothing: no sample lies in its measured window; "
            "leave it out, or run longer or at a higher rate"
        )
    return run


def question_of(path: Path, planned: Sequence[str]) -> Question:
    """What the scenario of a run asked: its limits and required cells."""
    asked = RunFolder(path).read().question
    return Question(
        tolerance=asked.tolerance,
        required=asked.required_cells,
        integrity_limits=asked.integrity_limits,
        planned=frozenset(planned),
        not_applicable=asked.not_applicable_cells,
    )


def exit_code(verdict: Verdict, fail_on: str) -> int:
    """The exit code of a verdict: ``--fail-on hold`` tells both, ``escalate`` one, ``never`` none."""
    if verdict is Verdict.ESCALATE and fail_on != "never":
        return Exit.ESCALATE
    if verdict is Verdict.HOLD and fail_on == "hold":
        return Exit.HOLD
    return Exit.DONE
