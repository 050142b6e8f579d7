"""Days: how many independent looks at a system its runs are, where before and after lie apart in time.

Runs of one evening share that evening's neighbours and caches. To count each of them gave .08 to .25 false
alarms at nominal .05 in simulation; to count the evening once gave .00 to .03. So a *day* is the unit: the
runs of a side with less than twelve hours between neighbours, whatever the calendar says.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from analysis.findings import Check, Reason
from analysis.levels import Contrast, Levels, averaged, predicted
from analysis.runs import Run

#: Nightly runs are further apart, the runs of one session are closer.
APART: Final = timedelta(hours=12)
DAYS_AT_LEAST: Final = 2
DAYS_BETTER: Final = 5


def days_of(runs: Sequence[Run]) -> list[list[Run]]:
    """The runs by day, in order of time."""
    days: list[list[Run]] = []
    for run in sorted(runs, key=lambda run: (run.started_at, run.id)):
        if days and run.started_at - days[-1][-1].started_at < APART:
            days[-1].append(run)
        else:
            days.append([run])
    return days


def within_a_day(before: Sequence[Run], after: Sequence[Run]) -> bool:
    """Whether all runs of both sides are of one day; then the run is the unit, as no day differs."""
    return len(days_of([*before, *after])) <= 1


class PredictedByDay:
    """``levels.predicted`` with the day as the unit of either side. The runs are those of the levels, in order.

    Where there is only one day before, nothing tells how much days differ; the spread of its runs is then
    shown for what it is, and ``check_days`` takes the verdict away.
    """

    def __init__(self, before: Sequence[Run], after: Sequence[Run]) -> None:
        self._before, self._after = _places(before), _places(after)

    def __call__(self, before: Levels, after: Levels) -> Contrast:
        """After against before."""
        if len(self._before) < DAYS_AT_LEAST:
            return predicted(before, after)
        return predicted(averaged(before, self._before), averaged(after, self._after))


def _places(runs: Sequence[Run]) -> list[list[int]]:
    """The days as places in the list of the runs."""
    place = {run.id: at for at, run in enumerate(runs)}
    return [[place[run.id] for run in day] for day in days_of(runs)]


def check_days(before: Sequence[Run], after: Sequence[Run]) -> Check:
    """Whether the runs before tell how much days differ, where before and after are not of the same day."""
    name = "days before"
    days = len(days_of(before))
    if within_a_day(before, after):
        text = "All runs are of one day; how much days differ does not enter."
        return Check.passed(name, text)
    asked = f"asked are {DAYS_AT_LEAST}, better {DAYS_BETTER}"
    if days >= DAYS_AT_LEAST:
        return Check.passed(name, f"The runs before are of {days} days; {asked}.")
    text = f"All runs before are of one day and count as one; how much days differ is not known; {asked}."
    return Check.failed(name, text, Reason.NEEDS_DATA)
