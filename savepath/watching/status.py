"""The status of a watch: what ``status.json`` says and what the gate judges, here or at the other end of a URL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from analysis.findings import Verdict
from analysis.window.spans import LAST_S
from reports.escaping import one_line
from savepath.watching.history import History

SCHEMA: Final = "savepath.watch-status/1"
#: A watch that has decided nothing for so many blocks, and a minute, has died.
STALE_BLOCKS: Final = 3
STALE_S: Final = 60.0


class _Part(BaseModel):
    """A part of the answer: frozen. Keys that a later version adds are left aside."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Alarmed(_Part):
    """One thing that is wrong and that nobody has acknowledged."""

    kind: str = Field(description="integrity, failures, growth-with-custom-fields or latency")
    what: str = Field(description="the stream, the operation, or the kind and outcome of the effects")
    raised_s: float = Field(description="Unix time")
    text: str


class Reasoned(_Part):
    """Why it is HOLD."""

    code: str = Field(description="settling, needs-data, gap, deviation, ...")
    text: str


class Strongest(_Part):
    """The window of blocks that stands out most."""

    stream: str
    window_blocks: int
    shift: float = Field(description="0.1 is 10 % slower than the baseline")
    score: float = Field(description="1 raises an alarm")


class Decided(_Part):
    """The last decision."""

    at_s: float = Field(description="Unix time of the end of its block")
    written_s: float = Field(description="Unix time at which it was written down")
    run: str
    verdict: Verdict
    sentence: str
    alarms: tuple[Alarmed, ...] = ()
    reasons: tuple[Reasoned, ...] = ()
    strongest: Strongest | None = None
    shifts: dict[str, float] = Field({}, description="of the telling streams in this block; 0.1 is 10 % slower")
    alone_since_s: float | None = Field(
        None,
        ge=0,
        le=LAST_S,
        description="Unix time since which the old environment (--versus) has not answered; null if it does",
    )
    evidence: dict[str, Any] | None = Field(
        None, description="since when, who is hit, how it lies, where it leads"
    )


class Told(_Part):
    """A note, an event that was seen, or an acknowledgement."""

    at_s: float = Field(description="Unix time")
    kind: Literal["note", "event", "ack"]
    text: str


class Status(_Part):
    """What a watch says at ``answered_s``. ``verdict`` and ``sentence`` are what the gate would answer."""

    schema_: Literal["savepath.watch-status/1"] = Field(alias="schema")
    answered_s: float = Field(description="Unix time of the answer")
    verdict: Verdict
    sentence: str
    source: str = Field(description="what is watched")
    begun_s: float = Field(description="Unix time")
    ends_s: float = Field(description="Unix time at which the window is over, as agreed")
    block_s: float = Field(gt=0)
    ended: bool = Field(description="whether the watch was ended in order, soon after its last decision")
    acknowledged: bool = Field(description="whether somebody acknowledged the alarms after the last decision")
    blocks: int = Field(description="how many were decided")
    decided: Decided | None = Field(None, description="the last decision; null before the first")
    remarks: tuple[Told, ...] = Field((), description="the latest hundred")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a pipeline is told, in one line."""

    verdict: Verdict
    reason: str

    @property
    def line(self) -> str:
        """The line. The reason may be of a stranger, so no character is left that a terminal would obey."""
        return f"{self.verdict}: {one_line(self.reason)}"


def status_of(history: History, now_s: float) -> Status:
    """The status at ``now_s``. Raises ValueError for a last decision that is none."""
    agreed = history.agreed
    decided = None if history.last is None else Decided.model_validate(history.last)
    found = Status(
        schema=SCHEMA,
        answered_s=now_s,
        verdict=Verdict.HOLD,
        sentence="",
        source=agreed.source,
        begun_s=agreed.begun_s,
        ends_s=agreed.ends_s,
        block_s=agreed.block_s,
        ended=_ended_in_order(history.ended_s, decided, agreed.block_s),
        acknowledged=history.acknowledged,
        blocks=len(history.moments),
        decided=decided,
        remarks=tuple(Told(at_s=one.at_s, kind=one.kind, text=one.text) for one in history.remarks[-100:]),
    )
    answer = judge(found, now_s)
    return found.model_copy(update={"verdict": answer.verdict, "sentence": answer.reason})


def _ended_in_order(ended_s: float | None, last: Decided | None, block_s: float) -> bool:
    """Whether it was alive until then: one that died and is begun again may only find its window over."""
    return ended_s is not None and last is not None and ended_s - last.written_s <= most_silent_s(block_s)


def judge(status: Status, now_s: float) -> Answer:
    """What holds at ``now_s``: CLEAR only from a watch that is alive or was ended in order while it was."""
    last = status.decided
    if last is None:
        return Answer(Verdict.HOLD, "nothing was decided yet")
    if last.verdict is Verdict.ESCALATE:
        if status.acknowledged:
            return Answer(Verdict.HOLD, f"acknowledged, the next block decides: {last.sentence}")
        return Answer(last.verdict, last.sentence)
    silent_s = now_s - last.written_s
    if not status.ended and not -STALE_S <= silent_s <= most_silent_s(status.block_s):
        return Answer(
            Verdict.HOLD,
            f"the watch has been silent for {silent_s / 60:.0f} min, so nothing is known; was {last.verdict}",
        )
    return Answer(last.verdict, last.sentence)


def most_silent_s(block_s: float) -> float:
    """A watch that is alive is never silent for longer."""
    return STALE_BLOCKS * block_s + STALE_S


def status_schema() -> dict[str, Any]:
    """The JSON Schema of ``status.json``."""
    schema = Status.model_json_schema(mode="serialization", by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "savepath watch status"}
