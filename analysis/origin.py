"""Imported results: what they cannot show, said as notes, so that nothing unknown is taken for good.

A tool that writes down when it *sent* a request, but not when the request was due, leaves out the wait of
those that a stall kept from being sent (coordinated omission). Its times are compared all the same: they
are true of what was sent.
"""

from __future__ import annotations

from collections.abc import Sequence

from analysis.findings import Check, Reason
from analysis.runs import Run

#: A tool by its key -> its name for people.
TOOLS = {"jtl": "JMeter", "k6": "k6", "locust": "Locust", "vegeta": "vegeta"}


def imported_from(runs: Sequence[Run]) -> str:
    """The tool that made the results, for people; empty where savepath drove every run."""
    return ", ".join(dict.fromkeys(TOOLS.get(run.origin.tool, run.origin.tool) for run in runs if run.origin))


def tell_origin(before: Sequence[Run], after: Sequence[Run]) -> list[Check]:
    """Notes on what the results of another tool leave open, and on what was seen when they were imported."""
    runs = (*before, *after)
    found = []
    if any(run.lacks("schedule") for run in runs):
        found.append(
            Check.noted(
                "times from due moment",
                f"{imported_from(runs)} tells when requests were sent, not when they were due. Times count from "
                "sending: what a stall kept from being sent does not show in them (coordinated omission).",
                Reason.UNVERIFIED,
            )
        )
        found.append(
            Check.noted(
                "same offered rate",
                f"What was planned is not told. Sent were {sent_per_s(before):,.1f} requests/s before and "
                f"{sent_per_s(after):,.1f} after; where users wait for answers, a slower target is asked less.",
            )
        )
    if any(run.lacks("cohorts") for run in runs):
        found.append(
            Check.noted(
                "cohorts",
                "The label map gives no number of custom fields: whether times grow with them cannot be seen.",
            )
        )
    notes = dict.fromkeys(f"{run.id}: {note}" for run in runs if run.origin for note in run.origin.notes)
    if notes:
        found.append(Check.noted("imported files", " ".join(notes)))
    return found


def sent_per_s(runs: Sequence[Run]) -> float:
    """The mean rate of a side's measured windows."""
    requests = sum(run.reduced.of_all("requests") for run in runs)
    return requests / max(sum(run.duration_s for run in runs), 1e-9)
