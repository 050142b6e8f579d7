"""When the generator itself stood still: it sent late, though it had fewer requests open than it may.

On a machine that others share a process can be put aside for a second. What is due in it is sent late, and what
was under way seems to have hung. Such time is the generator's: a slow target does not make an open loop late until
it holds all the requests that may be open. How many these are is not asked, it is the most that ever were; where
the loop has never been full, its busiest moment is given to the target.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Moments = NDArray[np.float64]


def seconds_taken(rows: pd.DataFrame) -> Moments:
    """From the moment at which each arrival was due until it was done, less what its worker stood still meanwhile.

    Reads ``worker``, ``scheduled_s``, ``sent_s`` and ``done_s``; seconds, in the order of the rows.
    """
    taken_s = np.zeros(len(rows))
    for places in rows.groupby("worker", observed=True).indices.values():
        part = rows.iloc[places]
        due_s, sent_s, done_s = (part[name].to_numpy(np.float64) for name in ("scheduled_s", "sent_s", "done_s"))
        late = (sent_s > due_s) & ~_held(due_s, sent_s, done_s)
        edges_s, stood_s = _stood_still(due_s[late], sent_s[late])
        still_s = np.interp(done_s, edges_s, stood_s) - np.interp(due_s, edges_s, stood_s)
        taken_s[places] = done_s - due_s - still_s
    return taken_s


def _held(due_s: Moments, sent_s: Moments, done_s: Moments) -> NDArray[np.bool_]:
    """Arrivals in whose wait as many requests were open as ever: it may have been for one of these."""
    begun_s, over_s = np.sort(sent_s), np.sort(done_s)
    number_open = np.arange(1, len(begun_s) + 1) - np.searchsorted(over_s, begun_s, "right")
    full_s = begun_s[number_open == number_open.max()]
    room_s = over_s[np.minimum(np.searchsorted(over_s, full_s, "right"), len(over_s) - 1)]
    latest = np.searchsorted(full_s, sent_s, "left") - 1
    held: NDArray[np.bool_] = (latest >= 0) & (room_s[latest] >= due_s)
    return held


def _stood_still(from_s: Moments, until_s: Moments) -> tuple[Moments, Moments]:
    """For how long it has stood still at each edge of these stretches, of which some lie in others."""
    if not len(from_s):
        return np.zeros(1), np.zeros(1)
    order = np.argsort(from_s)
    from_s, furthest_s = from_s[order], np.maximum.accumulate(until_s[order])
    first = np.append(True, from_s[1:] > furthest_s[:-1])
    begun_s, ended_s = from_s[first], furthest_s[np.append(np.flatnonzero(first)[1:] - 1, len(first) - 1)]
    stood_s = np.cumsum(ended_s - begun_s)
    edges_s = np.column_stack([begun_s, ended_s])
    return edges_s.ravel(), np.column_stack([stood_s - (ended_s - begun_s), stood_s]).ravel()
