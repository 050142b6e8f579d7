"""Looks after the values of custom saves: read back, told by histories, and sought where they should not be.

Where the mapping can read histories, the chosen saves are judged after the run (``loadgen.value_histories``).
Elsewhere the case is read right after the save. What is not where it belongs is then looked for by its token in
every tenant (``loadgen.value_search``); so is each save that was answered with an error, whether or not it had
custom fields or scripts.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

from gevent.pool import Pool

from loadgen.asking import Asking
from loadgen.authors import Authors
from loadgen.company import Case, Company
from loadgen.effects import SAID_NO, Origin
from loadgen.pace import Pace
from loadgen.recorder import Effect
from loadgen.seqs import Seqs
from loadgen.value_histories import ValueHistories
from loadgen.value_rows import failed_but_saved, record_unverified, settled
from loadgen.value_search import ValueSearch
from loadgen.values import classify_values
from scenarios.model import Scenario
from targets.binding import Binding
from targets.call import Call
from targets.http import Request, Response
from targets.lookups import ReadBack

#: Requests open at the same time in the sweep.
OPEN_AT_ONCE = 8
#: What a worker had sent when it was lost may change its cases for so many timeouts.
UNSURE_TIMEOUTS = 3

_SHARE_BITS = 1 << 32


class ValueWatch:
    """The values of one run, or of one worker's part. ``send`` raises Unanswered; ``record`` takes the rows.

    ``own``: see ``loadgen.authors``.
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
        self._rules = scenario.verification
        self._binding = binding
        self._record = record
        self._now = now
        self._guarded = guarded  # runs a step; a mistake in it ends the run
        self._asking = Asking(binding, send, pace, now)
        self._authors = Authors(scenario, binding, run_key, own)
        self._search = ValueSearch(scenario.tenants, binding, self._asking, self._authors, record, now)
        self._histories = ValueHistories(binding, self._asking, self._authors, self._search, record, now)
        self._company = Company(scenario.load.timeout_s)
        self._reads_back = binding.reads_values and not binding.reads_histories
        self._open = Pool()
        self._unsure_s = UNSURE_TIMEOUTS * scenario.load.timeout_s
        self._unsure_until_s: dict[Case, float] = {}  # by inherited case

    @property
    def reads(self) -> int:
        """Cases that were read back."""
        return self._asking.reads

    @property
    def pending(self) -> int:
        """Saves whose values are open."""
        return len(self._open) + self._histories.pending + self._search.pending

    @property
    def strays(self) -> tuple[int, ...]:
        """Saves of other workers that were seen in a case of this one."""
        return self._authors.strays_of_others

    @property
    def requests_left(self) -> int:
        """How many requests the sweep will take, about."""
        return self._histories.requests_left + self._search.requests_left

    def saving(self, call: Call, sent_s: float, *, custom: bool) -> None:
        """A save is about to be sent; its values, if it has any, may turn up in any read from now on."""
        case = (call.tenant.key, call.case)
        if self._reads_back:
            self._company.sending(case, call.seq, sent_s)
        self._authors.saving(call.seq)
        self._histories.saving(case, call.tenant, custom=custom)
        if custom:
            self._authors.saves.sending(call.seq, *case, sent_s)

    def inherit(self, call: Call, *, custom: bool) -> None:
        """A lost worker may have sent this save, whose case is ours from now on."""
        case = (call.tenant.key, call.case)
        self._authors.inherit(call.seq, case, custom=custom)
        self._histories.saving(case, call.tenant, custom=custom)
        self._unsure_until_s[case] = self._now() + self._unsure_s

    def answered(self, call: Call, origin: Origin) -> None:
        """A save is done, of custom fields or others. Never blocks."""
        case = (call.tenant.key, call.case)
        if origin.outcome in SAID_NO:
            self._search.deny(origin)
        self._company.answered(case, origin)
        saves = self._authors.saves
        if not saves.answered(call.seq, origin.done_s, acknowledged=origin.acknowledged):
            return
        told = origin.acknowledged or origin.outcome in SAID_NO
        if told and self._binding.reads_values and chosen(call.seq, self._rules.read_back_share):
            unsure = self._authors.known(origin).sent_s < self._unsure_until_s.get(case, -math.inf)
            if unsure or self.pending >= self._rules.pending_max:
                record_unverified(self._record, origin)
            elif self._histories.can_judge(case):
                self._histories.take(origin)
            else:
                self._open.spawn(self._guarded, self._read_back, origin)
                return
        saves.over(call.seq)

    def sweep(self) -> None:
        """Judge by histories what waits for them, then look for what is missing; ends when all is settled."""
        pool = Pool(OPEN_AT_ONCE)
        try:
            for step in itertools.chain(self._histories.steps(), self._search.denied()):
                pool.spawn(self._guarded, step)
                pool.wait_available()
            pool.join()
            self._open.join()
            self._search.seek_missing()
        finally:
            pool.kill()

    def give_up(self) -> None:
        """The time is up: what is still open is unverified; what was found missing is lost."""
        self._open.kill()
        self._histories.give_up()
        self._search.give_up()

    def _read_back(self, origin: Origin) -> None:
        read: ReadBack | None = None
        read_s = math.nan
        try:
            read = self._asking.read_case(origin.tenant, origin.case)
            read_s = self._now()
        finally:  # also where the sweep's time is up
            self._judge_read(origin, read, read_s)
            self._authors.saves.over(origin.seq)

    def _judge_read(self, origin: Origin, read: ReadBack | None, read_s: float) -> None:
        if read is None:
            record_unverified(self._record, origin)
            return
        writer = self._authors.of(read.token)
        if not origin.acknowledged:
            if writer is not None and writer.seq == origin.seq:
                self._record(failed_but_saved(origin, read_s))
            return
        own = self._authors.known(origin)
        outcome = classify_values(own, read.values, writer, self._authors.values_of)
        case = (own.tenant, own.case)
        if outcome in ("lost", "partial") and self._company.had(case, own.seq, own.sent_s, read_s):
            # A target may write whole records, or only what differs from what it had read: nobody can tell.
            outcome = "superseded"
        if outcome == "lost":
            self._search.miss(origin, "lost")
        else:
            self._record(settled(origin, outcome, read_s))


def chosen(seq: int, share: float) -> bool:
    """Whether the values of save ``seq`` are looked at, given the share; by a hash, so the same in every run."""
    return ((seq + 1) * 2_654_435_769 % _SHARE_BITS) < share * _SHARE_BITS
