"""Abort rules: when a run is to end itself, as people write it.

    failures > 50 % over 30 s           the share of finished requests that failed
    timeouts > 10 % over 1 min          the share that had no answer in time
    p99 > 20 s over 1 min               response times from the planned moment
    schedule lag > 100 ms over 10 s     how late the generator itself was, at p99
    run-queue delay > 50 % over 30 s    how long it waited for a core
    memory > 2 GB                       what the generator takes
    disk free < 500 MB                  what is left where the run is kept

A rule protects a system or a machine. That a target is slow or full is a finding, and what was agreed about
that is an objective.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from scenarios.errors import did_you_mean

Measure = Literal["failures", "timeouts", "quantile", "schedule lag", "run-queue delay", "memory", "disk free"]

#: So long is a rule looked at that does not say ``over``.
OVER_S: Final = 30.0
OVER_MOST_S: Final = 600.0
#: Unless a scenario has rules of its own.
DEFAULT: Final = ("disk free < 200 MB",)

_SHARE: Final[Mapping[str, float]] = {"%": 0.01}
_TIME: Final[Mapping[str, float]] = {"ms": 0.001, "s": 1.0, "min": 60.0}
_SIZE: Final[Mapping[str, float]] = {"MB": 1e6, "GB": 1e9}
_UNITS: Final[Mapping[str, Mapping[str, float]]] = {
    "failures": _SHARE,
    "timeouts": _SHARE,
    "schedule lag": _TIME,
    "run-queue delay": _SHARE,
    "memory": _SIZE,
    "disk free": _SIZE,
}
_FORM: Final = re.compile(r"(.+?) ?(<=|>=|==|<|>|=) ?([\d.]+) ?([A-Za-z%]*)(?: over ([\d.]+) ?([A-Za-z]+))?")
_QUANTILE: Final = re.compile(r"p(\d{1,2}(?:\.\d)?)")
_OF_A_MOMENT: Final = ("memory", "disk free")


@dataclass(frozen=True, slots=True)
class AbortRule:
    """One rule. ``limit`` is a share, in seconds or in bytes, as the measure wants it."""

    text: str
    measure: Measure
    limit: float
    quantile: float = 0.99
    over_s: float = 0.0  # 0: of a moment

    @property
    def of_requests(self) -> bool:
        """Whether it looks at what the target answers, and not at the generator."""
        return self.measure in ("failures", "timeouts", "quantile")

    def broken_by(self, value: float) -> bool:
        """Whether this value ends the run; NaN, what nobody knows, does not."""
        return value < self.limit if self.measure == "disk free" else value > self.limit


def parse_abort_rule(text: str) -> AbortRule:
    """The rule that the text says. Raises ValueError, which says what was found and what was expected."""
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no abort rule; expected something like: failures > 50 % over 30 s")
    name, sign, number, unit, over, over_unit = match.groups()
    quantile = _QUANTILE.fullmatch(name)
    if quantile is None and name not in _UNITS:
        known = [*_UNITS, "p99"]
        hint = did_you_mean(name, known) or f"; expected {', '.join(known)}"
        raise ValueError(f"{text!r}: {name!r} is not known{hint}")
    wanted = "<" if name == "disk free" else ">"
    if sign != wanted:
        raise ValueError(f"{text!r}: found {sign}; a run ends where {name} {wanted} LIMIT")
    units = _TIME if quantile else _UNITS[name]
    if unit not in units:
        raise ValueError(f"{text!r}: the limit of {name} has {' or '.join(units)} behind its number")
    if over and name in _OF_A_MOMENT:
        raise ValueError(f"{text!r}: {name} is looked at each second; leave out over")
    if over and over_unit not in ("s", "min"):
        raise ValueError(f"{text!r}: over takes a time in s or min")
    over_s = _number(text, over) * _TIME[over_unit] if over else OVER_S
    if not 1 <= over_s <= OVER_MOST_S:
        raise ValueError(f"{text!r}: over takes 1 s to {OVER_MOST_S / 60:g} min")
    return AbortRule(
        text=text.strip(),
        measure="quantile" if quantile else name,  # type: ignore[arg-type]  # one of the units' names
        limit=_number(text, number) * units[unit],
        quantile=float(quantile[1]) / 100 if quantile else 0.99,
        over_s=0.0 if name in _OF_A_MOMENT else over_s,
    )


def _number(text: str, found: str) -> float:
    try:
        return float(found)
    except ValueError:
        raise ValueError(f"{text!r}: {found!r} is no number") from None
