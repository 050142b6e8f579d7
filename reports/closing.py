"""The closing of a stabilization window: what a board and a change ticket must know of a watch, as rows and lists.

The page, the Markdown and the terminal (``reports.closing_formats``) tell the same ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from analysis.findings import Verdict
from analysis.window.decisions import Hold
from reports import units, window, words
from reports.decisions import Row
from reports.watched import Watched

#: What ends a HOLD, in the order in which it is said; reasons with the same answer stand together.
_ENDS_A_HOLD: Final = (
    ((Hold.OUTAGE, Hold.INVALID_LOAD, Hold.LOAD_CHANGED), "Blocks under the load that the baseline had."),
    ((Hold.SHORT_BASELINE, Hold.DEGENERATE), "A longer baseline, in a new watch."),
    ((Hold.CREDENTIALS,), "The new secret, in the file that its variable names or in a watch started again."),
    ((Hold.ACKNOWLEDGED,), "A repair: what was acknowledged still shows."),
    ((Hold.DEVIATION, Hold.SUDDEN, Hold.GAP, Hold.CLOCK), "Half a day of blocks without another such sign."),
    ((Hold.EVENT,), "Seeing what is required (savepath watch --seen NAME)."),
    ((Hold.SETTLING, Hold.NEEDS_DATA), "More time: the watch goes on."),
)


@dataclass(frozen=True, slots=True)
class Closing:
    """A watch at its end, or wherever somebody asks."""

    watched: Watched
    version: str  # of savepath
    #: The smallest lasting changes that a day of this watch finds: "growth of all +9%, ..."; empty if not known.
    finds: str = ""


def headline(closing: Closing) -> str:
    """The verdict's reason as a sentence."""
    return words.sentence(words.capital(closing.watched.sentence))


def decision_rows(closing: Closing) -> tuple[Row, ...]:
    """What is asked, what the evidence supports, who is hit, what was looked at, what would change the answer."""
    watched = closing.watched
    return (
        Row("Decision asked of you", f"Close the stabilization window of {watched.source}?"),
        Row("What the evidence supports", _supports(watched)),
        Row("Who notices", _who(watched)),
        Row("What was watched", _looked_at(watched)),
        Row("From, to", _span(watched)),
        Row("How it went", window.lead(watched)),
        Row("What would change this", _what_would_change(watched)),
    )


def not_known(closing: Closing) -> tuple[str, ...]:
    """What nobody can say from this watch, each a sentence."""
    watched = closing.watched
    found = []
    if watched.moments and not watched.ended and watched.told_s < watched.ends_s:
        found.append(f"What comes until {window.stamp(watched.ends_s)}, the agreed end: the window is not over.")
    if watched.ended and watched.moments and watched.moments[-1].at_s < watched.ends_s - watched.block_s:
        early = units.duration(watched.ends_s - watched.moments[-1].at_s)
        found.append(f"The last {early} of the agreed window: the watch was ended before.")
    if gaps := window.gaps_told(watched):
        found.append(gaps)
    never = [one.name for one in watched.required if one.seen_s is None]
    if never:
        found.append(f"What becomes of it on {words.listed(never, last='or')}: required, and never seen.")
    if watched.alone_since_s is not None:
        since = window.stamp(watched.alone_since_s)
        found.append(f"How the old environment does since {since}: it has not answered any more.")
    if closing.finds:
        found.append(f"Smaller changes than a day of this watch can find: {closing.finds}.")
    found.append("Everything that the scenario does not send, and higher loads than it offers.")
    return tuple(found)


def _supports(watched: Watched) -> str:
    match watched.verdict:
        case Verdict.CLEAR:
            return "Yes. The window may close."
        case Verdict.ESCALATE:
            return words.HAND_OVER
        case Verdict.HOLD:
            told = [words.sentence(words.capital(one.text)) for one in watched.reasons]
            return " ".join(["Not yet. Keep the window open.", *told[:3]])


def _who(watched: Watched) -> str:
    known = watched.evidence
    if watched.alarms:
        if known and known.hits:
            return f"Users of {window.hits_told(known)}."
        told = words.listed_up_to([f"{one.kind.value} ({one.text})" for one in watched.alarms], most=2)
        return f"Whoever stands behind the alarm: {told}."
    if watched.verdict is Verdict.CLEAR:
        return "Nobody, as far as was watched."
    return "Not known yet."


def _looked_at(watched: Watched) -> str:
    sent, failed = sum(one.requests for one in watched.moments), sum(one.failures for one in watched.moments)
    return f"{watched.source}: {units.counted(sent, 'request')}, of which {units.count(failed)} failed."


def _span(watched: Watched) -> str:
    first_s = watched.first_s
    if first_s is None:
        return f"begun {window.stamp(watched.begun_s)}; no block yet."
    last = window.stamp(watched.moments[-1].at_s)
    ended = "ended in order" if watched.ended else "not ended"
    return f"{window.stamp(first_s)} to {last} ({ended}; agreed until {window.stamp(watched.ends_s)})."


def _what_would_change(watched: Watched) -> str:
    match watched.verdict:
        case Verdict.CLEAR:
            return "An event, another load or a part of the system that was not watched."
        case Verdict.ESCALATE:
            return "A repair or the roll-back; then savepath watch --ack, and further blocks."
        case Verdict.HOLD:
            codes = {one.code for one in watched.reasons}
            told = [text for those, text in _ENDS_A_HOLD if codes & set(those)]
            return " ".join(told) or "Further blocks: the same savepath watch goes on where it was."
