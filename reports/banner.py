"""What was found, in the one sentence of the verdict, and what 95 of 100 requests took."""

from __future__ import annotations

import math

from analysis.findings import Assessment, ObjectiveOutcome, Reason, Verdict, Word
from reports import units, words
from reports.claims import HOLD_ORDER, Claims, raising, standing_in_the_way
from reports.matrix import lay_out
from reports.objectives import broken_of, told_in_a_clause


def headline(assessment: Assessment, claims: Claims) -> str:
    """The one sentence of the verdict, of several candidates that of the first."""
    if assessment.ranking:
        first = f"{assessment.ranking[0].name}, first of {units.counted(len(assessment.ranking), 'candidate')}"
        return f"{first}: {_headline(assessment, claims)}"
    return _headline(assessment, claims)


def _headline(assessment: Assessment, claims: Claims) -> str:
    match assessment.verdict:
        case Verdict.ESCALATE:
            clauses = [
                *_latency_clauses(assessment, claims),
                *_failure_clauses(claims),
                *_integrity_clauses(claims),
            ]
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
    place = (cell.operation, cell.custom_fields)
    if any(one.fires and (one.operation, one.custom_fields) == place for one in claims.standing_out):
        return f"{text} More than the rest of the same runs, and more than chance."
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


def _latency_clauses(assessment: Assessment, claims: Claims) -> list[str]:
    growing = [slope.operation for slope in claims.growing]
    grown = list(dict.fromkeys(growing))
    if not claims.slower:
        if grown:
            return [
                f"{words.listed([words.doing(name) for name in grown])} slowed down "
                f"with the number of custom fields more than before"
            ]
        return _standing_out_clauses(assessment, claims)
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


def _standing_out_clauses(assessment: Assessment, claims: Claims) -> list[str]:
    """Of the cells that stand out; where slower or growing ones are named, these say it already."""
    found = tuple((one.operation, one.custom_fields) for one in raising(assessment, claims))
    if not found:
        return []
    return [f"{words.places(found)} became slower than the rest of the same runs"]


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
    reason = next((reason for reason in HOLD_ORDER if reason in assessment.reasons), None)
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
            places = words.cells(claims.near)
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
            told := standing_in_the_way(assessment, reason)
        ):
            return f"Not known yet whether the change did harm: {words.listed([one.name for one in told])}."
        case Reason.UNVERIFIED:
            names = words.listed([one.name for one in standing_in_the_way(assessment, reason)])
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


def _objectives_of(assessment: Assessment, outcome: ObjectiveOutcome) -> list[str]:
    """Those with this outcome, with their value where there is one."""
    found = [one for one in assessment.objectives if one.outcome is outcome]
    return [told_in_a_clause(one) if math.isfinite(one.value) else one.text for one in found]


def _suspects(claims: Claims) -> str:
    places = words.cells(claims.suspected)
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
