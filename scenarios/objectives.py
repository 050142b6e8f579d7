"""Objectives: limits on what users get, as people write them, and what each of them asks for.

    save_custom p95 <= 800 ms           the 95th percentile of an operation
    save_custom@500 p95 <= 2 s          of one of its cells
    save_custom failures <= 0.1 %       the share of its requests that failed
    failures <= 5                       how many failed, over all operations
    scripts missed == 0                 effects that did not go as promised: values, scripts, mails
    slower than before <= 10 %          no cell's p95 may have become slower by more
    save_custom p50 slower than before <= 5 %

The text is kept as it was written, so that whoever agreed to it recognises it in the report.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal

from pydantic import Field

from scenarios.errors import did_you_mean
from scenarios.source import StrictModel

Measure = Literal["quantile", "failures", "slower", "effects"]
Unit = Literal["s", "share", "count"]

#: What may go wrong with an effect, by the word for its kind; as ``analysis.samples.EFFECT_OUTCOMES``.
EFFECTS: Final[Mapping[str, tuple[str, ...]]] = {
    "values": ("lost", "partial", "foreign", "failed_but_saved"),
    "scripts": ("missed", "doubled", "late", "out_of_order"),
    "mails": ("missed", "doubled", "late", "wrong_recipient"),
}
#: The quantiles at which two sides are held against each other.
COMPARED: Final = (0.5, 0.95, 0.99)
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "min": 60.0}
_FORM: Final = "expected MEASURE <= LIMIT, like: save_custom@500 p95 <= 2 s"
_QUANTILE: Final = re.compile(r"p(\d{1,2}(?:\.\d{1,3})?)")
_LIMIT: Final = re.compile(r"(\d+(?:\.\d+)?) ?(ms|s|min|%)?")


class Objective(StrictModel):
    """One limit. ``limit`` is in ``unit``: seconds, a share (of 1) or a count; a change is a share."""

    text: str
    operation: str | None = None  # None: all of them
    custom_fields: int | None = None  # None: every cohort
    measure: Measure
    quantile: float | None = Field(None, gt=0, lt=1)  # of a time or a change
    effect: str | None = None  # value, script or mail
    outcome: str | None = None  # of the effect
    limit: float = Field(ge=0)
    unit: Unit


def parse_objective(text: str) -> Objective:
    """The objective that the text says. Raises ValueError, which says what was found and what was expected."""
    left, sign, right = _halves(text)
    words = left.split()
    place, words = _place(words)
    operation, custom_fields = place
    found = {"text": text, "operation": operation, "custom_fields": custom_fields}
    limit, unit = _limit(text, right)
    if sign == "==" and limit != 0:
        raise ValueError(f"{text!r}: == is only for 0; write <= {right}")
    quantile, rest = _quantile(text, words)
    match rest:
        case [] if quantile is not None:
            _expect_unit(text, unit, ("s",), "a time, like 800 ms")
            return Objective(**found, measure="quantile", quantile=quantile, limit=limit, unit=unit)
        case ["slower", "than", "before"]:
            _expect_unit(text, unit, ("share",), "a share, like 10 %")
            if quantile not in (None, *COMPARED):
                raise ValueError(f"{text!r}: before and after are compared at p50, p95 and p99 alone")
            return Objective(**found, measure="slower", quantile=quantile or 0.95, limit=limit, unit=unit)
        case ["failures"] if quantile is None:
            _expect_unit(text, unit, ("share", "count"), "a share or a number, like 0.1 % or 5")
            return Objective(**found, measure="failures", limit=limit, unit=unit)
        case [kind, outcome] if kind in EFFECTS and quantile is None:
            if outcome not in EFFECTS[kind]:
                hint = did_you_mean(outcome, EFFECTS[kind])
                raise ValueError(f"{text!r}: {kind} are {', '.join(EFFECTS[kind])}, not {outcome!r}{hint}")
            _expect_unit(text, unit, ("share", "count"), "a share or a number, like 0.1 % or 0")
            effect = kind.removesuffix("s")
            return Objective(**found, measure="effects", effect=effect, outcome=outcome, limit=limit, unit=unit)
    raise ValueError(_not_understood(text, rest, operation))


def _halves(text: str) -> tuple[str, str, str]:
    parts = re.split(r"(<=|>=|==|<|>|=)", text)
    if len(parts) != 3 or not parts[0].strip() or not parts[2].strip():
        raise ValueError(f"{text!r} is no objective; {_FORM}")
    left, sign, right = (part.strip() for part in parts)
    if sign not in ("<=", "=="):
        raise ValueError(f"{text!r}: found {sign}; an objective is an upper limit, write <=")
    return left, sign, right


def _place(words: list[str]) -> tuple[tuple[str | None, int | None], list[str]]:
    """The operation and cohort that the first word names, if it names one, and the words after it."""
    first = words[0]
    bracket = re.fullmatch(r"([a-z_]+)\[(\d+)\]", first)
    if bracket:
        raise ValueError(f"{first!r}: write {bracket[1]}@{bracket[2]}, as under required")
    name, at, fields = first.partition("@")
    if not at and (name in EFFECTS or name in ("failures", "slower") or _QUANTILE.fullmatch(name)):
        return (None, None), words
    if at and not fields.isdecimal():
        raise ValueError(f"{first!r}: expected a number of custom fields after @, like save_custom@500")
    return (name, int(fields) if at else None), words[1:]


def _quantile(text: str, words: list[str]) -> tuple[float | None, list[str]]:
    match = _QUANTILE.fullmatch(words[0]) if words else None
    if match is None:
        return None, words
    if not 0 < float(match[1]) < 100:
        raise ValueError(f"{text!r}: {words[0]} is no percentile; expected p50, p95, p99 or the like")
    return round(float(match[1]) / 100, 6), words[1:]


def _limit(text: str, right: str) -> tuple[float, Unit]:
    match = _LIMIT.fullmatch(right)
    if match is None:
        raise ValueError(f"{text!r}: {right!r} is no limit; expected a number with ms, s, min, % or nothing")
    number = float(match[1])
    if match[2] is None:
        return number, "count"
    if match[2] == "%":
        return round(number / 100, 9), "share"
    return round(number * _SECONDS[match[2]], 9), "s"


def _expect_unit(text: str, unit: Unit, allowed: tuple[Unit, ...], expected: str) -> None:
    if unit not in allowed:
        raise ValueError(f"{text!r}: the limit must be {expected}")


def _not_understood(text: str, rest: list[str], operation: str | None) -> str:
    effects = [f"{kind} {outcome}" for kind, outcomes in EFFECTS.items() for outcome in outcomes]
    known = ["p95", "failures", "slower than before", *effects]
    # The first word was taken for an operation where it is none of the others: it may be one, misspelt.
    whole, measure = " ".join([*([operation] if operation else []), *rest]), " ".join(rest)
    hint = did_you_mean(whole, known) or did_you_mean(measure, known)
    expected = hint or f"; expected p95 or the like, failures, slower than before, {', '.join(EFFECTS)} OUTCOME"
    if not measure:
        return f"{text!r} does not say what of {operation!r} is limited{expected}"
    return f"{text!r}: {measure!r} is not known{expected}"
