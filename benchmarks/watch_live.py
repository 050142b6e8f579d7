"""The watch on the real thing in fast time: casedesk, blocks of 20 s, a baseline of 20 minutes, a day of 10.

``python -m benchmarks watch-live [--cases NAME ...] [--repeats N] [--again N] [--baseline-min M] ...``

healthy  an hour in which nothing is wrong: no ESCALATE
scripts  one on-save script in a hundred is lost: ESCALATE by integrity within a block
ramp     two minutes in which nothing is wrong, then the disk gets worse over 20: ESCALATE not before that, but
         before the p95 of custom saves has doubled

Each repetition has a desk and a baseline of its own; its cases share them, each tried ``--again`` times, the ramp
last. A try in which the question was not asked (the load proves nothing, the watch died) is void: told, and not
counted. Every try is in benchmarks/out/watch-live.json as soon as it is over.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.watched_desk import BLOCK_S, DAY_S, Line, make_baseline, watching
from casedesk.disk import load_profile
from casedesk.process import RunningDesk, running_desk

CASES = ("healthy", "scripts", "ramp")
RAMP_S, SCRIPTS_S = 1200, 600
#: So many blocks are watched before the disk changes: an ESCALATE in them is a false one.
LEAD = 6
#: On a baseline of less than a day a watch holds, and does not escalate, until it has watched for a day; in days.
BASELINE_LEAST = 1.2
#: The p95 of a block is noisy: it has doubled at the middle of so many blocks whose median has.
SMOOTH = 3
#: A try is void if it has more blocks than this share that prove nothing, or fewer than this of those expected.
FAULTS_MOST, BLOCKS_LEAST = 0.2, 0.8
CUSTOM_P95 = "p95 of save_custom"


@dataclass(frozen=True, slots=True)
class Try:
    """One try of a case; ``void`` says why it does not count. Minutes and blocks are infinite where never."""

    case: str
    void: str = ""
    good: bool = False
    seen: dict[str, Any] = field(default_factory=dict)


def measure(options: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """Rows {figure, value, low, high, goal, reached}: one a try, then one a figure."""
    parser = _parser()
    asked = parser.parse_args(options)
    if asked.baseline_min * 60 < BASELINE_LEAST * DAY_S:
        parser.error(f"expected --baseline-min of {BASELINE_LEAST * DAY_S / 60:g} or more, a day and a bit")
    tries: list[Try] = []
    for number in range(asked.repeats):
        with tempfile.TemporaryDirectory() as place, running_desk(seed=number + 1) as desk:
            room = Path(place)
            void = make_baseline(room, desk, asked.baseline_min)
            for case in CASES:
                for again in range(asked.again if case in asked.cases else 0):
                    found = Try(case, void) if void else TRIED[case](room, desk, f"{case}-{again}", asked)
                    tries.append(found)
                    row = _row_of_try(found, sum(one.case == case for one in tries))
                    print(f"{row['figure']}: {row['seen']}", file=sys.stderr, flush=True)
                    yield row
    for case in CASES:
        counted = [one for one in tries if one.case == case and not one.void]
        if case in asked.cases:
            yield from ROWS[case](counted) if counted else [_row(f"{case}: tries that count", [0], 1)]


def _healthy(room: Path, desk: RunningDesk, state: str, asked: argparse.Namespace) -> Try:
    with watching(room, desk, state, asked.healthy_min * 60) as lines:
        decided = list(lines)
    escalated = [line["sentence"] for line in decided if line["verdict"] == "ESCALATE"]
    seen = {
        "minutes": len(decided) * BLOCK_S / 60,
        "clear": sum(line["verdict"] == "CLEAR" for line in decided),
        "escalated": len(escalated),
        "sentence": escalated[0] if escalated else "",
    }
    return Try("healthy", _void(decided, asked.healthy_min * 60 / BLOCK_S), not escalated, seen)


def _scripts(room: Path, desk: RunningDesk, state: str, asked: argparse.Namespace) -> Try:
    """Blocks from the first one in which a script was lost to the alarm; both ends count as one block."""
    hit, blocks, by, decided = None, 0, math.inf, []
    lost_before = _scripts_lost(desk)
    desk.set_faults(script_lost=0.01)
    try:
        with watching(room, desk, state, SCRIPTS_S) as lines:
            for line in lines:
                decided.append(line)
                blocks += hit is not None
                if hit is None and _scripts_lost(desk) > lost_before:
                    hit, blocks = line["run"], 1
                if any(alarm["kind"] == "integrity" for alarm in line["alarms"]):
                    by = blocks
                    break
    finally:
        desk.set_faults()
    void = _void(decided, SCRIPTS_S / BLOCK_S if math.isinf(by) else 0)
    seen = {"blocks": by, "sentence": decided[-1]["sentence"] if decided else ""}
    return Try("scripts", void or ("" if hit else "no script was lost"), by <= 1, seen)


def _scripts_lost(desk: RunningDesk) -> int:
    return sum(fault["fault"] == "script_lost" for fault in desk.planted())


def _ramp(room: Path, desk: RunningDesk, state: str, asked: argparse.Namespace) -> Try:
    """Watch until both the first ESCALATE and the doubling are there, or the ramp is over."""
    profile = load_profile("ramping").model_dump(mode="json", by_alias=True, exclude_none=True)
    lasts_s = LEAD * BLOCK_S + RAMP_S + SMOOTH * BLOCK_S
    ramp, decided, begun_s = Ramp(math.inf, math.inf, None), list[Line](), math.inf
    try:
        with watching(room, desk, state, lasts_s) as lines:
            for line in lines:
                decided.append(line)
                ramp = read_ramp(decided, begun_s, _usual_p95(room / state))
                if ramp.is_over(begun_s):
                    break
                if len(decided) == LEAD:
                    begun_s = time.time()
                    desk.set_disk({**profile, "ramp": {"over_s": RAMP_S, "from": "healthy"}})
    finally:
        desk.set_disk("healthy")
    void = _void(decided, 0 if ramp.is_over(begun_s) else lasts_s / BLOCK_S)
    seen = {
        "escalated_min": ramp.escalated_min,
        "doubled_min": ramp.doubled_min,
        "alarms": [alarm["kind"] for alarm in ramp.first["alarms"]] if ramp.first else [],
        "sentence": ramp.first["sentence"] if ramp.first else "",
    }
    return Try("ramp", void, 0 < ramp.escalated_min < ramp.doubled_min, seen)


@dataclass(frozen=True, slots=True)
class Ramp:
    """Minutes from the disk's first change to the first ESCALATE and to twice the p95 of custom saves.

    An ESCALATE before that change is at minus infinity: a false one.
    """

    escalated_min: float
    doubled_min: float
    first: Line | None  # the decision that escalated

    def is_over(self, begun_s: float) -> bool:
        """Whether nothing more can be learnt of it."""
        return self.first is not None and (math.isinf(begun_s) or math.isfinite(self.doubled_min))


def read_ramp(decided: Sequence[Line], begun_s: float, usual_log_s: float) -> Ramp:
    """What the decisions so far say; ``begun_s`` is infinite while the disk is still healthy."""
    first = next((line for line in decided if line["verdict"] == "ESCALATE"), None)
    p95 = [line["block"]["levels"].get(CUSTOM_P95, math.nan) for line in decided]
    middles = (
        decided[last - SMOOTH // 2]["at_s"]
        for last in range(SMOOTH - 1, len(p95))
        if np.nanmedian(p95[last + 1 - SMOOTH : last + 1]) >= usual_log_s + math.log(2)
    )
    doubled_s = next((at_s for at_s in middles if at_s > begun_s), math.inf)
    return Ramp(
        (first["at_s"] - begun_s) / 60 if first else math.inf,
        (doubled_s - begun_s) / 60 if math.isfinite(doubled_s) else math.inf,
        first,
    )


def _usual_p95(state: Path) -> float:
    """The median p95 of custom saves in the baseline, log seconds."""
    lines = (state / "baseline.jsonl").read_text().splitlines()
    return float(np.nanmedian([json.loads(line)["levels"].get(CUSTOM_P95, math.nan) for line in lines]))


def _void(decided: Sequence[Line], expected: float) -> str:
    """Why the question was not asked, empty if it was: whether the watch watched, and its load proved anything."""
    faults = [line["block"]["fault"] for line in decided if line["block"].get("fault")]
    if not decided:
        return "the watch decided nothing"
    if len(decided) < BLOCKS_LEAST * expected:
        return f"the watch decided {len(decided)} of {expected:.0f} blocks"
    if len(faults) > FAULTS_MOST * len(decided):
        return f"{len(faults)} of {len(decided)} blocks prove nothing, as: {faults[0]}"
    return ""


def _row_of_try(found: Try, number: int) -> dict[str, Any]:
    seen = {
        key: None if isinstance(value, float) and math.isinf(value) else value for key, value in found.seen.items()
    }
    row = _row(f"{found.case}, try {number}" + (": VOID" if found.void else ""), [float(found.good)], None)
    return {**row, "seen": {"void": found.void, **seen} if found.void else seen}


def _healthy_rows(tries: Sequence[Try]) -> list[dict[str, Any]]:
    minutes = min(one.seen["minutes"] for one in tries)
    return [_share(f"healthy for {minutes:.0f} min: without ESCALATE", tries)]


def _scripts_rows(tries: Sequence[Try]) -> list[dict[str, Any]]:
    blocks = [one.seen["blocks"] for one in tries]
    return [_row("scripts lost at 1 %: blocks to ESCALATE by integrity", blocks, 1, at_most=True)]


def _ramp_rows(tries: Sequence[Try]) -> list[dict[str, Any]]:
    return [
        _row("disk ramps over 20 min: minutes to ESCALATE", [one.seen["escalated_min"] for one in tries], None),
        _row("disk ramps: minutes until the p95 doubled", [one.seen["doubled_min"] for one in tries], None),
        _share("disk ramps: ESCALATE before it doubled", tries),
    ]


TRIED = {"healthy": _healthy, "scripts": _scripts, "ramp": _ramp}
ROWS = {"healthy": _healthy_rows, "scripts": _scripts_rows, "ramp": _ramp_rows}


def _share(figure: str, tries: Sequence[Try]) -> dict[str, Any]:
    return _row(f"{figure}, of {len(tries)}", [sum(one.good for one in tries)], len(tries))


def _row(figure: str, values: Sequence[float], goal: float | None, *, at_most: bool = False) -> dict[str, Any]:
    value = float(np.median(values))
    told = [one if math.isfinite(one) else None for one in (value, min(values), max(values))]
    return {
        "figure": figure,
        **dict(zip(("value", "low", "high"), told, strict=True)),
        "goal": None if goal is None else f"{'<=' if at_most else '='} {goal:g}",
        "reached": None if goal is None else (value <= goal if at_most else value == goal),
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks watch-live", description=__doc__)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--repeats", type=int, default=1, help="desks and baselines")
    parser.add_argument("--again", type=int, default=1, help="tries of each case on each of them")
    parser.add_argument("--baseline-min", type=float, default=20.0)
    parser.add_argument("--healthy-min", type=float, default=60.0)
    return parser
