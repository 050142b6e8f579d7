"""The window part: whether the target settled, from what a watch found. One section of HTML for every page.

``part`` needs the style sheet of ``reports.pages`` on the page around it and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from jinja2 import Environment
from markupsafe import Markup

from analysis.findings import Verdict
from analysis.window.decisions import Breach, Evidence
from reports import drawing, pages, units, words
from reports.escaping import one_line
from reports.watched import Period, Remark, Watched
from reports.window_figure import window_figure

#: So many of the last periods, remarks and gaps are listed, and cells that were hit; the rest is counted.
LISTED_MOST: Final = 12
HITS_MOST: Final = 3
#: Kinds of remarks, for people.
KINDS: Final = {"note": "note", "event": "seen", "ack": "acknowledged"}
TENANTS_MOST: Final = 6
#: A note so long before a change may have to do with it.
NEAR_S: Final = 3600.0


def part(watched: Watched) -> Markup:
    """The section: the verdict now, the chart, alarms with their evidence, verdicts in turn, remarks, gaps."""
    figure = window_figure(watched)
    chart = None if figure is None else drawing.long_chart(figure, prefix="window", label=in_words(watched))
    text = (
        _environment()
        .get_template("window.html.j2")
        .render(
            w=watched,
            chart=chart,
            lead=lead(watched),
            evidence=list(evidence_rows(watched.evidence, watched.remarks)) if watched.evidence else [],
            periods=list(reversed(watched.periods))[:LISTED_MOST],
            periods_left=max(len(watched.periods) - LISTED_MOST, 0),
            remarks=list(enumerate(watched.remarks, start=1))[-LISTED_MOST:],
            remarks_left=max(len(watched.remarks) - LISTED_MOST, 0),
            gaps=gaps_told(watched),
        )
    )
    return Markup(text)  # noqa: S704 (the template escapes)


def lead(watched: Watched) -> str:
    """How long it was watched and how it was answered, in one sentence."""
    if not watched.moments:
        return "Nothing was decided yet."
    times = {
        verdict: sum(one.to_s - one.from_s for one in watched.periods if one.verdict is verdict)
        for verdict in (Verdict.ESCALATE, Verdict.HOLD, Verdict.CLEAR)
    }
    shares = words.listed([f"{verdict.value} for {units.duration(s)}" for verdict, s in times.items() if s > 0])
    blocks = units.counted(len(watched.moments), "block")
    window = "The watch was ended" if watched.ended else f"The window is over at {stamp(watched.ends_s)}"
    return (
        f"{blocks} of {units.duration(watched.block_s)} since {stamp(watched.first_s or 0.0)}: {shares}. {window}."
    )


def in_words(watched: Watched) -> str:
    """The chart for those who do not see it."""
    turns = words.listed_up_to([f"{one.verdict.value} from {stamp(one.from_s)}" for one in watched.periods], 6)
    return f"The verdicts of the watch over time: {turns}. Below, the change against the baseline and failures."


def evidence_rows(evidence: Evidence, remarks: Sequence[Remark] = ()) -> Iterator[tuple[str, str]]:
    """What is known of the first alarm in latency: a label and a sentence each."""
    between = f"{stamp(evidence.since_low_s)} and {stamp(evidence.since_high_s)}"
    manner = "rising since then" if evidence.rising else "at once"
    yield "Since when", f"about {stamp(evidence.since_s)} (between {between}), {manner}"
    for note in remarks:
        if note.kind == "note" and evidence.since_low_s - NEAR_S <= note.at_s <= evidence.since_high_s:
            yield "Written then", f"{note.text}, at {stamp(note.at_s)}"
    if evidence.hits:
        yield "Who is hit", hits_told(evidence)
    if against := _against_told(evidence):
        yield "Beside the old one", against
    yield "How it lies", _shape_told(evidence)
    for breach in evidence.breaches:
        yield "Where it leads", _breach_told(breach)


def gaps_told(watched: Watched) -> str:
    """The times of which nothing is known; empty without any."""
    gaps = watched.gaps
    if not gaps:
        return ""
    longest = max(gaps, key=lambda one: one.to_s - one.from_s)
    return (
        f"Nothing is known of {units.duration(sum(one.to_s - one.from_s for one in gaps))} in "
        f"{units.counted(len(gaps), 'gap')}; the longest began {stamp(longest.from_s)} "
        f"and lasted {units.duration(longest.to_s - longest.from_s)}."
    )


def stamp(at_s: float) -> str:
    """A Unix time for people: "2026-11-24 18:05 UTC"."""
    return units.moment(datetime.fromtimestamp(at_s, UTC).isoformat())


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = pages.environment()
    environment.filters |= {
        "duration": units.duration,
        "kind": KINDS.get,
        "lasted": lambda period: units.duration(_length_s(period)),
        "one_line": one_line,
        "stamp": stamp,
        "verdict_glyph": words.VERDICT_GLYPHS.__getitem__,
    }
    return environment


def _length_s(period: Period) -> float:
    return period.to_s - period.from_s


def _shape_told(evidence: Evidence) -> str:
    parts = f"{units.growth(evidence.uniform)} with the fewest custom fields"
    if evidence.growth > 0:
        parts += f", and {units.growth(evidence.growth)} more up to the most"
    return f"{evidence.shape.value}: {parts}"


def hits_told(evidence: Evidence) -> str:
    """The cells that were hit, by how much, their share of requests and saves, and their tenants."""
    shown = [f"{words.place(one.operation, one.custom_fields)} {units.change(one.ratio)}" for one in evidence.hits]
    shares = f"{units.share(sum(one.share for one in evidence.hits))} of all requests"
    told = f"{words.listed_up_to(shown, HITS_MOST)}: {shares}, {units.share(evidence.saves)} of saves"
    if evidence.tenants:
        told += f"; tenants {words.listed_up_to(evidence.tenants, TENANTS_MOST)}"
    return told


def _against_told(evidence: Evidence) -> str:
    """How many times as long it takes as in the old environment; empty where nobody asked that."""
    shown = [
        f"{words.place(one.operation, one.custom_fields)} {one.versus:.2f} times"
        for one in evidence.hits
        if one.versus is not None
    ]
    if not shown:
        return ""
    return f"{words.listed_up_to(shown, HITS_MOST)} as long as in the old environment at the same moments"


def _breach_told(breach: Breach) -> str:
    place, limit = words.place(breach.operation, breach.custom_fields), units.seconds(breach.objective_s)
    now = f"95 of 100 finish within {units.seconds(breach.now_s)} now"
    if breach.likely_s == breach.earliest_s == breach.latest_s:
        return f"{place}: {now}, and {limit} is already exceeded"
    if not math.isfinite(breach.latest_s):
        return f"{place}: {now}; {limit} is reached after {stamp(breach.earliest_s)} if it goes on, or never"
    span = f"between {stamp(breach.earliest_s)} and {stamp(breach.latest_s)}"
    return f"{place}: {now}; {limit} is reached {span} if it goes on"
