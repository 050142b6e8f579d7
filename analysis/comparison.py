"""The latency of every cell, after against before: estimate, simultaneous interval, word.

The run (or the pair of runs) is the unit, never the request: two identical single runs against a
real server differ "significantly" in 73 % of the cells if requests are counted. The steps are those
of ``docs/method.md``: log quantile of each cell in each run, difference by pair, two-level variation
(``analysis.variation``), and an interval that holds for all cells of a quantile at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import special

from analysis.findings import CellFinding, Word
from analysis.histograms import Histogram
from analysis.levels import Cell, Contrast, Floats, Levels, measure, ratio_of
from analysis.runs import Question
from analysis.variation import QUANTISATION, Variation, expected_own, simultaneous, vary

NAN: Final = float("nan")
MUCH: Final = 1.25
FASTER: Final = 0.95
#: How surely a cell lies below the upper end of its interval. An overall CLEAR claims that *every*
#: cell is harmless, and is wrong only if the worst of them is misjudged: no correction for their number.
HARMLESS_LEVEL: Final = 0.95
#: Quantiles that decide a verdict; p99 of a cell is shown but hardly ever decidable.
DECIDING: Final = (0.5, 0.95)
#: The words that may raise an alarm.
SLOW: Final = (Word.SLOWER, Word.MUCH_SLOWER)

Opposing = Callable[[Levels, Levels], Contrast]  # levels.paired or levels.predicted
Histograms = Sequence[Mapping[Cell, Histogram]]  # by run


@dataclass(frozen=True, slots=True)
class Enough:
    """How many ok samples a quantile of a cell needs before it is judged."""

    per_run: int
    per_side: int


def enough_for(q: float) -> Enough:
    """5 per run for the median, 10 per run and 60 per side up to p95, 1,000 per run beyond."""
    if q <= 0.5:
        return Enough(5, 5)
    return Enough(10, 60) if q <= 0.95 else Enough(1000, 1000)


@dataclass(frozen=True, slots=True)
class Comparison:
    """All cells at all quantiles, and how quiet the runs were."""

    cells: tuple[CellFinding, ...]
    common: CellFinding | None  # the mean over all judged cells at p95, or at p50 where p95 has none
    prior_df: Mapping[float, float]  # d0 by quantile: how alike the cells' variances are
    beyond: frozenset[tuple[str, int, float]]  # cells whose every after-run lies beyond every before-run


def compare(
    before: Histograms, after: Histograms, question: Question, oppose: Opposing, *, pairs: int
) -> Comparison:
    """Compare the response histograms of both sides' runs.

    ``oppose`` is ``levels.paired`` (run k of both sides is pair k) or ``levels.predicted``. Cells
    without enough samples, or with fewer than two rows to learn the variation from, are TOO_LITTLE_DATA
    with the numbers that there are; required cells without any sample are listed too.
    """
    cells = cells_of(before, after, question)
    found: list[CellFinding] = []
    priors: dict[float, float] = {}
    beyond: set[tuple[str, int, float]] = set()
    commons: dict[float, CellFinding] = {}
    for q in question.quantiles:
        levels = measure(before, cells, q), measure(after, cells, q)
        judged = sufficient(*levels, q)
        for at, cell in enumerate(cells):
            if cell in question.not_applicable:
                found.append(_unjudged(levels, at, q, question, pairs, Word.NOT_APPLICABLE))
            elif not judged[at]:
                found.append(_unjudged(levels, at, q, question, pairs, Word.TOO_LITTLE_DATA))
        if judged.any():
            sides = levels[0].of(judged), levels[1].of(judged)
            contrast = oppose(*sides)
            variation = vary(contrast.rows, expected_own(contrast.rows, contrast.sampling))
            measured = _Measured(q, sides, contrast, variation, question, pairs)
            found += _judged(measured)
            priors[q] = variation.prior.df
            beyond |= {(*cell, q) for cell in _beyond(*sides, question.tolerance)}
            commons[q] = _common(measured)
    order = {cell: at for at, cell in enumerate(cells)}
    found.sort(key=lambda one: (order[one.operation, one.custom_fields], one.quantile))
    return Comparison(tuple(found), commons.get(0.95, commons.get(0.5)), priors, frozenset(beyond))


def cells_of(before: Histograms, after: Histograms, question: Question) -> list[Cell]:
    """Every cell with a sample, and every one that the question names."""
    seen = {cell for run in (*before, *after) for cell, histogram in run.items() if len(histogram.bins)}
    return sorted(seen | question.required | question.not_applicable)


def sufficient(before: Levels, after: Levels, q: float) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which cells hold enough samples in each run, and runs enough to learn the variation from two rows."""
    need = enough_for(q)
    if len(before.n) < 2 or not len(after.n):
        return np.zeros(len(before.cells), np.bool_)
    per_run = np.minimum(before.n.min(axis=0), after.n.min(axis=0)) >= need.per_run
    per_side = np.minimum(before.n.sum(axis=0), after.n.sum(axis=0)) >= need.per_side
    both: np.ndarray[tuple[int], np.dtype[np.bool_]] = per_run & per_side
    return both


