"""What a change board must know to decide: what is asked, what the evidence supports, who is hit, what next."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from analysis.findings import (
    ENOUGH_PAIRS,
    Assessment,
    Check,
    Design,
    FailureFinding,
    Reason,
    SlopeFinding,
    Verdict,
    Word,
)
from reports import units, words
from reports.claims import HARMLESS, HOLD_ORDER, Claims, raising, standing_in_the_way
from reports.evidence import checked_effects, evidence_told
from reports.model import ReportMeta
from reports.objectives import broken_of, row_of
from reports.ranking import ranking_told

#: Reasons that may rest on a check alone, whose sentence then says what there is to know.
_TOLD_BY_THEIR_CHECKS: Final = (Reason.NEAR_LIMIT, Reason.NEEDS_DATA, Reason.UNVERIFIED)


@dataclass(frozen=True, slots=True)
class Row:
    """One decision row: a label and its sentences."""

    label: str
    text: str


def decision_rows(assessment: Assessment, meta: ReportMeta, claims: Claims) -> tuple[Row, ...]:
    """The rows, in the order in which a board asks."""
    return (
        *([Row("Which candidate", ranking_told(assessment))] if assessment.ranking else []),
        Row("Decision asked of you", _asked(assessment, meta)),
        Row("What the evidence supports", _supports(assessment, claims)),
        Row("Who notices", _who(assessment, claims)),
        Row("How sure are we", _how_sure(assessment, claims)),
        Row("What would change this", _what_would_change(assessment, claims)),
    )


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
                if reason in HOLD_ORDER and not (reason is Reason.INVALID_LOAD and claims.failed_checks)
            ]
            told = [*claims.failed_checks, *standing_in_the_way(assessment, *_TOLD_BY_THEIR_CHECKS)]
            parts += [f"{words.capital(check.name)}: {words.sentence(check.meaning)}" for check in told]
        case Verdict.ESCALATE:
            parts.append(words.HAND_OVER)
            parts += [words.REASONS[reason] for reason in assessment.reasons]
    if claims.optional_slower and assessment.verdict is not Verdict.ESCALATE:
        places = words.cells(claims.optional_slower)
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
    elif raised := raising(assessment, claims):
        parts.append(f"Users of cases with {_cohorts({one.custom_fields for one in raised}, assessment)}.")
    whole = [finding for finding in claims.failing if finding.custom_fields is None] or list(claims.failing)
    if whole:
        parts.append(f"Users whose requests fail: {words.listed_up_to([_failures_told(item) for item in whole])}.")
    if claims.broken:
        total = sum(finding.after for finding in claims.broken)
        checked = units.count(checked_effects(assessment))
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
        return f"Not known yet for {words.places(claims.open_places)}."
    return "Not known yet."


def _cohorts(numbers: set[int], assessment: Assessment) -> str:
    """ "200 or more custom fields" where the numbers are the upper end of all cohorts, else a list."""
    every = sorted({cell.custom_fields for cell in assessment.cells})
    ordered = sorted(numbers)
    if len(every) > 1 and ordered == every:
        return "any number of custom fields"
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
        checked = units.count(checked_effects(assessment))
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


def _cell_sureness(assessment: Assessment, claims: Claims) -> list[str]:
    runs = evidence_told(assessment)
    objectives = [row for row in map(row_of, broken_of(assessment, void=False)) if row.between]
    if objectives and not claims.slower:
        return [f"{row.text}: {row.between} (95 % range), from {row.basis}." for row in objectives[:2]]
    cell = claims.telling
    sure = [] if claims.slower or not claims.growing else [_growth_sureness(claims.growing[0])]
    if not claims.slower and not sure:
        sure = [
            f"Against the rest of its runs: {words.standout_told(one)}." for one in raising(assessment, claims)[:1]
        ]
    if cell is None or not (math.isfinite(cell.low) and math.isfinite(cell.high)):
        return [f"No range can be given from {runs}."]
    between = units.interval(cell.low, cell.high, cell.limit)
    limit = units.change(cell.limit)
    return [
        *sure,
        f"{words.capital(words.place(cell.operation, cell.custom_fields))}: {between}, limit {limit}, "
        f"from {runs} (the lower end holds for all cells at once, the upper for this one).",
    ]


def _growth_sureness(slope: SlopeFinding) -> str:
    return f"Extra growth of {words.operations(slope.operation)}: {words.growth_between(slope)}."


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


def _lacks_pairs(check: Check) -> bool:
    """Whether the check fails only because there are too few runs."""
    return check.name == ENOUGH_PAIRS and check.reason is Reason.NEEDS_DATA


def _what_ends_the_hold(assessment: Assessment, claims: Claims) -> list[str]:
    parts = []
    few = [check for check in claims.failed_checks if _lacks_pairs(check)]
    if len(claims.failed_checks) > len(few) or Reason.INVALID_LOAD in assessment.reasons:
        parts.append("Putting the failed checks right, then repeating the runs.")
    if few and assessment.within is not Design.APART:
        parts.append("More pairs of runs: two tell a large change, `savepath plan --detect` how many a small one.")
    elif few:
        parts.append("More runs before, on other days.")
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
