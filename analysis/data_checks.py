"""Are the sides fit to be held against each other: baseline, settling, effects, stored data? Each with its limit.

What the *target* causes (failures, full pools, a ramp) is never a reason to drop a run: after the
change it is what we are looking for, before the change it makes the baseline unfit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from analysis.evidence import check_effects, check_samples
from analysis.findings import Check, Design, Difference, Reason
from analysis.generator import WAITED_MOST, waited_share
from analysis.quantiles import quantile
from analysis.runs import Run

NAN: Final = float("nan")
RAMP_MOST: Final = math.log(1.20)
FAILED_BEFORE_MOST: Final = 0.01
FAILED_BEFORE_FEW: Final = 3
VOLUME_MOST: Final = 1.20
_SAMPLES_OF_A_THIRD: Final = 20


def check_data(
    before: Sequence[Run], after: Sequence[Run], design: Design, differences: Sequence[Difference]
) -> list[Check]:
    """Whether the sides are fit to be held against each other: samples, baseline, settling, effects, volume."""
    checks = [
        *check_samples((*before, *after)),
        _sound(before),
        _saturated_after(after),
        _steady(before, "before", Reason.BASELINE_UNFIT),
        _steady(after, "after", Reason.SETTLING),
        check_effects(before, after),
        _volume(before, after),
        _announced(differences),
        *_labels(before, after),
    ]
    if design is Design.APART:
        checks.append(_same_hour(before, after))
    return checks


def ramp_within(run: Run) -> float:
    """log(median of the last third / of the first), the mean over operations by samples; NaN if too short."""
    reduced = run.reduced
    starts = np.unique(reduced.t_s)
    if len(starts) < 3:
        return NAN
    first, last = len(starts) // 3, len(starts) - len(starts) // 3
    operations = list(dict.fromkeys(operation for operation, _ in reduced.cells))
    operation_of = np.array([operations.index(operation) for operation, _ in reduced.cells])[reduced.cell]
    end = np.where(reduced.t_s < starts[first], 0, np.where(reduced.t_s >= starts[last], 1, -1))
    found = reduced.responses(np.where(end < 0, -1, 2 * operation_of + end), 2 * len(operations))
    logs, sizes = [], []
    for sides in zip(found[::2], found[1::2], strict=True):
        n = min(side.n for side in sides)
        if n >= _SAMPLES_OF_A_THIRD:
            logs.append(math.log(quantile(sides[1], 0.5) / quantile(sides[0], 0.5)))
            sizes.append(n)
    return float(np.average(logs, weights=sizes)) if logs else NAN


def _sound(before: Sequence[Run]) -> Check:
    """A baseline that fails or is full is no yardstick."""
    requests, failed = (sum(run.reduced.of_all(name) for run in before) for name in ("requests", "failures"))
    share = failed / max(requests, 1)
    waited = max((waited_share(run) for run in before), default=0.0)
    waits = f"and {waited:.1%} waited for a free request at most (limit {WAITED_MOST:.0%})"
    if any(run.lacks("schedule") for run in before):
        waits = "and whether any waited to be sent is not known"
    limit = f"limit {FAILED_BEFORE_MOST:.0%}"
    text = f"Before, {failed:,} of {requests:,} requests failed ({share:.2%}, {limit}) {waits}."
    if (share > FAILED_BEFORE_MOST and failed >= FAILED_BEFORE_FEW) or waited > WAITED_MOST:
        return Check.failed("before side sound", text, Reason.BASELINE_UNFIT)
    return Check.passed("before side sound", text)


def _saturated_after(after: Sequence[Run]) -> Check:
    if any(run.lacks("schedule") for run in after):
        return Check.noted("after side keeps up", "Whether requests waited to be sent, after, is not known.")
    waited = max((waited_share(run) for run in after), default=0.0)
    text = f"After, {waited:.1%} of the arrivals at most waited because the target held all open requests"
    if waited > WAITED_MOST:
        return Check.noted(
            "after side keeps up", f"{text}: it is saturated. The wait is part of the response times."
        )
    return Check.passed("after side keeps up", f"{text}; limit {WAITED_MOST:.0%}.")


def _steady(runs: Sequence[Run], side: str, reason: Reason) -> Check:
    """The median over the runs, so that one run with a noisy neighbour does not speak for its side."""
    name, ramps = f"{side} side steady", [r for run in runs if not math.isnan(r := ramp_within(run))]
    if not ramps:
        return Check.noted(name, f"The runs {side} are too short to see whether times rose or fell within them.")
    ramp = float(np.median(ramps))
    text = (
        f"Within the runs {side} the median response time changed by {math.expm1(ramp):+.0%} from the first "
        f"third to the last; limit {math.expm1(RAMP_MOST):.0%} either way."
    )
    if abs(ramp) <= RAMP_MOST:
        return Check.passed(name, text)
    # Before, a ramp spoils the yardstick. After, it is a finding about the target and voids nothing.
    return Check.failed(name, text, reason) if side == "before" else Check.noted(name, text, reason)


def _volume(before: Sequence[Run], after: Sequence[Run]) -> Check:
    name = "same stored data"
    sides = [[run.stored_cases for run in side if run.stored_cases] for side in (before, after)]
    if not all(sides):
        return Check.noted(name, "How many cases were stored is not known.")
    means = [float(np.exp(np.mean(np.log(side)))) for side in sides]
    text = (
        f"{means[0]:,.0f} cases were stored before and {means[1]:,.0f} after; limit {VOLUME_MOST - 1:.0%} apart."
    )
    if abs(math.log(means[1] / means[0])) > math.log(VOLUME_MOST):
        return Check.failed(name, text, Reason.INVALID_LOAD)
    return Check.passed(name, text)


def _announced(differences: Sequence[Difference]) -> Check:
    name, surprises = "only announced changes", [one.setting for one in differences if not one.planned]
    if surprises:
        return Check.noted(name, f"Settings that differ and were not announced: {', '.join(surprises)}.")
    count = f"{len(differences)} settings differ, all of them announced" if differences else "No setting differs"
    return Check.passed(name, f"{count}.")


def _labels(before: Sequence[Run], after: Sequence[Run]) -> list[Check]:
    """Runs of one side with unlike labels may not belong together; a label that counts runs varies on both."""
    keys = sorted({key for run in (*before, *after) for key in run.labels})
    told = []
    for key in keys:
        values = [sorted({run.labels.get(key, "none") for run in side}) for side in (before, after)]
        if (len(values[0]) > 1) != (len(values[1]) > 1):
            side, found = ("before", values[0]) if len(values[0]) > 1 else ("after", values[1])
            told.append(f"{key} is {' and '.join(found[:3])} {side}")
    if not keys:
        return []
    if told:
        return [Check.noted("labels agree", f"Runs of one side carry unlike labels: {'; '.join(told)}.")]
    return [Check.passed("labels agree", "The runs of each side carry the same labels.")]


def _same_hour(before: Sequence[Run], after: Sequence[Run]) -> Check:
    """Load elsewhere follows the clock and the week: runs apart in time should share both."""
    hours = [{(run.started_at.weekday() >= 5, run.started_at.hour) for run in side} for side in (before, after)]
    alike = all(
        any(weekend == w and min((hour - h) % 24, (h - hour) % 24) <= 1 for w, h in hours[0])
        for weekend, hour in hours[1]
    )
    if alike:
        return Check.passed(
            "same time of day", "The runs after started within an hour of the clock of runs before."
        )
    return Check.noted(
        "same time of day", "The runs after started at another time of day, or of the week, than those before."
    )
