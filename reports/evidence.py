"""How much was looked at and what differs, counted: runs, effects, failed requests, checks, settings."""

from __future__ import annotations

from analysis.findings import Assessment, CheckOutcome, Design, Side
from reports import units


def evidence_told(assessment: Assessment) -> str:
    """How many runs speak: "10 pairs of runs", or "5 runs before and 1 run after" where they lie apart."""
    if assessment.within is Design.APART:
        return f"{_runs_and_days(assessment.before)} before and {_runs_and_days(assessment.after)} after"
    return f"{units.counted(assessment.pairs, 'pair')} of runs"


def _runs_and_days(side: Side) -> str:
    runs = units.counted(len(side.runs), "run")
    return f"{runs} on {units.count(side.days)} days" if side.days > 1 else runs


def dropped_told(assessment: Assessment) -> str:
    """What was left out of the comparison of times; empty if nothing was."""
    dropped = assessment.pairs_dropped
    if not dropped:
        return ""
    if assessment.within is Design.APART:
        return f"{units.counted(dropped, 'run')} left out."
    return f"{units.count(dropped)} of {units.counted(assessment.pairs + dropped, 'pair')} left out."


def checked_effects(assessment: Assessment) -> int:
    """The effects of all kinds that were checked after."""
    return sum({item.kind: item.checked_after for item in assessment.integrity}.values())


def failed_requests(assessment: Assessment) -> tuple[int, int]:
    """Failed requests of all operations, before and after."""
    whole = [finding for finding in assessment.failures if finding.custom_fields is None]
    return sum(finding.before for finding in whole), sum(finding.after for finding in whole)


def checks_told(assessment: Assessment) -> str:
    """ "6 checks pass, 2 notes, 0 fail"."""
    number = {outcome: sum(check.outcome is outcome for check in assessment.checks) for outcome in CheckOutcome}
    passed = units.counted(number[CheckOutcome.PASS], "check passes", "checks pass")
    notes = units.counted(number[CheckOutcome.NOTE], "note")
    return f"{passed}, {notes}, {units.count(number[CheckOutcome.FAIL])} fail"


def differences_told(assessment: Assessment) -> str:
    """ "5 settings differ, 2 not planned"."""
    if not assessment.differences:
        return "no setting differs"
    unplanned = sum(not item.planned for item in assessment.differences)
    number = units.counted(len(assessment.differences), "setting differs", "settings differ")
    return f"{number}, {unplanned} not planned"
