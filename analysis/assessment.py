"""The assessment: runs before and runs after a change, and everything that can be said about them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC
from typing import Final

from analysis.baseline import check_itself
from analysis.comparison import compare
from analysis.data_checks import check_data
from analysis.days import check_days, days_of
from analysis.errors import IncomparableRuns
from analysis.evidence import check_failures, check_speed
from analysis.failures import compare_failures, failure_kinds
from analysis.findings import Assessment, CellFinding, Check, Design, Difference, Reason, Side
from analysis.integrity import check_integrity
from analysis.load_checks import Left, check_load
from analysis.loop import of_open_load
from analysis.objectives import measure_objectives
from analysis.origin import imported_from
from analysis.runs import Question, Run
from analysis.selection import Kept, Selection, select
from analysis.slope import compare_slopes
from analysis.standing_out import compare_to_the_rest
from analysis.tail import check_tail
from analysis.timeline import draw_timeline
from analysis.verdict import judge
from analysis.within import opposed_by_measure

SAVES: Final = ("save_standard", "save_custom", "run_script")
#: Family-wise error of the slopes: a gate that is wrong once in twenty quiet releases is switched off.
#: How often it really errs, and what it finds, stands in docs/method.md.
SLOPE_ALPHA: Final = 0.01


def assess(before: Sequence[Run], after: Sequence[Run], question: Question) -> Assessment:
    """Hold the runs after a change against the runs before it.

    In order: design and pairs, checks, cells, slopes, cells against the rest of their runs, failures,
    integrity, verdict. Latency is compared
    over the pairs whose generator is beyond reproach, failures and integrity over every run. Where the
    question names no required cell, every cell that occurs is required. Raises IncomparableRuns for runs
    of different plans or scenarios. Missing data is never an error: it is HOLD.
    """
    before, after = _by_start(before), _by_start(after)
    runs = (*before, *after)
    _same_question(runs)
    selection = select(before, after)
    design, kept, histograms, oppose = selection.design, selection.kept, selection.histograms, selection.oppose
    pairs = len(kept.before) if design is not Design.APART else 0
    question = _complete(question, runs)
    comparison = compare(*histograms, question, oppose, pairs=pairs)
    moves = opposed_by_measure(*histograms, question, oppose)
    slopes = compare_slopes(moves, alpha=SLOPE_ALPHA)
    standouts = compare_to_the_rest(moves, question)
    failures = compare_failures(before, after)
    integrity = check_integrity(before, after, question)
    differences = compare_settings(before, after, question)
    checks = _check(before, after, selection, differences)
    if before and after:
        checks.append(check_itself(histograms[0], question, design))
        checks.append(check_tail(*histograms, question, oppose))
        checks.append(check_failures(failures, question))
        checks.append(check_speed(comparison.cells, question))
    objectives = measure_objectives(
        question.objectives,
        after,
        before,
        timed=of_open_load(kept.after),
        timed_before=of_open_load(kept.before),
        cells=comparison.cells,
        design=design,
    )
    judgement = judge(
        comparison.cells,
        slopes,
        failures,
        integrity,
        checks,
        design,
        standouts=standouts,
        beyond=comparison.beyond,
        objectives=objectives,
    )
    return Assessment(
        verdict=judgement.verdict,
        reasons=judgement.reasons,
        design=design,
        scenario=runs[0].scenario if runs else "",
        plan_digest=runs[0].plan_digest if runs else "",
        before=_side(before),
        after=_side(after),
        pairs=pairs,
        pairs_dropped=kept.dropped,
        pairs_needed=_pairs_needed(comparison.cells) if of_open_load(runs) else None,
        cells=judgement.cells,
        slopes=slopes,
        failures=failures,
        failure_kinds=failure_kinds(before, after),
        integrity=integrity,
        checks=tuple(checks),
        differences=differences,
        common=comparison.common,
        timeline=draw_timeline(before, after),
        pair_s=_pair_s(kept) if pairs else math.nan,
        shares=shares_of_saves(runs),
        warnings=kept.warnings,
        imported_from=imported_from(runs),
        objectives=objectives,
        standouts=standouts,
    )


def compare_settings(before: Sequence[Run], after: Sequence[Run], question: Question) -> tuple[Difference, ...]:
    """Settings of the fingerprints that are not the same on both sides, or not within one; by name."""
    found = []
    for setting in sorted({key for run in (*before, *after) for key in run.fingerprint}):
        told = [
            ", ".join(sorted({run.fingerprint.get(setting, "not told") for run in side}))
            for side in (before, after)
        ]
        if told[0] != told[1]:
            found.append(Difference(setting, told[0], told[1], setting in question.planned))
    return tuple(found)


def shares_of_saves(runs: Sequence[Run]) -> dict[str, float]:
    """The share of all saves that fell on each cohort, by its number of custom fields as text."""
    counts: dict[int, int] = {}
    for run in runs:
        for (operation, fields), n in run.reduced.of_cells("requests").items():
            if operation in SAVES:
                counts[fields] = counts.get(fields, 0) + n
    whole = sum(counts.values())
    return {str(fields): n / whole for fields, n in sorted(counts.items())} if whole else {}


def _same_question(runs: Sequence[Run]) -> None:
    """Raises IncomparableRuns if the runs are not all of one plan."""
    for run in runs[1:]:
        first = runs[0]
        if run.scenario != first.scenario:
            raise IncomparableRuns(
                f"run {first.id} is of the scenario {first.scenario} and run {run.id} of {run.scenario}; "
                "only runs of one scenario can be compared"
            )
        if run.plan_digest != first.plan_digest and (first.origin or run.origin):
            raise IncomparableRuns(
                f"run {first.id} and run {run.id} were not imported in the same way: from two tools, or with two "
                "label maps; import both sides from files of one tool with one label map"
            )
        if run.plan_digest != first.plan_digest:
            raise IncomparableRuns(
                f"run {first.id} follows the plan {first.plan_digest[:12]} and run {run.id} the plan "
                f"{run.plan_digest[:12]}: what was offered differs, so their times cannot be compared; "
                "make both sides' runs from the same scenario file and the same operations of the target"
            )


def _check(
    before: Sequence[Run],
    after: Sequence[Run],
    selection: Selection,
    differences: Sequence[Difference],
) -> list[Check]:
    if not before or not after:
        side = "before" if not before else "after"
        return [Check.failed("samples", f"There is no run {side}.", Reason.NEEDS_DATA)]
    kept, design = selection.kept, selection.design
    left = Left(len(kept.before), len(kept.after))
    return [
        *check_load(before, after, selection.matching, selection.guard, kept=left),
        *check_data(before, after, design, differences),
        *([check_days(kept.before, kept.after)] if design is Design.APART else []),
    ]


def _complete(question: Question, runs: Sequence[Run]) -> Question:
    """The question with every cell that occurs required, if it names none."""
    if question.required:
        return question
    cells = {cell for run in runs for cell in run.reduced.cells}
    return replace(question, required=frozenset(cells - question.not_applicable))


def _by_start(runs: Sequence[Run]) -> tuple[Run, ...]:
    return tuple(sorted(runs, key=lambda run: (run.started_at, run.id)))


def _pairs_needed(cells: Sequence[CellFinding]) -> int | None:
    """Pairs until the last required cell is answered; None where none waits for more pairs, or nobody knows."""
    return max((one.pairs_needed for one in cells if one.required and one.pairs_needed), default=None)


def _pair_s(kept: Kept) -> float:
    """How long a pair took on average: both runs one after the other, or the one run that drove both sides."""
    both = [
        before.lasted_s if before.at_once else before.lasted_s + after.lasted_s
        for before, after in zip(kept.before, kept.after, strict=True)
    ]
    return sum(both) / len(both)


def _side(runs: Sequence[Run]) -> Side:
    first = min((run.started_at for run in runs), default=None)
    labels = {
        key: value
        for key, value in (runs[0].labels if runs else {}).items()
        if all(run.labels.get(key) == value for run in runs)
    }
    return Side(
        runs=tuple(run.id for run in runs),
        days=len(days_of(runs)),
        target=", ".join(dict.fromkeys(run.target for run in runs)),
        started_at=first.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if first else "",
        requests=sum(run.reduced.of_all("requests") for run in runs),
        labels=labels,
    )
