"""The four figures under the decision: the worst time, what broke, what is quiet, how much was shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from analysis.findings import Assessment, IntegrityFinding, SlopeFinding, Word
from reports import units, words
from reports.claims import HARMLESS, Claims, raising
from reports.evidence import checked_effects, failed_requests
from reports.matrix import lay_out

#: So many figures stand between the worst time and how much was shown.
_BETWEEN: Final = 2


@dataclass(frozen=True, slots=True)
class Figure:
    """One of the four figures under the decision. ``tone`` is bad, open, good or plain."""

    value: str
    label: str
    detail: str
    tone: str


def key_figures(assessment: Assessment, claims: Claims) -> tuple[Figure, ...]:
    """The worst time and how much was shown, and between them the two that matter most."""
    middle = [
        *_broken_figures(claims),
        *_growth_figures(claims.growing),
        *_standout_figures(assessment, claims),
        *_failing_figures(claims),
        *_quiet_figures(assessment),
    ]
    return (_worst_figure(claims), *middle[:_BETWEEN], _coverage_figure(assessment, claims))


def _worst_figure(claims: Claims) -> Figure:
    cell = claims.telling
    if cell is None:
        return Figure(words.GLYPHS[Word.TOO_LITTLE_DATA], "no time is known", "no cell holds enough data", "open")
    times = f"{units.seconds(cell.before_s)} → {units.seconds(cell.after_s)} for {units.of_hundred(cell.quantile)}"
    tone = (
        "plain" if claims.void else "bad" if cell in claims.slower else "good" if cell.word in HARMLESS else "open"
    )
    label = words.place(cell.operation, cell.custom_fields)
    if claims.void:
        return Figure(units.change(cell.ratio), f"{label}: no verdict", times, tone)
    if cell.word in HARMLESS:
        return Figure(units.change(cell.ratio), f"{label}: the longest wait added", times, tone)
    return Figure(units.change(cell.ratio), label, times, tone)


def _broken_figures(claims: Claims) -> list[Figure]:
    """A figure for each kind of effect that went wrong, or one for all where the kinds are more than have room."""
    kinds = list(dict.fromkeys(finding.kind for finding in claims.broken))
    if len(kinds) > _BETWEEN:
        names = words.listed([words.KINDS.get(kind, kind).lower() for kind in kinds])
        return [_broken_figure(list(claims.broken), f"went wrong: {names}")]
    found = [[item for item in claims.broken if item.kind == kind] for kind in kinds]
    return [_broken_figure(items, _clause(items)) for items in found]


def _clause(findings: list[IntegrityFinding]) -> str:
    outcomes = tuple(item.outcome for item in findings)
    return words.effect_clause(findings[0].kind, outcomes).removeprefix("some ")


def _broken_figure(findings: list[IntegrityFinding], label: str) -> Figure:
    before, after = sum(item.before for item in findings), sum(item.after for item in findings)
    allowed = sum(max(item.limit, 0) for item in findings)
    rule = f"{units.count(allowed)} allowed" if allowed else "none allowed"
    return Figure(units.count(after), label, f"{units.count(before)} before; {rule}", "bad")


def _growth_figures(growing: tuple[SlopeFinding, ...]) -> list[Figure]:
    if not growing:
        return []
    slope = growing[0]
    return [
        Figure(
            units.growth(slope.growth),
            f"more growth with custom fields: {words.operation(slope.operation)}",
            f"{words.growth_between(slope)} ({slope.measure.value})",
            "bad",
        )
    ]


def _standout_figures(assessment: Assessment, claims: Claims) -> list[Figure]:
    """The cell furthest out, where nothing else tells that times became longer."""
    if claims.slower or claims.growing:
        return []
    return [
        Figure(
            units.change(one.ratio),
            f"against the rest of its runs: {words.place(one.operation, one.custom_fields)}",
            f"{units.interval(one.low, one.high, 1.10)} ({one.measure.value})",
            "bad",
        )
        for one in raising(assessment, claims)[:1]
    ]


def _failing_figures(claims: Claims) -> list[Figure]:
    whole = [finding for finding in claims.failing if finding.custom_fields is None] or list(claims.failing)
    return [
        Figure(
            units.count(finding.after),
            f"failed: {words.place(finding.operation, finding.custom_fields)}",
            f"{units.count(finding.before)} of {units.count(finding.requests_before)} before; "
            f"of {units.count(finding.requests_after)} after",
            "bad",
        )
        for finding in whole
    ]


def _quiet_figures(assessment: Assessment) -> list[Figure]:
    figures = []
    if assessment.integrity and all(item.held for item in assessment.integrity):
        harmed = sum(
            item.after for item in assessment.integrity if words.effect_rule(item).startswith(("must", "limit"))
        )
        checked = checked_effects(assessment)
        label = "effects lost, doubled, late or wrong"
        figures.append(
            Figure(units.count(harmed), label, f"of {units.count(checked)} checked; limits held", "good")
        )
    elif not assessment.integrity:
        figures.append(
            Figure(
                words.GLYPHS[Word.TOO_LITTLE_DATA],
                "integrity was not looked at",
                "no effects were checked",
                "open",
            )
        )
    before, after = failed_requests(assessment)
    figures.append(Figure(units.count(after), "failed requests after", f"{units.count(before)} before", "plain"))
    figures.append(
        Figure(
            units.count(assessment.after.requests),
            "requests after",
            f"{units.count(assessment.before.requests)} before",
            "plain",
        )
    )
    return figures


def _coverage_figure(assessment: Assessment, claims: Claims) -> Figure:
    findings = [cell for cell in lay_out(assessment).findings if cell.word is not Word.NOT_APPLICABLE]
    harmless = sum(cell.word in HARMLESS for cell in findings)
    others = [
        f"{units.count(number)} {word.value}"
        for word in words.SEVERITY
        if word not in HARMLESS and (number := sum(cell.word is word for cell in findings))
    ]
    value = f"{units.count(harmless)} of {units.count(len(findings))}"
    if claims.void:
        return Figure(value, "parts below the limit: no verdict", ", ".join(others) or "a check failed", "plain")
    tone = "good" if findings and harmless == len(findings) else "plain"
    return Figure(value, "parts shown not to be harmed", ", ".join(others) or "all of them", tone)
