"""Looks after the values of custom saves: read back, told by histories, and sought where they should not be.

Where the mapping can read histories, the chosen saves are judged after the run, a few requests for
many saves, and nothing that came later hides what became of one. Elsewhere the case is read right
after the save. What is not where it belongs is then looked for by its token in every tenant; so is
each save that was answered with an error, whether or not it had custom fields or scripts.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import gevent
from gevent.pool import Pool

from loadgen.client import Unanswered
from loadgen.custom_saves import CustomSaves
from loadgen.effects import SAID_NO, Origin
from loadgen.pace import Pace
from loadgen.recorder import Effect
from loadgen.seqs import Seqs
from loadgen.values import CustomSave, all_but_the_token, classify_values, held_after_saves, same_values
from scenarios.fields import Value
from scenarios.model import Scenario, Tenant
from scenarios.tokens import save_id, seq_of
from targets.binding import Binding, Call, Change, ReadBack
from targets.extraction import Unreadable
from targets.http import Request, Response

#: Pauses before a request is tried again.
PAUSES_S = (0.0, 0.25, 0.5)
#: A history of more changes than this in one run is not asked for (some 25 MB): such saves are read back.
CHANGES_MAX = 100_000
#: Changes that a save of standard fields makes, at most; and those of others that may stand among a run's own.
STANDARD_CHANGES, CHANGES_OF_OTHERS = 4, 100
#: Tenant and case of a save that another worker has made: none of ours.
NOWHERE = ("", "")
#: Requests open at the same time in the sweep.
OPEN_AT_ONCE = 8

_SHARE_BITS = 1 << 32

Found = TypeVar("Found")


@dataclass(slots=True)
class _Later:
    """The saves of one case that its history will judge."""

    tenant: Tenant
    case: str
    saves: list[Origin] = field(default_factory=list)


@dataclass(slots=True)
class _UnderWay:
    """A save of a case, of whatever fields: from ``sent_s`` until it can change nothing any more."""

    seq: int
    sent_s: float
    ended_s: float = math.inf


@dataclass(frozen=True, slots=True)
class _Missing:
    """An acknowledged save that is not where it belongs; and what it is if it has reached its case after all."""

    origin: Origin
    if_there: str


class ValueWatch:
    """The values of one run, or of one worker's part. ``send`` raises Unanswered; ``record`` takes the rows.

    Where there are several workers, ``own`` is filled with the saves of this one: a token of the run that is
    not among them is another worker's, whose cases are never ours.
    """

    def __init__(
        self,
        scenario: Scenario,
        binding: Binding,
        send: Callable[[Request], Response],
        record: Callable[[Effect], None],
        pace: Pace,
        *,
        run_key: str,
        now: Callable[[], float],
        guarded: Callable[..., None],
        own: Seqs | None = None,
    ) -> None:
        self.reads = 0
        self._rules = scenario.verification
        self._binding = binding
        self._send = send
        self._record = record
        self._pace = pace
        self._run_key = run_key
        self._now = now
        self._guarded = guarded  # runs a step; a mistake in it ends the run
        self._tenants = {tenant.key: tenant for tenant in scenario.tenants}
        self._saves = CustomSaves()
        self._open = Pool()
        self._later: dict[tuple[str, str], _Later] = {}
        self._waiting = 0  # saves in all of them
        self._written: Counter[tuple[str, str]] = Counter()  # changes by case, at most
        self._denied: dict[str, list[Origin]] = {}  # by tenant: answered with an error
        self._missing: list[_Missing] = []
        self._timeout_s = scenario.load.timeout_s
        # By case and save, the oldest first; only where cases are read back.
        self._under_way: dict[tuple[str, str], OrderedDict[int, _UnderWay]] = {}
        self._own = own
        self._strays: set[int] = set()  # saves that were seen in a case that is not theirs

    @property
    def pending(self) -> int:
        """Saves whose values are open."""
        return len(self._open) + self._waiting + len(self._missing)

    @property
    def strays(self) -> tuple[int, ...]:
        """Saves of other workers that were seen in a case of this one."""
        own = self._own
        return () if own is None else tuple(sorted(seq for seq in self._strays if seq not in own))

    @property
    def requests_left(self) -> int:
        """How many requests the sweep will take, about."""
        seeks = len(self._tenants) if self._binding.finds_saves else 0
        denied = sum(1 + len(origins) // max(self._binding.save_batch, 1) for origins in self._denied.values())
        return len(self._later) + sum(1 for _ in self._batches()) + denied + seeks

    def saving(self, call: Call, sent_s: float, *, custom: bool) -> None:
        """A save is about to be sent; its values, if it has any, may turn up in any read from now on."""
        key = (call.tenant.key, call.case)
        if self._binding.reads_values and not self._binding.reads_histories:
            saves = self._under_way.setdefault(key, OrderedDict())
            # Older ones are beyond every read that is still awaited. From the front: a case that is saved often
            # has thousands of them, and none may cost time again for each save.
            while saves and next(iter(saves.values())).ended_s <= sent_s - 5 * self._timeout_s:
                saves.popitem(last=False)
            saves[call.seq] = _UnderWay(call.seq, sent_s)
        if self._own is not None:
            self._own.add(call.seq)
        self._written[key] += call.tenant.custom_fields if custom else STANDARD_CHANGES
        if custom:
            self._saves.sending(call.seq, call.tenant.key, call.case, sent_s)

    def answered(self, call: Call, origin: Origin) -> None:
        """A save is done, of custom fields or others. Never blocks."""
        if origin.outcome in SAID_NO and self._binding.finds_saves:
            self._denied.setdefault(call.tenant.key, []).append(origin)
        saves = self._under_way.get((call.tenant.key, call.case))
        if saves is not None and origin.seq in saves:
            saves[origin.seq].ended_s = self._end_of(origin)
        if not self._saves.answered(call.seq, origin.done_s, acknowledged=origin.acknowledged):
            return
        told = origin.acknowledged or origin.outcome in SAID_NO
        if told and self._binding.reads_values and chosen(call.seq, self._rules.read_back_share):
            if self.pending >= self._rules.pending_max:
                self._unverified(origin)
            elif self._binding.reads_histories and self._written[call.tenant.key, call.case] <= CHANGES_MAX:
                later = self._later.setdefault((call.tenant.key, call.case), _Later(call.tenant, call.case))
                later.saves.append(origin)
                self._waiting += 1
            else:
                self._open.spawn(self._guarded, self._read_back, call, origin)
                return
        self._saves.over(call.seq)

    # in the course of the run

    def _read_back(self, call: Call, origin: Origin) -> None:
        read: ReadBack | None = None
        read_s = math.nan
        try:
            read = self._read(call.tenant, call.case)
            read_s = self._now()
        finally:  # also where the sweep's time is up
            self._judge_read(origin, read, read_s)
            self._saves.over(origin.seq)

    def _judge_read(self, origin: Origin, read: ReadBack | None, read_s: float) -> None:
        if read is None:
            self._unverified(origin)
            return
        writer = self._save_of(read.token)
        if not origin.acknowledged:
            if writer is not None and writer.seq == origin.seq:
                self._record(failed_but_saved(origin, read_s))
            return
        outcome = classify_values(self._known(origin), read.values, writer, self._values_of)
        if outcome in ("lost", "partial") and self._had_company(origin, read_s):
            # A target may write whole records, or only what differs from what it had read: nobody can tell.
            outcome = "superseded"
        if outcome == "lost":
            self._missing.append(_Missing(origin, "lost"))
        else:
            self._settle(origin, outcome, read_s)

    def _had_company(self, origin: Origin, read_s: float) -> bool:
        """Whether another save of the case was under way between the sending of this one and the read."""
        sent_s = self._known(origin).sent_s
        saves = self._under_way.get((origin.tenant.key, origin.case))
        others = saves.values() if saves is not None else ()
        return any(one.seq != origin.seq and one.sent_s < read_s and one.ended_s > sent_s for one in others)

    def _end_of(self, origin: Origin) -> float:
        """When a save can change nothing any more: denied, never; without an answer, it may still be at work."""
        if origin.outcome in SAID_NO:
            return -math.inf
        return origin.done_s if origin.acknowledged else origin.done_s + 2 * self._timeout_s

    def _read(self, tenant: Tenant, case: str) -> ReadBack | None:
        def read(response: Response) -> ReadBack:
            return self._binding.values_read(tenant, response)

        self.reads += 1
        return self._asked(self._binding.read_back(tenant, case), read)

    # after the run

    def sweep(self) -> None:
        """Judge by histories what waits for them, then look for what is missing; ends when all is settled."""
        pool = Pool(OPEN_AT_ONCE)
        try:
            for batch in self._batches():
                pool.spawn(self._guarded, self._judge_by_history, batch)
                pool.wait_available()
            for tenant, origins in self._denied.items():
                pool.spawn(self._guarded, self._seek_denied, self._tenants[tenant], origins)
                pool.wait_available()
            pool.join()
            self._open.join()
            self._seek_missing()
        finally:
            pool.kill()

    def give_up(self) -> None:
        """The time is up: what is still open is unverified; what was found missing is lost."""
        self._open.kill()
        for later in self._later.values():
            for origin in later.saves:
                self._unverified(origin)
        self._later.clear()
        self._waiting = 0
        self._settle_missing({})

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

    def _judge_by_history(self, batch: Sequence[_Later]) -> None:
        tenant, cases = batch[0].tenant, [later.case for later in batch]
        # What a case holds is read first: a save that comes in between is then the newest, and undone first.
        now: dict[str, ReadBack | None] = {}
        for case in cases:
            self._await_turn()
            now[case] = self._read(tenant, case)
        changes: dict[str, list[Change]] = {case: [] for case in cases}

        def read(response: Response) -> list[Change]:
            return self._binding.changes(tenant, cases, response)

        most = max(self._written[tenant.key, case] for case in cases) + CHANGES_OF_OTHERS
        self._await_turn()
        found = self._asked(self._binding.look_up_history(tenant, cases, most), read)
        read_s = self._now()
        for change in found or ():
            changes.setdefault(change.case, []).append(change)
        for later in batch:
            held = now[later.case]
            if found is None or held is None:
                for origin in later.saves:
                    self._unverified(origin)
            else:
                told = changes[later.case]
                cut = self._binding.cuts_histories and len(told) >= most
                self._judge_case(later, told, held.values, read_s, cut=cut and self._may_hide_ours(told))
            del self._later[tenant.key, later.case]
            self._waiting -= len(later.saves)

    def _judge_case(
        self, later: _Later, changes: Sequence[Change], now: Mapping[str, Value], read_s: float, *, cut: bool
    ) -> None:
        """``cut``: older changes of this run may not have been told."""
        whole: dict[int, bool] = {}
        for token, held in held_after_saves(changes, now):
            # A write that took the wrong case may have left its token there, but no line in the history.
            for save in (self._save_of(token), self._save_of(self._binding.token_in(later.tenant, held))):
                if save is not None and (save.tenant, save.case) != (later.tenant.key, later.case):
                    self._strays.add(save.seq)
            own = self._save_of(token)
            if own is not None and own.seq not in self._strays and own.seq not in whole:
                whole[own.seq] = same_values(self._values_of(own), held)
        for origin in later.saves:
            if origin.seq not in whole:
                if origin.acknowledged and cut and not self._binding.finds_saves:
                    self._unverified(origin)
                elif origin.acknowledged:
                    # Where its other values stood there before, the token was all that it had to change.
                    expected = self._values_of(self._known(origin))
                    stood = any(all_but_the_token(expected, held) for _, held in held_after_saves(changes, now))
                    if_there = "unverified" if cut else "partial" if stood else "lost"
                    self._missing.append(_Missing(origin, if_there))
            elif origin.acknowledged:
                self._settle(origin, "identical" if whole[origin.seq] else "partial", read_s)
            else:
                self._record(failed_but_saved(origin, read_s))

    def _may_hide_ours(self, told: Sequence[Change]) -> bool:
        """Whether changes of others, among or after those of this run, may have pushed some of these out."""
        ours = [self._save_of(change.token) is not None for change in told]
        first = ours.index(True) if any(ours) else 0
        return ours[first:].count(False) > CHANGES_OF_OTHERS

    def _seek_denied(self, tenant: Tenant, origins: Sequence[Origin]) -> None:
        denied = {origin.token: origin for origin in origins}
        for token in self._found_in(tenant, list(denied)):
            if token in denied:
                self._record(failed_but_saved(denied[token], self._now()))

    def _seek_missing(self) -> None:
        """Look in every tenant for what is not where it belongs."""
        places: dict[str, set[tuple[str, str]]] = {}
        tokens = [one.origin.token for one in self._missing]
        if tokens and self._binding.finds_saves:
            for tenant in self._tenants.values():
                for token, cases in self._found_in(tenant, tokens).items():
                    places.setdefault(token, set()).update((tenant.key, case) for case in cases)
        self._settle_missing(places)

    def _settle_missing(self, places: Mapping[str, set[tuple[str, str]]]) -> None:
        missing, self._missing = self._missing, []
        for one in missing:
            origin = one.origin
            reached, own = places.get(origin.token, set()), (origin.tenant.key, origin.case)
            if reached - {own} or origin.seq in self._strays:
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
            self._await_turn()
            for save in self._asked(request, self._binding.saves_found) or ():
                found.setdefault(save.token, set()).add(save.case)
        return found

    # inside

    def _settle(self, origin: Origin, outcome: str, read_s: float) -> None:
        seen = int(outcome in ("identical", "partial", "superseded"))
        first_s = read_s if seen else math.nan
        self._record(origin.effect("value", outcome, seen=seen, due_s=origin.done_s, first_seen_s=first_s))

    def _unverified(self, origin: Origin) -> None:
        """Nobody could look; of a save that was denied nothing was promised."""
        if origin.acknowledged:
            self._record(origin.effect("value", "unverified", due_s=origin.done_s))

    def _await_turn(self) -> None:
        gevent.sleep(self._pace.take(self._now()))

    def _asked(self, request: Request, read: Callable[[Response], Found]) -> Found | None:
        """What the answer says; None where none came that can be read, however often it was tried."""
        for pause_s in PAUSES_S:
            gevent.sleep(pause_s)
            try:
                return read(self._send(request))
            except (Unanswered, Unreadable):
                continue
        return None

    def _save_of(self, token: str | None) -> CustomSave | None:
        number = seq_of(self._run_key, token) if token else None
        if number is None:
            return None
        if self._own is not None and number not in self._own:
            return CustomSave(number, *NOWHERE, -math.inf)
        return self._saves.find(number)

    def _known(self, origin: Origin) -> CustomSave:
        """What is known of a custom save that was sent."""
        save = self._saves.find(origin.seq)
        assert save is not None  # noqa: S101  # it was told of its sending
        return save

    def _values_of(self, save: CustomSave) -> Mapping[str, Value]:
        token = save_id(self._run_key, save.seq)
        return self._binding.values_saved(self._tenants[save.tenant], save.seq, token)


def failed_but_saved(origin: Origin, seen_s: float) -> Effect:
    """The row of a save that was answered with an error and is there."""
    return origin.effect("value", "failed_but_saved", expected=0, seen=1, first_seen_s=seen_s)


def chosen(seq: int, share: float) -> bool:
    """Whether the values of save ``seq`` are looked at, given the share; by a hash, so the same in every run."""
    return ((seq + 1) * 2_654_435_769 % _SHARE_BITS) < share * _SHARE_BITS
