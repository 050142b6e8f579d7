"""The gate for deployment pipelines: may something go out while a window is watched?

CLEAR only if a whole journal says so and its watch is alive or was ended in order; whatever is missing,
stale or broken is HOLD, never CLEAR.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from analysis.findings import Verdict
from savepath.watching.journal import Journal
from savepath.watching.state import read_agreed
from scenarios.errors import InputError

#: A watch that has decided nothing for so many blocks, and a minute, has died.
STALE_BLOCKS: Final = 3
STALE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the pipeline is told, in one line."""

    verdict: Verdict
    reason: str


def ask(state: Path, now_s: float) -> Answer:
    """The verdict that holds at ``now_s``."""
    try:
        agreed = read_agreed(state)
        lines = Journal(state).read()
    except InputError as error:
        return Answer(Verdict.HOLD, str(error))
    decisions = [line for line in lines if line["kind"] == "decision"]
    if not decisions:
        return Answer(Verdict.HOLD, f"{state}: nothing was decided yet")
    last = decisions[-1]
    try:
        verdict, sentence, written_s = Verdict(last["verdict"]), str(last["sentence"]), float(last["written_s"])
    except (KeyError, TypeError, ValueError):
        return Answer(Verdict.HOLD, f"{state}: the last decision cannot be read; the journal is damaged")
    if verdict is Verdict.ESCALATE:
        after = lines[lines.index(last) + 1 :]
        if any(line["kind"] == "ack" for line in after):
            return Answer(Verdict.HOLD, f"acknowledged, the next block decides: {sentence}")
        return Answer(verdict, sentence)
    silent_s = now_s - written_s
    if lines[-1]["kind"] != "end" and not -STALE_S <= silent_s <= STALE_BLOCKS * agreed.block_s + STALE_S:
        return Answer(
            Verdict.HOLD,
            f"the watch has been silent for {silent_s / 60:.0f} min, so nothing is known; was {verdict}",
        )
    return Answer(verdict, sentence)
