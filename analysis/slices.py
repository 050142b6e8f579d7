"""Slices: what is kept of a run for every later step, so that cost does not grow with the requests.

A slice is ten seconds of one operation of one cohort (and of one arm, where a run drives two
targets). ``fold`` makes slices of samples and ``merge`` adds tables of slices; folding a union
and merging the folds is the same to the last bit.

Columns of a table of slices, sorted by the first four, which together occur once:

``t_s`` start of the slice, ``arm``, ``operation``, ``custom_fields``; ``requests`` (answered or
failed, without the aborted), ``ok``, ``failures``, ``aborted`` and one column for each failure
outcome; ``busy_us``, the summed service time of all its requests in whole microseconds;
``response_bins`` and ``response_counts`` (done - scheduled, ok only), ``service_bins`` and
``service_counts`` (done - sent, ok only), ``lag_bins`` and ``lag_counts`` (sent - scheduled, all):
the histograms of ``analysis.histograms`` as lists; ``failure_outcomes``, ``failure_details`` and
``failure_counts``: lists of the same length, what failed how and how often.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.histograms import BINS, Histogram, bins_of, flat, merged
from analysis.samples import FAILURES, OUTCOMES

SLICE_S: Final = 10.0
KEYS: Final = ("t_s", "arm", "operation", "custom_fields")
COUNTS: Final = ("requests", "ok", "failures", "aborted", *FAILURES)
HISTOGRAMS: Final = ("response", "service", "lag")
LISTS: Final = (
    *(f"{name}_{part}" for name in HISTOGRAMS for part in ("bins", "counts")),
    "failure_outcomes",
    "failure_details",
    "failure_counts",
)
COLUMNS: Final = (*KEYS, *COUNTS, "busy_us", *LISTS)

_Ints: TypeAlias = NDArray[np.int64]


def fold(samples: pd.DataFrame, slice_s: float = SLICE_S) -> pd.DataFrame:
    """The slices of some samples (``analysis.samples.SAMPLE_COLUMNS``). The warm-up is left out.

    Reads scheduled_s, sent_s, done_s, arm, operation, custom_fields, outcome and detail.
    Raises ValueError for an outcome that is none of ``analysis.samples.OUTCOMES``.
    """
    counted = samples[samples["scheduled_s"] >= 0]
    if not len(counted):
        return empty()
    scheduled_s, sent_s, done_s = (
        counted[name].to_numpy(np.float64) for name in ("scheduled_s", "sent_s", "done_s")
    )
    outcome = _outcome_codes(counted["outcome"])
    ok, failed = outcome == OUTCOMES.index("ok"), np.isin(outcome, [OUTCOMES.index(name) for name in FAILURES])
    group, keys = _groups(
        [
            np.floor(scheduled_s / slice_s) * slice_s,
            counted["arm"],
            counted["operation"],
            counted["custom_fields"],
        ]
    )
    n = len(keys["t_s"])

    by_outcome = np.bincount(group * len(OUTCOMES) + outcome, minlength=n * len(OUTCOMES)).reshape(n, -1)
    columns: dict[str, Any] = {**keys, **_counts(dict(zip(OUTCOMES, by_outcome.T, strict=True)))}
    service_s = done_s - sent_s
    busy_us = np.where(np.isfinite(service_s), np.rint(np.maximum(service_s, 0) * 1e6), 0)
    columns["busy_us"] = np.bincount(group, weights=busy_us, minlength=n).astype(np.int64)
    durations = {
        "response": (ok, done_s - scheduled_s),
        "service": (ok, service_s),
        "lag": (np.isfinite(sent_s), sent_s - scheduled_s),
    }
    for name, (chosen, seconds) in durations.items():
        columns |= _histogram_lists(name, n, group[chosen], bins_of(seconds[chosen]))
    columns |= _detail_lists(
        n,
        group[failed],
        np.asarray(OUTCOMES, dtype=object)[outcome[failed]],
        counted["detail"].to_numpy(dtype=object)[failed],
        np.ones(int(failed.sum()), np.int64),
    )
    return pd.DataFrame(columns)[list(COLUMNS)]


def merge(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """The sum of tables of slices, which must have been folded with the same length of slice."""
    kept = [table for table in tables if len(table)]
    if not kept:
        return empty()
    rows = pd.concat(kept, ignore_index=True)
    group, keys = _groups([rows[name] for name in KEYS])
    n = len(keys["t_s"])
    columns: dict[str, Any] = dict(keys)
    for name in (*COUNTS, "busy_us"):
        columns[name] = np.bincount(group, weights=rows[name].to_numpy(np.float64), minlength=n).astype(np.int64)
    for name in HISTOGRAMS:
        bins, counts = flat(rows[f"{name}_bins"]), flat(rows[f"{name}_counts"])
        columns |= _histogram_lists(name, n, _repeated(group, rows[f"{name}_bins"]), bins, counts)
    columns |= _detail_lists(
        n,
        _repeated(group, rows["failure_counts"]),
        _flat_texts(rows["failure_outcomes"]),
        _flat_texts(rows["failure_details"]),
        flat(rows["failure_counts"]),
    )
    return pd.DataFrame(columns)[list(COLUMNS)]


def empty() -> pd.DataFrame:
    """A table of slices without a row."""
    integers = {name: np.empty(0, np.int64) for name in ("custom_fields", *COUNTS, "busy_us")}
    lists = {name: np.empty(0, object) for name in LISTS}
    texts = {name: pd.Series([], dtype="str") for name in ("arm", "operation")}
    return pd.DataFrame({"t_s": np.empty(0), **texts, **integers, **lists})[list(COLUMNS)]


def cell_histograms(slices: pd.DataFrame, name: str = "response") -> dict[tuple[str, int], Histogram]:
    """One histogram for each (operation, custom fields), over all times and arms."""
    if not len(slices):
        return {}
    group, keys = _groups([slices["operation"], slices["custom_fields"]], ("operation", "custom_fields"))
    cells = list(zip(keys["operation"].tolist(), (int(f) for f in keys["custom_fields"]), strict=True))
    spread = _repeated(group, slices[f"{name}_bins"])
    key = spread * BINS + flat(slices[f"{name}_bins"])
    all_cells = merged(key, flat(slices[f"{name}_counts"]))
    edges = np.searchsorted(all_cells.bins, np.arange(len(cells) + 1) * BINS)
    return {
        cell: Histogram(all_cells.bins[i:j] % BINS, all_cells.counts[i:j])
        for cell, i, j in zip(cells, edges[:-1], edges[1:], strict=True)
    }


def _outcome_codes(outcomes: pd.Series[Any]) -> _Ints:
    """The place of each outcome in OUTCOMES."""
    codes, names = pd.factorize(outcomes)
    unknown = [str(name) for name in names if name not in OUTCOMES]
    if unknown:
        raise ValueError(f"the samples hold the outcome {unknown[0]!r}; expected one of {', '.join(OUTCOMES)}")
    return np.asarray([OUTCOMES.index(str(name)) for name in names], np.int64)[codes]


def _counts(by_outcome: dict[str, _Ints]) -> dict[str, _Ints]:
    """COUNTS from the number of samples of each outcome."""
    failures = sum((by_outcome[name] for name in FAILURES), np.zeros_like(by_outcome["ok"]))
    return {**by_outcome, "failures": failures, "requests": by_outcome["ok"] + failures}


def _groups(columns: Sequence[Any], names: Sequence[str] = KEYS) -> tuple[_Ints, dict[str, NDArray[Any]]]:
    """The number of each row's group, and the value of each key by group; groups are sorted by their keys."""
    code, sizes, values = np.zeros(len(columns[0]), np.int64), [], []
    for column in columns:
        codes, found = pd.factorize(column, sort=True)
        code = code * len(found) + codes
        sizes.append(len(found))
        values.append(np.asarray(found))
    unique, group = np.unique(code, return_inverse=True)
    numbers = np.unravel_index(unique, sizes)
    keys = {name: value[number] for name, value, number in zip(names, values, numbers, strict=True)}
    if "custom_fields" in keys:
        keys["custom_fields"] = keys["custom_fields"].astype(np.int64)
    return group.astype(np.int64), keys


