"""The ranking of several candidates: what its tables hold and the sentence above them, for every format."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from analysis.findings import Assessment, CellFinding, Ranked, Verdict
from reports import units, words
from reports.matrix import lay_out

HEAD = ("", "Candidate", "Verdict", "All cells, p95", "Range", "Required parts")


@dataclass(frozen=True, slots=True)
class CandidateRow:
    """One candidate as a row of the ranking."""

    rank: str
    name: str
    verdict: str  # with its glyph
    change: str
    between: str
    required: str  # "12 no harm, 3 slower", the worst first

    @property
    def cells(self) -> tuple[str, ...]:
        """In the order of ``HEAD``."""
        return (self.rank, self.name, self.verdict, self.change, self.between, self.required)


@dataclass(frozen=True, slots=True)
class PlaceRow:
    """One required part, and what became of it with each candidate, in their order."""

    place: str
    findings: tuple[CellFinding | None, ...]


def candidate_rows(assessment: Assessment) -> tuple[CandidateRow, ...]:
    """The candidates from the best to the worst."""
    return tuple(_row(one, assessment) for one in assessment.ranking)


def place_rows(assessment: Assessment) -> tuple[PlaceRow, ...]:
    """Every required part that some candidate has, by operation and number of custom fields."""
    found = [
        {(item.operation, item.custom_fields): item for item in lay_out(one.assessment).findings if item.required}
        for one in assessment.ranking
    ]
    places = {place for findings in found for place in findings}
    ordered = sorted(places, key=lambda place: (words.operation_rank(place[0]), place[1]))
    return tuple(PlaceRow(words.place(*place), tuple(one.get(place) for one in found)) for place in ordered)


def ranking_told(assessment: Assessment) -> str:
    """Which candidate comes first, which cannot be told apart from it, and whose report follows."""
    first, number = assessment.ranking[0], len(assessment.ranking)
    if number == 1:
        return f"{first.name} is the only candidate."
    of = f"of {units.count(number)} candidates"
    text = f"{first.name} comes first {of}"
    if first.assessment.verdict is Verdict.ESCALATE:
        text = f"None {of} may be taken as it stands; {first.name} comes first"
    others = [one for one in assessment.ranking[1:] if one.assessment.verdict is not Verdict.ESCALATE]
    level = [one.name for one in others if one.name in first.level_with]
    if level:
        text += f", but cannot be told apart from {words.listed(level)}"
    return f"{text}. The report below is that of {first.name}."


def finding_told(finding: CellFinding | None) -> str:
    """ "▲ +31 %", or a dot where it was not measured."""
    if finding is None:
        return "·"
    change = units.change(finding.ratio)
    return words.GLYPHS[finding.word] + ("" if change == units.NOT_KNOWN else f" {change}")


def _row(one: Ranked, assessment: Assessment) -> CandidateRow:
    verdict, limit = one.assessment.verdict, lay_out(assessment).limit
    number = Counter(item.word for item in lay_out(one.assessment).findings if item.required)
    return CandidateRow(
        rank=str(one.rank),
        name=one.name,
        verdict=f"{words.VERDICT_GLYPHS[verdict]} {verdict.value}",
        change=units.change(one.ratio),
        between=units.short_interval(one.low, one.high, limit) or units.NOT_KNOWN,
        required=", ".join(f"{number[word]} {word.value}" for word in words.SEVERITY if number[word]) or "none",
    )
