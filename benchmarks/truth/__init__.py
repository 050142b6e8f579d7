"""False alarms and power of the comparison: simulated systems, other rules beside it, and real runs.

``python -m benchmarks truth [--replicates N] [--tables NAME ...] [--write] [--runs DIR]``

``--write`` puts the tables into docs/method.md, in place of those of the same name. ``--runs DIR`` judges run
folders of an unchanged system instead of simulating.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.truth import figures, real, tables

MAKERS = {
    name: getattr(figures, name) for name in ("identical", "power", "harmless", "apart", "failures", "rivals")
}


def measure(options: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Rows {figure, value, low, high, goal, reached, ...}; low and high are two Monte-Carlo errors away."""
    asked = _parser().parse_args(options)
    rows = list(real.figures(asked.runs)) if asked.runs else _simulated(asked.replicates, asked.tables)
    if asked.write:
        tables.write(rows)
    return [
        {**asdict(one), "figure": tables.plain(one), "goal": _goal(one), "reached": one.reached} for one in rows
    ]


def _simulated(replicates: int, names: Sequence[str]) -> list[figures.Row]:
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # the processes are the parallelism
    rows: list[figures.Row] = []
    with ProcessPoolExecutor() as pool:
        lab = figures.Lab(pool, replicates)
        for name in names:
            print(f"-- {tables.TITLES[name]}", file=sys.stderr, flush=True)
            for one in MAKERS[name](lab):
                print(*tables.lines([one]), file=sys.stderr, flush=True)
                rows.append(one)
    return rows


def _goal(one: figures.Row) -> str:
    return "" if one.goal is None else f"{'<=' if one.most else '>='} {one.goal:g}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks truth", description=__doc__)
    parser.add_argument("--replicates", type=int, default=1000)
    parser.add_argument("--tables", nargs="+", choices=list(MAKERS), default=list(MAKERS))
    parser.add_argument("--write", action="store_true", help="into docs/method.md")
    parser.add_argument("--runs", type=Path, help="a folder of run folders of an unchanged system")
    return parser
