"""Evidence: is all there that a CLEAR would rest on, or was something not recorded, not looked at, or too good?

What is missing never speaks for the change. Samples that were lost, effects that nobody recorded and a target that
answers in no time all look like good news to a comparison that does not ask for them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from analysis.findings import CellFinding, Check, FailureFinding, Reason, Word
from analysis.integrity import count_effects
from analysis.runs import Question, Run, listed

UNVERIFIED_MOST: Final = 0.01
#: Samples that may lack of a run's measured window, against the run of the same plan that has the most.
LACKING_MOST: Final = 0.01
#: Requests that may be sent in the microsecond in which they were due, or before: none can be by a right clock.
EARLY_MOST: Final = 0.01
#: Effects for each answered request that a side must have, against those of the other.
EFFECTS_AT_LEAST: Final = 0.9
#: Below this share of its time before, a required part is not faster but does something else, until somebody says.
FAST: Final = 0.5
#: The key of ``--planned`` by which somebody says so.
FASTER: Final = "faster"
#: How many more of the requests of an operation may fail without the comparison noticing.
UNSEEN_FAILURES_MOST: Final = 0.01
#: Operations that promise nothing but their answer.
PROMISELESS: Final = ("read_case",)


def check_samples(runs: Sequence[Run]) -> list[Check]:
    """Whether there are samples, all of them, and their times can be true."""
    empty = [run.id for run in runs if not run.reduced.of_all("requests")]
    if empty:
        return [Check.failed("samples", f"No sample in {listed(empty)}.", Reason.NEEDS_DATA)]
    requests = sum(run.reduced.of_all("requests") for run in runs)
    text = f"{requests:,} requests in the measured windows of {len(runs)} runs."
    return [Check.passed("samples", text), _whole(runs), _after_due(runs)]


def check_effects(before: Sequence[Run], after: Sequence[Run]) -> Check:
    """Whether effects were recorded and looked at, as many on one side as on the other."""
    name = "effects checked"
    sides = before, after
    counts = [sum(count_effects(side).values()) for side in sides]
    if not any(counts):
        if not any(_promising(side, "ok") for side in sides):
            return Check.passed(name, "Nothing was asked but reads, which promise nothing.")
        text = "No effects were recorded: whether saves, scripts and mails kept their promise is not known."
        return Check.noted(name, text, Reason.UNVERIFIED)
    for at, side in enumerate(("before", "after")):
        if not counts[at]:
            text = f"No effects were recorded {side}, though there are some on the other side."
            return Check.failed(name, text, Reason.NEEDS_DATA)
        # Held against all requests of the other side: those that failed promised nothing.
        other = counts[1 - at] / max(_promising(sides[1 - at], "requests"), 1)
        expected = other * _promising(sides[at], "ok")
        # Which saves are read back is chance, so that few effects may be fewer on one side.
        if counts[at] < EFFECTS_AT_LEAST * expected - 4 * math.sqrt(expected):
            text = f"{counts[at]:,} effects were recorded {side}, where by the other side's saves and mails"
            return Check.failed(name, f"{text} {expected:,.0f} are expected: some were lost.", Reason.NEEDS_DATA)
    unseen = [
        sum(n for (_, outcome), n in count_effects(side).items() if outcome == "unverified") / whole
        for side, whole in zip(sides, counts, strict=True)
    ]
    text = f"Effects nobody looked at: {unseen[0]:.1%} before, {unseen[1]:.1%} after; limit {UNVERIFIED_MOST:.0%}."
    return (
        Check.failed(name, text, Reason.NEEDS_DATA) if max(unseen) > UNVERIFIED_MOST else Check.passed(name, text)
    )


def check_speed(cells: Sequence[CellFinding], question: Question) -> Check:
    """Whether any required part takes less than half of its time: a cache, a stub, an error page do, too."""
    name = "plausible times"
    fast = [one for one in cells if one.required and one.word is Word.FASTER and one.ratio < FAST]
    if not fast:
        return Check.passed(name, f"No required part takes less than {FAST:.0%} of its time before.")
    best = min(fast, key=lambda one: one.ratio)
    text = f"{best.operation}@{best.custom_fields} takes {best.ratio:.0%} of its time before"
    if FASTER in question.planned:
        return Check.passed(name, f"{text}, as was announced.")
    return Check.noted(
        name,
        f"{text}: so do answers of a cache, a stub or an error page. Look at one; if it is what the change should "
        f"do, say --planned {FASTER}.",
        Reason.UNVERIFIED,
    )


def check_failures(failures: Sequence[FailureFinding], question: Question) -> Check:
    """Whether there are requests enough to notice more failures; those that were noticed are findings."""
    name, required = "failures would show", {operation for operation, _ in question.required}
    whole = [one for one in failures if one.custom_fields is None and one.operation in required and not one.fires]
    if not whole:
        return Check.passed(name, "No required operation is left whose failures did not show.")
    worst = max(whole, key=lambda one: one.high)
    text = f"Of {worst.operation} at most {max(worst.high, 0.0):.1%} more fail than before"
    limit = f"limit {UNSEEN_FAILURES_MOST:.0%}"
    if worst.high <= UNSEEN_FAILURES_MOST:
        return Check.passed(name, f"{text}; {limit}.")
    counts = (
        f"{worst.before:,} of {worst.requests_before:,} before, {worst.after:,} of {worst.requests_after:,} after"
    )
    return Check.noted(name, f"{text} ({counts}); {limit}: too few requests to tell.", Reason.NEEDS_DATA)


def _whole(runs: Sequence[Run]) -> Check:
    """Runs of one plan have the same share of their arrivals in the measured window; what lacks was lost."""
    name = "samples whole"
    if any(run.lacks("schedule") for run in runs):
        return Check.noted(name, "What was planned is not told: samples that were lost are not missed.")
    if any(run.users for run in runs):
        text = "What users begin follows from the answers: samples that were lost are not missed."
        return Check.noted(name, text)
    # What was not sent of a run that was stopped may have been of its warm-up.
    known = [run for run in runs if run.status == "complete" and run.scheduled]
    shares = [_in_window(run) / run.scheduled for run in known]
    most = max(shares, default=1.0)
    lacking = []
    for run, share in zip(known, shares, strict=True):
        # Which arrivals of the warm-up fall to an arm is chance, where a run drives two.
        chance = 4 * math.sqrt(most * max(1 - most, 0.0) / run.scheduled) if run.at_once else 0.0
        if most - share > max(LACKING_MOST * most, chance):
            lacking.append(run.id)
    if lacking:
        text = (
            f"Up to {1 - min(shares) / most:.0%} of the samples that the ledger counts are not there: "
            f"{listed(lacking)}. Copy those folders again, or make the runs again."
        )
        return Check.failed(name, text, Reason.INVALID_LOAD)
    return Check.passed(name, f"No run lacks more than {LACKING_MOST:.0%} of the samples that its ledger counts.")


def _in_window(run: Run) -> int:
    return run.reduced.of_all("requests") + run.reduced.of_all("aborted") + run.unsent + run.lost


def _after_due(runs: Sequence[Run]) -> Check:
    """No request leaves before it is due, unless the clock that stamps it is not that of the schedule."""
    name = "clocks agree"
    early = {}
    for run in runs:
        lag = run.reduced.lag
        if not run.lacks("schedule") and lag.n:
            early[run.id] = int(lag.counts[lag.bins == 0].sum()) / lag.n
    if not early:
        return Check.noted(name, "When requests were due is not told.")
    beyond = [run for run, share in early.items() if share > EARLY_MOST]
    text = (
        f"{max(early.values()):.1%} of the requests at most were sent before they were due; limit {EARLY_MOST:.0%}"
    )
    if beyond:
        why = "the clocks of schedule and sender differ, and times come out too short"
        return Check.failed(name, f"{text}: {why} ({listed(beyond)}).", Reason.INVALID_LOAD)
    return Check.passed(name, f"{text}.")


def _promising(runs: Sequence[Run], column: str) -> int:
    """Requests of a side whose answer promises an effect."""
    return sum(
        n
        for run in runs
        for (operation, _), n in run.reduced.of_cells(column).items()
        if operation not in PROMISELESS
    )
