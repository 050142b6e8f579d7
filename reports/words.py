"""The words and glyphs of the report: one per thing, the same in every format."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from analysis.findings import (
    CellFinding,
    Design,
    IntegrityFinding,
    Measure,
    Reason,
    SlopeFinding,
    StandoutFinding,
    Verdict,
    Word,
)
from analysis.samples import EFFECT_OUTCOMES, OPERATIONS, UNDECIDED
from reports import units

GLYPHS: Final = {
    Word.MUCH_SLOWER: "▲▲",
    Word.SLOWER: "▲",
    Word.NEAR_THE_LIMIT: "△",
    Word.UNCLEAR: "?",
    Word.NO_HARM: "=",
    Word.FASTER: "▼",
    Word.TOO_LITTLE_DATA: "…",
    Word.NOT_APPLICABLE: "–",
}
VERDICT_GLYPHS: Final = {Verdict.CLEAR: "✓", Verdict.HOLD: "◆", Verdict.ESCALATE: "■"}

#: From worst to best: which of two words of the same cell is the one to show.
SEVERITY: Final = tuple(Word)

_OPERATIONS: Final = {  # name: (label, many of them, doing it)
    "read_case": ("read", "reads", "reading cases"),
    "send_email": ("e-mail", "e-mails", "sending e-mail"),
    "send_batch": ("e-mail batch", "e-mail batches", "sending e-mail batches"),
    "save_standard": ("standard save", "standard saves", "saving standard fields"),
    "save_custom": ("custom-field save", "custom-field saves", "saving custom fields"),
    "run_script": ("on-save script", "on-save script runs", "running on-save scripts"),
}

KINDS: Final = {"script": "On-save scripts", "value": "Saved values", "mail": "E-mails"}

_EFFECTS: Final = {  # (kind, outcome): (in a table, as a clause after "some ...")
    ("value", "identical"): ("Saved and read back identical", "were saved"),
    ("value", "lost"): ("Reported as saved, value missing", "were reported as saved but are missing"),
    ("value", "partial"): ("Partly saved (some fields only)", "were saved only in part"),
    ("value", "foreign"): ("Value in another tenant", "turned up in another tenant"),
    ("value", "failed_but_saved"): (
        "Reported as failed, but was saved",
        "were reported as failed but were saved",
    ),
    ("value", "superseded"): ("Covered by another save", "were covered by another save"),
    ("script", "once"): ("Ran exactly once", "ran once"),
    ("script", "missed"): ("Did not run", "did not run"),
    ("script", "doubled"): ("Ran twice or more", "ran twice or more"),
    ("script", "late"): ("Ran late", "ran late"),
    ("script", "out_of_order"): ("Wrong order with another script", "ran in the wrong order"),
    ("mail", "once"): ("Delivered exactly once", "were delivered"),
    ("mail", "missed"): ("Not delivered", "were not delivered"),
    ("mail", "doubled"): ("Delivered twice or more", "were delivered twice or more"),
    ("mail", "late"): ("Delivered late", "were delivered late"),
    ("mail", "wrong_recipient"): ("Delivered to a wrong recipient", "reached a wrong recipient"),
}
_EFFECT_SUBJECTS: Final = {"script": "on-save scripts", "value": "saved values", "mail": "e-mails"}

_FAILURES: Final = {
    "http_error": "answered with an error",
    "timeout": "no answer in time",
    "refused": "connection refused or broken",
    "conflict": "conflict of versions",
    "invalid": "answer without its promised content",
    "aborted": "unfinished when the run stopped",
}

MEASURES: Final = {Measure.MEAN: "in the mean", Measure.P95: "at p95"}

#: What a report of ESCALATE advises, of a comparison as of a watch.
HAND_OVER: Final = "No. Hand over to the owners of the system and keep the roll-back ready."

REASONS: Final = {
    Reason.NEEDS_DATA: "There is not enough data yet to answer for every required part.",
    Reason.NEAR_LIMIT: "A required part became slower and may or may not be beyond the limit.",
    Reason.INVALID_LOAD: "A check failed, so the measured times give no verdict.",
    Reason.SETTLING: "The system has not settled since the change.",
    Reason.CONFOUNDED: "Before and after lie apart in time: other changes may have made or hidden a difference.",
    Reason.BASELINE_UNFIT: "The before runs had trouble of their own and are no yardstick.",
    Reason.UNVERIFIED: "Not all that CLEAR claims was looked at.",
    Reason.LATENCY: "A required part became slower beyond the limit.",
    Reason.GROWTH: "Times grow more with the number of custom fields than before.",
    Reason.STANDS_OUT: "A required part became slower than the rest of its runs, beyond the limit.",
    Reason.FAILURES: "More requests fail than before.",
    Reason.INTEGRITY: "Saves, scripts or e-mails did not keep their promise.",
    Reason.OBJECTIVE: "An objective that was agreed is broken.",
}

DESIGNS: Final = {
    Design.CONCURRENT: "Both sides were asked at the same time: that shows what differs between the two systems, "
    "and cannot show what both would do at another hour or load.",
    Design.ALTERNATING: "Before and after took turns: that shows what differs between them whatever the hour, "
    "and cannot show what takes longer than a turn to build up.",
    Design.APART: "Before and after lie apart in time: that can show growth with custom fields, failures and "
    "broken promises, and cannot tell a uniform slow-down by the change from one by anything else in between.",
    Design.CANDIDATES: "Each candidate was held against the same before runs: that shows which is slower than "
    "these and by how much, and cannot tell apart candidates whose ranges overlap.",
}


def legend(word: Word, limit: float) -> str:
    """What a word promises: where its whole interval lies against the limit (a ratio)."""
    agreed = units.change(limit)
    return {
        Word.MUCH_SLOWER: "much slower: surely beyond +25 %",
        Word.SLOWER: f"slower: surely beyond {agreed}",
        Word.NEAR_THE_LIMIT: f"near the limit: slower, but perhaps still under {agreed}",
        Word.UNCLEAR: f"unclear: could be no change or over {agreed}",
        Word.NO_HARM: f"no harm: surely below {agreed}",
        Word.FASTER: "faster: surely beyond −5 %",
        Word.TOO_LITTLE_DATA: "too little data to say",
        Word.NOT_APPLICABLE: "not applicable",
    }[word]


def operation(name: str) -> str:
    """The label of an operation: ``save_custom`` is "custom-field save"; unknown names stand as they are.

    Several joined by "+" are told one by one, here as in ``operations`` and ``doing``.
    """
    return _each(name, lambda one: _OPERATIONS[one][0] if one in _OPERATIONS else one)


def operations(name: str) -> str:
    """Many requests of an operation: ``save_custom`` is "custom-field saves"."""
    return _each(name, lambda one: _OPERATIONS[one][1] if one in _OPERATIONS else f"{one} requests")


def doing(name: str) -> str:
    """What a user does: ``save_custom`` is "saving custom fields"."""
    return _each(name, lambda one: _OPERATIONS[one][2] if one in _OPERATIONS else f"the operation {one}")


def _each(names: str, label: Callable[[str], str]) -> str:
    return listed([label(name) for name in names.split("+")])


def operation_rank(name: str) -> tuple[int, str]:
    """The sorting key of operations: those of ``OPERATIONS`` in their order, then others by name."""
    return (OPERATIONS.index(name) if name in OPERATIONS else len(OPERATIONS), name)


def slope_rank(finding: SlopeFinding) -> tuple[tuple[int, str], int]:
    """The sorting key of slopes: by operation (pooled ones last), then the mean before the p95."""
    return (operation_rank(finding.operation), measure_rank(finding.measure))


def measure_rank(measure: Measure) -> int:
    """The mean goes before the p95."""
    return tuple(Measure).index(measure)


def fields(number: int) -> str:
    """A cohort: "0 fields", "1 field", "500 fields"."""
    return units.counted(number, "field")


def place(name: str, number: int | None) -> str:
    """A cell, or a whole operation: "custom-field save, 500 fields"."""
    return operation(name) if number is None else f"{operation(name)}, {fields(number)}"


def effect(kind: str, outcome: str) -> str:
    """An outcome of an effect in a table: ``script``, ``doubled`` is "Ran twice or more"."""
    if outcome == "unverified":
        return "Nobody looked"
    return _EFFECTS[kind, outcome][0] if (kind, outcome) in _EFFECTS else f"{kind}: {outcome}"


def effect_clause(kind: str, outcomes: tuple[str, ...]) -> str:
    """Broken outcomes of one kind: "some on-save scripts did not run or ran twice or more"."""
    acts = [_EFFECTS[kind, name][1] if (kind, name) in _EFFECTS else f"ended as {name}" for name in outcomes]
    return f"some {_EFFECT_SUBJECTS.get(kind, kind)} {listed(acts, 'or')}"


def effect_rank(finding: IntegrityFinding) -> tuple[int, str, int, str]:
    """The sorting key of integrity findings: by kind, then in the order of ``EFFECT_OUTCOMES``."""
    kinds = tuple(KINDS)
    outcomes = EFFECT_OUTCOMES.get(finding.kind, ())
    return (
        kinds.index(finding.kind) if finding.kind in kinds else len(kinds),
        finding.kind,
        outcomes.index(finding.outcome) if finding.outcome in outcomes else len(outcomes),
        finding.outcome,
    )


def effect_rule(finding: IntegrityFinding) -> str:
    """What is allowed of an outcome: "expected", "not judged", "must be 0" or "limit 84"."""
    good = EFFECT_OUTCOMES.get(finding.kind, ("",))[0]
    if finding.outcome == good:
        return "expected"
    if finding.outcome in UNDECIDED:
        return "not judged"
    return "must be 0" if finding.limit <= 0 else f"limit {units.count(finding.limit)}"


def failure(outcome: str, detail: str) -> str:
    """A kind of failure: "answered with an error: 503"."""
    label = _FAILURES.get(outcome, outcome)
    return f"{label}: {detail}" if detail else label


def listed(parts: list[str] | tuple[str, ...], last: str = "and") -> str:
    """Parts as a list in a sentence: "a", "a and b", "a, b and c"."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} {last} {parts[-1]}"