def word_for(low: float, high: float, limit: float, *, highest: float) -> Word:
    """The word for an interval of ratios, by where the whole of it lies; NaN is TOO_LITTLE_DATA.

    ``highest`` is the upper end that holds for all cells at once, as ``low`` does: "faster" rests on it.
    """
    if math.isnan(low) or math.isnan(high):
        return Word.TOO_LITTLE_DATA
    if low > limit:
        return Word.MUCH_SLOWER if low > MUCH else Word.SLOWER
    if high < limit:
        return Word.FASTER if highest < FASTER else Word.NO_HARM
    return Word.NEAR_THE_LIMIT if low > 1 else Word.UNCLEAR


def holm(p_values: Sequence[float], weights: Sequence[float] | None = None) -> list[float]:
    """Adjusted p-values (Holm 1979), in the order given; ``weights`` share out the error, else it is even."""
    weight = np.ones(len(p_values)) if weights is None else np.asarray(weights, np.float64)
    order = np.argsort(np.asarray(p_values) / weight, kind="stable")
    adjusted = [NAN] * len(p_values)
    largest, left = 0.0, float(weight.sum())
    for at in order:
        largest = max(largest, min(1.0, left / float(weight[at]) * p_values[at]))
        adjusted[at] = largest
        left -= float(weight[at])
    return adjusted


@dataclass(frozen=True, slots=True)
class Bounds:
    """Ends of intervals on the log scale, by cell; ``se`` are the standard errors behind them."""

    se: Floats
    low: Floats  # holds for all cells at once, as does ``highest``
    high: Floats  # holds for its cell alone, at ``HARMLESS_LEVEL``
    highest: Floats


def bounds_of(contrast: Contrast, variation: Variation) -> Bounds:
    """Between what each cell lies, by the variation of its rows."""
    se = np.sqrt(contrast.factor * variation.each)
    reach, alone = simultaneous(variation) * se, special.stdtrit(variation.df, HARMLESS_LEVEL) * se
    estimate = contrast.estimate
    return Bounds(se, estimate - reach, estimate + alone, estimate + reach)


@dataclass(frozen=True, slots=True)
class _Measured:
    """The cells with enough data at one quantile, and what is asked of them."""

    q: float
    sides: tuple[Levels, Levels]
    contrast: Contrast
    variation: Variation
    question: Question
    pairs: int  # 0 where the sides lie apart in time


def _judged(one: _Measured) -> list[CellFinding]:
    """The findings of the cells with enough data."""
    contrast, variation, question, pairs = one.contrast, one.variation, one.question, one.pairs
    bounds = bounds_of(contrast, variation)
    answers = len(question.required) * sum(q in DECIDING for q in question.quantiles)
    p_values = special.stdtr(variation.df, -contrast.estimate / bounds.se)
    before_log, after_log = _typical(*one.sides)
    limit = 1 + question.tolerance
    found = []
    for at, (operation, fields) in enumerate(contrast.cells):
        low, high, highest = (ratio_of(float(end[at])) for end in (bounds.low, bounds.high, bounds.highest))
        word = word_for(low, high, limit, highest=highest)
        needed = None
        if word in (Word.UNCLEAR, Word.NEAR_THE_LIMIT) and contrast.factor < 1:
            needed = max(pairs_needed(float(variation.each[at]), question.tolerance, answers), pairs + 1)
        found.append(
            CellFinding(
                operation=operation,
                custom_fields=fields,
                quantile=one.q,
                before_s=float(np.exp(before_log[at])),
                after_s=float(np.exp(after_log[at])),
                ratio=ratio_of(float(contrast.estimate[at])),
                low=low,
                high=high,
                limit=limit,
                word=word,
                required=_required((operation, fields), one.q, question),
                n_before=int(one.sides[0].n[:, at].sum()),
                n_after=int(one.sides[1].n[:, at].sum()),
                pairs=pairs,
                p_value=float(p_values[at]),
                pairs_needed=needed,
            )
        )
    return found


