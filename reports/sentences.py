"""The sentences of the report: templates filled from the findings, for readers without statistics.

Nothing is said here that ``reports.claims`` did not pick from the findings. No p-value, and
the word "significant" never.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from analysis.findings import (
    Assessment,
    CellFinding,
    Check,
    CheckOutcome,
    Design,
    FailureFinding,
    IntegrityFinding,
    Measure,
    ObjectiveOutcome,
    Reason,
    Side,
    SlopeFinding,
    TimelinePoint,
    Verdict,
    Word,
)
from reports import units, words
from reports.claims import HARMLESS, OPEN, Claims, claim
from reports.matrix import headline_quantile, lay_out
from reports.model import ReportMeta
from reports.objectives import broken_of, row_of, told_in_a_clause
from reports.ranking import ranking_told

#: The order in which a HOLD is explained: first what must be put right before anything else counts.
_HOLD_ORDER: Final = (
    Reason.INVALID_LOAD,
    Reason.BASELINE_UNFIT,
    Reason.CONFOUNDED,
    Reason.SETTLING,
    Reason.NEAR_LIMIT,
    Reason.NEEDS_DATA,
    Reason.UNVERIFIED,
)


#: Reasons that may rest on a check alone, whose sentence then says what there is to know.
_TOLD_BY_THEIR_CHECKS: Final = (Reason.NEAR_LIMIT, Reason.NEEDS_DATA, Reason.UNVERIFIED)


@dataclass(frozen=True, slots=True)
class Row:
    """One decision row: a label and its sentences."""

    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Figure:
    """One of the four figures under the decision. ``tone`` is bad, open, good or plain."""

    value: str
    label: str
    detail: str
    tone: str


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
        decisions=(
            *([Row("Which candidate", ranking_told(assessment))] if assessment.ranking else []),
            Row("Decision asked of you", _asked(assessment, meta)),
            Row("What the evidence supports", _supports(assessment, claims)),
            Row("Who notices", _who(assessment, claims)),
            Row("How sure are we", _how_sure(assessment, claims)),
            Row("What would change this", _what_would_change(assessment, claims)),
        ),
        figures=_figures(assessment, claims),
        trust=_trust(assessment, claims),
    )


# The banner


def headline(assessment: Assessment, claims: Claims) -> str:
    """The one sentence of the verdict, of several candidates that of the first."""
    if assessment.ranking:
        first = f"{assessment.ranking[0].name}, first of {units.counted(len(assessment.ranking), 'candidate')}"
        return f"{first}: {_headline(assessment, claims)}"
    return _headline(assessment, claims)


def _headline(assessment: Assessment, claims: Claims) -> str:
    match assessment.verdict:
        case Verdict.ESCALATE:
            clauses = [*_latency_clauses(claims), *_failure_clauses(claims), *_integrity_clauses(claims)]
            clauses += _objective_clauses(assessment, claims)
            text = ", and ".join(clauses) if clauses else "the change did harm"
            return f"{words.capital(text)}."
        case Verdict.HOLD:
            return _hold_headline(assessment, claims)
        case Verdict.CLEAR:
            return _clear_headline(assessment, claims)


def promise(claims: Claims) -> str:
    """What 95 of 100 requests of the telling cell took before and take now."""
    cell = claims.telling
    if cell is None or not (math.isfinite(cell.before_s) and math.isfinite(cell.after_s)):
        return ""
    before, after = units.seconds(cell.before_s), units.seconds(cell.after_s)
    what = f"{words.operations(cell.operation)} with {words.fields(cell.custom_fields)}"
    text = f"{units.of_hundred(cell.quantile)} {what} finished within {before} before; now {_now(before, after)}."
    if claims.void:
        return f"{text} These times were measured, but a failed check leaves them without a verdict."
    if cell.word in (Word.UNCLEAR, Word.TOO_LITTLE_DATA):
        return f"{text} Whether that is more than chance is not known yet."
    return text


def scope(claims: Claims, quantile: float) -> str:
    """What the change is not to be blamed for, and what nobody knows."""
    parts = []
    if claims.not_slower:
        parts.append(f"{_operations(claims.not_slower)}: not slower.")
    if claims.not_slower_to_headline:
        names = _operations(claims.not_slower_to_headline)
        parts.append(f"{names}: not slower for {units.of_hundred(quantile)}; beyond that not known.")
    if claims.not_known:
        parts.append(f"{_operations(claims.not_known)}: not answered for every number of custom fields.")
    return " ".join(parts)


def _now(before: str, after: str) -> str:
    return f"still {after}" if before == after else after


def _operations(names: tuple[str, ...]) -> str:
    return words.capital(words.listed([words.operations(name) for name in names]))


def _latency_clauses(claims: Claims) -> list[str]:
    growing = [slope.operation for slope in claims.growing]
    grown = list(dict.fromkeys(growing))
    if not claims.slower:
        return (
            [
                f"{words.listed([words.doing(name) for name in grown])} slowed down "
                f"with the number of custom fields more than before"
            ]
            if grown
            else []
        )
    slow = list(dict.fromkeys(cell.operation for cell in claims.slower))
    lead = claims.telling.operation if claims.telling and claims.telling.operation in slow else slow[0]
    much = "much " if any(c.word is Word.MUCH_SLOWER for c in claims.slower if c.operation == lead) else ""
    text = f"{words.doing(lead)} became {much}slower{_where(lead, claims)}"
    if lead in grown:
        text += ", the more custom fields the more so"
    clauses = [text]
    if len(slow) > 1:
        rest = [f"{words.doing(name)}{_where(name, claims)}" for name in slow if name != lead]
        clauses.append(f"so did {words.listed(rest)}")
    others = [name for name in grown if name not in slow]
    if others:
        named = words.listed([words.doing(name) for name in others])
        clauses.append(f"{named} grew with the number of custom fields")
    return clauses


def _where(operation: str, claims: Claims) -> str:
    """ " at 200 and 500 custom fields" where the operation is slower in some cohorts only; else nothing."""
    numbers = sorted({cell.custom_fields for cell in claims.slower if cell.operation == operation})
    if len(numbers) == claims.cohorts.get(operation):
        return ""
    noun = "custom field" if numbers == [1] else "custom fields"
    return f" at {words.listed([units.count(number) for number in numbers])} {noun}"


def _failure_clauses(claims: Claims) -> list[str]:
    names = list(dict.fromkeys(finding.operation for finding in claims.failing))
    if not names:
        return []
    return [f"more {words.listed([words.operations(name) for name in names])} fail than before"]


def _integrity_clauses(claims: Claims) -> list[str]:
    outcomes: dict[str, list[str]] = {}
    for finding in claims.broken:
        outcomes.setdefault(finding.kind, []).append(finding.outcome)
    return [words.effect_clause(kind, tuple(names)) for kind, names in outcomes.items()]


def _objective_clauses(assessment: Assessment, claims: Claims) -> list[str]:
    broken = [told_in_a_clause(one) for one in broken_of(assessment, void=claims.void)]
    if not broken:
        return []
    noun = "an agreed objective is" if len(broken) == 1 else f"{units.count(len(broken))} agreed objectives are"
    return [f"{noun} broken: {words.listed_up_to(broken, most=2)}"]


def _hold_headline(assessment: Assessment, claims: Claims) -> str:
    reason = next((reason for reason in _HOLD_ORDER if reason in assessment.reasons), None)
    limit = units.change(lay_out(assessment).limit)
    match reason:
        case Reason.INVALID_LOAD:
            return f"No verdict on speed: {_failed(claims)}."
        case Reason.BASELINE_UNFIT:
            return "No verdict yet: the before runs had trouble of their own and are no yardstick."
        case Reason.CONFOUNDED:
            seen = f"{_suspects(claims)}, but" if claims.suspected else "No verdict on speed:"
            return (
                f"{seen} before and after lie apart in time, "
                "so other changes may have made or hidden a difference."
            )
        case Reason.SETTLING:
            return "No verdict yet: the system has not settled since the change."
        case Reason.NEAR_LIMIT if claims.near:
            places = _many(claims.near)
            return f"{words.capital(places)} became slower, perhaps still within the agreed {limit}, perhaps not."
        case Reason.NEAR_LIMIT if near := _objectives_of(assessment, ObjectiveOutcome.NEAR):
            return f"Not known yet whether what was agreed is kept: {words.listed_up_to(near, most=2)}."
        case Reason.NEEDS_DATA if claims.suspected:
            return f"{_suspects(claims)}, but not beyond doubt yet."
        case Reason.NEEDS_DATA if not claims.open_places and (
            unknown := _objectives_of(assessment, ObjectiveOutcome.NO_DATA)
        ):
            return f"Not known yet whether what was agreed is kept: no data for {words.listed_up_to(unknown)}."
        case Reason.NEEDS_DATA | Reason.NEAR_LIMIT if not claims.open_places and (
            told := _standing_in_the_way(assessment, reason)
        ):
            return f"Not known yet whether the change did harm: {words.listed([one.name for one in told])}."
        case Reason.UNVERIFIED:
            names = words.listed([one.name for one in _standing_in_the_way(assessment, reason)])
            return (
                f"No required part became slower by {limit.removeprefix('+')} or more, "
                f"but not all that CLEAR claims was looked at: {names}."
            )
        case Reason.NEEDS_DATA if not claims.open_places:
            return "Not known yet whether the change made anything slower: there is not enough data."
        case Reason.NEEDS_DATA | Reason.NEAR_LIMIT:
            return (
                f"Not known yet whether the change made anything slower: {len(claims.open_places)} of "
                f"{units.counted(claims.required_places, 'required part')} "
                f"{'has' if len(claims.open_places) == 1 else 'have'} no answer."
            )
        case _:
            return "No verdict yet."


def _standing_in_the_way(assessment: Assessment, *reasons: Reason) -> list[Check]:
    """The notes on which a HOLD for one of the reasons rests; failed checks are told of their own."""
    return [one for one in assessment.checks if one.outcome is CheckOutcome.NOTE and one.reason in reasons]


def _objectives_of(assessment: Assessment, outcome: ObjectiveOutcome) -> list[str]:
    """Those with this outcome, with their value where there is one."""
    found = [one for one in assessment.objectives if one.outcome is outcome]
    return [told_in_a_clause(one) if math.isfinite(one.value) else one.text for one in found]


def _suspects(claims: Claims) -> str:
    places = _many(claims.suspected)
    return f"{words.capital(places)} were measured slower than agreed"


def _clear_headline(assessment: Assessment, claims: Claims) -> str:
    limit = units.change(lay_out(assessment).limit)
    if not claims.required_places:
        return "Nothing was required of speed, and nothing else speaks against the change."
    text = f"No required part became slower by {limit.removeprefix('+')} or more"
    if not assessment.integrity:
        return f"{text}; whether saves kept their promise was not looked at."
    return f"{text}, and {_kept(assessment)}."


def _kept(assessment: Assessment) -> str:
    harmed = sum(
        item.after for item in assessment.integrity if words.effect_rule(item).startswith(("must", "limit"))
    )
    if harmed:
        return (
            f"saves, scripts and e-mails stayed within their limits ({units.count(harmed)} did not go as promised)"
        )
    return "nothing was lost, doubled or late"


def _failed(claims: Claims) -> str:
    names = [check.name for check in claims.failed_checks]
    if not names:
        return "the load was not what the plan asked for"
    verb = "this check failed" if len(names) == 1 else "these checks failed"
    return f"{verb}: {words.listed_up_to(names)}"


def _many(cells: tuple[CellFinding, ...]) -> str:
    return _places(tuple((cell.operation, cell.custom_fields) for cell in cells))


def _places(places: tuple[tuple[str, int], ...]) -> str:
    """ "custom-field saves with 200 and 500 fields and reads with 1 field"."""
    cohorts: dict[str, set[int]] = {}
    for operation, number in places:
        cohorts.setdefault(operation, set()).add(number)
    return words.listed_up_to(
        [
            f"{words.operations(name)} with {words.listed([units.count(number) for number in sorted(numbers)])} "
            f"{'field' if numbers == {1} else 'fields'}"
            for name, numbers in cohorts.items()
        ]
    )


# The decision rows


def _asked(assessment: Assessment, meta: ReportMeta) -> str:
    if assessment.ranking:
        return f"Take {assessment.ranking[0].name} for {meta.change or 'this change'}?"
    return f"Close the stabilization window of {meta.change or 'this change'}?"


def _supports(assessment: Assessment, claims: Claims) -> str:
    parts = []
    match assessment.verdict:
        case Verdict.CLEAR:
            parts.append("Yes. It may be taken." if assessment.ranking else "Yes. The window may close.")
        case Verdict.HOLD:
            parts.append("Not yet. Take none." if assessment.ranking else "Not yet. Keep the window open.")
            parts += [
                words.REASONS[reason]
                for reason in assessment.reasons
                if reason in _HOLD_ORDER and not (reason is Reason.INVALID_LOAD and claims.failed_checks)
            ]
            told = [*claims.failed_checks, *_standing_in_the_way(assessment, *_TOLD_BY_THEIR_CHECKS)]
            parts += [f"{words.capital(check.name)}: {_sentence(check.meaning)}" for check in told]
        case Verdict.ESCALATE:
            parts.append("No. Hand over to the owners of the system and keep the roll-back ready.")
            parts += [words.REASONS[reason] for reason in assessment.reasons]
    if claims.optional_slower and assessment.verdict is not Verdict.ESCALATE:
        places = _many(claims.optional_slower)
        parts.append(f"Not required, but measured slower: {places}.")
    return " ".join(parts)


def _who(assessment: Assessment, claims: Claims) -> str:
    parts = []
    if claims.slower:
        least = min(cell.custom_fields for cell in claims.slower)
        slow_cohorts = {cell.custom_fields for cell in claims.slower}
        parts.append(
            f"Users of cases with {_cohorts(slow_cohorts, assessment)}{_share(slow_cohorts, assessment)}."
        )
        spared = {cell.custom_fields for cell in assessment.cells if cell.custom_fields < least}
        if spared and all(
            cell.word in HARMLESS
            for cell in assessment.cells
            if cell.custom_fields in spared and cell.word is not Word.NOT_APPLICABLE and cell.quantile <= 0.95
        ):
            parts.append(f"Cases with {_cohorts(spared, assessment)}: no harm for 95 of 100.")
    elif claims.growing:
        parts.append("The more custom fields a case has, the more its users notice.")
    whole = [finding for finding in claims.failing if finding.custom_fields is None] or list(claims.failing)
    if whole:
        parts.append(f"Users whose requests fail: {words.listed_up_to([_failures_told(item) for item in whole])}.")
    if claims.broken:
        total = sum(finding.after for finding in claims.broken)
        checked = units.count(_checked(assessment))
        parts.append(f"Everyone behind the {units.count(total)} of {checked} checked effects that went wrong.")
    if not parts and broken_of(assessment, void=claims.void):
        parts.append("Those to whom it was promised.")
    if parts:
        return " ".join(parts)
    if assessment.verdict is Verdict.CLEAR:
        if claims.optional_slower:
            return "Nobody in the required parts; users of the slower parts that are not required may."
        return "Nobody, as far as was measured."
    if claims.void:
        return "Not known: a failed check leaves no answer on speed."
    if claims.open_places:
        return f"Not known yet for {_places(claims.open_places)}."
    return "Not known yet."


def _cohorts(numbers: set[int], assessment: Assessment) -> str:
    """ "200 or more custom fields" where the numbers are the upper end of all cohorts, else a list."""
    every = sorted({cell.custom_fields for cell in assessment.cells})
    ordered = sorted(numbers)
    if len(ordered) > 1 and ordered == every[-len(ordered) :]:
        return f"{units.count(ordered[0])} or more custom fields"
    if len(ordered) > 1 and ordered == every[: len(ordered)]:
        return f"{units.count(ordered[-1])} or fewer custom fields"
    noun = "custom field" if ordered == [1] else "custom fields"
    return f"{words.listed([units.count(number) for number in ordered])} {noun}"


def _share(numbers: set[int], assessment: Assessment) -> str:
    known = [assessment.shares[str(number)] for number in sorted(numbers) if str(number) in assessment.shares]
    if len(known) != len(numbers) or not all(math.isfinite(part) for part in known):
        return ""
    return f": {units.share(sum(known))} of all saves"


def _failures_told(finding: FailureFinding) -> str:
    return (
        f"{words.place(finding.operation, finding.custom_fields)} failed {units.count(finding.before)} of "
        f"{units.count(finding.requests_before)} before, {units.count(finding.after)} of "
        f"{units.count(finding.requests_after)} after"
    )


def _how_sure(assessment: Assessment, claims: Claims) -> str:
    parts = []
    if claims.void:
        parts.append("Of speed: not at all, while a check fails.")
    else:
        parts += _cell_sureness(assessment, claims)
    if assessment.integrity:
        checked = units.count(_checked(assessment))
        parts.append(f"The integrity counts are exact, not estimates ({checked} effects checked after).")
        if any(item.before > 0 for item in claims.broken):
            parts.append("Some of what went wrong also went wrong before.")
    parts += [words.DESIGNS[design] for design in dict.fromkeys((assessment.design, assessment.within))]
    if assessment.imported_from:
        parts.append(
            f"The results are {assessment.imported_from}'s: times count from sending, so what a stall kept from "
            "being sent does not show."
        )
    return " ".join(parts)


def _checked(assessment: Assessment) -> int:
    """The effects of all kinds that were checked after."""
    return sum({item.kind: item.checked_after for item in assessment.integrity}.values())


def _cell_sureness(assessment: Assessment, claims: Claims) -> list[str]:
    runs = evidence_told(assessment)
    objectives = [row for row in map(row_of, broken_of(assessment, void=False)) if row.between]
    if objectives and not claims.slower:
        return [f"{row.text}: {row.between} (95 % range), from {row.basis}." for row in objectives[:2]]
    cell = claims.telling
    growth = [] if claims.slower or not claims.growing else [_growth_sureness(claims.growing[0])]
    if cell is None or not (math.isfinite(cell.low) and math.isfinite(cell.high)):
        return [f"No range can be given from {runs}."]
    between = units.interval(cell.low, cell.high, cell.limit)
    limit = units.change(cell.limit)
    return [
        *growth,
        f"{words.capital(words.place(cell.operation, cell.custom_fields))}: {between}, limit {limit}, "
        f"from {runs} (the lower end holds for all cells at once, the upper for this one).",
    ]


def _growth_sureness(slope: SlopeFinding) -> str:
    return f"Extra growth of {words.operations(slope.operation)}: {_growth_between(slope)}."


def evidence_told(assessment: Assessment) -> str:
    """How many runs speak: "10 pairs of runs", or "5 runs before and 1 run after" where they lie apart."""
    if assessment.within is Design.APART:
        return f"{_runs_and_days(assessment.before)} before and {_runs_and_days(assessment.after)} after"
    return f"{units.counted(assessment.pairs, 'pair')} of runs"


def _runs_and_days(side: Side) -> str:
    runs = units.counted(len(side.runs), "run")
    return f"{runs} on {units.count(side.days)} days" if side.days > 1 else runs


def dropped_told(assessment: Assessment) -> str:
    """What was left out of the comparison of times; empty if nothing was."""
    dropped = assessment.pairs_dropped
    if not dropped:
        return ""
    if assessment.within is Design.APART:
        return f"{units.counted(dropped, 'run')} left out."
    return f"{units.count(dropped)} of {units.counted(assessment.pairs + dropped, 'pair')} left out."


def _what_would_change(assessment: Assessment, claims: Claims) -> str:
    parts = []
    if claims.unplanned:
        verb = "Undoing" if assessment.verdict is Verdict.ESCALATE else "Explaining"
        number = units.counted(len(claims.unplanned), "unplanned difference")
        named = words.listed_up_to([item.setting for item in claims.unplanned])
        parts.append(f"{verb} the {number} ({named}), then repeating the runs.")
    if assessment.verdict is Verdict.HOLD:
        parts += _what_ends_the_hold(assessment, claims)
    elif assessment.verdict is Verdict.ESCALATE and not claims.unplanned:
        parts.append("A fix, then the same plan again on both sides.")
    elif assessment.verdict is Verdict.CLEAR:
        parts.append("Another setting, another load or a part that these runs did not cover.")
    return " ".join(parts)


def _what_ends_the_hold(assessment: Assessment, claims: Claims) -> list[str]:
    parts = []
    if claims.failed_checks or Reason.INVALID_LOAD in assessment.reasons:
        parts.append("Putting the failed checks right, then repeating the runs.")
    needed = assessment.pairs_needed
    if needed is not None and needed > assessment.pairs and assessment.within is not Design.APART:
        more = units.counted(needed - assessment.pairs, "more pair")
        lasts_s = (needed - assessment.pairs) * assessment.pair_s
        time = f", some {units.duration(lasts_s)}" if lasts_s > 0 else ""
        parts.append(f"About {more} of runs ({units.count(needed)} in all) at this noise{time}.")
    if Reason.CONFOUNDED in assessment.reasons:
        parts.append("Runs of both sides in turns or at the same time.")
    if Reason.BASELINE_UNFIT in assessment.reasons:
        parts.append("Before runs without failures of their own.")
    if Reason.SETTLING in assessment.reasons:
        parts.append("More time: the same plan again once its times no longer rise or fall within a run.")
    if Reason.UNVERIFIED in assessment.reasons:
        parts.append(
            f"Runs that savepath drives, in place of {assessment.imported_from}'s."
            if assessment.imported_from
            else "A look at what nobody looked at."
        )
    return parts or ["More pairs of runs, or an agreed limit that leaves more room."]


# The four figures and the strip


def _figures(assessment: Assessment, claims: Claims) -> tuple[Figure, ...]:
    middle = [
        *_broken_figures(claims),
        *_growth_figures(claims.growing),
        *_failing_figures(claims),
        *_quiet_figures(assessment),
    ]
    return (_worst_figure(claims), *middle[:2], _coverage_figure(assessment, claims))


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
    kinds = dict.fromkeys(finding.kind for finding in claims.broken)
    return [_broken_figure([item for item in claims.broken if item.kind == kind]) for kind in kinds]


def _broken_figure(findings: list[IntegrityFinding]) -> Figure:
    before, after = sum(item.before for item in findings), sum(item.after for item in findings)
    allowed = sum(max(item.limit, 0) for item in findings)
    label = words.effect_clause(findings[0].kind, tuple(item.outcome for item in findings)).removeprefix("some ")
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
            f"{_growth_between(slope)} ({slope.measure.value})",
            "bad",
        )
    ]


def _growth_between(slope: SlopeFinding) -> str:
    return units.interval(1 + slope.low, 1 + slope.high, 1.10)


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
        checked = _checked(assessment)
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


def failed_requests(assessment: Assessment) -> tuple[int, int]:
    """Failed requests of all operations, before and after."""
    whole = [finding for finding in assessment.failures if finding.custom_fields is None]
    return sum(finding.before for finding in whole), sum(finding.after for finding in whole)


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


def _trust(assessment: Assessment, claims: Claims) -> tuple[Row, ...]:
    return (
        Row("Can it be trusted?", checks_told(assessment)),
        Row("What changed?", differences_told(assessment)),
        Row("Engineers:", "all quantiles, method and commands are in the appendix"),
    )


def checks_told(assessment: Assessment) -> str:
    """ "6 checks pass, 2 notes, 0 fail"."""
    number = {outcome: sum(check.outcome is outcome for check in assessment.checks) for outcome in CheckOutcome}
    passed = units.counted(number[CheckOutcome.PASS], "check passes", "checks pass")
    notes = units.counted(number[CheckOutcome.NOTE], "note")
    return f"{passed}, {notes}, {units.count(number[CheckOutcome.FAIL])} fail"


def differences_told(assessment: Assessment) -> str:
    """ "5 settings differ, 2 not planned"."""
    if not assessment.differences:
        return "no setting differs"
    unplanned = sum(not item.planned for item in assessment.differences)
    number = units.counted(len(assessment.differences), "setting differs", "settings differ")
    return f"{number}, {unplanned} not planned"


# The sections


def growth_told(assessment: Assessment) -> str:
    """The sentence under the growth curves."""
    claims = claim(assessment)
    if not assessment.slopes:
        return "Growth with the number of custom fields was not judged: it needs three cohorts of an operation."
    if claims.void:
        return "No verdict on growth: a check failed. The curves show what was measured."
    parts = []
    if claims.growing:
        grown = list(dict.fromkeys(slope.operation for slope in claims.growing))
        parts.append(f"Yes, for {words.listed([words.operations(name) for name in grown])}.")
        parts += [_grown(name, [item for item in claims.growing if item.operation == name]) for name in grown]
    else:
        parts.append("No more growth than before was found.")
    told_of = {name for slope in claims.growing for name in slope.operations}
    quiet = [
        slope
        for slope in _headline_slopes(assessment)
        if slope.operation not in told_of and math.isfinite(slope.growth)
    ]
    if quiet:
        told = [f"{words.operations(slope.operation)} {_growth_between(slope)}" for slope in quiet]
        parts.append(f"Extra growth{' elsewhere' if claims.growing else ''}: {'; '.join(told)}.")
    unknown = [slope.operation for slope in _headline_slopes(assessment) if not math.isfinite(slope.growth)]
    if unknown:
        parts.append(f"Not known for {words.listed([words.operations(name) for name in unknown])}.")
    return " ".join(parts)


def _grown(operation: str, slopes: list[SlopeFinding]) -> str:
    ordered = sorted(slopes, key=lambda slope: words.measure_rank(slope.measure))
    told = [
        f"{units.growth(slope.growth)} {words.MEASURES[slope.measure]} ({_growth_between(slope)})"
        for slope in ordered
    ]
    return (
        f"From the fewest to the most custom fields, {words.operations(operation)} "
        f"grew more than before, by {words.listed(told)}."
    )


def _headline_slopes(assessment: Assessment) -> list[SlopeFinding]:
    chosen = [slope for slope in assessment.slopes if slope.measure is Measure.MEAN and not slope.pooled]
    return sorted(chosen, key=lambda slope: words.operation_rank(slope.operation))


def common_told(assessment: Assessment) -> str:
    """What all cells did together; empty where it was not computed."""
    common = assessment.common
    if common is None or not math.isfinite(common.ratio):
        return ""
    between = units.interval(common.low, common.high, common.limit)
    return f"All cells together: {units.change(common.ratio)} ({between})."


def settled_told(
    assessment: Assessment, points_before: list[TimelinePoint], points_after: list[TimelinePoint]
) -> str:
    """How after compares with before in the first and in the last third of the elapsed time."""
    first = _third(points_before, points_after, last=False)
    last = _third(points_before, points_after, last=True)
    if first is None or last is None:
        return "Too few slices to tell the beginning from the end."
    return (
        f"In the first third of the elapsed time after stood at {units.change(first)} against before, "
        f"in the last third at {units.change(last)}. This describes the runs; the verdict does not rest on it."
    )


def _third(before: list[TimelinePoint], after: list[TimelinePoint], *, last: bool) -> float | None:
    by_time = {point.t_s: point.p95_s for point in before if point.p95_s > 0}
    shared = sorted(point.t_s for point in after if point.t_s in by_time and point.p95_s > 0)
    if len(shared) < 3:
        return None
    size = len(shared) // 3
    chosen = set(shared[-size:] if last else shared[:size])
    logs = [math.log(point.p95_s / by_time[point.t_s]) for point in after if point.t_s in chosen]
    return math.exp(sum(logs) / len(logs))


def needs_told(cell: CellFinding) -> str:
    """What a cell without an answer lacks: "12 and 9 samples", "8 pairs needed"; else empty."""
    if cell.word not in OPEN:
        return ""
    if cell.pairs_needed:
        return f"{units.count(cell.pairs_needed)} pairs needed"
    if cell.word is Word.TOO_LITTLE_DATA:
        return f"{units.count(cell.n_before)} and {units.counted(cell.n_after, 'sample')}"
    return ""


def method_told(assessment: Assessment) -> tuple[str, ...]:
    """The method and its limits, for the appendix."""
    return (
        f"{_timed(assessment)} Failed requests never enter a time and are counted beside it.",
        "The unit of evidence is a pair of runs, never a single request. The logarithm of each quantile is "
        "compared pair by pair; what all cells of a pair have in common is separated from what is a cell's own, "
        "and the scatter of the cells is shared among them (moderated t, Smyth 2004).",
        "A word is given by where the whole range lies against the agreed limit. Its lower end holds for all "
        "cells at once (97.5 %), since any one of them could alarm falsely; its upper end holds for its cell "
        "alone (95 %), since CLEAR needs every one of them below the limit (Berger 1982). No harm is only said "
        "when the range ends below the limit; a range that holds both no change and the limit is unclear, which "
        "is not the same as unharmed.",
        "Growth is the slope of the change over the number of custom fields within the same run, where most of "
        "the noise of a host cancels. It is blind to a defect in one middle cohort: read it beside the table.",
        "Integrity is counted, not estimated. A failed check voids the answer on speed and growth, never "
        "integrity or failures.",
        *([words.DESIGNS[Design.CANDIDATES]] if assessment.ranking else []),
        f"{words.DESIGNS[assessment.within]} "
        + (
            "In this design a change of level is at most a reason to hold."
            if assessment.within is Design.APART
            else "The answer holds for the load, the data and the host of these runs."
        ),
    )


def _timed(assessment: Assessment) -> str:
    if assessment.imported_from:
        return (
            f"The results are {assessment.imported_from}'s: every request is timed from when it was sent, not "
            "from the moment at which it was due."
        )
    return (
        "Every request is timed from the moment at which it was due, not from when it was sent, so that waiting "
        "in front of a slow system counts."
    )


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
