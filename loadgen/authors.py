"""Who wrote what stands in a case: the custom save behind a token, and the values that it has written."""

from __future__ import annotations

import math
from collections.abc import Mapping

from loadgen.company import Case
from loadgen.custom_saves import CustomSaves
from loadgen.effects import Origin
from loadgen.seqs import Seqs
from loadgen.values import CustomSave
from scenarios.fields import Value
from scenarios.model import Scenario
from scenarios.tokens import save_id, seq_of
from targets.binding import Binding

#: Tenant and case of a save that another worker has made: none of ours.
NOWHERE = ("", "")


class Authors:
    """The custom saves of one run, or of one worker's part.

    Where there are several workers, ``own`` is filled with the saves of this one: a token of the run that is
    not among them is another worker's, whose cases are never ours.
    """

    def __init__(self, scenario: Scenario, binding: Binding, run_key: str, own: Seqs | None) -> None:
        self.saves = CustomSaves()
        self.strays: set[int] = set()  # saves that were seen in a case that is not theirs
        self._binding = binding
        self._run_key = run_key
        self._own = own
        self._tenants = {tenant.key: tenant for tenant in scenario.tenants}

    def saving(self, seq: int) -> None:
        """A save of any fields is about to be sent."""
        if self._own is not None:
            self._own.add(seq)

    def inherit(self, seq: int, case: Case, *, custom: bool) -> None:
        """A worker that is lost may have sent this save of a case that is ours from now on."""
        self.saving(seq)
        if custom:
            self.saves.inherit(seq, *case)

    @property
    def strays_of_others(self) -> tuple[int, ...]:
        """Saves of other workers among the strays."""
        own = self._own
        return () if own is None else tuple(sorted(seq for seq in self.strays if seq not in own))

    def of(self, token: str | None) -> CustomSave | None:
        """The save whose token this is; None where it is no custom save of this run."""
        number = seq_of(self._run_key, token) if token else None
        if number is None:
            return None
        if self._own is not None and number not in self._own:
            return CustomSave(number, *NOWHERE, -math.inf)
        return self.saves.find(number)

    def known(self, origin: Origin) -> CustomSave:
        """What is known of a custom save that was sent."""
        save = self.saves.find(origin.seq)
        assert save is not None  # noqa: S101  # it was told of its sending
        return save

    def token_of(self, seq: int) -> str:
        """What this save of the run carries."""
        return save_id(self._run_key, seq)

    def values_of(self, save: CustomSave) -> Mapping[str, Value]:
        """What it has written."""
        return self._binding.values_saved(self._tenants[save.tenant], save.seq, self.token_of(save.seq))
