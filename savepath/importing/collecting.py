"""Requests gathered into columns as they are read: some 35 bytes each, whatever the file holds of them."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from analysis.samples import SAMPLE_COLUMNS, arrow_schema
from savepath.importing.label_map import LabelMap, Meaning
from savepath.importing.requests import Request, S
from savepath.importing.url_secrets import without_secrets
from scenarios.errors import InputError

_UINT16_MOST: Final = 2**16 - 1
_UINT32_MOST: Final = 2**32 - 1
_TEXTS_MOST: Final = 2**15 - 1  # of a dictionary column
_UNMAPPED, _IGNORED = -1, -2


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when the requests of a file were sent, in nanoseconds since 1970."""

    first_ns: int
    last_ns: int


class Collected:
    """The requests that the label map names, and how many there were of every label."""

    def __init__(self, label_map: LabelMap) -> None:
        self.labels: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.spans: list[Span] = []  # of the files, in their order
        self._map = label_map
        self._numbers: dict[str, int] = {}  # label -> place in meanings, or why it is left out
        self._meanings: list[Meaning] = []
        self._outcomes: dict[str, int] = {}
        self._details: dict[str, int] = {}
        self._sent, self._took = array("q"), array("q")
        self._label, self._outcome, self._detail = array("i"), array("b"), array("h")
        self._status, self._worker = array("H"), array("H")
        self._out, self._in = array("I"), array("I")

    def __len__(self) -> int:
        return len(self._sent)

    @property
    def mapped(self) -> dict[str, Meaning]:
        """What each label that the map names stands for."""
        return {label: self._meanings[number] for label, number in self._numbers.items() if number >= 0}

    @property
    def unmapped(self) -> dict[str, int]:
        """Requests by label, of labels that the map does not name; the most frequent first."""
        return self._left_out(_UNMAPPED)

    @property
    def ignored(self) -> dict[str, int]:
        """Requests by label, of labels that the map leaves out; the most frequent first."""
        return self._left_out(_IGNORED)

    def add(self, requests: Iterable[Request]) -> None:
        """Take in the requests of one more file. Raises OverflowError for a time that no clock shows."""
        worker, first_ns, last_ns = len(self.spans), 2**63, 0
        for told, sent_ns, took_ns, status, outcome, detail, bytes_out, bytes_in in requests:
            label = without_secrets(told)
            first_ns, last_ns = min(first_ns, sent_ns), max(last_ns, sent_ns)
            self.labels[label] += 1
            if outcome != "ok":
                self.failed[label] += 1
            number = self._numbers.get(label)
            if number is None:
                number = self._numbers[label] = self._number_of(told)
            if number < 0:
                continue
            self._label.append(number)
            self._sent.append(sent_ns)
            self._took.append(took_ns)
            self._status.append(status if 0 <= status <= _UINT16_MOST else 0)
            self._outcome.append(self._outcomes.setdefault(outcome, len(self._outcomes)))
            self._detail.append(self._details.setdefault(detail, len(self._details)))
            self._worker.append(worker)
            self._out.append(min(bytes_out, _UINT32_MOST))
            self._in.append(min(bytes_in, _UINT32_MOST))
        if last_ns:
            self.spans.append(Span(first_ns, last_ns))

    def table(self, start_ns: int) -> pa.Table:
        """The samples in the order of sending, which is taken for scheduled; second 0 is ``start_ns``."""
        sent = np.frombuffer(self._sent, np.int64)
        order = np.argsort(sent, kind="stable")
        labels = np.frombuffer(self._label, np.int32)[order]
        sent_s = (sent[order] - start_ns) / S
        done_s = sent_s + np.frombuffer(self._took, np.int64)[order] / S
        columns: dict[str, Any] = {
            "seq": np.arange(len(sent), dtype=np.uint32),
            "worker": np.frombuffer(self._worker, np.uint16)[order],
            "arm": _texts(np.zeros(len(sent), np.int32), [""]),
            "tenant": _texts(labels, [one.tenant for one in self._meanings]),
            "custom_fields": np.asarray([one.custom_fields for one in self._meanings], np.uint16)[labels],
            "operation": _texts(labels, [one.operation for one in self._meanings]),
            "scheduled_s": sent_s,
            "sent_s": sent_s,
            "done_s": done_s,
            "status": np.frombuffer(self._status, np.uint16)[order],
            "outcome": _texts(np.frombuffer(self._outcome, np.int8)[order], self._outcomes),
            "detail": _texts(np.frombuffer(self._detail, np.int16)[order], self._details),
            "bytes_out": np.frombuffer(self._out, np.uint32)[order],
            "bytes_in": np.frombuffer(self._in, np.uint32)[order],
        }
        return pa.table([columns[name] for name in SAMPLE_COLUMNS], schema=arrow_schema(SAMPLE_COLUMNS))

    def _number_of(self, label: str) -> int:
        meaning = self._map.meaning_of(label)
        if meaning is None:
            return _IGNORED if self._map.ignores(label) else _UNMAPPED
        self._meanings.append(meaning)
        return len(self._meanings) - 1

    def _left_out(self, why: int) -> dict[str, int]:
        return {label: n for label, n in self.labels.most_common() if self._numbers[label] == why}


def _texts(numbers: Any, texts: Iterable[str] | Mapping[str, int]) -> pa.DictionaryArray:
    """A column of texts from their numbers. Equal texts become one. Raises InputError for too many."""
    texts = list(texts)
    unique = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    if len(unique) > _TEXTS_MOST:
        raise InputError(
            f"the labels tell {len(unique):,} tenants; the most is {_TEXTS_MOST:,}: what the label map takes "
            "for a tenant is rather a case, write * in its place"
        )
    places = np.asarray([unique[text] for text in texts], np.int16)
    return pa.DictionaryArray.from_arrays(pa.array(places[numbers]), pa.array(list(unique), pa.string()))