def pairs_needed(variance: float, tolerance: float, answers: int) -> int:
    """Pairs after which an unchanged system is shown harmless nine times out of ten, at this noise.

    ``variance`` is that of one pair difference of the cell; ``answers`` is for how many cells and
    quantiles the verdict waits: all of them must come out harmless, so each gets a share of the tenth.
    """
    reach = float(special.ndtri(HARMLESS_LEVEL) - special.ndtri(0.10 / max(answers, 1)))
    return math.ceil(variance * (reach / math.log1p(tolerance)) ** 2)


def _unjudged(
    levels: tuple[Levels, Levels], at: int, q: float, question: Question, pairs: int, word: Word
) -> CellFinding:
    """What can be said of a cell without an interval: typical times where there are any, and the counts."""
    (operation, fields), need = levels[0].cells[at], enough_for(q)
    n_before, n_after = (side.n[:, at] for side in levels)
    before_log, after_log = (_mean(side.log_s[:, at]) for side in levels)
    if len(n_before) == len(n_after):  # the same pairs on both sides, or the ratio would compare unlike runs
        usable = (n_before > 0) & (n_after > 0)
        if usable.any():
            before_log, after_log = (_mean(side.log_s[usable, at]) for side in levels)
    needed = None
    if word is Word.TOO_LITTLE_DATA and pairs >= 2:
        least = min(int(n_before.min()), int(n_after.min()))
        smaller = min(float(n_before.mean()), float(n_after.mean()))
        if least >= need.per_run:  # the runs are long enough, there are too few of them
            needed = max(math.ceil(need.per_side / smaller), pairs + 1)
    return CellFinding(
        operation=operation,
        custom_fields=fields,
        quantile=q,
        before_s=ratio_of(before_log),
        after_s=ratio_of(after_log),
        ratio=ratio_of(after_log - before_log),
        low=NAN,
        high=NAN,
        limit=1 + question.tolerance,
        word=word,
        required=word is not Word.NOT_APPLICABLE and _required((operation, fields), q, question),
        n_before=int(n_before.sum()),
        n_after=int(n_after.sum()),
        pairs=pairs,
        pairs_needed=needed,
    )


def _common(one: _Measured) -> CellFinding:
    """Everything got slower: the mean over the cells, with an interval of its own."""
    contrast, variation = one.contrast, one.variation
    estimate = float(contrast.estimate.mean())
    se = math.sqrt(contrast.factor * max(variation.common, QUANTISATION))
    reach, alone = (float(special.stdtrit(variation.common_df, level)) * se for level in (0.975, HARMLESS_LEVEL))
    before_log, after_log = _typical(*one.sides)
    low, high, limit = ratio_of(estimate - reach), ratio_of(estimate + alone), 1 + one.question.tolerance
    return CellFinding(
        operation="all",
        custom_fields=0,
        quantile=one.q,
        before_s=float(np.exp(before_log.mean())),
        after_s=float(np.exp(after_log.mean())),
        ratio=ratio_of(estimate),
        low=low,
        high=high,
        limit=limit,
        word=word_for(low, high, limit, highest=ratio_of(estimate + reach)),
        required=False,
        n_before=int(one.sides[0].n.sum()),
        n_after=int(one.sides[1].n.sum()),
        pairs=one.pairs,
        p_value=float(special.stdtr(variation.common_df, -estimate / se)),
    )


def _beyond(before: Levels, after: Levels, tolerance: float) -> list[Cell]:
    """Cells whose fastest after-run is slower than the slowest before-run by more than the tolerance."""
    gap = after.log_s.min(axis=0) - before.log_s.max(axis=0)
    return [cell for cell, by in zip(before.cells, gap, strict=True) if by > math.log1p(tolerance)]


def _required(cell: Cell, q: float, question: Question) -> bool:
    """Whether the verdict waits for this cell at this quantile."""
    return q in DECIDING and cell in question.required


def _typical(before: Levels, after: Levels) -> tuple[Floats, Floats]:
    """The mean log quantile of each cell by side: after / before is then the mean ratio itself."""
    return before.log_s.mean(axis=0), after.log_s.mean(axis=0)


def _mean(values: Floats) -> float:
    """The mean of what is not NaN; NaN if nothing is left."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else NAN
