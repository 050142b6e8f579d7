"""Objectives: is what was agreed about times, failures and effects kept after the change?

Unlike everything else here an objective needs no before side (but for *slower than before*), so that
a single run can be held against it. A limit counts as broken only beyond doubt: by the whole interval of a
time or a share, by an exact count of effects. Over the limit, but within its interval, is near the limit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import special

from analysis.comparison import enough_for
from analysis.failures import dispersion_of, wilson
from analysis.findings import CellFinding, Design, ObjectiveFinding, ObjectiveOutcome, Word
from analysis.histograms import Histogram, joined
from analysis.quantiles import interval, quiet_quantiles
from analysis.runs import Objective, Run
from analysis.samples import UNDECIDED

NAN: Final = float("nan")
#: Of the intervals of absolute values: several objectives share one false alarm in a hundred or so.
LEVEL: Final = 0.99


def measure_objectives(
    objectives: Sequence[Objective],
    after: Sequence[Run],
    before: Sequence[Run] = (),
    *,
    timed: Sequence[Run] | None = None,
    timed_before: Sequence[Run] | None = None,
    cells: Sequence[CellFinding] = (),
    design: Design | None = None,
) -> tuple[ObjectiveFinding, ...]:
    """Each objective with its value and outcome, in their order.

    ``timed`` and ``timed_before`` are the runs whose times are beyond reproach (all, if not given); failures and
    effects count over every run. ``cells`` are those of the comparison, from which *slower than before* is read.
    """
    timed = after if timed is None else timed
    timed_before = before if timed_before is None else timed_before
    found = []
    for one in objectives:
        match one.measure:
            case "quantile":
                found.append(_time(one, timed, timed_before))
            case "slower":
                found.append(_change(one, cells, design))
            case "failures":
                found.append(_failures(one, after, before))
            case _:
                found.append(_effects(one, after, before))
    return tuple(found)


def _time(one: Objective, after: Sequence[Run], before: Sequence[Run]) -> ObjectiveFinding:
    """A quantile: the mean of its logarithm over the runs, since the run is the unit.

    Its interval is the narrower of Student's over the runs and of what spans the runs' own intervals: two runs
    that both miss the limit by far leave no doubt, though two runs alone bound their mean hardly at all.
    """
    q = one.quantile or 0.95
    histograms = [_histogram(run, one) for run in after]
    found = _quantile(histograms, q)
    n = sum(histogram.n for histogram in histograms)
    need = enough_for(q)
    per_run = need.per_run if q <= 0.99 else math.ceil(10 / (1 - q))
    enough = bool(histograms) and min(h.n for h in histograms) >= per_run and n >= need.per_side
    outcome = _outcome(found.value_s, found.low_s, one.limit) if enough else ObjectiveOutcome.NO_DATA
    earlier_s = _quantile([_histogram(run, one) for run in before], q).value_s
    return ObjectiveFinding(
        one.text,
        "s",
        one.limit,
        earlier_s,
        found.value_s,
        found.low_s,
        found.high_s,
        n,
        outcome,
        latency=True,
    )


@dataclass(frozen=True, slots=True)
class _Bounded:
    """A time and what bounds it, in seconds; NaN where no run has a sample."""

    value_s: float = NAN
    low_s: float = NAN
    high_s: float = NAN


def _quantile(histograms: Sequence[Histogram], q: float) -> _Bounded:
    filled = [histogram for histogram in histograms if histogram.n]
    if not filled:
        return _Bounded()
    logs = quiet_quantiles(filled, q).log_s
    own = [interval(histogram, q, LEVEL) for histogram in filled]
    low, high = min(_known(one.low_s, 0.0) for one in own), max(_known(one.high_s, math.inf) for one in own)
    if len(filled) > 1:
        reach = float(special.stdtrit(len(logs) - 1, (1 + LEVEL) / 2) * logs.std(ddof=1) / math.sqrt(len(logs)))
        low, high = max(low, math.exp(logs.mean() - reach)), min(high, math.exp(min(logs.mean() + reach, 700.0)))
    return _Bounded(float(np.exp(logs.mean())), low, high)


def _histogram(run: Run, one: Objective) -> Histogram:
    """The response times of the requests that the objective is about."""
    parts = [
        histogram
        for (operation, fields), histogram in run.reduced.by_cell.items()
        if one.operation in (None, operation) and one.custom_fields in (None, fields)
    ]
    return joined(parts)


def _change(one: Objective, cells: Sequence[CellFinding], design: Design | None) -> ObjectiveFinding:
    """The worst of the cells that the objective is about: where it names none, of those that are required.

    Apart in time nothing about a level is beyond doubt.
    """
    about = [
        cell
        for cell in cells
        if cell.quantile == one.quantile
        and cell.word is not Word.NOT_APPLICABLE
        and one.custom_fields in (None, cell.custom_fields)
        and (cell.required if one.operation is None else one.operation == cell.operation)
    ]
    judged = [cell for cell in about if not math.isnan(cell.low)]
    if not judged:
        return ObjectiveFinding(
            one.text, "change", one.limit, NAN, NAN, NAN, NAN, 0, ObjectiveOutcome.NO_DATA, latency=True
        )
    worst = max(judged, key=lambda cell: (cell.low - 1 > one.limit, not _harmless(cell, one.limit), cell.ratio))
    if worst.low - 1 > one.limit:
        outcome = ObjectiveOutcome.NEAR if design is Design.APART else ObjectiveOutcome.BROKEN
    elif len(judged) < len(about):
        outcome = ObjectiveOutcome.NO_DATA
    else:
        held = all(_harmless(cell, one.limit) for cell in judged)
        outcome = ObjectiveOutcome.HELD if held else ObjectiveOutcome.NEAR
    value, low, high = worst.ratio - 1, worst.low - 1, worst.high - 1
    return ObjectiveFinding(
        one.text, "change", one.limit, NAN, value, low, high, worst.n_after, outcome, latency=True
    )


def _harmless(cell: CellFinding, limit: float) -> bool:
    """Whether the cell is shown not to be slower by more than the limit.

    Its word says so of its own limit, which takes less evidence than the range that holds for all cells.
    """
    return cell.high - 1 <= limit or (cell.word in (Word.NO_HARM, Word.FASTER) and cell.limit - 1 <= limit + 1e-9)


def _failures(one: Objective, after: Sequence[Run], before: Sequence[Run]) -> ObjectiveFinding:
    """The share of failed requests, its interval wider where failures come in bursts; or their exact count."""
    (failed, requests), earlier = _counted(after, one), _counted(before, one)
    if one.unit == "count":
        return _exact(one, failed, requests, earlier[0] if before else None)
    if not requests:
        low, high, value = NAN, NAN, NAN
    else:
        value = failed / requests
        low, high = wilson(value, requests / dispersion_of(after, one.operation), LEVEL)
    outcome = _outcome(value, low, one.limit) if requests else ObjectiveOutcome.NO_DATA
    share = earlier[0] / earlier[1] if earlier[1] else NAN
    return ObjectiveFinding(one.text, "share", one.limit, share, value, low, high, requests, outcome)


def _counted(runs: Sequence[Run], one: Objective) -> tuple[int, int]:
    """Failed requests, and all of them."""
    failed = requests = 0
    for run in runs:
        sums = run.reduced.of_cells("failures"), run.reduced.of_cells("requests")
        for operation, fields in run.reduced.cells:
            if one.operation in (None, operation) and one.custom_fields in (None, fields):
                failed += sums[0][operation, fields]
                requests += sums[1][operation, fields]
    return failed, requests


def _effects(one: Objective, after: Sequence[Run], before: Sequence[Run]) -> ObjectiveFinding:
    (bad, checked), earlier = _effects_of(after, one), _effects_of(before, one)
    if one.unit == "count":
        return _exact(one, bad, checked, earlier[0] if earlier[1] else None)
    value = bad / checked if checked else NAN
    share = earlier[0] / earlier[1] if earlier[1] else NAN
    outcome = _outcome(value, value, one.limit) if checked else ObjectiveOutcome.NO_DATA
    return ObjectiveFinding(one.text, "share", one.limit, share, value, value, value, checked, outcome)


def _effects_of(runs: Sequence[Run], one: Objective) -> tuple[int, int]:
    """Effects with the outcome, and all that somebody looked at."""
    bad = checked = 0
    for run in runs:
        if not len(run.effects):
            continue
        rows = run.effects[run.effects["kind"] == one.effect]
        if one.operation is not None:
            rows = rows[rows["operation"] == one.operation]
        if one.custom_fields is not None:
            rows = rows[rows["custom_fields"] == one.custom_fields]
        bad += int((rows["outcome"] == one.outcome).sum())
        checked += int((~rows["outcome"].isin(UNDECIDED)).sum())
    return bad, checked


def _exact(one: Objective, count: int, n: int, before: int | None) -> ObjectiveFinding:
    earlier = NAN if before is None else float(before)
    outcome = _outcome(count, count, one.limit) if n else ObjectiveOutcome.NO_DATA
    value = float(count) if n else NAN
    return ObjectiveFinding(one.text, "count", one.limit, earlier, value, value, value, n, outcome)


def _outcome(value: float, low: float, limit: float) -> ObjectiveOutcome:
    if value <= limit:
        return ObjectiveOutcome.HELD
    return ObjectiveOutcome.BROKEN if low > limit else ObjectiveOutcome.NEAR


def _known(number: float, otherwise: float) -> float:
    return otherwise if math.isnan(number) else number
