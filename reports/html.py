"""The change-review report: one self-contained HTML page, without script and without network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from jinja2 import Environment
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from analysis.details import RunOutage
from analysis.findings import Assessment, CellFinding, FailureFinding, IntegrityFinding, Word
from reports import (
    detail_figures,
    drawing,
    evidence,
    figures,
    objectives,
    outages,
    pages,
    ranking,
    sections,
    sentences,
    units,
    words,
)
from reports.claims import claim
from reports.matrix import Matrix, MatrixRow, lay_out
from reports.model import ReportMeta, presentable
from reports.outage_figure import outage_figure

#: The scale of the little intervals, as ratios; beyond it they end in an arrow.
_STRIP_LOW, _STRIP_HIGH = 0.70, 1.60
_STRIP_WIDTH: Final = 100.0

#: The legend leaves out what speaks for itself.
_LEGEND: Final = tuple(word for word in words.SEVERITY if word is not Word.NOT_APPLICABLE)


@dataclass(frozen=True, slots=True)
class IntegrityTable:
    """One kind of effect: its findings in the order of ``EFFECT_OUTCOMES``."""

    title: str
    checked_before: int
    checked_after: int
    findings: tuple[IntegrityFinding, ...]


def render(assessment: Assessment, meta: ReportMeta) -> str:
    """The page. Equal assessments and equal meta give equal text."""
    assessment, meta = presentable(assessment), presentable(meta)
    matrix = lay_out(assessment)
    before, after = figures.telling_timeline(assessment)
    context: dict[str, Any] = {
        "a": assessment,
        "meta": meta,
        "css": pages.style(),
        "story": sentences.tell(assessment, meta),
        "ranking_head": ranking.HEAD,
        "candidates": ranking.candidate_rows(assessment),
        "places": ranking.place_rows(assessment),
        "void": claim(assessment).void,
        "matrix": matrix,
        "legend": _LEGEND,
        "example_strip": _strip_svg(1.03, 0.94, 1.14, matrix.limit),
        "common": sections.common_told(assessment),
        "standing_out": sections.standing_out_told(assessment),
        "objectives": objectives.rows_of(assessment),
        "objectives_told": objectives.summary(assessment, void=claim(assessment).void),
        "growth": sections.growth_told(assessment),
        "growth_charts": _growth_charts(assessment),
        "growth_cells": _growth_cells(matrix),
        "integrity": integrity_tables(assessment),
        "timeline_chart": _timeline_chart(assessment),
        "outages_told": outages.summary(assessment),
        "outages_head": [name.capitalize() for name in outages.HEAD],
        "outages": [
            (one, told, _outage_chart(one, number))
            for number, (one, told) in enumerate(outages.told_of(assessment))
        ],
        "settled": sections.settled_told(before, after),
        "failures": sorted(assessment.failures, key=_failure_rank),
        "checks": evidence.checks_told(assessment),
        "evidence": evidence.evidence_told(assessment),
        "dropped": evidence.dropped_told(assessment),
        "cells": sorted(assessment.cells, key=_cell_rank),
        "forest": _long(
            detail_figures.forest_figure(assessment), "forest", "Change of every cell, with its range"
        ),
        "shift_charts": _charts(
            detail_figures.shift_figures(assessment), "shift", "Change of each tenth of the requests"
        ),
        "tail_charts": _charts(detail_figures.tail_figures(assessment), "tail", "The slowest requests"),
        "heat_charts": [
            _long(figure, f"heat{number}", f"Durations over the elapsed time: {_title_of(figure)}")
            for number, figure in enumerate(detail_figures.heat_figures(assessment))
        ],
        "slowest": [one for one in assessment.details.notable if one.outcome == "ok"],
        "failed": [one for one in assessment.details.notable if one.outcome != "ok"],
        "slopes": sorted(assessment.slopes, key=words.slope_rank),
        "method": sections.method_told(assessment),
        # As markup they are left as typed: a no-break space would not paste into a shell.
        "commands": [escape(command) for command in meta.commands],
    }
    return _environment().get_template("report.html.j2").render(context)


def integrity_tables(assessment: Assessment) -> tuple[IntegrityTable, ...]:
    """The integrity findings by kind: scripts, values, mails, then kinds that are not known here."""
    ordered = sorted(assessment.integrity, key=words.effect_rank)
    kinds = dict.fromkeys(finding.kind for finding in ordered)
    tables = []
    for kind in kinds:
        found = tuple(finding for finding in ordered if finding.kind == kind)
        title = words.KINDS.get(kind, kind)
        tables.append(IntegrityTable(title, found[0].checked_before, found[0].checked_after, found))
    return tuple(tables)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = pages.environment()
    environment.filters |= {
        "change": units.change,
        "count": units.count,
        "css_class": lambda word: word.value.replace(" ", "-"),
        "effect": lambda finding: words.effect(finding.kind, finding.outcome),
        "or_dash": lambda found: found or "–",
        "failure": lambda kind: words.failure(kind.outcome, kind.detail),
        "failure_place": lambda finding: words.place(finding.operation, finding.custom_fields),
        "failure_range": _failure_range,
        "fields": words.fields,
        "finding": ranking.finding_told,
        "glyph": words.GLYPHS.__getitem__,
        "growth": units.growth,
        "range": lambda finding: units.short_interval(finding.low, finding.high, finding.limit) or units.NOT_KNOWN,
        "legend": words.legend,
        "moment": units.moment,
        "needs": sections.needs_told,
        "of_hundred": units.of_hundred,
        "operation": words.operation,
        "operations": lambda names: words.listed([words.operation(name) for name in names]),
        "p_value": lambda value: f"{value:.2g}" if math.isfinite(value) else "–",
        "percentile": units.percentile,
        "rule": words.effect_rule,
        "seconds": units.seconds,
        "slope_interval": lambda slope: units.interval(1 + slope.low, 1 + slope.high, 1.10),
        "stamp": words.VERDICT_GLYPHS.__getitem__,
        "strip": lambda finding: _strip_svg(finding.ratio, finding.low, finding.high, finding.limit),
    }
    environment.tests |= {"known": math.isfinite, "not_required": _not_required}
    return environment


def _not_required(row: MatrixRow) -> bool:
    return not any(cell.finding.required for cell in row.cells if cell.finding is not None)


def _growth_charts(assessment: Assessment) -> list[Markup]:
    return _charts(figures.growth_figures(assessment), "growth", "Before and after by number of custom fields")


def _timeline_chart(assessment: Assessment) -> Markup:
    figure = figures.timeline_figure(assessment)
    return _long(figure, "timeline", "Before and after over the elapsed time, and failed requests")


def _outage_chart(one: RunOutage, number: int) -> Markup:
    return _long(outage_figure(one.outage), f"outage{number}", f"How long each operation was gone in {one.run}")


def _charts(drawn: Sequence[Figure], prefix: str, label: str) -> list[Markup]:
    """Panels that stand beside each other where there is room."""
    return [
        Markup(drawing.svg(figure, prefix=f"{prefix}{number}", label=f"{label}: {_title_of(figure)}"))  # noqa: S704 (escaped by svg)
        for number, figure in enumerate(drawn)
    ]


def _long(figure: Figure | None, prefix: str, label: str) -> Markup:
    """A chart that takes the whole width."""
    return Markup("") if figure is None else drawing.long_chart(figure, prefix=prefix, label=label)


def _title_of(figure: Figure) -> str:
    return figure.axes[0].get_title(loc="left")


def _growth_cells(matrix: Matrix) -> list[CellFinding]:
    return [
        finding
        for finding in matrix.findings
        if finding.operation in figures.GROWING_OPERATIONS and finding.word is not Word.NOT_APPLICABLE
    ]


def _cell_rank(cell: CellFinding) -> tuple[tuple[int, str], int, float]:
    return (words.operation_rank(cell.operation), cell.custom_fields, cell.quantile)


def _failure_rank(finding: FailureFinding) -> tuple[tuple[int, str], int]:
    return (
        words.operation_rank(finding.operation),
        -1 if finding.custom_fields is None else finding.custom_fields,
    )


def _failure_range(finding: FailureFinding) -> str:
    if not (math.isfinite(finding.low) and math.isfinite(finding.high)):
        return units.NOT_KNOWN
    return f"{units.points(finding.low)} to {units.points(finding.high)}"


def _strip_svg(ratio: float, low: float, high: float, limit: float) -> Markup:
    """The interval as a line over the shaded limit. Only numbers enter, so nothing needs escaping."""
    parts = [
        f'<rect class="band" x="{_x(2 - limit):.1f}" y="1" width="{_x(limit) - _x(2 - limit):.1f}" height="10"/>',
        f'<line class="zero" x1="{_x(1):.1f}" x2="{_x(1):.1f}" y1="1" y2="11"/>',
    ]
    if math.isfinite(low) and math.isfinite(high):
        parts.append(f'<line class="range" x1="{_x(low):.1f}" x2="{_x(high):.1f}" y1="6" y2="6"/>')
    if math.isfinite(high) and max(ratio, high) > _STRIP_HIGH:
        parts.append('<path class="mark" d="M84 5H94V2.5L100 6L94 9.5V7H84z"/>')
    if math.isfinite(low) and min(ratio, low) < _STRIP_LOW:
        parts.append('<path class="mark" d="M16 5H6V2.5L0 6L6 9.5V7H16z"/>')
    if _STRIP_LOW <= ratio <= _STRIP_HIGH:
        parts.append(f'<circle class="mark" cx="{_x(ratio):.1f}" cy="6" r="3"/>')
    head = '<svg class="strip" viewBox="0 0 100 12" preserveAspectRatio="xMinYMid" aria-hidden="true">'
    return Markup(f"{head}{''.join(parts)}</svg>")  # noqa: S704


def _x(ratio: float) -> float:
    inside = min(max(ratio, _STRIP_LOW), _STRIP_HIGH)
    return (inside - _STRIP_LOW) / (_STRIP_HIGH - _STRIP_LOW) * _STRIP_WIDTH
