"""What an answer to an operation means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from targets.extraction import Unreadable, compile_expression, is_true
from targets.http import Response
from targets.model import OperationMapping, Success


@dataclass(frozen=True, slots=True)
class Judgement:
    """What an answer means: ``outcome`` is one of ``analysis.samples.OUTCOMES``, ``detail`` of a closed set."""

    outcome: str
    detail: str


_OK = Judgement("ok", "")
_NOT_MET = Judgement("invalid", "success condition not met")


class Judge:
    """Tells what an answer to one operation means."""

    def __init__(self, mapping: OperationMapping) -> None:
        success: Success = mapping.success
        self._good = frozenset(success.statuses or range(200, 300))
        self._conflicts = frozenset(mapping.conflict.statuses)
        self._in_conflict = mapping.conflict.condition
        self._condition = success.condition
        self._items = compile_expression(success.items) if success.items else None
        self._each = compile_expression(success.each) if success.each else None
        self._json = success.json_body or self._items is not None
        self._needs_body = self._items is not None or bool(self._condition and self._condition.body)

    def __call__(self, response: Response) -> Judgement:
        """Conflict before success before error."""
        status = response.status
        if status in self._conflicts or (self._in_conflict and self._in_conflict.holds(response)):
            return Judgement("conflict", "version conflict")
        if status in self._good:
            return self._judge_good(response)
        if status >= 400:
            return Judgement("http_error", f"http {status}")
        return Judgement("invalid", f"unexpected http {status}")

    def _judge_good(self, response: Response) -> Judgement:
        data = None
        if self._needs_body or (self._json and response.body):
            try:
                data = orjson.loads(response.body)
            except orjson.JSONDecodeError:
                return Judgement("invalid", "not json")
        if self._condition is not None and not self._condition.holds(response, data):
            return _NOT_MET
        return _OK if self._items is None else self._judge_items(data)

    def _judge_items(self, data: Any) -> Judgement:
        """Of a composite answer: every single result must be good, and there must be some."""
        assert self._items is not None  # noqa: S101  # asked before
        assert self._each is not None  # noqa: S101  # belongs to it
        try:
            items = self._items(data)
        except Unreadable:
            items = None
        if not isinstance(items, list) or not items:
            return _NOT_MET
        good = sum(_true(self._each, item) for item in items)
        if good == len(items):
            return _OK
        return Judgement("invalid", "partial success") if good else _NOT_MET


def _true(expression: Callable[[Any], Any], data: Any) -> bool:
    try:
        return is_true(expression(data))
    except Unreadable:
        return False