def _histogram_lists(
    name: str, n: int, group: _Ints, bins: _Ints, counts: _Ints | None = None
) -> dict[str, NDArray[Any]]:
    """The two list columns of a histogram, for ``n`` groups."""
    key = group * BINS + bins
    if counts is None:
        unique, summed = np.unique(key, return_counts=True)
    else:
        unique, inverse = np.unique(key, return_inverse=True)
        summed = np.bincount(inverse, weights=counts, minlength=len(unique))
    edges = np.searchsorted(unique, np.arange(n + 1) * BINS)
    return {
        f"{name}_bins": _lists((unique % BINS).astype(np.int32), edges),
        f"{name}_counts": _lists(summed.astype(np.int32), edges),
    }


def _detail_lists(
    n: int, group: _Ints, outcomes: NDArray[Any], details: NDArray[Any], counts: _Ints
) -> dict[str, NDArray[Any]]:
    """The three list columns of what failed how, for ``n`` groups; sorted by outcome, then detail."""
    outcome_codes, outcome_names = pd.factorize(outcomes, sort=True)
    detail_codes, detail_names = pd.factorize(details, sort=True)
    width = max(len(outcome_names) * len(detail_names), 1)
    key = group * width + outcome_codes * max(len(detail_names), 1) + detail_codes
    unique, inverse = np.unique(key, return_inverse=True)
    summed = np.bincount(inverse, weights=counts, minlength=len(unique)).astype(np.int32)
    kind = unique % width
    edges = np.searchsorted(unique, np.arange(n + 1) * width)
    outcome_of, detail_of = np.divmod(kind, max(len(detail_names), 1))
    return {
        "failure_outcomes": _lists(np.asarray(outcome_names, dtype=object)[outcome_of], edges),
        "failure_details": _lists(np.asarray(detail_names, dtype=object)[detail_of], edges),
        "failure_counts": _lists(summed, edges),
    }


def _lists(values: NDArray[Any], edges: NDArray[np.int64]) -> NDArray[Any]:
    """An array of arrays: ``values`` cut at ``edges``."""
    lists = np.empty(len(edges) - 1, dtype=object)
    for row, (i, j) in enumerate(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)):
        lists[row] = values[i:j]
    return lists


def _repeated(group: _Ints, lists: pd.Series[Any]) -> _Ints:
    """Each row's group as often as its list is long."""
    return np.repeat(group, [len(part) for part in lists])


def _flat_texts(lists: pd.Series[Any]) -> NDArray[Any]:
    """A column of lists of texts as one array, row after row."""
    return np.asarray([text for part in lists for text in part], dtype=object)
