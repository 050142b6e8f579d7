"""Looks by their tokens, in every tenant, for saves that were denied and for those that are not in their place.

A target that denies every save must not fill the memory: a denied one is five bytes until the end of the run.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from loadgen.asking import Asking
from loadgen.authors import Authors
from loadgen.company import Case
from loadgen.effects import Origin
from loadgen.recorder import Effect
from loadgen.value_rows import failed_but_saved
from scenarios.model import Operation, Tenant
from targets.binding import Binding

_OPERATIONS: Final = list(Operation)


@dataclass(slots=True)
class _Denied:
    """The saves of a tenant that were answered with an error."""

    tenant: Tenant
    seqs: array[int] = field(default_factory=lambda: array("I"))
    operations: bytearray = field(default_factory=bytearray)

    def add(self, origin: Origin) -> None:
        self.seqs.append(origin.seq)
        self.operations.append(_OPERATIONS.index(origin.operation))

    def part(self, first: int, number: int) -> Iterator[Origin]:
        """So many of them, without their tokens and their times."""
        here = slice(first, first + number)
        for seq, operation in zip(self.seqs[here], self.operations[here], strict=True):
            yield Origin(seq, "", self.tenant, _OPERATIONS[operation], "http_error", math.nan)


@dataclass(frozen=True, slots=True)
class _Missing:
    """An acknowledged save that is not where it belongs; and what it is if it has reached its case after all."""

    origin: Origin
    if_there: str


class ValueSearch:
    """What is to be looked for after the run. Where the mapping finds no saves, nothing is denied here."""

    def __init__(
        self,
        tenants: Sequence[Tenant],
        binding: Binding,
        asking: Asking,
        authors: Authors,
        record: Callable[[Effect], None],
        now: Callable[[], float],
    ) -> None:
        self._tenants = {tenant.key: tenant for tenant in tenants}
        self._binding = binding
        self._asking = asking
        self._authors = authors
        self._record = record
        self._now = now
        self._denied: dict[str, _Denied] = {}  # by tenant
        self._missing: list[_Missing] = []

    @property
    def pending(self) -> int:
        """Saves that are missing."""
        return len(self._missing)

    @property
    def requests_left(self) -> int:
        """How many requests it will take, about."""
        seeks = len(self._tenants) if self._binding.finds_saves else 0
        return seeks + sum(1 for _ in self.denied())

    def deny(self, origin: Origin) -> None:
        """It was answered with an error: is it there all the same?"""
        if self._binding.finds_saves:
            self._denied.setdefault(origin.tenant.key, _Denied(origin.tenant)).add(origin)

    def miss(self, origin: Origin, if_there: str) -> None:
        """It is not where it belongs; ``if_there`` is its outcome if its token is found in its own case."""
        self._missing.append(_Missing(origin, if_there))

    def denied(self) -> Iterator[Callable[[], None]]:
        """A step for each request that looks for denied saves."""
        size = self._binding.save_batch
        for some in self._denied.values():
            for first in range(0, len(some.seqs), size):
                yield partial(self._seek_denied, some, first, size)

    def seek_missing(self) -> None:
        """Look in every tenant for what is missing."""
        places: dict[str, set[Case]] = {}
        tokens = [one.origin.token for one in self._missing]
        if tokens and self._binding.finds_saves:
            for tenant in self._tenants.values():
                for token, cases in self._found_in(tenant, tokens).items():
                    places.setdefault(token, set()).update((tenant.key, case) for case in cases)
        self._settle_missing(places)

    def give_up(self) -> None:
        """The time is up: what is missing is lost."""
        self._settle_missing({})

    def _seek_denied(self, some: _Denied, first: int, number: int) -> None:
        denied = {self._authors.token_of(origin.seq): origin for origin in some.part(first, number)}
        for token in self._found_in(some.tenant, list(denied)):
            if token in denied:
                self._record(failed_but_saved(denied[token], self._now()))

    def _settle_missing(self, places: Mapping[str, set[Case]]) -> None:
        missing, self._missing = self._missing, []
        for one in missing:
            origin = one.origin
            reached, own = places.get(origin.token, set()), (origin.tenant.key, origin.case)
            if reached - {own} or origin.seq in self._authors.strays:
                outcome = "foreign"
            else:
                outcome = one.if_there if own in reached else "lost"
            self._record(origin.effect("value", outcome, due_s=origin.done_s))

    def _found_in(self, tenant: Tenant, tokens: Sequence[str]) -> dict[str, set[str]]:
        """The tenant's cases that saves with these tokens have reached."""
        found: dict[str, set[str]] = {}
        size = self._binding.save_batch
        for first in range(0, len(tokens), size):
            request = self._binding.look_up_saves(tenant, tokens[first : first + size])
            self._asking.await_turn()
            for save in self._asking.ask(request, self._binding.saves_found) or ():
                found.setdefault(save.token, set()).add(save.case)
        return found
