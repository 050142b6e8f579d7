"""Assessments made by hand, one for each way a report can go. No analysis has seen them."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

from analysis.details import (
    CellOutage,
    CoursePoint,
    Details,
    Distribution,
    HeatMap,
    Kept,
    Notable,
    Outage,
    OutageKind,
    RunOutage,
    Shift,
)
from analysis.findings import (
    Assessment,
    CellFinding,
    Check,
    CheckOutcome,
    Design,
    Difference,
    FailureFinding,
    FailureKind,
    IntegrityFinding,
    Measure,
    ObjectiveFinding,
    ObjectiveOutcome,
    Ranked,
    Reason,
    Side,
    SlopeFinding,
    StandoutFinding,
    TimelinePoint,
    Verdict,
    Word,
)
from reports import html
from reports.model import ReportMeta

NAN = math.nan
COHORTS = (0, 10, 50, 200, 500)
LIMIT = 1.10

META = ReportMeta(
    title="Case platform 24.3 to 24.4 and PostgreSQL 15 to 16 (staging-eu)",
    generated_at="2026-11-20T16:12:00+00:00",
    version="0.1.0",
    change="CHG0048213",
    commands=("savepath compare runs/before-* -- runs/after-* --out out/",),
)

#: p95 before in seconds, by operation, one per cohort.
BEFORE_S = {
    "read_case": (0.174, 0.173, 0.176, 0.181, 0.193),
    "send_email": (0.323, 0.324, 0.328, 0.318, 0.322),
    "send_batch": (0.610, 0.612, 0.618, 0.633, 0.655),
    "save_standard": (0.381, 0.390, 0.396, 0.435, 0.507),
    "save_custom": (NAN, 0.444, 0.532, 0.882, 1.58),
    "run_script": (0.528, 0.535, 0.581, 0.769, 0.94),
}


def word_of(low: float, high: float, limit: float = LIMIT) -> Word:
    """The word of an interval, written out by hand from the list of words."""
    if math.isnan(low) or math.isnan(high):
        return Word.TOO_LITTLE_DATA
    if low > 1.25:
        return Word.MUCH_SLOWER
    if low > limit:
        return Word.SLOWER
    if high < 0.95:
        return Word.FASTER
    if high < limit:
        return Word.NO_HARM
    return Word.NEAR_THE_LIMIT if low > 1 else Word.UNCLEAR


def cell(operation: str, custom_fields: int, ratio: float = 1.0, **changes: Any) -> CellFinding:
    """One p95 finding; its interval is 4 % either way unless ``low`` and ``high`` are given."""
    place = COHORTS.index(custom_fields) if custom_fields in COHORTS else 0
    before_s = changes.pop("before_s", BEFORE_S.get(operation, (0.2,) * 5)[place])
    low, high = changes.pop("low", ratio * 0.96), changes.pop("high", ratio * 1.04)
    values: dict[str, Any] = {
        "operation": operation,
        "custom_fields": custom_fields,
        "quantile": 0.95,
        "before_s": before_s,
        "after_s": before_s * ratio,
        "ratio": ratio,
        "low": low,
        "high": high,
        "limit": LIMIT,
        "word": word_of(low, high),
        "required": operation in ("save_standard", "save_custom", "run_script"),
        "n_before": 2140,
        "n_after": 2133,
        "pairs": 10,
        "p_value": 0.5,
    }
    return CellFinding(**(values | changes))


def cells(**ratios: tuple[float, ...]) -> tuple[CellFinding, ...]:
    """Every operation at every cohort, p50, p95 and p99; ratios by operation, 1.0 where not named."""
    made = []
    for operation in BEFORE_S:
        for custom_fields, ratio in zip(COHORTS, ratios.get(operation, (1.0, 0.99, 1.01, 1.02, 1.0)), strict=True):
            if operation == "save_custom" and custom_fields == 0:
                made += [not_applicable(quantile) for quantile in (0.5, 0.95, 0.99)]
                continue
            found = cell(operation, custom_fields, ratio)
            half = dataclasses.replace(found, quantile=0.5, before_s=found.before_s / 2, after_s=found.after_s / 2)
            tail = dataclasses.replace(
                found,
                quantile=0.99,
                before_s=found.before_s * 2,
                after_s=found.after_s * 2,
                low=NAN,
                high=NAN,
                word=Word.TOO_LITTLE_DATA,
                required=False,
                p_value=NAN,
            )
            made += [half, found, tail]
    return tuple(made)


def not_applicable(quantile: float = 0.95) -> CellFinding:
    """Saving a custom field where there is none."""
    unknown = dict.fromkeys(("before_s", "after_s", "low", "high", "p_value"), NAN)
    empty: dict[str, Any] = {"n_before": 0, "n_after": 0, "pairs": 0, "required": False}
    return cell("save_custom", 0, NAN, quantile=quantile, word=Word.NOT_APPLICABLE, **empty, **unknown)


def integrity(**after: int) -> tuple[IntegrityFinding, ...]:
    """All outcomes of values, scripts and mails; counts after by ``kind_outcome``, zero where not named."""
    checked = {"value": 90_133, "script": 83_912, "mail": 12_400}
    outcomes = {
        "value": ("identical", "lost", "partial", "foreign", "failed_but_saved", "superseded", "unverified"),
        "script": ("once", "missed", "doubled", "late", "out_of_order", "unverified"),
        "mail": ("once", "missed", "doubled", "late", "wrong_recipient", "unverified"),
    }
    limits = {("script", "late"): 84, ("value", "failed_but_saved"): 5}
    findings = []
    for kind, names in outcomes.items():
        harmed = sum(after.get(f"{kind}_{name}", 0) for name in names[1:])
        for name in names:
            good, free = name == names[0], name in ("superseded", "unverified")
            count = checked[kind] - harmed if good else after.get(f"{kind}_{name}", 0)
            limit = checked[kind] if good or free else limits.get((kind, name), 0)
            before = (
                checked[kind] - (11 if kind == "script" else 0)
                if good
                else 11
                if name == "late" and kind == "script"
                else 0
            )
            findings.append(
                IntegrityFinding(kind, name, before, count, checked[kind], checked[kind], limit, count <= limit)
            )
    return tuple(findings)


def slopes(growth: float = 0.01, *, fires: bool = False) -> tuple[SlopeFinding, ...]:
    """A slope for each operation the mean and p95; ``growth`` is that of custom-field saves."""
    found = []
    for operation in BEFORE_S:
        for measure in Measure:
            own = growth if operation == "save_custom" else 0.01
            firing = fires and operation == "save_custom"
            low, high = (1 + own) * 0.95 - 1, (1 + own) * 1.05 - 1
            found.append(SlopeFinding(operation, measure, own, low, high, firing, 0.0001 if firing else 0.4))
    return tuple(found)


def failures(after: int = 4, *, fires: bool = False) -> tuple[FailureFinding, ...]:
    """Failed requests of each operation; ``after`` is that of custom-field saves."""
    return tuple(
        FailureFinding(
            operation,
            None,
            3,
            after if operation == "save_custom" else 3,
            10_700,
            10_665,
            -0.0004,
            0.03 if fires and operation == "save_custom" else 0.0005,
            fires and operation == "save_custom",
            0.5,
        )
        for operation in BEFORE_S
    )


CHECKS = (
    Check("same plan", CheckOutcome.PASS, "Both sides drove the plan with the same digest."),
    Check("offered rate reached", CheckOutcome.PASS, "99.9 % of the scheduled requests were sent in time."),
    Check("same mix", CheckOutcome.PASS, "The share of each operation differs by at most 0.2 points."),
    Check("generator healthy", CheckOutcome.PASS, "p99 of the lag 3 ms; waiting for a core 0.4 % of the time."),
    Check("effects verified", CheckOutcome.PASS, "Every save was read back, every script matched to its save."),
    Check("same stored data", CheckOutcome.NOTE, "Before 41,200 cases, after 41,950 cases (+1.8 %)."),
)
DIFFERENCES = (
    Difference("Application version", "24.3.7", "24.4.1", True),
    Difference("PostgreSQL", "15.8", "16.4", True),
    Difference("Database pool size", "80", "40", False),
)


def timeline(factor: float = 1.0, failures_after: int = 0) -> tuple[TimelinePoint, ...]:
    """Twenty slices of custom-field saves with 500 fields, and of reads, on both sides."""
    points = []
    for number in range(20):
        wobble = 1 + 0.05 * math.sin(number)
        for side, scale in (("before", 1.0), ("after", factor)):
            failed = failures_after if side == "after" and number % 3 == 0 else 0
            points.append(
                TimelinePoint(side, "save_custom", 500, number * 10.0, 40, failed, 1.58 * scale * wobble)
            )
            points.append(TimelinePoint(side, "read_case", 0, number * 10.0, 60, 0, 0.174 * wobble))
    return tuple(points)


def details(slowed: dict[int, float]) -> Details:
    """Details of the saves; ``slowed`` are the factors of custom-field saves by number of fields."""
    quantiles = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
    distributions, shifts, course, heat = [], [], [], []
    for operation, fields in (("save_standard", 500), ("save_custom", 200), ("save_custom", 500)):
        factor = slowed.get(fields, 1.0) if operation == "save_custom" else 1.0
        p95_s = BEFORE_S[operation][COHORTS.index(fields)]
        for side, scale in (("before", 1.0), ("after", factor)):
            times_s = tuple(p95_s * scale * math.exp(q * q * 1.2 - 1.08) for q in quantiles)
            distributions.append(Distribution(side, operation, fields, 2133, quantiles, times_s))
            edges_s = tuple(p95_s * scale * 1.1**step for step in range(-8, 5))
            counts = tuple(
                tuple(round(30 * math.exp(-(((band - 5 - math.sin(at)) / 2.5) ** 2))) for band in range(12))
                for at in range(20)
            )
            heat.append(
                HeatMap(side, operation, fields, 10.0, tuple(at * 10.0 for at in range(20)), edges_s, counts)
            )
        for decile in quantiles[1:10]:
            ratio = 1 + (factor - 1) * (0.4 + 0.65 * decile)
            shifts.append(Shift(operation, fields, decile, ratio, ratio * 0.97, ratio * 1.03))
        for at in range(10):
            ratio = factor * (1 + 0.3 * (factor > 1) * math.exp(-at))
            course.append(CoursePoint(operation, fields, at * 20.0, ratio, ratio * 0.95, ratio * 1.05))
    notable = [
        Notable(
            side, run, f"5c0ffee{number:025x}", name, 500, "tenant-03", 12.5 * number, 0.4 + number, kind, text
        )
        for number, (side, run, name, kind, text) in enumerate(
            (
                ("before", "b01", "save_custom", "ok", ""),
                ("after", "a01", "save_custom", "ok", ""),
                ("after", "a02", "run_script", "ok", ""),
                ("after", "a02", "save_custom", "timeout", "10 s"),
            )
        )
    ]
    return Details(tuple(distributions), tuple(shifts), tuple(course), tuple(heat), tuple(notable), (OUTAGE,))


#: A move to a new host in the second run after: gone for a second and a half, custom fields slow for longer; reads
#: of 500 fields are not as before within the run.
OUTAGE = RunOutage(
    "after",
    "a02",
    "2026-11-20T08:30:00+00:00",
    Outage(
        begun_s=61.25,
        ended_s=62.9,
        failed=40,
        requests=66,
        kinds=(OutageKind("refused", "connection refused", 37), OutageKind("timeout", "10 s", 3)),
        cells=(
            CellOutage("save_custom", 500, 16, 12, 4, 0.0, 1.65, 24.0),
            CellOutage("save_standard", 0, 15, 14, 0, 0.1, 1.5, 1.6),
            CellOutage("save_standard", 500, 15, 14, 1, 0.1, NAN, NAN),
            CellOutage("read_case", 500, 12, 0, 9, NAN, 0.0, 3.2),
            CellOutage("send_email", 0, 8, 0, 0, NAN, 0.0, 0.0),
        ),
        kept=Kept(acknowledged=812, checked=798, lost=2),
    ),
)


def assessment(**changes: Any) -> Assessment:
    """An assessment that is CLEAR, with some fields changed."""
    values: dict[str, Any] = {
        "verdict": Verdict.CLEAR,
        "reasons": (),
        "design": Design.ALTERNATING,
        "scenario": "mixed",
        "plan_digest": "sha256:5f0c",
        "before": Side(("b01", "b02"), "staging-before", "2026-11-20T08:00:00+00:00", 64_200, {"release": "24.3"}),
        "after": Side(("a01", "a02"), "staging-after", "2026-11-20T08:02:00+00:00", 63_990, {"release": "24.4"}),
        "pairs": 10,
        "pairs_dropped": 0,
        "pairs_needed": None,
        "cells": cells(),
        "slopes": slopes(),
        "failures": failures(),
        "failure_kinds": (FailureKind("http_error", "503", 18, 19, ("save_custom", "read_case")),),
        "integrity": integrity(script_late=12),
        "checks": CHECKS,
        "differences": DIFFERENCES[:2],
        "common": cell("*", 0, 1.01, before_s=NAN),
        "timeline": timeline(),
        "shares": {"0": 0.31, "10": 0.22, "50": 0.16, "200": 0.19, "500": 0.12},
    }
    values |= changes
    rests_on_cells = Reason.LATENCY in values["reasons"]
    values["cells"] = tuple(
        dataclasses.replace(one, alarms=rests_on_cells and _slow(one)) for one in values["cells"]
    )
    return Assessment(**values)


def _slow(one: CellFinding) -> bool:
    return one.required and one.quantile <= 0.95 and one.word in (Word.SLOWER, Word.MUCH_SLOWER)


def _with(findings: tuple[CellFinding, ...], *replaced: CellFinding) -> tuple[CellFinding, ...]:
    new = {(item.operation, item.custom_fields, item.quantile): item for item in replaced}
    return tuple(new.get((item.operation, item.custom_fields, item.quantile), item) for item in findings)


CLEAR = assessment()

HOLD_NEEDS_DATA = assessment(
    verdict=Verdict.HOLD,
    reasons=(Reason.NEEDS_DATA,),
    pairs=5,
    pairs_needed=17,
    cells=_with(
        cells(),
        cell("save_custom", 500, 1.05, low=0.93, high=1.19, pairs=5, pairs_needed=17),
        cell("run_script", 200, 1.03, low=0.94, high=1.12, pairs=5, pairs_needed=12),
        cell("run_script", 500, NAN, before_s=NAN, low=NAN, high=NAN, n_before=42, n_after=37, pairs=5),
    ),
    timeline=(),
)

HOLD_NEAR_LIMIT = assessment(
    verdict=Verdict.HOLD,
    reasons=(Reason.NEAR_LIMIT,),
    pairs_needed=24,
    cells=_with(cells(), cell("save_custom", 200, 1.09, low=1.04, high=1.143, pairs_needed=24)),
)

HOLD_INVALID_LOAD = assessment(
    verdict=Verdict.HOLD,
    reasons=(Reason.INVALID_LOAD,),
    pairs_dropped=4,
    cells=cells(save_custom=(1.0, 1.2, 1.5, 1.9, 2.2)),
    checks=(
        *CHECKS[:3],
        Check(
            "generator healthy",
            CheckOutcome.FAIL,
            "4 of 10 pairs were dropped: requests left up to 2.1 s late; drive fewer per second.",
        ),
        *CHECKS[4:],
    ),
)

_INCIDENT = cells(
    send_email=(0.86, 0.85, 0.84, 0.86, 0.85),
    save_custom=(1.0, 1.01, 1.11, 1.43, 2.2),
    run_script=(1.01, 1.02, 1.03, 1.03, 1.0),
)

ESCALATE_INCIDENT = assessment(
    verdict=Verdict.ESCALATE,
    reasons=(Reason.LATENCY, Reason.GROWTH),
    cells=_with(
        _INCIDENT,
        cell("save_custom", 50, 1.11, low=1.08, high=1.15),
        cell("save_custom", 200, 1.43, low=1.35, high=1.52),
        cell("save_custom", 500, 2.2, low=2.09, high=2.32, p_value=1e-9),
        cell("run_script", 200, 1.03, low=0.94, high=1.12, pairs_needed=14),
        cell("run_script", 500, NAN, before_s=NAN, low=NAN, high=NAN, n_before=102, n_after=85),
    ),
    slopes=slopes(1.12, fires=True),
    differences=(
        *DIFFERENCES,
        Difference("Index on custom_values (case_id, field_id)", "present", "missing", False),
    ),
    timeline=timeline(2.2, 2),
    failures=failures(9),
    failure_kinds=(
        FailureKind("timeout", "10 s", 0, 6, ("save_custom",)),
        FailureKind(
            "http_error", "503", 18, 18, ("read_case", "send_email", "send_batch", "save_standard", "run_script")
        ),
    ),
)

INCIDENT_IN_DETAIL = dataclasses.replace(ESCALATE_INCIDENT, details=details({200: 1.43, 500: 2.2}))

ESCALATE_INTEGRITY = assessment(
    verdict=Verdict.ESCALATE,
    reasons=(Reason.INTEGRITY,),
    integrity=integrity(
        script_missed=3, script_doubled=14, script_late=236, value_partial=2, value_failed_but_saved=19
    ),
)

ESCALATE_FAILURES = assessment(
    verdict=Verdict.ESCALATE,
    reasons=(Reason.FAILURES,),
    failures=failures(267, fires=True),
    failure_kinds=(
        FailureKind("timeout", "10 s", 0, 223, ("save_custom",)),
        FailureKind("conflict", "409", 0, 41, ("save_custom",)),
        FailureKind("http_error", "503", 18, 18, ("save_custom", "read_case")),
    ),
    timeline=timeline(1.0, 3),
)

#: One of each outcome and of each unit.
OBJECTIVES = (
    ObjectiveFinding(
        "save_custom@500 p95 <= 2 s", "s", 2.0, 1.58, 3.48, 3.31, 3.66, 4200, ObjectiveOutcome.BROKEN, True
    ),
    ObjectiveFinding(
        "failures <= 0.1 %", "share", 0.001, 0.0003, 0.0012, 0.0006, 0.0023, 63_990, ObjectiveOutcome.NEAR
    ),
    ObjectiveFinding("scripts missed == 0", "count", 0, 0, 0, 0, 0, 83_912, ObjectiveOutcome.HELD),
    ObjectiveFinding(
        "slower than before <= 10 %", "change", 0.1, NAN, NAN, NAN, NAN, 0, ObjectiveOutcome.NO_DATA, True
    ),
)

ESCALATE_OBJECTIVE = assessment(
    verdict=Verdict.ESCALATE, reasons=(Reason.OBJECTIVE,), objectives=OBJECTIVES, timeline=()
)

HOLD_OBJECTIVE = assessment(
    verdict=Verdict.HOLD, reasons=(Reason.NEAR_LIMIT,), objectives=OBJECTIVES[1:3], timeline=()
)

HOLD_SETTLING = assessment(
    verdict=Verdict.HOLD,
    reasons=(Reason.SETTLING,),
    checks=(
        *CHECKS,
        Check(
            "after side steady", CheckOutcome.NOTE, "Within the runs after the median fell by 34 % (limit 20 %)."
        ),
    ),
    timeline=(),
)

HOLD_CONFOUNDED = assessment(
    verdict=Verdict.HOLD,
    reasons=(Reason.CONFOUNDED,),
    design=Design.APART,
    before=dataclasses.replace(CLEAR.before, days=2),
    pairs=0,
    cells=cells(save_custom=(1.0, 1.18, 1.19, 1.2, 1.2), run_script=(1.2, 1.18, 1.2, 1.19, 1.2)),
    timeline=(),
)

ESCALATE_GROWTH = assessment(
    verdict=Verdict.ESCALATE,
    reasons=(Reason.GROWTH,),
    cells=_with(cells(), cell("save_custom", 500, 1.09, low=1.03, high=1.16, pairs_needed=19)),
    slopes=slopes(0.09, fires=True),
    timeline=(),
)

ESCALATE_STANDS_OUT = assessment(
    verdict=Verdict.ESCALATE,
    reasons=(Reason.STANDS_OUT,),
    cells=_with(cells(), cell("save_custom", 50, 1.24, low=0.88, high=1.6, pairs_needed=60)),
    standouts=(
        StandoutFinding("save_custom", 50, Measure.MEAN, 1.23, 1.15, 1.31, True, True, 1e-6),
        StandoutFinding("save_custom", 50, Measure.P95, 1.25, 1.08, 1.44, True, True, 1e-5),
        StandoutFinding("save_custom", 200, Measure.MEAN, 0.99, 0.93, 1.05, False, False, 0.6),
    ),
    timeline=(),
)

_SLOW_DISK = dataclasses.replace(ESCALATE_INCIDENT, timeline=())
CANDIDATES = assessment(
    design=Design.CANDIDATES,
    ranking=(
        Ranked("nvme", 1, 0.93, 0.9, 0.96, ("raid",), dataclasses.replace(CLEAR, timeline=())),
        Ranked("raid", 1, 0.97, 0.93, 1.01, ("nvme",), dataclasses.replace(HOLD_NEEDS_DATA, timeline=())),
        Ranked("network disk", 3, 1.31, 1.22, 1.4, (), _SLOW_DISK),
    ),
    timeline=(),
)

IMPORTED = assessment(
    imported_from="k6",
    integrity=(),
    verdict=Verdict.HOLD,
    reasons=(Reason.NEEDS_DATA,),
    pairs=4,
    pairs_needed=11,
    cells=_with(cells(), cell("save_custom", 500, 1.06, low=0.95, high=1.18, pairs=4, pairs_needed=11)),
    checks=(
        *CHECKS[:1],
        Check(
            "times from due moment", CheckOutcome.NOTE, "k6 tells when requests were sent, not when they were due."
        ),
    ),
    timeline=(),
)

EXAMPLES = {
    "clear": CLEAR,
    "hold-needs-data": HOLD_NEEDS_DATA,
    "hold-near-limit": HOLD_NEAR_LIMIT,
    "hold-invalid-load": HOLD_INVALID_LOAD,
    "escalate-incident": ESCALATE_INCIDENT,
    "escalate-integrity": ESCALATE_INTEGRITY,
    "escalate-failures": ESCALATE_FAILURES,
    "escalate-objective": ESCALATE_OBJECTIVE,
    "hold-settling": HOLD_SETTLING,
    "hold-confounded-with-time": HOLD_CONFOUNDED,
    "escalate-growth": ESCALATE_GROWTH,
    "escalate-stands-out": ESCALATE_STANDS_OUT,
    "candidates": CANDIDATES,
    "imported": IMPORTED,
}


@functools.cache
def page_of(name: str) -> str:
    """The page of an example, drawn once for all who read it."""
    return html.render(EXAMPLES[name], META)
