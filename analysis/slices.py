"""Slices: what is kept of a run for every later step, so that cost does not grow with the requests.

A slice is ten seconds of one operation of one cohort (and of one arm, where a run drives two
targets), or a thirtieth of a longer run: ``width_for``. ``fold`` makes slices of samples and
``merge`` adds tables of slices; folding a union and merging the folds is the same to the last bit.

Columns of a table of slices, sorted by the first four, which together occur once:

``t_s`` start of the slice, ``arm``, ``operation``, ``custom_fields``; ``requests`` (answered or
failed, without the aborted), ``ok``, ``failures``, ``aborted`` and one column for each failure
outcome; ``busy_us``, the summed service time (done - sent) of all its requests in whole microseconds;
``response_bins`` and ``response_counts`` (done - scheduled, ok only), ``lag_bins`` and
``lag_counts`` (sent - scheduled, all): the histograms of ``analysis.histograms`` as lists, those of
the lag coarser, since it is only held against a limit;
``failure_outcomes``, ``failure_details`` and ``failure_counts``: lists of the same length, what
failed how and how often. Lists are Arrow's, which keeps all values of a column in one piece of
memory: hours of slices are added without a loop.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from analysis.histograms import Histogram, arrow_lists, bins_of, flat, lengths
from analysis.samples import FAILURES, OUTCOMES

#: Rises when samples fold to other slices than before; slices of another version are made again.
VERSION: Final = 2
SLICE_S: Final = 10.0
#: So many bins of a lag are one, told by the middle of them: a lag is known to 2.3 %. The first, of who was not
#: late at all, stays by itself.
LAG_BINS: Final = 9
#: More slices of one run say no more: charts have no room for them, and a histogram of few samples is no
#: shorter than the samples themselves.
SLICES_MOST: Final = 30
KEYS: Final = ("t_s", "arm", "operation", "custom_fields")
COUNTS: Final = ("requests", "ok", "failures", "aborted", *FAILURES)
HISTOGRAMS: Final = ("response", "lag")
LISTS: Final = {
    **{f"{name}_{part}": pa.int32() for name in HISTOGRAMS for part in ("bins", "counts")},
    "failure_outcomes": pa.string(),
    "failure_details": pa.string(),
    "failure_counts": pa.int32(),
}
#: What ``fold`` reads of the samples.
READS: Final = ("scheduled_s", "sent_s", "done_s", "arm", "operation", "custom_fields", "outcome", "detail")
COLUMNS: Final = (*KEYS, *COUNTS, "busy_us", *LISTS)

#: Up to so many places for each entry, counting in an array of all of them is faster than sorting.
_DENSE: Final = 16

_Ints: TypeAlias = NDArray[np.signedinteger]


def width_for(duration_s: float) -> float:
    """How long the slices of a run are: ten seconds, or as many tens as make no more than ``SLICES_MOST``."""
    return SLICE_S * max(math.ceil(duration_s / SLICE_S / SLICES_MOST), 1)


def fold(samples: pd.DataFrame, slice_s: float = SLICE_S) -> pd.DataFrame:
    """The slices of some samples (``analysis.samples.SAMPLE_COLUMNS``). The warm-up is left out.

    Reads the columns ``READS``.
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
    response = bins_of((done_s - scheduled_s)[ok])
    columns |= _histogram_lists("response", n, group[ok], response)
    sent = np.isfinite(sent_s)
    lag = bins_of((sent_s - scheduled_s)[sent])
    coarse = np.where(lag > 0, lag // LAG_BINS * LAG_BINS + LAG_BINS // 2, 0)
    columns |= _histogram_lists("lag", n, group[sent], coarse)
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
    lists = {name: _lists([], np.zeros(1, np.int64), kind) for name, kind in LISTS.items()}
    texts = {name: pd.Series([], dtype="str") for name in ("arm", "operation")}
    return pd.DataFrame({"t_s": np.empty(0), **texts, **integers, **lists})[list(COLUMNS)]


def cell_histograms(slices: pd.DataFrame) -> dict[tuple[str, int], Histogram]:
    """One histogram of response times for each (operation, custom fields), over all times and arms."""
    if not len(slices):
        return {}
    keys, found = histograms_by(slices, ("operation", "custom_fields"))
    return dict(
        zip(zip(keys["operation"].tolist(), keys["custom_fields"].tolist(), strict=True), found, strict=True)
    )


def histograms_by(
    slices: pd.DataFrame, names: Sequence[str], histogram: str = "response"
) -> tuple[dict[str, NDArray[Any]], list[Histogram]]:
    """The columns ``names`` of each group of rows that agree in them, and the summed histogram of each group."""
    group, keys = _groups([slices[name] for name in names], names)
    bins, counts = flat(slices[f"{histogram}_bins"]), flat(slices[f"{histogram}_counts"])
    summed = _summed(_repeated(group, slices[f"{histogram}_bins"]), bins, counts)
    edges = summed.edges(len(next(iter(keys.values()))))
    return keys, [Histogram(summed.bins[i:j], summed.counts[i:j]) for i, j in pairwise(edges.tolist())]


def kinds_of(slices: pd.DataFrame) -> dict[tuple[str, str, str], int]:
    """How many requests failed, by outcome, detail and operation."""
    if not len(slices):
        return {}
    counts = flat(slices["failure_counts"]).tolist()
    outcomes, details = (_flat_texts(slices[f"failure_{name}"]).tolist() for name in ("outcomes", "details"))
    operations = np.repeat(slices["operation"].astype(str).to_numpy(), lengths(slices["failure_counts"])).tolist()
    found: Counter[tuple[str, str, str]] = Counter()
    for kind, n in zip(zip(outcomes, details, operations, strict=True), counts, strict=True):
        found[kind] += n
    return dict(sorted(found.items()))


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
        codes, distinct = pd.factorize(column)
        found = np.asarray(distinct)
        order = np.argsort(found)  # by what is written: factorize would keep the order of a dictionary
        code = code * len(found) + np.argsort(order)[codes]
        sizes.append(len(found))
        values.append(found[order])
    unique, group = np.unique(code, return_inverse=True)
    numbers = np.unravel_index(unique, sizes)
    keys = {name: value[number] for name, value, number in zip(names, values, numbers, strict=True)}
    if "custom_fields" in keys:
        keys["custom_fields"] = keys["custom_fields"].astype(np.int64)
    return group.astype(np.int64), keys


@dataclass(frozen=True, slots=True)
class _Summed:
    """The bins of many groups, sorted by group and then by bin, each with its count."""

    group: _Ints
    bins: _Ints
    counts: _Ints

    def edges(self, n: int) -> _Ints:
        """Where each of ``n`` groups begins, and where the last one ends."""
        return np.searchsorted(self.group, np.arange(n + 1))


def _summed(group: _Ints, bins: _Ints, counts: _Ints | None = None) -> _Summed:
    """Add what falls into the same bin of the same group; without counts each entry is one."""
    if not len(bins):
        return _Summed(bins, bins, bins)
    low, high = int(bins.min()), int(bins.max())
    key = group * (high - low + 1) + (bins - low)
    if int(key.max()) < _DENSE * len(key):
        dense = np.bincount(key, weights=counts)
        unique = np.flatnonzero(dense)
        sums = dense[unique]
    elif counts is None:
        unique, sums = np.unique(key, return_counts=True)
    else:
        unique, place = np.unique(key, return_inverse=True)
        sums = np.bincount(place, weights=counts)
    group, bins = np.divmod(unique, high - low + 1)
    return _Summed(group, bins + low, sums.astype(np.int64))


def _histogram_lists(name: str, n: int, group: _Ints, bins: _Ints, counts: _Ints | None = None) -> dict[str, Any]:
    """The two list columns of a histogram, for ``n`` groups."""
    summed = _summed(group, bins, counts)
    edges = summed.edges(n)
    return {
        f"{name}_bins": _lists(summed.bins, edges, pa.int32()),
        f"{name}_counts": _lists(summed.counts, edges, pa.int32()),
    }


def _detail_lists(
    n: int, group: _Ints, outcomes: NDArray[Any], details: NDArray[Any], counts: _Ints
) -> dict[str, Any]:
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
        "failure_outcomes": _lists(np.asarray(outcome_names, dtype=object)[outcome_of], edges, pa.string()),
        "failure_details": _lists(np.asarray(detail_names, dtype=object)[detail_of], edges, pa.string()),
        "failure_counts": _lists(summed, edges, pa.int32()),
    }


def _lists(values: Any, edges: NDArray[np.int64], kind: pa.DataType) -> Any:
    """A column of lists: ``values`` cut at ``edges``."""
    lists = pa.ListArray.from_arrays(pa.array(edges, pa.int32()), pa.array(values, kind))
    return pd.arrays.ArrowExtensionArray(lists)


def _repeated(group: _Ints, lists: pd.Series[Any]) -> _Ints:
    """Each row's group as often as its list is long."""
    return np.repeat(group, lengths(lists))


def _flat_texts(lists: pd.Series[Any]) -> NDArray[Any]:
    """A column of lists of texts as one array, row after row."""
    texts: NDArray[Any] = arrow_lists(lists).flatten().to_numpy(zero_copy_only=False)
    return texts
