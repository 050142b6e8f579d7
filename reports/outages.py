"""How an outage is told: when, how long and for whom, and whether the saves before it survived."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from rich.console import RenderableType
from rich.text import Text

from analysis.details import KEPT_S, CellOutage, Kept, Outage, RunOutage
from analysis.findings import Assessment
from reports import units, words
from reports.console import BAD, plain_table

HEAD: Final = ("operation", "fields", "requests", "failed", "hung", "gone for", "as before after")
#: So many outages of a comparison are told; more make a report that nobody reads.
TOLD: Final = 4
_KINDS: Final = 3


@dataclass(frozen=True, slots=True)
class ToldOutage:
    """An outage in words, the same in every format; ``rows`` go with ``HEAD``."""

    when: str
    kinds: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    kept: str  # empty where no save was acknowledged shortly before
    lost: bool  # whether one of those is not whole


def told(outage: Outage, started_at: str) -> ToldOutage:
    """The outage of a run that began (second 0) at ``started_at``, ISO 8601."""
    at = datetime.fromisoformat(started_at) + timedelta(seconds=outage.begun_s)
    ends = math.isfinite(outage.ended_s)
    lasted = f"for {units.seconds(outage.ended_s - outage.begun_s)}" if ends else "to the end of the run"
    return ToldOutage(
        when=f"{units.seconds(outage.begun_s)} into the run ({at:%H:%M:%S} UTC), {lasted}: "
        f"{units.count(outage.failed)} of {units.counted(outage.requests, 'request')} failed",
        kinds=tuple(
            f"{words.failure(one.outcome, one.detail)}: {units.count(one.count)}" for one in outage.kinds[:_KINDS]
        ),
        rows=tuple(_row(cell) for cell in in_order(outage.cells)),
        kept=_kept(outage.kept) if outage.kept.acknowledged else "",
        lost=outage.kept.lost > 0,
    )


def told_of(assessment: Assessment) -> list[tuple[RunOutage, ToldOutage]]:
    """Those of a comparison in which most requests failed, in the order of the runs."""
    found = assessment.details.outages
    worst = sorted(found, key=lambda one: -one.outage.failed)[:TOLD]
    return [(one, told(one.outage, one.started_at)) for one in found if one in worst]


def summary(assessment: Assessment) -> str:
    """ "1 outage in the runs after, none before. ..."; empty where there is none."""
    found = assessment.details.outages
    if not found:
        return ""
    number = {side: sum(one.side == side for one in found) for side in ("before", "after")}
    before = units.count(number["before"]) if number["before"] else "none"
    text = f"{units.counted(number['after'], 'outage')} in the runs after, {before} before."
    text += " An outage is a stretch in which requests failed or hung in a row; they count in every other figure."
    if len(found) > TOLD:
        text += f" Told are the {TOLD} in which most requests failed; all are in results.json."
    return text


def parts(one: ToldOutage, whose: str = "") -> Iterator[RenderableType]:
    """It on a terminal: when, the kinds of failure, each cell, and the saves before. ``whose`` is its run."""
    yield Text(f"✗ outage{whose} {one.when}", style=BAD)
    for kind in one.kinds:
        yield Text(f"  {kind}")
    table = plain_table()
    table.add_column(f"  {HEAD[0]}", overflow="fold", max_width=26)
    for name in HEAD[1:]:
        table.add_column(name, justify="right", no_wrap=True)
    for operation, *numbers in one.rows:
        table.add_row(Text(f"  {operation}"), *numbers)
    yield table
    if one.kept:
        yield Text(f"  {one.kept}", style=BAD if one.lost else "")


def in_order(cells: Iterable[CellOutage]) -> Sequence[CellOutage]:
    """The cells in the order of every other table."""
    return sorted(cells, key=lambda one: (words.operation_rank(one.operation), one.custom_fields))


def _row(cell: CellOutage) -> tuple[str, ...]:
    counts = (cell.custom_fields, cell.requests, cell.failed, cell.slow)
    gone = "" if not cell.failed else units.seconds(cell.gone_s) if math.isfinite(cell.gone_s) else "…"
    again = units.seconds(cell.again_s) if math.isfinite(cell.again_s) else "never here"
    return (words.operation(cell.operation), *map(units.count, counts), gone, again)


def _kept(kept: Kept) -> str:
    saves = f"{units.counted(kept.acknowledged, 'save')} acknowledged in the {KEPT_S:.0f} s before"
    if not kept.checked:
        return f"{saves}; nobody looked at them"
    return f"{saves}; {units.count(kept.checked)} checked, {units.count(kept.lost)} not whole afterwards"
