"""The sentences below the headings of the sections, and the method and its limits for the appendix."""

from __future__ import annotations

import math

from analysis.findings import Assessment, CellFinding, Design, Measure, SlopeFinding, TimelinePoint, Word
from reports import units, words
from reports.claims import OPEN, claim


def growth_told(assessment: Assessment) -> str:
    """The sentence under the growth curves."""
    claims = claim(assessment)
    if not assessment.slopes:
        return "Growth with the number of custom fields was not judged: it needs three cohorts of an operation."
    if claims.void:
        return "No verdict on growth: a check failed. The curves show what was measured."
    parts = []
    if claims.growing:
        grown = list(dict.fromkeys(slope.operation for slope in claims.growing))
        parts.append(f"Yes, for {words.listed([words.operations(name) for name in grown])}.")
        parts += [_grown(name, [item for item in claims.growing if item.operation == name]) for name in grown]
    else:
        parts.append("No more growth than before was found.")
    told_of = {name for slope in claims.growing for name in slope.operations}
    quiet = [
        slope
        for slope in _headline_slopes(assessment)
        if slope.operation not in told_of and math.isfinite(slope.growth)
    ]
    if quiet:
        told = [f"{words.operations(slope.operation)} {words.growth_between(slope)}" for slope in quiet]
        parts.append(f"Extra growth{' elsewhere' if claims.growing else ''}: {'; '.join(told)}.")
    unknown = [slope.operation for slope in _headline_slopes(assessment) if not math.isfinite(slope.growth)]
    if unknown:
        parts.append(f"Not known for {words.listed([words.operations(name) for name in unknown])}.")
    return " ".join(parts)


def _grown(operation: str, slopes: list[SlopeFinding]) -> str:
    ordered = sorted(slopes, key=lambda slope: words.measure_rank(slope.measure))
    told = [
        f"{units.growth(slope.growth)} {words.MEASURES[slope.measure]} ({words.growth_between(slope)})"
        for slope in ordered
    ]
    return (
        f"From the fewest to the most custom fields, {words.operations(operation)} "
        f"grew more than before, by {words.listed(told)}."
    )


def _headline_slopes(assessment: Assessment) -> list[SlopeFinding]:
    chosen = [slope for slope in assessment.slopes if slope.measure is Measure.MEAN and not slope.pooled]
    return sorted(chosen, key=lambda slope: words.operation_rank(slope.operation))


def common_told(assessment: Assessment) -> str:
    """What all cells did together; empty where it was not computed."""
    common = assessment.common
    if common is None or not math.isfinite(common.ratio):
        return ""
    between = units.interval(common.low, common.high, common.limit)
    return f"All cells together: {units.change(common.ratio)} ({between})."


def standing_out_told(assessment: Assessment) -> str:
    """Which cells slowed down against the rest of their runs; empty where none did."""
    found = claim(assessment).standing_out
    if not found:
        return ""
    told = words.listed_up_to([words.standout_told(one) for one in found], most=4)
    return f"Against the rest of the same runs slower, whatever the host did: {told}."


def settled_told(points_before: list[TimelinePoint], points_after: list[TimelinePoint]) -> str:
    """How after compares with before in the first and in the last third of the elapsed time."""
    first = _third(points_before, points_after, last=False)
    last = _third(points_before, points_after, last=True)
    if first is None or last is None:
        return "Too few slices to tell the beginning from the end."
    return (
        f"In the first third of the elapsed time after stood at {units.change(first)} against before, "
        f"in the last third at {units.change(last)}. This describes the runs; the verdict does not rest on it."
    )


def _third(before: list[TimelinePoint], after: list[TimelinePoint], *, last: bool) -> float | None:
    by_time = {point.t_s: point.p95_s for point in before if point.p95_s > 0}
    shared = sorted(point.t_s for point in after if point.t_s in by_time and point.p95_s > 0)
    if len(shared) < 3:
        return None
    size = len(shared) // 3
    chosen = set(shared[-size:] if last else shared[:size])
    logs = [math.log(point.p95_s / by_time[point.t_s]) for point in after if point.t_s in chosen]
    return math.exp(sum(logs) / len(logs))


def needs_told(cell: CellFinding) -> str:
    """What a cell without an answer lacks: "12 and 9 samples", "8 pairs needed"; else empty."""
    if cell.word not in OPEN:
        return ""
    if cell.pairs_needed:
        return f"{units.count(cell.pairs_needed)} pairs needed"
    if cell.word is Word.TOO_LITTLE_DATA:
        return f"{units.count(cell.n_before)} and {units.counted(cell.n_after, 'sample')}"
    return ""


def method_told(assessment: Assessment) -> tuple[str, ...]:
    """The method and its limits, for the appendix."""
    return (
        f"{_timed(assessment)} Failed requests never enter a time and are counted beside it.",
        "The unit of evidence is a pair of runs, never a single request. The logarithm of each quantile is "
        "compared pair by pair; what all cells of a pair have in common is separated from what is a cell's own, "
        "and the scatter of the cells is shared among them (moderated t, Smyth 2004).",
        "A word is given by where the whole range lies against the agreed limit. Its lower end holds for all "
        "cells at once (97.5 %), since any one of them could alarm falsely; its upper end holds for its cell "
        "alone (95 %), since CLEAR needs every one of them below the limit (Berger 1982). No harm is only said "
        "when the range ends below the limit; a range that holds both no change and the limit is unclear, which "
        "is not the same as unharmed.",
        "Growth is the slope of the change over the number of custom fields within the same run, where most of "
        "the noise of a host cancels. It is blind to a defect in one middle cohort: read it beside the table.",
        "A part stands out where it slowed down more than all others of the same runs on average, by the mean of "
        "the logarithms or by p95 (Holm over all parts, 2 %). It says nothing of what all parts did together.",
        "Integrity is counted, not estimated. A failed check voids the answer on speed and growth, never "
        "integrity or failures.",
        *([words.DESIGNS[Design.CANDIDATES]] if assessment.ranking else []),
        f"{words.DESIGNS[assessment.within]} "
        + (
            "In this design a change of level is at most a reason to hold."
            if assessment.within is Design.APART
            else "The answer holds for the load, the data and the host of these runs."
        ),
    )


def _timed(assessment: Assessment) -> str:
    if assessment.imported_from:
        return (
            f"The results are {assessment.imported_from}'s: every request is timed from when it was sent, not "
            "from the moment at which it was due."
        )
    return (
        "Every request is timed from the moment at which it was due, not from when it was sent, so that waiting "
        "in front of a slow system counts."
    )
