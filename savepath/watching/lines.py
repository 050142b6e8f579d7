"""Lines of the journal that hold a decision: as JSON, and back to what reports tell of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from analysis.window.blocks import Block, block_as_plain
from analysis.window.decisions import Alarm, Breach, Decision, Evidence, Hit, Hold, Kind, Reason, Shape
from analysis.window.spans import moment_of
from reports.words import listed_up_to

#: Six digits of a shift are more than anybody reads.
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Note:
    """An unrelated change that somebody wrote down."""

    at_s: float
    text: str


@dataclass(frozen=True, slots=True)
class Told:
    """A decision, and what is known of its first alarm in latency."""

    decision: Decision
    evidence: Evidence | None
    note: Note | None = None  # the last one before it
    note_is_new: bool = False  # no decision lies between them

    @property
    def sentence(self) -> str:
        """The reason in one line, and who is hit where that is known."""
        hit, said = self.evidence, self.decision.sentence
        if hit is None or not hit.hits:
            return said
        whose = f" of {listed_up_to(hit.tenants)}" if hit.tenants else ""
        return f"{said}; hit: {hit.saves:.0%} of saves{whose}{_against_the_old(hit.hits[0])}"


def _against_the_old(hit: Hit) -> str:
    if hit.versus is None:
        return ""
    place = f"{hit.operation} at {hit.custom_fields} fields"
    return f"; {place} takes {hit.versus:.2f} times as long as in the old environment at the same moments"


def line_of(block: Block, run: str, told: Told, now_s: float, *, left: int) -> dict[str, Any]:
    """A decision with the block that it was made from. Shares: 0.1 is 10 % more; times are Unix times.

    ``left`` are the blocks of the run that come after this one: a run without any is never read again.
    """
    decision, found, strong = told.decision, told.evidence, told.decision.strongest
    return {
        "kind": "decision",
        "at_s": decision.at_s,
        "written_s": now_s,
        "run": run,
        "left": left,
        "verdict": decision.verdict.value,
        "sentence": told.sentence,
        "alarms": [
            {"kind": one.kind.value, "what": one.what, "raised_s": one.raised_s, "text": one.text}
            for one in decision.alarms
        ],
        "reasons": [{"code": one.code.value, "text": one.text} for one in decision.reasons],
        "strongest": None
        if strong is None
        else {
            "stream": strong.stream,
            "window_blocks": strong.blocks,
            "shift": math.expm1(strong.shift),
            "score": strong.score,
        },
        "shifts": {name: round(math.expm1(shift), _DIGITS) for name, shift in decision.shifts.items()},
        "evidence": None if found is None else _evidence(found),
        "alone_since_s": decision.alone_since_s,
        "note": None if told.note is None else {"at_s": told.note.at_s, "text": told.note.text},
        "block": block_as_plain(block),
    }


def alarms_of(line: Mapping[str, Any]) -> tuple[Alarm, ...]:
    """The alarms of a line. Raises one of UNREADABLE for what is none."""
    return tuple(
        Alarm(Kind(one["kind"]), str(one["what"]), moment_of(one["raised_s"]), str(one["text"]))
        for one in line["alarms"]
    )


def reasons_of(line: Mapping[str, Any]) -> tuple[Reason, ...]:
    """The reasons of a line; raises as ``alarms_of``."""
    return tuple(Reason(Hold(one["code"]), str(one["text"])) for one in line["reasons"])


def evidence_of(line: Mapping[str, Any]) -> Evidence | None:
    """The evidence of a line, None without any; raises as ``alarms_of``."""
    found = line["evidence"]
    if found is None:
        return None
    low_s, high_s = found["since_between_s"]
    return Evidence(
        since_s=moment_of(found["since_s"]),
        since_low_s=moment_of(low_s),
        since_high_s=moment_of(high_s),
        rising=bool(found["rising"]),
        shape=Shape(found["shape"]),
        uniform=float(found["uniform"]),
        growth=float(found["growth"]),
        hits=tuple(Hit(**one) for one in found["hits"]),
        breaches=tuple(_breach(one) for one in found["breaches"]),
        tenants=tuple(map(str, found.get("tenants", ()))),
        saves=float(found.get("saves", 0.0)),
    )


def _breach(line: Mapping[str, Any]) -> Breach:
    return Breach(
        operation=str(line["operation"]),
        custom_fields=int(line["custom_fields"]),
        objective_s=float(line["objective_s"]),
        now_s=float(line["now_s"]),
        earliest_s=moment_of(line["earliest_s"]),
        likely_s=moment_of(line["likely_s"]),
        latest_s=math.inf if line["latest_s"] is None else moment_of(line["latest_s"]),
    )


def _evidence(found: Evidence) -> dict[str, Any]:
    return {
        "since_s": found.since_s,
        "since_between_s": [found.since_low_s, found.since_high_s],
        "rising": found.rising,
        "shape": found.shape.value,
        "uniform": found.uniform,
        "growth": found.growth,
        "tenants": list(found.tenants),
        "saves": found.saves,
        "hits": [
            {
                "operation": one.operation,
                "custom_fields": one.custom_fields,
                "ratio": one.ratio,
                "share": one.share,
                "versus": one.versus,
            }
            for one in found.hits
        ],
        "breaches": [
            {
                "operation": one.operation,
                "custom_fields": one.custom_fields,
                "objective_s": one.objective_s,
                "now_s": one.now_s,
                "earliest_s": one.earliest_s,
                "likely_s": one.likely_s,
                "latest_s": one.latest_s if math.isfinite(one.latest_s) else None,
            }
            for one in found.breaches
        ],
    }
