"""Runs made by hand for the tests of the analysis: samples whose quantiles are known by construction."""

import functools
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from analysis.runs import Run
from analysis.slices import fold

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
DURATION_S = 60.0
DIGEST = "ab" * 32
#: A request that is not late leaves so long after it was due.
PROMPT_S = 0.00002

#: 40 quantiles of a standard normal: samples that are lognormal without any chance in them.
SHAPE = np.array([-1.96 + 3.92 * i / 39 for i in range(40)])


def samples(cells, *, n=40, sigma=0.3, failed=0, lag_s=0.0, ramp=0.0, outcome="http_error", detail="http 503"):
    """``n`` samples of every cell, evenly spread over a minute around the cell's typical time in seconds.

    ``cells`` is {(operation, fields): seconds}; ``failed`` more requests of each cell fail; ``ramp`` is
    the growth of the logarithm from the first to the last moment.
    """
    shape = SHAPE if n == 40 else np.linspace(-1.96, 1.96, n)
    order = (np.arange(n) * 17) % n if np.gcd(17, n) == 1 else np.arange(n)
    at_s = np.concatenate([(np.arange(n) + 0.5) * DURATION_S / n, np.linspace(0, DURATION_S - 1, failed)])
    spread = np.exp(np.concatenate([sigma * shape[order], np.zeros(failed)])) * np.exp(ramp * at_s / DURATION_S)
    due_s = np.tile(at_s, len(cells))
    return pd.DataFrame(
        {
            "arm": "",
            "operation": np.repeat([operation for operation, _ in cells], n + failed),
            "custom_fields": np.repeat([fields for _, fields in cells], n + failed),
            "scheduled_s": due_s,
            "sent_s": due_s + max(lag_s, PROMPT_S),
            "done_s": due_s + lag_s + np.concatenate([typical_s * spread for typical_s in cells.values()]),
            "outcome": (["ok"] * n + [outcome] * failed) * len(cells),
            "detail": ([""] * n + [detail] * failed) * len(cells),
        }
    )


@functools.lru_cache(256)
def folded(cells, shape):
    """The number of samples of such cells, and their slices: no test changes them, and many draw the same."""
    table = samples(dict(cells), **dict(shape))
    return len(table), fold(table)


def effects(**counts):
    """Effects by ``kind_outcome=number``: ``script_once=10, value_lost=1``."""
    rows = [name.split("_", 1) for name, n in counts.items() for _ in range(n)]
    return pd.DataFrame(rows, columns=["kind", "outcome"])


def run(name, minutes, table=None, **changes):
    """A whole run that started so many minutes after noon, with the samples in ``table``."""
    n, slices = folded(((("read_case", 0), 0.1),), ()) if table is None else (len(table), fold(table))
    return made(name, minutes, n, **{"slices": slices, **changes})


def made(name, minutes, n, **changes):
    """The same of ``n`` samples that are in ``slices`` already."""
    facts = {
        "id": name,
        "started_at": NOON + timedelta(minutes=minutes),
        "status": "complete",
        "scenario": "by-hand",
        "target": "desk",
        "plan_digest": DIGEST,
        "duration_s": DURATION_S,
        "scheduled": n,
        "recorded": n,
        "aborted": 0,
        "unsent": 0,
        "run_queue_delay": 0.01,
        "cpu": 0.3,
        "effects": effects(script_once=100),
        "stored_cases": 1000,
    }
    return Run(**{**facts, **changes})


#: Noise of the runs on the log scale, one entry a pair; no two sides alike, no trend.
QUIET = (0.010, -0.008, 0.004, -0.011, 0.006, 0.001, -0.005, 0.003)

CELLS = {
    (operation, fields): typical_s
    for operation, typical_s in {"read_case": 0.1, "save_standard": 0.2, "save_custom": 0.4}.items()
    for fields in (0, 50, 200, 500)
}


def own_noise(pair, place, side):
    """A cell's own deviation in one run: small, fixed, unlike its neighbours'."""
    return 0.01 * np.sin(1.7 * pair + 2.3 * place + 4.1 * side)


def sides(pairs=6, change=None, *, apart=False, noise=1.0, before=None, after=None, cells=None, **shape):
    """Runs before and after, in turns. ``change`` is {cell: factor} on the after side; ``before`` and
    ``after`` are facts of the runs to override, or functions of the number of the pair that give them."""
    cells, change = cells or CELLS, change or {}
    found = ([], [])
    for pair in range(pairs):
        for side in (0, 1):
            common = QUIET[(3 * pair + 5 * side) % len(QUIET)]
            levels = {
                cell: typical_s
                * (change.get(cell, 1.0) if side else 1.0)
                * np.exp(noise * (common + own_noise(pair, place, side)))
                for place, (cell, typical_s) in enumerate(cells.items())
            }
            extra = (before, after)[side]
            extra = dict(extra(pair) if callable(extra) else extra or {})
            drawn = {**shape, **extra.pop("samples", {})}
            minutes = pair * 4 + side * 2 if not apart else (pair + side * pairs) * 24 * 60
            n, slices = folded(tuple(levels.items()), tuple(drawn.items()))
            found[side].append(made(f"{'ba'[side]}{pair}", minutes, n, **{"slices": slices, **extra}))
    return found


def as_values(slices):
    """Every number and text of a table of slices, comparable with ==."""
    return [
        [list(value) if isinstance(value, (np.ndarray, list)) else value for value in row]
        for row in slices.itertuples(index=False, name=None)
    ]
