"""How objectives are told: the limit as it was written, the value beside it, and what became of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from analysis.findings import Assessment, ObjectiveFinding, ObjectiveOutcome
from reports import units

MARKS: Final = {
    ObjectiveOutcome.HELD: "✓ held",
    ObjectiveOutcome.NEAR: "△ near the limit",
    ObjectiveOutcome.BROKEN: "✗ broken",
    ObjectiveOutcome.NO_DATA: "… no data",
}


@dataclass(frozen=True, slots=True)
class ObjectiveRow:
    """One objective as a row of a table, the same text in every format."""

    text: str
    before: str
    value: str
    between: str  # empty where the value is exact or not known
    basis: str  # "1,200 requests"
    mark: str
    broken: bool


def rows_of(assessment: Assessment) -> list[ObjectiveRow]:
    """The objectives in the order of the scenario."""
    return [row_of(one) for one in assessment.objectives]


def told_in_a_clause(one: ObjectiveFinding) -> str:
    """ "save_custom p95 <= 800 ms stands at 1.2 s"."""
    return f"{one.text} stands at {_value(one, one.value)}"


def broken_of(assessment: Assessment, *, void: bool) -> list[ObjectiveFinding]:
    """The broken ones on which the verdict rests."""
    broken = [one for one in assessment.objectives if one.outcome is ObjectiveOutcome.BROKEN]
    return [one for one in broken if not (void and one.latency)]


def summary(assessment: Assessment, *, void: bool) -> str:
    """ "3 objectives: 1 broken, 2 held.", and what a failed check leaves of it."""
    found = assessment.objectives
    number = {outcome: sum(one.outcome is outcome for one in found) for outcome in ObjectiveOutcome}
    order = (ObjectiveOutcome.BROKEN, ObjectiveOutcome.NEAR, ObjectiveOutcome.NO_DATA, ObjectiveOutcome.HELD)
    parts = [f"{number[outcome]} {outcome.value}" for outcome in order if number[outcome]]
    text = f"{units.counted(len(found), 'objective')}: {', '.join(parts)}."
    if void and any(one.latency for one in found):
        text += " A check failed: those about times were measured, and nothing rests on them."
    return text


def row_of(one: ObjectiveFinding) -> ObjectiveRow:
    """One objective as it is shown."""
    exact = one.low == one.value == one.high or not math.isfinite(one.low + one.value)
    between = "" if exact else f"{_value(one, one.low)} to {_value(one, one.high)}"
    noun = "effect" if one.unit in ("share", "count") and " failures " not in f" {one.text} " else "request"
    return ObjectiveRow(
        text=one.text,
        before="–" if one.unit == "change" else _value(one, one.before),
        value=_value(one, one.value),
        between=between,
        basis=units.counted(one.n, noun),
        mark=MARKS[one.outcome],
        broken=one.outcome is ObjectiveOutcome.BROKEN,
    )


def _value(one: ObjectiveFinding, value: float) -> str:
    """The value, never rounded onto the limit that it is over or under."""
    told, limit = _plain(one.unit, value), _plain(one.unit, one.limit)
    if told != limit or value == one.limit:
        return told
    return f"{'over' if value > one.limit else 'under'} {told}"


def _plain(unit: str, value: float) -> str:
    if not math.isfinite(value):
        return units.NOT_KNOWN
    match unit:
        case "s":
            return units.seconds(value)
        case "share":
            return units.share(value)
        case "change":
            return units.growth(value)
        case _:
            return units.count(round(value))
