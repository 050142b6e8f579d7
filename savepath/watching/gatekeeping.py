"""The gate for deployment pipelines: may something go out while a window is watched?

CLEAR only if a whole journal says so and its watch is alive or was ended in order; whatever is missing,
stale or broken is HOLD, never CLEAR.
"""

from __future__ import annotations

from pathlib import Path

from analysis.findings import Verdict
from savepath.watching.history import History
from savepath.watching.status import Answer, judge, status_of
from scenarios.errors import InputError


def ask(state: Path, now_s: float) -> Answer:
    """The verdict that holds at ``now_s``."""
    try:
        return judge(status_of(History(state), now_s), now_s)
    except InputError as error:
        return Answer(Verdict.HOLD, str(error))
    except ValueError:
        return Answer(Verdict.HOLD, f"{state}: the last decision cannot be read; the journal is damaged")
