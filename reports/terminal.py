"""The report for a terminal: the same words, glyphs and numbers within a given width."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Final

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from analysis.findings import Assessment, CellFinding, CheckOutcome, Verdict, Word
from reports import evidence, objectives, outages, ranking, sections, sentences, units, words
from reports.claims import claim
from reports.console import BAD, NARROWEST, plain_table, printed
from reports.matrix import Matrix, MatrixCell, lay_out
from reports.model import ReportMeta, presentable

_STYLES: Final = {
    Word.MUCH_SLOWER: "bold bright_red",
    Word.SLOWER: "bright_red",
    Word.NEAR_THE_LIMIT: "yellow",
    Word.UNCLEAR: "magenta",
    Word.NO_HARM: "",
    Word.FASTER: "green",
    Word.TOO_LITTLE_DATA: "magenta",
    Word.NOT_APPLICABLE: "dim",
}
BANNERS: Final = {
    Verdict.CLEAR: "bold white on dark_green",
    Verdict.HOLD: "bold white on purple4",
    Verdict.ESCALATE: "bold white on dark_red",
}
_LABEL_WIDTH: Final = 18
_NOT_MEASURED: Final = "·"
_MOST_FAILURES: Final = 6


def render(assessment: Assessment, meta: ReportMeta, *, width: int = 80, color: bool = False) -> str:
    """The report as text; no line is wider than ``width`` (at least 40), without escapes unless ``color``."""
    assessment, meta = presentable(assessment), presentable(meta)
    return printed(_parts(assessment, meta, max(width, NARROWEST)), width=width, color=color)


def _parts(assessment: Assessment, meta: ReportMeta, width: int) -> Iterable[RenderableType]:
    story = sentences.tell(assessment, meta)
    stamp = f" {words.VERDICT_GLYPHS[assessment.verdict]} {assessment.verdict.value} "
    names = "  ".join(name for name in (meta.change, meta.title) if name)
    yield Text.assemble((stamp, BANNERS[assessment.verdict]), f"  {names}".rstrip())
    yield Text(story.headline, style="bold")
    for text in (story.promise, story.scope):
        if text:
            yield Text(text)
    yield ""
    yield _decisions(story)
    yield from _ranking_parts(assessment)
    yield from _matrix_parts(assessment, width)
    yield from _objective_parts(assessment)
    yield from _integrity_parts(assessment)
    yield from _outage_parts(assessment)
    yield from _failure_parts(assessment)
    yield from _trust_parts(assessment)


def _decisions(story: sentences.Story) -> Table:
    table = plain_table(header=False, gap=1)
    table.add_column(style="bold", width=_LABEL_WIDTH + 8, no_wrap=True)
    table.add_column(overflow="fold")
    for row in story.decisions:
        table.add_row(Text(row.label), Text(row.text))
    return table


# Several candidates


def _ranking_parts(assessment: Assessment) -> Iterable[RenderableType]:
    if not assessment.ranking:
        return
    yield Text("\ncandidates, the best first: all cells together at p95, and its range in %", style="dim")
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
    for name, justify in (("", "right"), ("candidate", "left"), ("verdict", "left"), ("p95", "right")):
        table.add_column(name, justify=justify, no_wrap=True, overflow="ellipsis", max_width=22)  # type: ignore[arg-type]
    table.add_column("range", no_wrap=True)
    table.add_column("required parts", overflow="fold")
    for row in ranking.candidate_rows(assessment):
        table.add_row(*(Text(cell) for cell in row.cells))
    yield table
    names = [one.name for one in assessment.ranking]
    parts = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
    parts.add_column("required part", overflow="fold")
    for name in names:
        parts.add_column(Text(name), justify="right", no_wrap=True, overflow="ellipsis", max_width=14)
    for place in ranking.place_rows(assessment):
        parts.add_row(Text(place.place), *(Text(ranking.finding_told(one)) for one in place.findings))
    yield ""
    yield parts


# 1 Where does it hurt


def _matrix_parts(assessment: Assessment, width: int) -> Iterable[RenderableType]:
    matrix, claims = lay_out(assessment), claim(assessment)
    if not matrix.rows:
        yield Text("\nNo cell was measured.")
        return
    percentile, limit = units.percentile(matrix.quantile), units.change(matrix.limit)
    yield Text(
        f"\n{percentile} change (limit {limit}) and its range in %: low ends hold for all cells at once",
        style="dim",
    )
    if claims.void:
        yield Text("No verdict on speed: a check failed. The words only describe what was measured.", style="bold")
    inline = width >= _LABEL_WIDTH + 23 * len(matrix.cohorts)
    texts = {
        (cell.operation, cell.custom_fields): _cell_text(cell, inline=inline)
        for row in matrix.rows
        for cell in row.cells
    }
    column = max([*(_widest(text) for text in texts.values()), *(len(words.fields(n)) for n in matrix.cohorts)])
    fitting = max(1, (width - _LABEL_WIDTH) // (column + 1))
    for start in range(0, len(matrix.cohorts), fitting):
        if start:
            yield ""
        yield _matrix_table(matrix, matrix.cohorts[start : start + fitting], texts, column)
    yield Text(_legend(matrix, width), style="dim")
    for told in (sections.common_told(assessment), sections.standing_out_told(assessment)):
        if told:
            yield Text(told)
    growing = plain_table(header=False, gap=1)
    for slope in claims.growing:
        between = units.interval(1 + slope.low, 1 + slope.high, 1.10)
        where = f"{words.operation(slope.operation)} {slope.measure.value}"
        growing.add_row("▲", Text(f"growth with custom fields: {where} {units.growth(slope.growth)} ({between})"))
    yield growing


def _legend(matrix: Matrix, width: int) -> str:
    """The signs that the matrix shows, each with its word."""
    cells = [cell for row in matrix.rows for cell in row.cells]
    seen = {finding.word for cell in cells for finding in (cell.finding, *cell.besides) if finding}
    told = [f"{words.GLYPHS[word]} {word.value}" for word in words.SEVERITY if word in seen]
    told += [f"{_NOT_MEASURED} not measured"] if any(not cell.finding for cell in cells) else []
    # A sign stays on the line of its word.
    return textwrap.fill("  ".join(one.replace(" ", "\xa0") for one in told), width).replace("\xa0", " ")


def _matrix_table(
    matrix: Matrix, cohorts: Sequence[int], texts: dict[tuple[str, int], Text], column: int
) -> Table:
    table = Table(box=None, padding=(0, 0, 0, 1), pad_edge=False, header_style="dim")
    table.add_column("operation", width=_LABEL_WIDTH - 1, no_wrap=True, overflow="ellipsis")
    for number in cohorts:
        table.add_column(Text(words.fields(number)), width=column, justify="right", no_wrap=True)
    for row in matrix.rows:
        shown = [texts[cell.operation, cell.custom_fields] for cell in row.cells if cell.custom_fields in cohorts]
        table.add_row(Text(words.operation(row.operation)), *shown)
    return table


def _cell_text(cell: MatrixCell, *, inline: bool) -> Text:
    if cell.finding is None:
        return Text(_NOT_MEASURED, style="dim")
    finding = cell.finding
    text = Text(justify="right", style=_STYLES[finding.word])
    text.append(" ".join(part for part in (words.GLYPHS[finding.word], _change(finding)) if part))
    between = units.short_interval(finding.low, finding.high, finding.limit)
    if between:
        text.append(f" [{between}]" if inline else f"\n{between}")
    for other in cell.besides:
        told = f"{units.percentile(other.quantile)} {words.GLYPHS[other.word]} {_change(other)}"
        text.append(f" {told}" if inline else f"\n{told}")
    return text


def _change(finding: CellFinding) -> str:
    told = units.change(finding.ratio)
    return "" if told == units.NOT_KNOWN else told


def _widest(text: Text) -> int:
    return max((line.cell_len for line in text.split("\n")), default=0)


# Objectives


def _objective_parts(assessment: Assessment) -> Iterable[RenderableType]:
    if not assessment.objectives:
        return
    yield ""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("objective", overflow="fold", max_width=38)
    for name in ("before", "after"):
        table.add_column(name, justify="right")
    table.add_column("outcome", no_wrap=True)
    for row in objectives.rows_of(assessment):
        style = BAD if row.broken else ""
        after = "\n".join(part for part in (row.value, row.between) if part)
        table.add_row(Text(row.text), row.before, Text(after), Text(row.mark, style=style))
    yield table
    if claim(assessment).void:
        yield Text(objectives.summary(assessment, void=True))


# 3 Integrity, 5 failures, 6 and 7 trust


def _integrity_parts(assessment: Assessment) -> Iterable[RenderableType]:
    if not assessment.integrity:
        yield Text("\nintegrity: nobody looked at what became of saves, scripts and e-mails")
        return
    yield ""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("integrity (exact counts)", overflow="fold", max_width=44)
    for name in ("before", "after"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("rule", style="dim", no_wrap=True)
    for finding in sorted(assessment.integrity, key=words.effect_rank):
        if words.effect_rule(finding) == "not judged" and finding.before == finding.after == 0:
            continue
        label = Text(f"{_kind(finding.kind)}: {words.effect(finding.kind, finding.outcome)}")
        after = f"{'' if finding.held else '✗ '}{units.count(finding.after)}"
        style = "" if finding.held else BAD
        table.add_row(label, units.count(finding.before), Text(after, style=style), words.effect_rule(finding))
    yield table


def _kind(kind: str) -> str:
    return {"script": "script", "value": "save", "mail": "e-mail"}.get(kind, kind)


def _outage_parts(assessment: Assessment) -> Iterable[RenderableType]:
    found = outages.told_of(assessment)
    if found:
        yield Text(f"\n{outages.summary(assessment)}")
    for one, told in found:
        yield from outages.parts(told, f" {one.side} ({one.run})")


def _failure_parts(assessment: Assessment) -> Iterable[RenderableType]:
    yield ""
    if not assessment.failure_kinds:
        yield Text("failed requests: 0 before, 0 after")
    else:
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
        table.add_column("failed requests", overflow="fold", max_width=52)
        for name in ("before", "after"):
            table.add_column(name, justify="right", no_wrap=True)
        for kind in assessment.failure_kinds[:_MOST_FAILURES]:
            label = Text(words.failure(kind.outcome, kind.detail))
            table.add_row(label, units.count(kind.before), units.count(kind.after))
        yield table
        if len(assessment.failure_kinds) > _MOST_FAILURES:
            yield Text(
                f"and {units.counted(len(assessment.failure_kinds) - _MOST_FAILURES, 'kind')} more in report.html"
            )
    for finding in assessment.failures:
        if finding.fires:
            told = f"{units.count(finding.before)} of {units.count(finding.requests_before)} before"
            now = f"{units.count(finding.after)} of {units.count(finding.requests_after)} after"
            where = words.place(finding.operation, finding.custom_fields)
            yield Text(f"✗ more failures than before: {where}: {told}, {now}", style="bright_red")


def _trust_parts(assessment: Assessment) -> Iterable[RenderableType]:
    yield ""
    yield Text(f"checks       {evidence.checks_told(assessment)}")
    for check in assessment.checks:
        if check.outcome is not CheckOutcome.PASS:
            mark = "✗" if check.outcome is CheckOutcome.FAIL else "•"
            yield _hanging(mark, f"{check.name}: {check.meaning}", bad=check.outcome is CheckOutcome.FAIL)
    yield Text(f"environment  {evidence.differences_told(assessment)}")
    for difference in assessment.differences:
        if not difference.planned:
            yield _hanging("✗", f"{difference.setting}: {difference.before} → {difference.after}", bad=True)
    dropped = evidence.dropped_told(assessment)
    if dropped:
        yield Text(f"runs         {dropped}")
    for warning in assessment.warnings:
        yield _hanging("!", warning, bad=False)


def _hanging(mark: str, text: str, *, bad: bool) -> Table:
    """A mark, and a text whose further lines begin where its first one does."""
    table = plain_table(header=False, gap=1)
    table.add_column(width=3, justify="right")
    table.add_column(overflow="fold")
    style = "bright_red" if bad else ""
    table.add_row(Text(mark, style=style), Text(text, style=style))
    return table
