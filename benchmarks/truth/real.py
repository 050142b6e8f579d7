"""Identical real runs of an unchanged system, held against each other: whatever is said is false.

The runs are split into two sides in many ways, each time as alternating pairs of neighbours in which
chance says who is "before", and judged as ``savepath compare`` would. The splits share their runs, so
their number says nothing of the error of a share, and none is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Final

import numpy as np
import scipy

from analysis.assessment import assess
from analysis.comparison import SLOW
from analysis.findings import Assessment, Reason, Verdict
from analysis.quantiles import log_means
from analysis.runs import Run
from analysis.slices import cell_histograms
from analysis.variation import vary
from benchmarks.truth.figures import Row, shown
from loadgen.runs import find_runs
from savepath.loading import load_run, question_of

SPLITS_MOST: Final = 200


def figures(folder: Path) -> Iterator[Row]:
    """What is said of the runs in a folder, and how quiet they are."""
    paths = find_runs([folder])
    runs = sorted((load_run(path) for path in paths), key=lambda run: run.started_at)
    if len(runs) < 4:
        raise SystemExit(f"{folder}: {len(runs)} runs; at least 4 runs of an unchanged system are needed")
    question = question_of(paths[0], ())
    name = f"{runs[0].scenario} on {runs[0].target}, {len(runs)} runs"
    found = [assess(before, after, question) for before, after in splits(runs)]
    yield from _said(name, found)
    yield from _noise(name, runs)
    singles = [_requests_differ(one, other) for one, other in zip(runs[::2], runs[1::2], strict=False)]
    differ = np.concatenate(singles)
    figure = f"{name}: cells in which two runs differ by Mann-Whitney at 1 %"
    yield shown("real", figure, float(differ.mean()), len(differ))


def splits(runs: Sequence[Run]) -> list[tuple[list[Run], list[Run]]]:
    """Neighbours as pairs, and every choice of who of them is before, up to a number of them."""
    pairs = list(zip(runs[::2], runs[1::2], strict=False))
    choices = list(product((False, True), repeat=len(pairs)))
    if len(choices) > SPLITS_MOST:
        chosen = np.random.default_rng(1).choice(len(choices), SPLITS_MOST, replace=False)
        choices = [choices[at] for at in chosen]
    return [
        (
            [pair[swap] for pair, swap in zip(pairs, swaps, strict=True)],
            [pair[not swap] for pair, swap in zip(pairs, swaps, strict=True)],
        )
        for swaps in choices
    ]


def _said(name: str, found: Sequence[Assessment]) -> Iterator[Row]:
    kept = float(np.mean([one.pairs / (one.pairs + one.pairs_dropped) for one in found]))
    yield shown("real", f"{name}, {len(found)} splits: pairs whose generator kept up", kept, len(found))
    said: dict[str, Callable[[Assessment], object]] = {
        "ESCALATE by latency": lambda one: Reason.LATENCY in one.reasons,
        "ESCALATE by growth": lambda one: Reason.GROWTH in one.reasons,
        "ESCALATE by standing out": lambda one: Reason.STANDS_OUT in one.reasons,
        "a cell told to stand out": lambda one: any(out.stands_out for out in one.standouts),
        "ESCALATE by failures": lambda one: Reason.FAILURES in one.reasons,
        "a cell said slower": lambda one: any(cell.word in SLOW for cell in one.cells),
        "CLEAR": lambda one: one.verdict is Verdict.CLEAR,
    }
    for what, holds in said.items():
        share = sum(bool(holds(one)) for one in found) / len(found)
        yield shown("real", f"{name}, {len(found)} splits: {what}", share, len(found))


def _noise(name: str, runs: Sequence[Run]) -> Iterator[Row]:
    """The two parts of what differs between the runs, as standard deviations of the mean log."""
    histograms = [cell_histograms(run.slices) for run in runs]
    cells = sorted(set.intersection(*(set(one) for one in histograms)))
    found = [log_means([one[cell] for cell in cells]) for one in histograms]
    variation = vary(np.array([one.log_s for one in found]))
    sampling = float(np.mean([one.variance for one in found]))
    own = max(float(variation.own.mean()) - sampling, 0.0)
    for what, value in (("shared by all cells", variation.common), ("a cell's own beyond its samples", own)):
        yield shown("real", f"{name}: noise {what}, sd of the log", value**0.5, len(runs))


def _requests_differ(one: Run, other: Run) -> list[bool]:
    a, b = cell_histograms(one.slices), cell_histograms(other.slices)
    return [
        bool(scipy.stats.mannwhitneyu(*(np.repeat(h.bins, h.counts) for h in (a[cell], b[cell]))).pvalue < 0.01)
        for cell in a.keys() & b.keys()
    ]
