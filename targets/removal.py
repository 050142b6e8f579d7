"""Removes from a target what a footprint names, and tells what became of each thing.

What was asked for and never answered is searched for in the listings of ``provision``: by its key, or, for cases,
as one of those that were not there before. Where more cases are new than can be savepath's own, some are somebody
else's, and none of them is removed. What was removed is looked for once more: an answer is no evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from scenarios.errors import Aborted
from scenarios.tokens import prefix_of
from targets.asking import Asking
from targets.at_once import each
from targets.control import ControlClient
from targets.credentials import Credentials
from targets.extraction import whole
from targets.footprint import Kind, Making, Recorded
from targets.http import Request, Response
from targets.model import Target
from targets.provision_mapping import CleanUp, Listing, Remains, Removal, Step

#: Answers that say that something is not there.
GONE: Final = (404, 410)
#: What was read before was saved since, by a late script say: it is read again, and tried so often in all.
_CHANGED, _TRIES = 412, 3
#: So many requests without an answer in all, and the rest is left for another time.
_PATIENCE: Final = 3

_STILL_THERE: Final = "its removal was answered, and it is still listed; it may take a while, clean up again"

Word = Literal["removed", "gone", "left", "unknown"]


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one thing. ``name`` is the id of a case, else the key; of what a run left, the run's key.

    ``gone``: it was not there any more. ``unknown``: it may be somebody else's. ``why``: what stands in the way.
    """

    kind: str
    tenant: str
    name: str
    word: Word
    why: str = ""

    @property
    def is_settled(self) -> bool:
        """Whether nothing of it is left."""
        return self.word in ("removed", "gone")


def remove(
    target: Target,
    recorded: Recorded,
    environ: Mapping[str, str],
    tell: Callable[[Fate], None],
    *,
    gone: Collection[str] = (),
) -> None:
    """Remove all that the footprint names and that is not removed yet; ``tell`` hears of each thing.

    ``gone`` are tenants that were removed with all they had, by key. Raises InputError for a missing secret,
    Aborted where the target cannot be asked.
    """
    credentials = Credentials(target, recorded.heading.tenants, environ)
    with ControlClient(target, credentials) as client:
        _Removing(target, recorded, Asking(target, credentials, client), tell).run({*gone})