def listed_up_to(parts: list[str] | tuple[str, ...], most: int = 3) -> str:
    """Like ``listed``, but "a, b, c and 4 more" where there are more than ``most``."""
    if len(parts) <= most:
        return listed(parts)
    return f"{', '.join(parts[:most])} and {len(parts) - most} more"


def capital(text: str) -> str:
    """The text with a capital first letter, the rest as it stands."""
    return text[:1].upper() + text[1:]


def cells(found: tuple[CellFinding, ...]) -> str:
    """The places of these cells."""
    return places(tuple((cell.operation, cell.custom_fields) for cell in found))


def places(places: tuple[tuple[str, int], ...]) -> str:
    """ "custom-field saves with 200 and 500 fields and reads with 1 field"."""
    cohorts: dict[str, set[int]] = {}
    for operation, number in places:
        cohorts.setdefault(operation, set()).add(number)
    return listed_up_to(
        [
            f"{operations(name)} with {listed([units.count(number) for number in sorted(numbers)])} "
            f"{'field' if numbers == {1} else 'fields'}"
            for name, numbers in cohorts.items()
        ]
    )


def standout_told(finding: StandoutFinding) -> str:
    """A cell against the rest of its runs: "custom-field save, 50 fields +21 % in the mean (between ...)"."""
    where = place(finding.operation, finding.custom_fields)
    between = units.interval(finding.low, finding.high, 1.10)
    return f"{where} {units.change(finding.ratio)} {MEASURES[finding.measure]} ({between})"


def growth_between(slope: SlopeFinding) -> str:
    """The range of an extra growth."""
    return units.interval(1 + slope.low, 1 + slope.high, 1.10)


def sentence(text: str) -> str:
    """The text with a full stop at its end."""
    return text if text.endswith((".", "!", "?")) else f"{text}."
