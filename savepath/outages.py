"""An outage of a run in words: when, how long and for whom; whether the saves before it survived."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime, timedelta

from rich.console import RenderableType
from rich.text import Text

from analysis.outages import KEPT_S, CellOutage, Kept, Outage
from reports import units, words
from reports.console import plain_table

_BAD = "bold bright_red"


def tell_outage(outage: Outage, started_at: str) -> Iterator[RenderableType]:
    """The outage, then each cell, then the saves. ``started_at`` is ISO 8601, the second 0 of the run."""
    at = datetime.fromisoformat(started_at) + timedelta(seconds=outage.begun_s)
    ends = math.isfinite(outage.ended_s)
    lasted = f"for {units.seconds(outage.ended_s - outage.begun_s)}" if ends else "to the end of the run"
    yield Text(
        f"✗ outage {units.seconds(outage.begun_s)} into the run ({at:%H:%M:%S} UTC), {lasted}: "
        f"{units.count(outage.failed)} of {units.counted(outage.requests, 'request')} failed",
        style=_BAD,
    )
    for outcome, detail, number in outage.kinds[:3]:
        yield Text(f"  {words.failure(outcome, detail)}: {units.count(number)}")
    table = plain_table()
    table.add_column("  operation", overflow="fold", max_width=26)
    for name in ("fields", "requests", "failed", "hung", "gone for", "as before after"):
        table.add_column(name, justify="right", no_wrap=True)
    for cell in sorted(outage.cells, key=lambda one: (words.operation_rank(one.operation), one.custom_fields)):
        table.add_row(Text(f"  {words.operation(cell.operation)}"), *_numbers(cell))
    yield table
    if outage.kept.acknowledged:
        yield Text(f"  {_kept(outage.kept)}", style=_BAD if outage.kept.lost else "")


def _numbers(cell: CellOutage) -> tuple[str, ...]:
    counts = (cell.custom_fields, cell.requests, cell.failed, cell.slow)
    gone = "…" if math.isinf(cell.gone_s) else units.seconds(cell.gone_s) if cell.failed else ""
    again = "never here" if math.isnan(cell.again_s) else units.seconds(cell.again_s)
    return (*map(units.count, counts), gone, again)


def _kept(kept: Kept) -> str:
    told = f"saves acknowledged in the {KEPT_S:.0f} s before: {units.count(kept.acknowledged)}; "
    if not kept.checked:
        return f"{told}nobody looked at them"
    return f"{told}checked {units.count(kept.checked)}, not whole afterwards {units.count(kept.lost)}"