class _Removing:
    """One walk through a footprint."""

    def __init__(self, target: Target, recorded: Recorded, asking: Asking, tell: Callable[[Fate], None]) -> None:
        self._steps = target.clean_up or CleanUp()
        self._provision = target.provision
        self._recorded = recorded
        self._asking = asking
        self._client = asking.client
        self._tell = tell
        self._unanswered = 0

    def run(self, gone: set[str]) -> None:
        gone |= self._recorded.tenants_removed
        if not self._steps.cases_first:
            gone |= {fate.name for fate in self._tenants() if fate.is_settled}
        for making in reversed(self._recorded.makings):  # cases before the case types that they are of
            if making.kind != "tenant" and making.tenant not in gone:
                self._things(making)
        for tokens in self._recorded.tokens:
            for tenant, remote in tokens.tenants.items():
                if tenant not in gone:
                    self._remains(tokens.run_key, tenant, remote)
        if self._steps.cases_first:
            self._tenants()

    # -- tenants, with all that is in them -------------------------------------------------------

    def _tenants(self) -> list[Fate]:
        ours = self._ours("tenant", "", self._provision.tenants, {})
        if not ours:
            return []
        contexts = {key: _in_tenant(key, {"id": id_}) for key, id_ in ours.items()}
        fates = self._remove_all("tenant", "", self._steps.tenant, contexts)
        return self._seen_again(fates, self._provision.tenants, {}, by_key=True)

    # -- what was made in tenants that stay ------------------------------------------------------

    def _things(self, making: Making) -> None:
        steps: dict[Kind, tuple[Removal | None, Step | None]] = {
            "case_type": (self._steps.case_type, self._provision.case_types),
            "field": (self._steps.field, self._provision.fields),
            "case": (self._steps.case, self._provision.cases),
        }
        removal, step = steps[making.kind]
        tenant = _in_tenant(making.tenant, making.remote)
        if making.kind == "case":
            found = self._unanswered_cases(making, step, tenant)
            ours = {id_: id_ for id_ in self._recorded.ids("case", making.tenant).values()}
            missing = making.number - len(ours)
            if len(found) > missing:
                for id_ in found:
                    what = f"one of {len(found)} new cases, of which {missing} at most are savepath's"
                    self._tell(Fate("case", making.tenant, id_, "unknown", what))
            else:
                ours |= {id_: id_ for id_ in found}
        else:
            ours = self._ours(making.kind, making.tenant, step, tenant)
        left = {name: id_ for name, id_ in ours.items() if not self._is_removed(making.kind, making.tenant, name)}
        if left:
            contexts = {name: {**tenant, "id": id_, "case": id_} for name, id_ in left.items()}
            fates = self._remove_all(making.kind, making.tenant, removal, contexts)
            self._seen_again(fates, step, tenant, by_key=making.kind != "case")

    def _ours(self, kind: Kind, tenant: str, step: Step | None, context: Mapping[str, Any]) -> dict[str, str]:
        """Ids by key of what was made, and of what was asked for and is there now."""
        makings = [one for one in self._recorded.makings if (one.kind, one.tenant) == (kind, tenant)]
        made = self._recorded.ids(kind, tenant)
        unanswered = {key for one in makings for key in one.keys} - made.keys()
        there = self._listed(step, context) if unanswered else {}
        ours = made | {key: there[key] for key in unanswered & there.keys()}
        return {key: id_ for key, id_ in ours.items() if not self._is_removed(kind, tenant, key)}

    def _unanswered_cases(self, making: Making, step: Step | None, context: Mapping[str, Any]) -> list[str]:
        """Cases that were not there before the first was asked for, and are none of those that were answered."""
        answered = self._recorded.ids("case", making.tenant).values()
        if making.number <= len(answered):
            return []
        known = {*making.there, *answered}
        return [id_ for id_ in self._listed(step, context).values() if id_ not in known]

    def _is_removed(self, kind: str, tenant: str, name: str) -> bool:
        return (kind, tenant, name) in self._recorded.removed

    # -- what saves and mails leave --------------------------------------------------------------

    def _remains(self, run_key: str, tenant: str, remote: Mapping[str, str]) -> None:
        if self._steps.remains is None:
            why = "the mapping has no clean_up.remains, so that nobody knows how they are removed"
            self._tell(Fate("remains", tenant, run_key, "left", why))
            return
        context = {**_in_tenant(tenant, remote), "run": {"key": run_key, "prefix": prefix_of(run_key)}}
        for kind, remains in self._steps.remains.items():
            if self._is_removed(kind, tenant, run_key):
                continue
            if remains.find:
                self._tell(self._remove_found(kind, tenant, remains, remains.find, run_key, context))
            else:
                self._tell(self._remove_one(kind, tenant, remains, run_key, context))

    def _remove_found(
        self,
        kind: str,
        tenant: str,
        remains: Remains,
        listing: Listing,
        run_key: str,
        context: Mapping[str, Any],
    ) -> Fate:
        """What became of all that was found of a run together."""
        found = self._listing(listing, context)
        fates = self._remove_all(kind, tenant, remains, {id_: {**context, "id": id_} for id_ in found.values()})
        reasons = [fate.why for fate in fates if not fate.is_settled]
        if fates and not reasons and self._listing(listing, context):
            reasons = [_STILL_THERE]
        word: Word = "left" if reasons else "removed" if fates else "gone"
        return Fate(kind, tenant, run_key, word, reasons[0] if reasons else "")

    # -- requests --------------------------------------------------------------------------------

    def _remove_all(
        self, kind: str, tenant: str, removal: Removal | None, contexts: Mapping[str, Mapping[str, Any]]
    ) -> list[Fate]:
        if removal is None:
            return [Fate(kind, tenant, name, "left", f"the mapping has no clean_up.{kind}") for name in contexts]
        return list(each(lambda name: self._remove_one(kind, tenant, removal, name, contexts[name]), contexts))

    def _remove_one(self, kind: str, tenant: str, removal: Removal, name: str, context: Mapping[str, Any]) -> Fate:
        if self._unanswered >= _PATIENCE:
            return Fate(kind, tenant, name, "left", "not tried any more, since the target does not answer")
        try:
            for _ in range(_TRIES if removal.precondition else 1):
                request, response = self._ask_for(removal, context)
                if response.status != _CHANGED:
                    break
        except Aborted as error:
            self._unanswered += 1
            return Fate(kind, tenant, name, "left", str(error))
        if response.status in GONE:
            return Fate(kind, tenant, name, "gone")
        if response.status < 300:
            return Fate(kind, tenant, name, "removed")
        return Fate(kind, tenant, name, "left", self._client.complaints.told(request, response))

    def _ask_for(self, removal: Removal, context: Mapping[str, Any]) -> tuple[Request, Response]:
        """The request that was sent last, and its answer."""
        if removal.precondition:
            request = self._asking.fill(removal.precondition, context)
            response = self._client.send(request)
            if response.status >= 300:
                return request, response
            context = {**context, "before": whole(response)}
        request = self._asking.fill(removal.request, context)
        return request, self._client.send(request)

    def _seen_again(
        self, fates: list[Fate], step: Step | None, context: Mapping[str, Any], *, by_key: bool
    ) -> list[Fate]:
        """The fates, those of what is still listed put right; each of them is told."""
        there = self._listed(step, context) if any(fate.word == "removed" for fate in fates) else {}
        names = there.keys() if by_key else set(there.values())
        seen = [
            replace(fate, word="left", why=_STILL_THERE) if fate.word == "removed" and fate.name in names else fate
            for fate in fates
        ]
        for fate in seen:
            self._tell(fate)
        return seen

    def _listed(self, step: Step | None, context: Mapping[str, Any]) -> dict[str, str]:
        """Ids by key of what is there; nothing where the tenant is gone."""
        return self._listing(step.find, context) if step else {}

    def _listing(self, listing: Listing, context: Mapping[str, Any]) -> dict[str, str]:
        found = self._asking.list_all(listing, context, absent=GONE)
        return {key: id_ for key, (id_, _) in found.items()}


def _in_tenant(key: str, remote: Mapping[str, str]) -> dict[str, Any]:
    return {"tenant": {"key": key, "remote": remote}}
