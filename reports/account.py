"""The account of one run as tables for the terminal: its times, its failures, what became of its effects."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from analysis.account import Account, CellAccount, Time
from analysis.findings import ObjectiveOutcome
from reports import units, words
from reports.console import BAD, plain_table
from reports.escaping import one_line
from reports.objectives import row_of

#: Kinds of failures that are told; all of them are in the JSON.
_MOST_FAILURES: Final = 12


def parts(account: Account) -> Iterator[RenderableType]:
    """Times by cell, failures, effects and objectives, each with a blank line before it."""
    yield ""
    if account.cells:
        yield _times(account)
    else:
        yield Text("Nothing was measured: no request lies in the measured window.", style=BAD)
    yield ""
    yield from _failures(account)
    if account.integrity:
        yield ""
        yield _integrity(account)
    else:
        yield Text("effects: nobody looked at what became of saves, scripts and e-mails")
    if account.objectives:
        yield ""
        yield _objectives(account)
    if account.fault:
        yield Text(f"\n✗ Its times are no yardstick: the run {account.fault}.", style=BAD)


def _table(first: str, numbers: Sequence[str], *, most: int = 44) -> Table:
    """A column of words and columns of numbers."""
    table = plain_table()
    table.add_column(first, overflow="fold", max_width=most)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _times(account: Account) -> Table:
    table = _table(
        "operation", ("fields", "requests", *(units.percentile(time.quantile) for time in account.cells[0].times))
    )
    for cell in sorted(account.cells, key=lambda one: (words.operation_rank(one.operation), one.custom_fields)):
        table.add_row(
            Text(words.operation(cell.operation)),
            units.count(cell.custom_fields),
            _requests(cell),
            *(_time(time) for time in cell.times),
        )
    return table


def _requests(cell: CellAccount) -> Text:
    text = Text(units.count(cell.requests))
    if cell.failures:
        text.append(f"\n{units.count(cell.failures)} failed", style="bright_red")
    return text


def _time(time: Time) -> Text:
    """The time over its range; an end that nothing bounds is left open."""
    value = units.seconds(time.value_s) if math.isfinite(time.value_s) else "…"
    if math.isnan(time.low_s + time.high_s) and value == "…":
        return Text(value, style="dim") if math.isnan(time.low_s) else Text(f"…\nover {units.seconds(time.low_s)}")
    low, high = (units.seconds(end) if math.isfinite(end) else "?" for end in (time.low_s, time.high_s))
    number, _, unit = low.partition(" ")
    low = number if high.endswith(f" {unit}") else low
    return Text.assemble(value, (f"\n{low}..{high}", "dim"))


def _failures(account: Account) -> Iterator[RenderableType]:
    if not account.failures:
        yield Text(f"failed requests: 0 of {units.count(account.requests)}")
        return
    share = units.share(account.failed / account.requests)
    yield Text(f"failed requests: {units.count(account.failed)} of {units.count(account.requests)} ({share})")
    table = plain_table(header=False)
    table.add_column(overflow="fold", max_width=48)
    table.add_column(overflow="fold", max_width=20)
    table.add_column(justify="right", no_wrap=True)
    for kind in account.failures[:_MOST_FAILURES]:
        label = words.failure(kind.outcome, one_line(kind.detail))
        table.add_row(Text(f"  {label}"), Text(words.operation(kind.operation)), units.count(kind.count))
    yield table
    if len(account.failures) > _MOST_FAILURES:
        yield Text(f"  and {units.counted(len(account.failures) - _MOST_FAILURES, 'kind')} more; all with --json")


def _integrity(account: Account) -> Table:
    table = _table("effects (exact counts)", ("count",), most=52)
    table.add_column("rule", style="dim", no_wrap=True)
    for finding in sorted(account.integrity, key=words.effect_rank):
        rule = words.effect_rule(finding)
        if finding.after or rule != "not judged":
            kind = words.KINDS.get(finding.kind, finding.kind)
            count = f"{'' if finding.held else '✗ '}{units.count(finding.after)}"
            told = f"{kind}: {words.effect(finding.kind, finding.outcome).lower()}"
            table.add_row(Text(told), Text(count, style="" if finding.held else BAD), rule)
    return table


def _objectives(account: Account) -> Table:
    table = _table("objective", ("value",), most=36)
    table.add_column("outcome", no_wrap=True)
    table.add_column("rests on", style="dim", no_wrap=True)
    for one in account.objectives:
        row = row_of(one)
        value = "\n".join(part for part in (row.value, row.between) if part)
        style = BAD if one.outcome is ObjectiveOutcome.BROKEN else ""
        table.add_row(Text(row.text), Text(value), Text(row.mark, style=style), row.basis)
    return table
