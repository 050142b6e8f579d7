"""The matrix of operations and cohorts: which finding stands in which cell, and in which order."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.findings import Assessment, CellFinding, Word
from reports import words

#: Quantiles that a cohort of a usual run can decide; beyond it the numbers are for engineers.
DECISIVE = 0.95


@dataclass(frozen=True, slots=True)
class MatrixCell:
    """One cell. ``finding`` is None where the combination was not measured at all.

    ``besides`` are findings of other quantiles that found harm where this one did not.
    """

    operation: str
    custom_fields: int
    finding: CellFinding | None
    besides: tuple[CellFinding, ...] = ()


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """One operation over all cohorts, ascending."""

    operation: str
    cells: tuple[MatrixCell, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """The table under "where does it hurt": every row has a cell for every cohort."""

    quantile: float
    limit: float  # ratio
    cohorts: tuple[int, ...]
    rows: tuple[MatrixRow, ...]

    @property
    def findings(self) -> tuple[CellFinding, ...]:
        """Every finding shown, row by row."""
        return tuple(cell.finding for row in self.rows for cell in row.cells if cell.finding is not None)


def headline_quantile(assessment: Assessment) -> float:
    """The quantile of the matrix: the highest one up to 0.95, else the lowest there is."""
    quantiles = sorted({cell.quantile for cell in assessment.cells})
    decisive = [quantile for quantile in quantiles if quantile <= DECISIVE]
    return decisive[-1] if decisive else (quantiles[0] if quantiles else DECISIVE)


def lay_out(assessment: Assessment) -> Matrix:
    """The matrix of an assessment, rows in the order of ``OPERATIONS``, cohorts ascending."""
    quantile = headline_quantile(assessment)
    by_place: dict[tuple[str, int], list[CellFinding]] = {}
    for finding in assessment.cells:
        by_place.setdefault((finding.operation, finding.custom_fields), []).append(finding)
    operations = sorted({operation for operation, _ in by_place}, key=words.operation_rank)
    cohorts = tuple(sorted({number for _, number in by_place}))
    rows = tuple(
        MatrixRow(
            name,
            tuple(_cell(name, number, quantile, by_place.get((name, number), [])) for number in cohorts),
        )
        for name in operations
    )
    limits = [finding.limit for finding in assessment.cells if finding.quantile == quantile]
    return Matrix(quantile, limits[0] if limits else 1.10, cohorts, rows)


def _cell(operation: str, number: int, quantile: float, findings: list[CellFinding]) -> MatrixCell:
    shown = next((finding for finding in findings if finding.quantile == quantile), None)
    rank = words.SEVERITY.index(shown.word if shown else Word.NOT_APPLICABLE)
    besides = tuple(
        finding
        for finding in sorted(findings, key=lambda finding: finding.quantile)
        if finding.quantile != quantile
        and finding.word in (Word.MUCH_SLOWER, Word.SLOWER, Word.NEAR_THE_LIMIT)
        and words.SEVERITY.index(finding.word) < rank
    )
    return MatrixCell(operation, number, shown, besides)
