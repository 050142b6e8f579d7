"""Wrong CLEAR: comparisons in which something is wrong, through the whole assessment. None may say CLEAR.

``python -m benchmarks wrong-clear [--replicates N] [--write]``

Ten pairs of two minutes on a host so calm that the same comparison without a fault is CLEAR nearly always: the
first row shows that, or the others would say nothing. ``--write`` puts the table into docs/method.md.
"""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import chain
from typing import Any, Final

import numpy as np

from analysis.assessment import assess
from analysis.errors import IncomparableRuns
from analysis.runs import Question
from benchmarks.truth import tables
from benchmarks.truth.folding import record
from benchmarks.truth.worlds import Host, World, draw
from benchmarks.wrong_clear.faults import FAULTS, Trial

TITLE: Final = tables.TITLES["wrong-clear"]
NOTHING: Final = "nothing wrong"
REFUSED: Final = "refused"
SAID: Final = ("CLEAR", "HOLD", "ESCALATE", REFUSED)
CALM: Final = Host(common_sd=0.03, cell_sd=0.01, busy=0.3)
#: Reads, custom saves and scripts; the rest would only cost time.
WORLD: Final = World(CALM, 10, rate_per_s=60.0, weights=(1.0, 0.0, 0.0, 1.0, 1.0))
_GAP_MINUTES: Final = 3.0


def measure(options: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Rows {figure, value, low, high, goal, reached}: how many of each fault were called CLEAR."""
    asked = _parser().parse_args(options)
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    said = {}
    with ProcessPoolExecutor(asked.processes) as pool:
        for name in (NOTHING, *FAULTS):
            heard = pool.map(partial(ask, name), range(asked.replicates), chunksize=5)
            said[name] = Counter(heard)
            print(f"{name:<42}", *(f"{one} {said[name][one]:>4}" for one in SAID), flush=True)
    if asked.write:
        tables.put({TITLE: markdown(said)})
    return list(chain.from_iterable(_rows(name, counts) for name, counts in said.items()))


def ask(name: str, seed: int, world: World = WORLD) -> str:
    """What is said of one comparison with this fault: a verdict, or that the runs cannot be compared."""
    trial = made(seed, world)
    if name != NOTHING:
        FAULTS[name](trial)
    try:
        return assess([one.run for one in trial.before], [one.run for one in trial.after], Question()).verdict
    except IncomparableRuns:
        return REFUSED


def made(seed: int, world: World = WORLD) -> Trial:
    """The pairs of a world with nothing wrong: by turns for an even seed, both at once for an odd one."""
    rng = np.random.default_rng(seed)
    design = ("alternating", "concurrent")[seed % 2]
    world = world.but(design=design)
    drawn = draw(world, rng)
    sides: tuple[list[Any], list[Any]] = ([], [])
    for pair, runs in enumerate(zip(drawn.before, drawn.after, strict=True)):
        for side, run in enumerate(runs):
            turn = side if pair % 2 == 0 else 1 - side
            place = pair if design == "concurrent" else 2 * pair + turn
            name = f"{'ba'[side]}{pair:02d}"
            sides[side].append(record(run, name, minutes=_GAP_MINUTES * place, duration_s=world.duration_s))
    return Trial(*sides, rng)


def markdown(said: dict[str, Counter[str]]) -> str:
    """The table, a line a fault."""
    lines = [
        "By `make bench-wrong-clear`: ten pairs of two minutes through the whole assessment, on a calm host (3 %",
        "common to all cells, 1 % of each). *Refused* are runs that are not comparable at all.",
        "",
        f"| what is wrong | {' | '.join(SAID)} |",
        f"|---|{'---|' * len(SAID)}",
        *(f"| {name} | {' | '.join(str(counts[one]) for one in SAID)} |" for name, counts in said.items()),
    ]
    faulted = [counts for name, counts in said.items() if name != NOTHING]
    wrongly, n = sum(counts["CLEAR"] for counts in faulted), sum(counts.total() for counts in faulted)
    return "\n".join([*lines, f"| **all faults together** | **{wrongly}** of {n:,} |{' |' * (len(SAID) - 1)}"])


def _rows(name: str, counts: Counter[str]) -> list[dict[str, Any]]:
    n = counts.total()
    shares = {one: counts[one] / n for one in SAID}
    goal = ("", None) if name == NOTHING else ("<= 0", not counts["CLEAR"])
    return [
        {
            "figure": f"{name}: {one}",
            "value": share,
            # Where none is found, or all are, no more is known than "within 3 / n" (the rule of three).
            "low": max(share - max(2 * (share * (1 - share) / n) ** 0.5, 3 / n), 0.0),
            "high": min(share + max(2 * (share * (1 - share) / n) ** 0.5, 3 / n), 1.0),
            "goal": goal[0] if one == "CLEAR" else "",
            "reached": goal[1] if one == "CLEAR" else None,
            "n": n,
        }
        for one, share in shares.items()
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks wrong-clear", description=__doc__)
    parser.add_argument("--replicates", type=int, default=80, help="of each fault")
    parser.add_argument("--processes", type=int, default=None)
    parser.add_argument("--write", action="store_true", help="into docs/method.md")
    return parser
