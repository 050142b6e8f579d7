"""Judges saves by the histories of their cases: a few requests for many saves, and none is hidden by a later one.

From what a case holds now, each save undone in turn leads to what it held after each of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from loadgen.asking import Asking
from loadgen.authors import Authors
from loadgen.company import Case
from loadgen.effects import Origin
from loadgen.recorder import Effect
from loadgen.value_rows import failed_but_saved, record_unverified, settled
from loadgen.value_search import ValueSearch
from loadgen.values import all_but_the_token, held_after_saves, same_values
from scenarios.fields import Value
from scenarios.model import Tenant
from targets.binding import Binding
from targets.http import Response
from targets.lookups import Change, ReadBack

#: A history of more changes than this in one run is not asked for (some 25 MB): such saves are read back.
CHANGES_MAX = 100_000
#: Changes that a save of standard fields makes, at most; and those of others that may stand among a run's own.
STANDARD_CHANGES, CHANGES_OF_OTHERS = 4, 100


@dataclass(slots=True)
class _Later:
    """The saves of one case that its history will judge."""

    tenant: Tenant
    case: str
    saves: list[Origin] = field(default_factory=list)


class ValueHistories:
    """What waits for the end of the run. What is not in its case is handed to ``search``."""

    def __init__(
        self,
        binding: Binding,
        asking: Asking,
        authors: Authors,
        search: ValueSearch,
        record: Callable[[Effect], None],
        now: Callable[[], float],
    ) -> None:
        self._binding = binding
        self._asking = asking
        self._authors = authors
        self._search = search
        self._record = record
        self._now = now
        self._written: Counter[Case] = Counter()  # changes by case, at most
        self._later: dict[Case, _Later] = {}
        self.pending = 0  # saves in all of them

    def saving(self, case: Case, tenant: Tenant, *, custom: bool) -> None:
        """A save of the case is about to be sent."""
        self._written[case] += tenant.custom_fields if custom else STANDARD_CHANGES

    def can_judge(self, case: Case) -> bool:
        """Whether the target tells the history of this case, and it is not too long to be asked for."""
        return self._binding.reads_histories and self._written[case] <= CHANGES_MAX

    def take(self, origin: Origin) -> None:
        """This save is to be judged."""
        case = (origin.tenant.key, origin.case)
        self._later.setdefault(case, _Later(origin.tenant, origin.case)).saves.append(origin)
        self.pending += 1

    @property
    def requests_left(self) -> int:
        """How many requests it will take, about."""
        return len(self._later) + sum(1 for _ in self._batches())

    def steps(self) -> Iterator[Callable[[], None]]:
        """A step for each request for histories that judges what it tells of."""
        for batch in self._batches():
            yield partial(self._judge, batch)

    def give_up(self) -> None:
        """The time is up: nobody could look."""
        for later in self._later.values():
            for origin in later.saves:
                record_unverified(self._record, origin)
        self._later.clear()
        self.pending = 0

    def _batches(self) -> Iterator[list[_Later]]:
        """Cases of one tenant to be asked about together: as many as the mapping allows and an answer can hold."""
        batch: list[_Later] = []
        changes = 0
        for key, later in sorted(self._later.items()):
            more = self._written[key] + CHANGES_OF_OTHERS
            full = len(batch) >= self._binding.history_batch or changes + more > CHANGES_MAX
            if batch and (full or batch[0].tenant != later.tenant):
                yield batch
                batch, changes = [], 0
            batch.append(later)
            changes += more
        if batch:
            yield batch

    def _judge(self, batch: Sequence[_Later]) -> None:
        tenant, cases = batch[0].tenant, [later.case for later in batch]
        # What a case holds is read first: a save that comes in between is then the newest, and undone first.
        now: dict[str, ReadBack | None] = {}
        for case in cases:
            self._asking.await_turn()
            now[case] = self._asking.read_case(tenant, case)
        changes: dict[str, list[Change]] = {case: [] for case in cases}

        def read(response: Response) -> list[Change]:
            return self._binding.changes(tenant, cases, response)

        most = max(self._written[tenant.key, case] for case in cases) + CHANGES_OF_OTHERS
        self._asking.await_turn()
        found = self._asking.ask(self._binding.look_up_history(tenant, cases, most), read)
        read_s = self._now()
        for change in found or ():
            changes.setdefault(change.case, []).append(change)
        for later in batch:
            held = now[later.case]
            if found is None or held is None:
                for origin in later.saves:
                    record_unverified(self._record, origin)
            else:
                told = changes[later.case]
                cut = self._binding.cuts_histories and len(told) >= most
                self._judge_case(later, told, held.values, read_s, cut=cut and self._may_hide_ours(told))
            del self._later[tenant.key, later.case]
            self.pending -= len(later.saves)

    def _judge_case(
        self, later: _Later, changes: Sequence[Change], now: Mapping[str, Value], read_s: float, *, cut: bool
    ) -> None:
        """``cut``: older changes of this run may not have been told."""
        whole = self._whole_saves(later, changes, now)
        for origin in later.saves:
            if origin.seq not in whole:
                if origin.acknowledged and cut and not self._binding.finds_saves:
                    record_unverified(self._record, origin)
                elif origin.acknowledged:
                    # Where its other values stood there before, the token was all that it had to change.
                    expected = self._authors.values_of(self._authors.known(origin))
                    stood = any(all_but_the_token(expected, held) for _, held in held_after_saves(changes, now))
                    self._search.miss(origin, "unverified" if cut else "partial" if stood else "lost")
            elif origin.acknowledged:
                self._record(settled(origin, "identical" if whole[origin.seq] else "partial", read_s))
            else:
                self._record(failed_but_saved(origin, read_s))

    def _whole_saves(self, later: _Later, changes: Sequence[Change], now: Mapping[str, Value]) -> dict[int, bool]:
        """The saves that the case has held, and whether all of their values; strays are noted."""
        authors, here = self._authors, (later.tenant.key, later.case)
        whole: dict[int, bool] = {}
        for token, held in held_after_saves(changes, now):
            # A write that took the wrong case may have left its token there, but no line in the history.
            for save in (authors.of(token), authors.of(self._binding.token_in(later.tenant, held))):
                if save is not None and (save.tenant, save.case) != here:
                    authors.strays.add(save.seq)
            own = authors.of(token)
            if own is not None and own.seq not in authors.strays and own.seq not in whole:
                whole[own.seq] = same_values(authors.values_of(own), held)
        return whole

    def _may_hide_ours(self, told: Sequence[Change]) -> bool:
        """Whether changes of others, among or after those of this run, may have pushed some of these out."""
        ours = [self._authors.of(change.token) is not None for change in told]
        first = ours.index(True) if any(ours) else 0
        return ours[first:].count(False) > CHANGES_OF_OTHERS
