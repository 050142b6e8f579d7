"""Watches made by hand, for the tests of how a window is told; nothing is watched."""

from __future__ import annotations

import json
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from analysis_examples import sides

from analysis.findings import Verdict
from analysis.window.blocks import block_as_plain, fold_block
from analysis.window.decisions import Alarm, Breach, Evidence, Hit, Hold, Kind, Reason, Shape
from reports.closing import Closing
from reports.watched import Moment, Remark, Required, Watched
from savepath.watching.agreed import Agreed, read_agreed
from savepath.watching.journal import Journal
from savepath.watching.remarks import remark

BEGUN_S = 1_764_000_000.0  # 2025-11-24 16:00 UTC
BLOCK_S = 300.0
HOUR = 12  # blocks

GROWN = Evidence(
    since_s=BEGUN_S + 30 * 3600,
    since_low_s=BEGUN_S + 29 * 3600,
    since_high_s=BEGUN_S + 31 * 3600,
    rising=True,
    shape=Shape.GROWS,
    uniform=0.02,
    growth=0.62,
    hits=(
        Hit("save_custom", 500, 1.66, 0.05),
        Hit("read_case", 500, 1.58, 0.06),
        Hit("save_custom", 200, 1.27, 0.05),
        Hit("read_case", 200, 1.24, 0.06),
    ),
    breaches=(
        Breach("save_custom", 500, 2.0, 1.7, BEGUN_S + 37 * 3600, BEGUN_S + 38 * 3600, BEGUN_S + 41 * 3600),
        Breach("read_case", 500, 0.4, 0.2, BEGUN_S + 40 * 3600, BEGUN_S + 60 * 3600, math.inf),
    ),
    tenants=("acme", "initech"),
    saves=0.4,
)


def moments(verdicts: str, *, growth: float = 0.0, first: int = 1) -> tuple[Moment, ...]:
    """A block for each letter: H, C, E, or a blank for a gap; growth rises to ``growth``."""
    named = {"H": Verdict.HOLD, "C": Verdict.CLEAR, "E": Verdict.ESCALATE}
    said = {"H": "14 h of the settling time are left", "C": "nothing got slower than agreed",
            "E": "growth of save_custom +62% over the last 25 min"}  # fmt: skip
    return tuple(
        Moment(
            BEGUN_S + BLOCK_S * (first + number),
            named[letter],
            said[letter],
            {
                "p50 of all": 0.03 * math.sin(number),
                "growth of save_custom": growth * number / len(verdicts) + 0.04 * math.cos(7 * number),
            },
            1000,
            2 if number % 20 == 3 else 0,
        )
        for number, letter in enumerate(verdicts)
        if letter != " "
    )


def watched(verdicts: str, *, growth: float = 0.0, **changes: Any) -> Watched:
    """A watch that said these verdicts, and now says the last of them."""
    seen = moments(verdicts, growth=growth)
    last = seen[-1] if seen else None
    plain = Watched(
        source="field-sweep on desk.yaml",
        begun_s=BEGUN_S,
        ends_s=BEGUN_S + 72 * 3600,
        ended=False,
        block_s=BLOCK_S,
        tolerance=0.10,
        told_s=last.at_s + 20 if last else BEGUN_S,
        verdict=last.verdict if last else Verdict.HOLD,
        sentence=last.sentence if last else "nothing was decided yet",
        moments=seen,
    )
    return replace(plain, **changes)


CLEARED = watched("H" * 24 * HOUR + "C" * 6 * HOUR)
ESCALATED = watched(
    "H" * 24 * HOUR + "C" * 6 * HOUR + " " * 7 + "H" * 2 * HOUR + "E" * HOUR,
    growth=0.6,
    alarms=(
        Alarm(
            Kind.GROWTH,
            "growth of save_custom",
            BEGUN_S + 33 * 3600,
            "growth of save_custom +62% over the last 25 min",
        ),
    ),
    reasons=(Reason(Hold.GAP, "nothing is known of 35 min that ended 3 h ago"),),
    evidence=GROWN,
    remarks=(
        Remark(BEGUN_S + 8 * 3600, "note", "deployed billing 7.1 <script>alert(1)</script>"),
        Remark(BEGUN_S + 26 * 3600, "event", "failover"),
        Remark(BEGUN_S + 29.5 * 3600, "note", "moved the volume"),
    ),
)


FINDS = "p50 of all +25%, growth of save_custom +16%, growth of all +9%"
SEEN_S = BEGUN_S + 26 * 3600

CLOSINGS = {
    "clear": replace(
        CLEARED,
        ended=True,
        remarks=(Remark(SEEN_S, "event", "failover"),),
        required=(Required("failover", SEEN_S),),
    ),
    "hold": watched(
        "H" * 20 * HOUR,
        reasons=(
            Reason(Hold.EVENT, "not seen yet: failover"),
            Reason(Hold.SETTLING, "4 h of the settling time are left"),
        ),
        required=(Required("failover", None),),
    ),
    "escalate": ESCALATED,
}
CLOSINGS = {name: Closing(found, "0.1.0", FINDS) for name, found in CLOSINGS.items()}


def state_folder(path: Path, verdicts: str, *, last_s: float) -> Path:
    """The state folder of a watch that said these verdicts, the last one at ``last_s``; it has no baseline."""
    path.mkdir(parents=True)
    begun_s = last_s - BLOCK_S * len(verdicts)
    agreed = Agreed(
        block_s=BLOCK_S, settle_s=86_400, begun_s=begun_s, lasts_s=72 * 3600, tolerance=0.1,
        source="field-sweep on desk.yaml",
    )  # fmt: skip
    (path / "watch.json").write_text(agreed.model_dump_json(by_alias=True))
    (path / "decisions.jsonl").touch()
    say_on(path, verdicts)
    return path


def say_on(path: Path, verdicts: str, *, first_s: float | None = None) -> None:
    """Let the watch of a state folder decide on further blocks, from ``first_s`` on or where it was."""
    journal = Journal(path)
    decided = [line["at_s"] for line in journal.read() if line["kind"] == "decision"]
    if first_s is None:
        first_s = decided[-1] if decided else read_agreed(path).begun_s
    for number, moment in enumerate(moments(verdicts), start=1):
        at_s = first_s + BLOCK_S * number
        escalated = moment.verdict is Verdict.ESCALATE
        alarm = {"kind": "integrity", "what": "value lost", "raised_s": at_s, "text": moment.sentence}
        line = {
            "kind": "decision", "at_s": at_s, "written_s": at_s, "run": f"run-{number}",
            "verdict": moment.verdict.value, "sentence": moment.sentence, "alarms": [alarm] if escalated else [],
            "reasons": [], "strongest": None, "shifts": dict(moment.shifts), "evidence": None,
            "block": {"counts": [["save_custom", 300, 1], ["read_case", 700, 0]]},
        }  # fmt: skip
        with journal.locked():
            journal.read_on()
            journal.append(line)


def whole_state(path: Path) -> Path:
    """A watch with a baseline of ten blocks that has just said CLEAR for an hour, and saw a failover."""
    found = state_folder(path, "C" * HOUR, last_s=time.time() - 10)
    remark(found, "event", "failover")
    runs, _ = sides(10)
    blocks = [fold_block(one.slices, BEGUN_S + number * BLOCK_S, BLOCK_S) for number, one in enumerate(runs)]
    (found / "baseline.jsonl").write_text("".join(f"{json.dumps(block_as_plain(one))}\n" for one in blocks))
    return found
