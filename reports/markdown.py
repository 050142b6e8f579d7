"""``summary.md``: the report for a change ticket or a pull request, in GitHub's Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from analysis.findings import Assessment, CheckOutcome, Word
from reports import evidence, objectives, outages, ranking, sections, sentences, units, words
from reports.claims import claim
from reports.escaping import markdown_text
from reports.matrix import MatrixCell, lay_out
from reports.model import ReportMeta, presentable

_MARKS: Final = {CheckOutcome.PASS: "✓ pass", CheckOutcome.NOTE: "• note", CheckOutcome.FAIL: "✗ **fail**"}


def render(assessment: Assessment, meta: ReportMeta) -> str:
    """The summary; every foreign text stands as it is, on one line, without effect as markup."""
    assessment, meta = presentable(assessment), presentable(meta)
    return "\n".join([*_head(assessment, meta), *_sections(assessment), *_foot(assessment, meta)]) + "\n"


def _head(assessment: Assessment, meta: ReportMeta) -> Iterable[str]:
    story = sentences.tell(assessment, meta)
    name = " · ".join(markdown_text(part) for part in (meta.change, meta.title) if part)
    yield f"## {words.VERDICT_GLYPHS[assessment.verdict]} {assessment.verdict.value} · {name}"
    yield ""
    yield f"**{markdown_text(story.headline)}**"
    for text in (story.promise, story.scope):
        if text:
            yield ""
            yield markdown_text(text)
    yield ""
    yield from table(("", ""), [(f"**{row.label}**", markdown_text(row.text)) for row in story.decisions])


def _sections(assessment: Assessment) -> Iterable[str]:
    yield from _ranking(assessment)
    yield from _matrix(assessment)
    yield from _objectives(assessment)
    yield "### Does it get worse with more custom fields?"
    yield ""
    yield markdown_text(sections.growth_told(assessment))
    yield ""
    yield from _integrity(assessment)
    yield from _outages(assessment)
    yield from _failures(assessment)
    yield from _differences(assessment)
    yield from _checks(assessment)


def _ranking(assessment: Assessment) -> Iterable[str]:
    if not assessment.ranking:
        return
    yield "### Which candidate?"
    yield ""
    yield markdown_text(ranking.ranking_told(assessment))
    yield ""
    rows = [[markdown_text(cell) for cell in row.cells] for row in ranking.candidate_rows(assessment)]
    yield from table(ranking.HEAD, rows, numbers=(0, 3))
    places = [
        [markdown_text(row.place), *(ranking.finding_told(one) for one in row.findings)]
        for row in ranking.place_rows(assessment)
    ]
    names = [markdown_text(one.name) for one in assessment.ranking]
    yield from table(("Required part", *names), places, numbers=range(1, len(names) + 1))


def _matrix(assessment: Assessment) -> Iterable[str]:
    matrix = lay_out(assessment)
    yield "### Where does it hurt?"
    yield ""
    if not matrix.rows:
        yield "No cell was measured."
        yield ""
        return
    if claim(assessment).void:
        yield "No verdict on speed: a check failed. The words only describe what was measured."
        yield ""
    yield (
        f"Change in the time within which {units.of_hundred(matrix.quantile)} requests finish, by the number of "
        f"custom fields on the case; limit {units.change(matrix.limit)}."
    )
    for told in (sections.common_told(assessment), sections.standing_out_told(assessment)):
        if told:
            yield markdown_text(told)
    yield ""
    rows = [
        (f"**{markdown_text(words.operation(row.operation))}**", *(_cell(cell) for cell in row.cells))
        for row in matrix.rows
    ]
    yield from table(("Operation", *(words.fields(number) for number in matrix.cohorts)), rows)
    shown = [word for word in words.SEVERITY if any(finding.word is word for finding in matrix.findings)]
    yield " · ".join(f"{words.GLYPHS[word]} {words.legend(word, matrix.limit)}" for word in shown)
    yield ""


def _cell(cell: MatrixCell) -> str:
    finding = cell.finding
    if finding is None:
        return "· not measured"
    word = f"{words.GLYPHS[finding.word]} {finding.word.value}"
    if finding.word is Word.NOT_APPLICABLE:
        return word
    parts = [f"**{word}**" if finding.word not in (Word.NO_HARM, Word.FASTER) else word]
    if units.change(finding.ratio) != units.NOT_KNOWN:
        parts.append(f"{units.change(finding.ratio)}{_range(finding.low, finding.high, finding.limit)}")
        parts.append(f"{units.seconds(finding.before_s)} → {units.seconds(finding.after_s)}")
    needs = sections.needs_told(finding)
    parts += [needs] if needs else []
    parts += [
        f"{units.percentile(other.quantile)} {words.GLYPHS[other.word]} {units.change(other.ratio)}"
        for other in cell.besides
    ]
    return "<br>".join(parts)


def _range(low: float, high: float, limit: float) -> str:
    between = units.short_interval(low, high, limit)
    return f" ({between})" if between else ""


def _objectives(assessment: Assessment) -> Iterable[str]:
    if not assessment.objectives:
        return
    yield "### Is what was agreed kept?"
    yield ""
    yield objectives.summary(assessment, void=claim(assessment).void)
    yield ""
    rows = [
        (
            markdown_text(row.text),
            row.before,
            f"{row.value} ({row.between})" if row.between else row.value,
            row.basis,
            f"**{row.mark}**" if row.broken else row.mark,
        )
        for row in objectives.rows_of(assessment)
    ]
    yield from table(("Objective", "Before", "After", "From", "Outcome"), rows, numbers=(1, 2, 3))


def _integrity(assessment: Assessment) -> Iterable[str]:
    yield "### Was anything lost, doubled or late?"
    yield ""
    if not assessment.integrity:
        yield "Not looked at: no effect of a save or a mail was checked."
        yield ""
        return
    rows = [
        (
            markdown_text(words.KINDS.get(finding.kind, finding.kind)),
            markdown_text(words.effect(finding.kind, finding.outcome)),
            units.count(finding.before),
            units.count(finding.after),
            words.effect_rule(finding),
            "✓ ok" if finding.held else "✗ **broken**",
        )
        for finding in sorted(assessment.integrity, key=words.effect_rank)
    ]
    yield from table(("Of", "Outcome", "Before", "After", "Rule", "Result"), rows, numbers=(2, 3))


def _outages(assessment: Assessment) -> Iterable[str]:
    found = outages.told_of(assessment)
    if not found:
        return
    yield "### Was it away?"
    yield ""
    yield outages.summary(assessment)
    yield ""
    for one, told in found:
        yield f"✗ **{one.side}, run {markdown_text(one.run)}**: {told.when}"
        yield ""
        for text in (*told.kinds, *([told.kept] if told.kept else [])):
            yield f"- {markdown_text(text)}"
        yield ""
        rows = [(markdown_text(operation), *numbers) for operation, *numbers in told.rows]
        yield from table([name.capitalize() for name in outages.HEAD], rows, numbers=range(1, len(outages.HEAD)))


def _failures(assessment: Assessment) -> Iterable[str]:
    yield "### Failed requests"
    yield ""
    rows = [
        (
            markdown_text(words.failure(kind.outcome, kind.detail)),
            units.count(kind.before),
            units.count(kind.after),
            markdown_text(words.listed([words.operation(name) for name in kind.where])),
        )
        for kind in assessment.failure_kinds
    ]
    before, after = units.count(assessment.before.requests), units.count(assessment.after.requests)
    rows.append(("**All requests, failed or not**", before, after, ""))
    yield from table(("Kind", "Before", "After", "Where"), rows, numbers=(1, 2))
    for finding in assessment.failures:
        if finding.fires:
            where = markdown_text(words.place(finding.operation, finding.custom_fields))
            yield (
                f"✗ **More failures than before**: {where}, {units.count(finding.before)} of "
                f"{units.count(finding.requests_before)} before, {units.count(finding.after)} of "
                f"{units.count(finding.requests_after)} after."
            )
            yield ""


def _differences(assessment: Assessment) -> Iterable[str]:
    yield f"### What changed: {evidence.differences_told(assessment)}"
    yield ""
    if assessment.differences:
        rows = [
            (
                markdown_text(item.setting),
                markdown_text(item.before),
                markdown_text(item.after),
                "✓ planned" if item.planned else "✗ **not planned**",
            )
            for item in assessment.differences
        ]
        yield from table(("Setting", "Before", "After", "Planned?"), rows)


def _checks(assessment: Assessment) -> Iterable[str]:
    yield f"### Can this be trusted? {evidence.checks_told(assessment)}"
    yield ""
    rows = [
        (markdown_text(item.name), _MARKS[item.outcome], markdown_text(item.meaning)) for item in assessment.checks
    ]
    if rows:
        yield from table(("Check", "Result", "Meaning"), rows)
    for warning in assessment.warnings:
        yield f"- {markdown_text(warning)}"
    if assessment.warnings:
        yield ""


def _foot(assessment: Assessment, meta: ReportMeta) -> Iterable[str]:
    if meta.commands:
        yield "<details><summary>Repeat it</summary>"
        yield ""
        yield from (f"    {command}" for command in meta.commands)  # an indented block: no fence to break out of
        yield ""
        yield "</details>"
        yield ""
    runs = f"{evidence.evidence_told(assessment)}, design {assessment.design.value}"
    yield (
        f"savepath {markdown_text(meta.version)} · {markdown_text(units.moment(meta.generated_at))} · "
        f"scenario {markdown_text(assessment.scenario)} · {runs}"
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[int] = ()) -> Iterable[str]:
    """A table of cells that are Markdown already, and an empty line; the columns ``numbers`` to the right."""
    yield f"| {' | '.join(head)} |"
    yield f"|{'|'.join(' ---: ' if place in numbers else ' --- ' for place in range(len(head)))}|"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""
