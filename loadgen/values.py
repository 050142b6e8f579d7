"""What became of the values of a custom save: decided from what a case held, without asking anybody anything.

Two kinds of evidence. The case read right after the save tells whether its values are there, unless a
later save came in between. The history of the case tells it of every save, whatever came after: from
what the case holds now, each save undone in turn leads to what it held before.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from scenarios.fields import Value
from targets.lookups import Change


@dataclass(slots=True)
class CustomSave:
    """What must be known of a save of custom fields to judge a value that is read later."""

    seq: int
    tenant: str
    case: str
    sent_s: float
    done_s: float = math.inf
    acknowledged: bool = False


def classify_values(
    own: CustomSave,
    found: Mapping[str, Value],
    writer: CustomSave | None,
    values_of: Callable[[CustomSave], Mapping[str, Value]],
) -> str:
    """What a read of the case right after ``own`` was acknowledged says about the values of ``own``.

    ``writer`` is the save whose token stands in the case: ``own``, another one of this run, or None
    where no token of this run stands there. ``values_of`` tells what a save has written.
    """
    if writer is not None and writer.seq == own.seq:
        return "identical" if same_values(values_of(own), found) else "partial"
    if writer is not None and (writer.tenant, writer.case) != (own.tenant, own.case):
        return "foreign"
    if writer is None or (writer.acknowledged and writer.done_s <= own.sent_s):
        return "partial" if all_but_the_token(values_of(own), found) else "lost"
    return "superseded" if same_values(values_of(writer), found) else "partial"


def held_after_saves(
    changes: Sequence[Change], now: Mapping[str, Value]
) -> Iterator[tuple[str, Mapping[str, Value]]]:
    """The token of each save of one case and what the case held right after it, the newest save first.

    The last is "" and what it held before all of them. ``changes`` are those of the case, oldest first;
    ``now`` is what it holds. The mapping that is yielded is good until the next one.
    """
    held = dict(now)
    for token, made in itertools.groupby(reversed(changes), key=lambda change: change.token):
        yield token, held
        for change in made:
            if not change.key:
                continue
            if change.before is None:
                held.pop(change.key, None)
            else:
                held[change.key] = change.before
    yield "", held


def all_but_the_token(expected: Mapping[str, Value], found: Mapping[str, Value]) -> bool:
    """Whether every value but the first is there: the token is one of them, and may be all that is missing."""
    others = dict(itertools.islice(expected.items(), 1, None))
    return bool(others) and same_values(others, found)


def same_values(expected: Mapping[str, Value], found: Mapping[str, Value]) -> bool:
    """Whether every expected value is there; the order of several choices has no meaning."""
    return all(key in found and _same(value, found[key]) for key, value in expected.items())


def _same(one: Value, other: Value) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return sorted(one) == sorted(other)
    return one == other
