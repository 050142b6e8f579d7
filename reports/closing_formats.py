"""The closing of a window as a page, as Markdown for a change ticket and on a terminal: the same rows in each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

from jinja2 import Template
from rich.console import RenderableType
from rich.text import Text

from reports import closing as told
from reports import pages, units, window, words
from reports.closing import Closing
from reports.console import plain_table, printed
from reports.escaping import markdown_text, one_line
from reports.markdown import table
from reports.terminal import BANNERS
from reports.watched import Required

#: So many verdicts in turn and remarks are listed in a ticket and on a terminal, the latest; the rest is counted.
_LISTED_MOST: Final = 20
_LABEL_WIDTH: Final = 18

Cells = Sequence[Sequence[str]]


def page(closing: Closing) -> str:
    """The page: self-contained, without script; equal closings give equal text."""
    watched = closing.watched
    return _template().render(
        w=watched,
        version=closing.version,
        css=pages.style(),
        stamp=window.stamp,
        glyph=words.VERDICT_GLYPHS[watched.verdict],
        source=one_line(watched.source),
        headline=one_line(told.headline(closing)),
        rows=[(row.label, one_line(row.text)) for row in told.decision_rows(closing)],
        required=[(one_line(one.name), _seen(one)) for one in watched.required],
        not_known=[one_line(text) for text in told.not_known(closing)],
        part=window.part(watched),
    )


def markdown(closing: Closing) -> str:
    """The summary for a change ticket, in GitHub's Markdown."""
    return "\n".join(_markdown_lines(closing)) + "\n"


def terminal(closing: Closing, *, width: int = 80, color: bool = False) -> str:
    """The same as text; no line is wider than ``width``, without escapes unless ``color``."""
    return printed(_terminal_parts(closing), width=width, color=color)


def _markdown_lines(closing: Closing) -> Iterator[str]:
    watched = closing.watched
    verdict = f"{words.VERDICT_GLYPHS[watched.verdict]} {watched.verdict.value}"
    yield f"## {verdict} · stabilization window of {markdown_text(watched.source)}"
    yield ""
    yield f"**{markdown_text(told.headline(closing))}**"
    yield ""
    rows = told.decision_rows(closing)
    yield from table(("", ""), [(f"**{row.label}**", markdown_text(row.text)) for row in rows])
    for heading, head, cells, left in _tables(closing):
        yield f"### {heading}"
        yield ""
        yield from table(head, [[markdown_text(cell) for cell in row] for row in cells])
        if left:
            yield f"{units.count(left)} earlier ones are in decisions.jsonl."
            yield ""
    yield "### What is not known"
    yield ""
    yield from (f"- {markdown_text(text)}" for text in told.not_known(closing))
    yield ""
    yield f"savepath {markdown_text(closing.version)} · told {window.stamp(watched.told_s)}"


def _terminal_parts(closing: Closing) -> Iterator[RenderableType]:
    watched = closing.watched
    stamp = f" {words.VERDICT_GLYPHS[watched.verdict]} {watched.verdict.value} "
    yield Text.assemble((stamp, BANNERS[watched.verdict]), f"  {one_line(watched.source)}")
    yield Text(one_line(told.headline(closing)), style="bold")
    yield ""
    decisions = plain_table(header=False)
    decisions.add_column(width=_LABEL_WIDTH, style="bold")
    decisions.add_column()
    for row in told.decision_rows(closing):
        decisions.add_row(row.label, Text(one_line(row.text)))
    yield decisions
    for heading, head, cells, left in _tables(closing):
        yield Text(f"\n{heading}", style="bold")
        listed = plain_table(header=any(head))
        for place, name in enumerate(head):
            listed.add_column(name, overflow="fold", no_wrap=place == 0 and len(head) > 2)
        for cells_of_row in cells:
            listed.add_row(*(Text(one_line(cell)) for cell in cells_of_row))
        yield listed
        if left:
            yield Text(f"{units.count(left)} earlier ones are in decisions.jsonl.", style="dim")
    yield Text("\nWhat is not known", style="bold")
    unknown = plain_table(header=False, gap=1)
    for text in told.not_known(closing):
        unknown.add_row("·", Text(one_line(text)))
    yield unknown


def _tables(closing: Closing) -> Iterator[tuple[str, Sequence[str], Cells, int]]:
    """Heading, head, rows and how many rows were left out, of each table that has any."""
    watched = closing.watched
    if watched.alarms:
        alarms = [(window.stamp(one.raised_s), one.kind.value, one.text) for one in watched.alarms]
        yield "Alarms that nobody has acknowledged", ("Raised", "About", "What was seen"), alarms, 0
    if watched.evidence:
        yield "What is known of it", ("", ""), list(window.evidence_rows(watched.evidence, watched.remarks)), 0
    if watched.required:
        yield "Required events", ("Event", "Seen"), [(one.name, _seen(one)) for one in watched.required], 0
    if watched.periods:
        periods = [
            (window.stamp(one.from_s), one.verdict.value, units.duration(one.to_s - one.from_s), one.sentence)
            for one in watched.periods
        ]
        head = ("From", "Verdict", "For", "First reason")
        yield "Verdicts in turn", head, periods[-_LISTED_MOST:], max(len(periods) - _LISTED_MOST, 0)
    if watched.remarks:
        remarks = [(window.stamp(one.at_s), window.KINDS[one.kind], one.text or "–") for one in watched.remarks]
        yield (
            "Remarks",
            ("When", "Kind", "What was said"),
            remarks[-_LISTED_MOST:],
            max(len(remarks) - _LISTED_MOST, 0),
        )


def _seen(required: Required) -> str:
    return "never" if required.seen_s is None else window.stamp(required.seen_s)


@lru_cache(maxsize=1)
def _template() -> Template:
    return pages.environment().get_template("closing.html.j2")
