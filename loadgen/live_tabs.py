"""Tabs of our own in Locust's web interface: requests by custom fields, effects, and how the schedule is kept.

Locust's page draws any table that comes with its own figures, once in two seconds; what is shown was made for
``progress.json`` anyway, so that nobody has to look.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Final

from flask import Flask, Response, request

from analysis.samples import EFFECT_OUTCOMES, UNDECIDED
from loadgen.live import Live, is_broken

Row = Mapping[str, str | float]

#: The titles of the columns by the name of the value, for each tab; ``name`` is what Locust sorts by.
_TABS: Final = {
    "By custom fields": {
        "operation": "Operation",
        "fields": "Fields",
        "requests": "Requests",
        "failures": "Failed",
        "p50": "p50 ms",
        "p95": "p95 ms",
        "p99": "p99 ms",
    },
    "Effects": {"effect": "Effect", "outcome": "Outcome", "number": "So far", "promise": "Promise"},
    "Schedule": {"what": "What", "value": "So far"},
}


def tabs() -> dict[str, object]:
    """What Locust's page must know of the tabs (``WebUI.template_args``)."""
    return {
        "extended_tabs": [{"title": title, "key": _key(title)} for title in _TABS],
        "extended_tables": [
            {"key": _key(title), "structure": [{"key": key, "title": head} for key, head in columns.items()]}
            for title, columns in _TABS.items()
        ],
    }


def fill(app: Flask, live: Callable[[], Live]) -> None:
    """Put what ``live`` says into Locust's answers with its own figures."""

    def extend(response: Response) -> Response:
        if request.endpoint == "locust.request_stats" and response.is_json:
            seen, told = live(), response.get_json()
            # Where workers drive, nothing passes through Locust.
            if not any(row["num_requests"] for row in told["stats"]):
                share = seen.failures / max(seen.recorded, 1)
                told |= {"current_rps": seen.rate_per_s, "total_rps": seen.rate_per_s, "fail_ratio": share}
            response.set_data(json.dumps({**told, "extended_stats": rows_of_tabs(seen)}))
        return response

    app.after_request(extend)


def rows_of_tabs(live: Live) -> list[dict[str, object]]:
    """The rows of each tab, as Locust's page wants them."""
    rows = (_cells(live), _effects(live), _schedule(live))
    return [
        {"key": _key(title), "data": [{"name": f"{place:04}", **row} for place, row in enumerate(told)]}
        for title, told in zip(_TABS, rows, strict=True)
    ]


def _key(title: str) -> str:
    return title.lower().replace(" ", "-")


def _cells(live: Live) -> list[Row]:
    return [
        {
            "operation": f"{cell.operation} ({cell.arm})" if cell.arm else cell.operation,
            "fields": cell.custom_fields,
            "requests": cell.requests,
            "failures": cell.failures,
            "p50": _ms(cell.p50_s),
            "p95": _ms(cell.p95_s),
            "p99": _ms(cell.p99_s),
        }
        for cell in live.cells
    ]


def _effects(live: Live) -> list[Row]:
    return [
        {"effect": kind, "outcome": outcome, "number": found.get(outcome, 0), "promise": _promise(kind, outcome)}
        for kind, found in live.effects.items()
        for outcome in EFFECT_OUTCOMES[kind]
    ]


def _promise(kind: str, outcome: str) -> str:
    if outcome in UNDECIDED:
        return "nobody can tell"
    return "broken" if is_broken(kind, outcome) else "kept"


def _schedule(live: Live) -> list[Row]:
    lag = "unknown" if math.isnan(live.lag_p99_s) else f"{_ms(live.lag_p99_s):g} ms"
    begun = live.recorded + live.in_flight + live.aborted
    told: dict[str, str | float] = {
        "phase": f"{live.phase}, {live.elapsed_s:,.0f} of {live.total_s:,.0f} s",
        **({"begun, by users who wait": begun} if live.scheduled is None else {"scheduled": live.scheduled}),
        "= recorded": live.recorded,
        "+ in flight": live.in_flight,
        "+ aborted": live.aborted,
        **({} if live.scheduled is None else {"+ to come": live.scheduled - begun}),
        "waited for room in flight": live.waited_for_pool,
        "schedule lag, p99 of the last second": lag,
        "effects to look up": live.pending_effects,
        **({"workers lost": live.workers_lost} if live.workers_lost else {}),
    }
    return [{"what": what, "value": value} for what, value in told.items()]


def _ms(time_s: float) -> float:
    """Milliseconds of three digits: they are right to 1 %."""
    time_ms = 1000 * time_s
    return round(time_ms, 2 - math.floor(math.log10(time_ms))) if time_ms > 0 else 0
