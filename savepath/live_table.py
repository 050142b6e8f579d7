"""A run while it lasts, as lines of a terminal: requests by operation and custom fields, effects, the schedule."""

from __future__ import annotations

from collections.abc import Mapping

from loadgen.live import Live, is_broken
from reports.console import plain_table, printed
from reports.units import count, counted, seconds

#: Lines around the rows of cells: the progress itself, the head, effects, the schedule, one to spare.
AROUND = 5


def table(live: Live, *, columns: int, lines: int) -> list[str]:
    """What goes below the line of progress on a terminal of this size; nothing before a request is finished."""
    if not live.cells or lines < AROUND + 2:
        return []
    left_out = max(len(live.cells) - (lines - AROUND), 0)
    shown = live.cells[: len(live.cells) - left_out - bool(left_out)]
    made = plain_table()
    made.add_column("operation", no_wrap=True)
    for name in ("fields", "requests", "failed", "p50", "p95", "p99"):
        made.add_column(name, justify="right", no_wrap=True)
    for cell in shown:
        operation = f"{cell.operation} ({cell.arm})" if cell.arm else cell.operation
        times = (seconds(time_s) for time_s in (cell.p50_s, cell.p95_s, cell.p99_s))
        made.add_row(operation, count(cell.custom_fields), count(cell.requests), count(cell.failures), *times)
    told = printed([made], width=columns).rstrip("\n").split("\n")
    if left_out:
        told.append(f"and {len(live.cells) - len(shown)} more, for which this terminal is too low")
    return [*told, *(line[:columns] for line in (_effects(live), _schedule(live)) if line)]


def _effects(live: Live) -> str:
    kinds = [f"{kind} {_outcomes(kind, outcomes)}" for kind, outcomes in live.effects.items()]
    return f"effects   {' · '.join(kinds)}" if kinds else ""


def _outcomes(kind: str, outcomes: Mapping[str, int]) -> str:
    """What went wrong first: the end of the line may be cut off."""
    order = sorted(outcomes, key=lambda outcome: not is_broken(kind, outcome))
    return ", ".join(f"{count(outcomes[outcome])} {outcome}" for outcome in order)


def _schedule(live: Live) -> str:
    lost = f"{counted(live.workers_lost, 'worker')} lost · " if live.workers_lost else ""
    waited = f" · {counted(live.waited_for_pool, 'arrival')} waited for room" if live.waited_for_pool else ""
    whole, closed = f" of {count(live.scheduled)}" if live.scheduled is not None else "", live.scheduled is None
    return (
        f"schedule  {lost}lag p99 {seconds(live.lag_p99_s)} · {count(live.recorded)}{whole} "
        f"recorded, {count(live.in_flight)} in flight{' (users who wait)' * closed}{waited}"
    )
