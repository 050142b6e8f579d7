"""The first page: its sentences are templates filled from the findings, for readers without statistics.

Nothing is said here that ``reports.claims`` did not pick from the findings. No p-value, and
the word "significant" never. Each question has a module of its own; this one puts them together.
"""

from __future__ import annotations

from dataclasses import dataclass

from analysis.findings import Assessment
from reports.banner import headline, promise, scope
from reports.claims import claim
from reports.decisions import Row, decision_rows
from reports.evidence import checks_told, differences_told
from reports.key_figures import Figure, key_figures
from reports.matrix import headline_quantile
from reports.model import ReportMeta


@dataclass(frozen=True, slots=True)
class Story:
    """Everything that stands above the matrix, the same text in every format."""

    headline: str
    promise: str  # "95 of 100 saves ..."; empty where no time is known
    scope: str  # what is not slower and what is not known; may be empty
    decisions: tuple[Row, ...]
    figures: tuple[Figure, ...]
    trust: tuple[Row, ...]


def tell(assessment: Assessment, meta: ReportMeta) -> Story:
    """All sentences of the first page."""
    claims = claim(assessment)
    return Story(
        headline=headline(assessment, claims),
        promise=promise(claims),
        scope=scope(claims, headline_quantile(assessment)),
        decisions=decision_rows(assessment, meta, claims),
        figures=key_figures(assessment, claims),
        trust=_trust(assessment),
    )


def _trust(assessment: Assessment) -> tuple[Row, ...]:
    return (
        Row("Can it be trusted?", checks_told(assessment)),
        Row("What changed?", differences_told(assessment)),
        Row("Engineers:", "all quantiles, method and commands are in the appendix"),
    )
