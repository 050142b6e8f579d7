"""The view of a watch that reports tell: its history as the model of the window part."""

from __future__ import annotations

from reports.watched import Required, Watched
from savepath.watching.history import History
from savepath.watching.lines import alarms_of, evidence_of, reasons_of
from savepath.watching.status import status_of


def watched_of(history: History, now_s: float) -> Watched:
    """The watch as it stands at ``now_s``. Raises one of UNREADABLE for a damaged last line."""
    status, last = status_of(history, now_s), history.last
    return Watched(
        source=status.source,
        begun_s=status.begun_s,
        ends_s=status.ends_s,
        ended=status.ended,
        block_s=status.block_s,
        tolerance=history.agreed.tolerance,
        told_s=now_s,
        verdict=status.verdict,
        sentence=status.sentence,
        moments=tuple(history.moments),
        remarks=tuple(history.remarks),
        required=tuple(Required(name, history.seen.get(name)) for name in history.agreed.required_events),
        alarms=() if last is None or history.acknowledged else alarms_of(last),
        reasons=() if last is None else reasons_of(last),
        evidence=None if last is None else evidence_of(last),
        alone_since_s=None if status.decided is None else status.decided.alone_since_s,
    )
