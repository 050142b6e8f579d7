"""JUnit XML, for a pipeline that shows test results: what is asked of the change, one test case each.

A failure is what the verdict ESCALATE may rest on. What is not known is skipped, never passed;
so is a word that the verdict does not rest on (a failed check, sides apart in time).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from xml.etree import ElementTree

from analysis.findings import (
    Assessment,
    CellFinding,
    Check,
    CheckOutcome,
    FailureFinding,
    IntegrityFinding,
    ObjectiveFinding,
    ObjectiveOutcome,
    Ranked,
    Reason,
    SlopeFinding,
    StandoutFinding,
    Verdict,
)
from reports import banner, objectives, sections, units, words
from reports.claims import HARMLESS, SLOWER, Claims, claim
from reports.escaping import xml_text
from reports.model import ReportMeta, presentable
from reports.ranking import CandidateRow, candidate_rows


@dataclass(frozen=True, slots=True)
class TestCase:
    """One question and its answer. ``outcome`` is passed, failure or skipped."""

    __test__ = False  # not a test of pytest's

    suite: str
    name: str
    outcome: str
    message: str


def render(assessment: Assessment, meta: ReportMeta) -> bytes:
    """The XML document, UTF-8, valid for any text."""
    assessment, meta = presentable(assessment), presentable(meta)
    cases = test_cases(assessment)
    root = ElementTree.Element("testsuites", {"name": "savepath", **_totals(cases)})
    for suite in dict.fromkeys(case.suite for case in cases):
        own = [case for case in cases if case.suite == suite]
        element = ElementTree.SubElement(
            root, "testsuite", {"name": suite, "timestamp": meta.generated_at, **_totals(own)}
        )
        _add_properties(element, assessment, meta)
        for case in own:
            _add_case(element, case)
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'.encode()


def test_cases(assessment: Assessment) -> list[TestCase]:
    """Cells, slopes, what stands out, failures, integrity, objectives and checks, in the order of the report."""
    claims = claim(assessment)
    cells = sorted(
        (cell for cell in assessment.cells if cell.required),
        key=lambda cell: (words.operation_rank(cell.operation), cell.custom_fields, cell.quantile),
    )
    slopes = sorted(assessment.slopes, key=words.slope_rank)
    return [
        *(
            _of_candidate(row, one, assessment)
            for row, one in zip(candidate_rows(assessment), assessment.ranking, strict=True)
        ),
        *(_of_cell(cell, claims) for cell in cells),
        *(_of_slope(slope, assessment, claims) for slope in slopes),
        *(_of_standout(one, assessment) for one in claims.standing_out),
        *(_of_failures(finding) for finding in assessment.failures),
        *(_of_integrity(finding) for finding in sorted(assessment.integrity, key=words.effect_rank)),
        *(_of_objective(one, claims) for one in assessment.objectives),
        *(_of_check(check) for check in assessment.checks),
    ]


test_cases.__test__ = False  # type: ignore[attr-defined]  # not a test of pytest's


def _of_candidate(row: CandidateRow, one: Ranked, assessment: Assessment) -> TestCase:
    message = f"rank {row.rank}, {row.verdict}: {row.change} ({row.between}); {row.required}"
    verdict = one.assessment.verdict
    if verdict is Verdict.CLEAR:
        return TestCase("candidates", one.name, "passed", message)
    # One that must not be taken fails the pipeline only where there is no better one.
    failed = verdict is Verdict.ESCALATE and assessment.verdict is Verdict.ESCALATE
    return TestCase("candidates", one.name, "failure" if failed else "skipped", message)


def _of_cell(cell: CellFinding, claims: Claims) -> TestCase:
    name = f"{words.place(cell.operation, cell.custom_fields)}, {units.percentile(cell.quantile)}"
    message = (
        f"{cell.word.value}: {units.change(cell.ratio)} ({units.interval(cell.low, cell.high, cell.limit)}, "
        f"limit {units.change(cell.limit)}), {units.seconds(cell.before_s)} → {units.seconds(cell.after_s)}"
    )
    needs = sections.needs_told(cell)
    message = f"{message}; {needs}" if needs else message
    if claims.void:
        return TestCase("cells", name, "skipped", f"{message}; no verdict: a check failed")
    if cell.word in SLOWER:
        if cell.alarms:
            return TestCase("cells", name, "failure", message)
        return TestCase("cells", name, "skipped", f"{message}; the verdict does not rest on it")
    return TestCase("cells", name, "passed" if cell.word in HARMLESS else "skipped", message)


def _of_slope(slope: SlopeFinding, assessment: Assessment, claims: Claims) -> TestCase:
    name = f"growth with custom fields: {words.operation(slope.operation)}, {slope.measure.value}"
    between = units.interval(1 + slope.low, 1 + slope.high, 1.10)
    message = f"{units.growth(slope.growth)} more growth than before ({between})"
    if claims.void:
        return TestCase("growth", name, "skipped", f"{message}; no verdict: a check failed")
    if not math.isfinite(slope.growth):
        return TestCase("growth", name, "skipped", message)
    if slope.fires and Reason.GROWTH not in assessment.reasons:
        return TestCase("growth", name, "skipped", f"{message}; the verdict does not rest on it")
    return TestCase("growth", name, "failure" if slope.fires else "passed", message)


def _of_standout(finding: StandoutFinding, assessment: Assessment) -> TestCase:
    name = f"against the rest of the runs: {words.place(finding.operation, finding.custom_fields)}"
    message = words.standout_told(finding)
    if finding.fires and Reason.STANDS_OUT in assessment.reasons:
        return TestCase("standing out", name, "failure", message)
    return TestCase("standing out", name, "skipped", f"{message}; the verdict does not rest on it")


def _of_failures(finding: FailureFinding) -> TestCase:
    name = f"failed requests: {words.place(finding.operation, finding.custom_fields)}"
    message = (
        f"{units.count(finding.before)} of {units.count(finding.requests_before)} before, "
        f"{units.count(finding.after)} of {units.count(finding.requests_after)} after"
    )
    if finding.requests_before == 0 or finding.requests_after == 0:
        return TestCase("failures", name, "skipped", f"{message}; no requests to compare")
    return TestCase("failures", name, "failure" if finding.fires else "passed", message)


def _of_integrity(finding: IntegrityFinding) -> TestCase:
    name = f"{words.KINDS.get(finding.kind, finding.kind)}: {words.effect(finding.kind, finding.outcome)}"
    message = (
        f"{units.count(finding.before)} before, {units.count(finding.after)} after; {words.effect_rule(finding)}"
    )
    if finding.checked_after == 0:
        return TestCase("integrity", name, "skipped", f"{message}; nobody looked")
    return TestCase("integrity", name, "passed" if finding.held else "failure", message)


def _of_objective(one: ObjectiveFinding, claims: Claims) -> TestCase:
    row = objectives.row_of(one)
    message = f"{row.mark}: {row.value}{f' ({row.between})' if row.between else ''}, from {row.basis}"
    if claims.void and one.latency:
        return TestCase("objectives", one.text, "skipped", f"{message}; no verdict: a check failed")
    outcomes = {ObjectiveOutcome.HELD: "passed", ObjectiveOutcome.BROKEN: "failure"}
    return TestCase("objectives", one.text, outcomes.get(one.outcome, "skipped"), message)


def _of_check(check: Check) -> TestCase:
    # A failed check holds the window, it does not blame the change: not known, so not a failure.
    outcome = "skipped" if check.outcome is CheckOutcome.FAIL else "passed"
    return TestCase("checks", check.name, outcome, f"{check.outcome.value}: {check.meaning}")


def _totals(cases: list[TestCase]) -> dict[str, str]:
    number = {outcome: sum(case.outcome == outcome for case in cases) for outcome in ("failure", "skipped")}
    return {
        "tests": str(len(cases)),
        "failures": str(number["failure"]),
        "errors": "0",
        "skipped": str(number["skipped"]),
    }


def _add_properties(suite: ElementTree.Element, assessment: Assessment, meta: ReportMeta) -> None:
    properties = ElementTree.SubElement(suite, "properties")
    told: Iterable[tuple[str, str]] = (
        ("verdict", assessment.verdict.value),
        ("reasons", ", ".join(reason.value for reason in assessment.reasons)),
        ("headline", banner.headline(assessment, claim(assessment))),
        ("title", meta.title),
        ("change", meta.change or ""),
    )
    for name, value in told:
        ElementTree.SubElement(properties, "property", name=name, value=xml_text(value))


def _add_case(suite: ElementTree.Element, case: TestCase) -> None:
    element = ElementTree.SubElement(
        suite, "testcase", classname=f"savepath.{case.suite}", name=xml_text(case.name), time="0"
    )
    if case.outcome == "passed":
        ElementTree.SubElement(element, "system-out").text = xml_text(case.message)
    else:
        ElementTree.SubElement(element, case.outcome, message=xml_text(case.message))
