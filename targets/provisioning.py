"""Makes or finds on the target what a scenario needs: tenants, case types, custom fields, cases.

Idempotent: what is there is found and kept, so a second call makes nothing. What people must make
(the trackers of a Roundup) is looked at, and what is missing is named.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from scenarios.errors import Aborted, few_of
from scenarios.fields import define_fields, saved_values, standard_values
from scenarios.model import Operation, Scenario, Tenant
from scenarios.tokens import save_id
from targets.asking import Asking
from targets.at_once import Done, Piece, each
from targets.call import Call
from targets.control import ControlClient
from targets.credentials import Credentials
from targets.extension import bind
from targets.fieldsets import FieldsMapping
from targets.footprint import Footprint, Kind, Made, Making
from targets.forms import Place
from targets.inventory import Inventory, TenantInventory
from targets.model import Target
from targets.provision_mapping import Step
from targets.saves import EncodedSaves
from targets.wanted import case_type_of, describe_field, is_as_wanted

#: Called with what is being made, how many of them are done, and how many there are.
Progress = Callable[[str, int, int], None]

#: The run key of the values that cases have from the start; no run draws it.
SEED_KEY: Final = "0000000000"


def provision(
    target: Target,
    scenario: Scenario,
    environ: Mapping[str, str],
    progress: Progress,
    footprint: Footprint | None = None,
) -> Inventory:
    """What the scenario needs, found or made. Raises Aborted or InputError with what is missing.

    What is made is in the ``footprint`` before it is asked for; without one nobody can remove it again.
    """
    credentials = _credentials(target, scenario, environ)
    with ControlClient(target, credentials) as client:
        return _Provisioning(target, scenario, credentials, client, progress, footprint).run()


def warm_up(target: Target, scenario: Scenario, inventory: Inventory, environ: Mapping[str, str]) -> None:
    """Read a few cases of each tenant, so that the first measured requests do not pay for cold starts."""
    credentials = _credentials(target, scenario, environ)
    binding = bind(target, scenario, inventory, environ, credentials=credentials)
    if not binding.supports(Operation.READ_CASE):
        return
    calls = [
        Call(0, save_id(SEED_KEY, 0), tenant, case, "")
        for tenant in scenario.tenants
        for case in itertools.islice(itertools.cycle(inventory.tenants[tenant.key].cases), target.warm_up)
    ]
    with ControlClient(target, credentials) as client:
        client.log_in()
        for _ in each(lambda call: client.expect(binding.request(Operation.READ_CASE, call)), calls):
            pass


def _credentials(target: Target, scenario: Scenario, environ: Mapping[str, str]) -> Credentials:
    return Credentials(target, [tenant.key for tenant in scenario.tenants], environ)


@dataclass(frozen=True, slots=True)
class _Place:
    """A tenant of the scenario on the target, while it is being found out about."""

    tenant: Tenant
    remote: Mapping[str, str]
    fields: Mapping[str, str]
    cases: tuple[str, ...]

    @property
    def context(self) -> dict[str, Any]:
        return {"tenant": {"key": self.tenant.key, "remote": self.remote}}


class _Provisioning:
    """One walk over a scenario's tenants."""

    def __init__(
        self,
        target: Target,
        scenario: Scenario,
        credentials: Credentials,
        client: ControlClient,
        progress: Progress,
        footprint: Footprint | None,
    ) -> None:
        self._footprint = footprint
        self._target = target
        self._scenario = scenario
        self._client = client
        self._progress = progress
        self._asking = Asking(target, credentials, client)
        self._request = self._asking.fill
        numbers = {tenant.custom_fields for tenant in scenario.tenants}
        self._defined = {number: define_fields(scenario, number) for number in numbers}
        self._saved = {number: saved_values(scenario, number) for number in numbers}

    def run(self) -> Inventory:
        remotes = self._tenants()
        places = [
            _Place(tenant, remote, {}, ()) for tenant, remote in zip(self._scenario.tenants, remotes, strict=True)
        ]
        places = self._with_progress("tenants", self._prepare, places)
        made = self._make_cases(places)
        return Inventory(
            tenants={
                place.tenant.key: TenantInventory(
                    remote=dict(place.remote),
                    fields=dict(place.fields),
                    cases=tuple(sorted([*place.cases, *made[place.tenant.key]], key=_natural)),
                )
                for place in places
            }
        )

    def _tenants(self) -> list[dict[str, str]]:
        """What templates may use as ``tenant.remote``, for each tenant in order."""
        step = self._target.provision.tenants
        if step is None:
            return [{"id": tenant.key} for tenant in self._scenario.tenants]
        there = self._asking.list_all(step.find, {})
        missing = [tenant.key for tenant in self._scenario.tenants if tenant.key not in there]
        if missing and step.create is None:
            raise self._absent(f"{few_of(missing)}", "tenants")
        self._announce("tenant", None, missing)
        return [
            {"id": there[tenant.key][0]}
            if tenant.key in there
            else {"id": self._create("tenant", step, {"tenant": {"key": tenant.key, "remote": {}}}, tenant.key)}
            for tenant in self._scenario.tenants
        ]

    def _prepare(self, place: _Place) -> _Place:
        """The place with its case types made, its fields known and its cases found."""
        self._make_case_types(place)
        place = replace(place, fields=self._fields(place))
        step = self._target.provision.cases
        found = [id_ for id_, _ in self._asking.list_all(step.find, place.context).values()] if step else []
        # The same cases each time, even where the target lists what was saved last first.
        return replace(place, cases=tuple(sorted(found, key=_natural)[: place.tenant.cases]))

    def _make_case_types(self, place: _Place) -> None:
        step = self._target.provision.case_types
        if step is None:
            return
        there = self._asking.list_all(step.find, place.context)
        fields = self._defined[place.tenant.custom_fields]
        wanted = [case_type_of(place.tenant, number, fields) for number in range(place.tenant.case_types)]
        self._announce("case_type", place, [one["key"] for one in wanted if one["key"] not in there])
        for case_type in wanted:
            context = {**place.context, "case_type": case_type}
            if case_type["key"] not in there:
                if step.create is None:
                    raise self._absent(f"{case_type['key']} of tenant {place.tenant.key}", "case types")
                self._create("case_type", step, context, case_type["key"])
            elif not is_as_wanted(self._asking, step, context, there[case_type["key"]][1]):
                self._update(step, context, place, case_type["key"])

    def _update(self, step: Step, context: dict[str, Any], place: _Place, key: str) -> None:
        said = ""
        if step.update:
            status = self._client.send(self._request(step.update, context)).status
            found = self._asking.list_all(step.find, place.context)[key][1]
            if is_as_wanted(self._asking, step, context, found):
                return
            said = f" (the update answered http {status})"
        wanted = len(context["case_type"]["fields"])
        raise Aborted(
            f"the case type {key} of tenant {place.tenant.key} is there, but not as the scenario wants it: with "
            f"{wanted} custom fields of its own types, {place.tenant.scripts_on_save} scripts on save{said}; "
            "clean up what an earlier scenario of that name left, or give the scenario another name"
        )

    def _fields(self, place: _Place) -> dict[str, str]:
        defined = self._defined[place.tenant.custom_fields]
        step = self._target.provision.fields
        if step is None:
            return {field.key: field.key for field in defined}
        there = {key: id_ for key, (id_, _) in self._asking.list_all(step.find, place.context).items()}
        missing = [field for field in defined if field.key not in there]
        if missing and step.create is None:
            keys = few_of([field.key for field in missing])
            raise self._absent(
                f"{keys} of tenant {place.tenant.key}: {len(defined) - len(missing)} custom fields of the "
                f"{len(defined)} that the scenario wants",
                "custom fields",
            )
        self._announce("field", place, [field.key for field in missing])
        for field in missing:
            context = {**place.context, "field": describe_field(field)}
            there[field.key] = self._create("field", step, context, field.key)
        return {field.key: there[field.key] for field in defined}

    def _make_cases(self, places: Sequence[_Place]) -> dict[str, list[str]]:
        """Remote ids of the cases that were missing, by tenant key."""
        jobs = [(place, number) for place in places for number in range(len(place.cases), place.tenant.cases)]
        jobs.sort(key=lambda job: job[1])  # tenant by tenant in turn: neighbours do not wait for one another
        step = self._target.provision.cases
        if jobs and (step is None or step.create is None):
            place = jobs[0][0]
            raise self._absent(
                f"{place.tenant.cases - len(place.cases)} cases of tenant {place.tenant.key}", "cases"
            )
        for place in places:
            if place.tenant.cases > len(place.cases):
                self._announce("case", place, [], number=place.tenant.cases - len(place.cases))
        places_of_fields = {place.tenant.key: self._place_of_fields(place) for place in places} if jobs else {}

        def make(job: tuple[_Place, int]) -> str:
            place, number = job
            tenant = place.tenant
            assert step is not None  # noqa: S101  # checked above
            values = places_of_fields[tenant.key]
            seq = number + 1
            context = {
                **place.context,
                "case_type": case_type_of(tenant, number % tenant.case_types, self._defined[tenant.custom_fields]),
                "values": standard_values(seq),
                "save": {"id": save_id(SEED_KEY, seq), "seq": seq},
            }
            return self._create("case", step, context, None, lambda body: values(seq, body))

        made: dict[str, list[str]] = {place.tenant.key: [] for place in places}
        for (place, _), id_ in zip(jobs, self._with_progress("cases", make, jobs), strict=True):
            made[place.tenant.key].append(id_)
        return made

    def _place_of_fields(self, place: _Place) -> Callable[[int, Any], bytes]:
        mapping: FieldsMapping = self._target.fields
        encoded = EncodedSaves(mapping, self._saved[place.tenant.custom_fields], place.fields)
        return lambda seq, body: mapping.place(body, encoded.all_members(seq, save_id(SEED_KEY, seq)))

    def _announce(self, kind: Kind, place: _Place | None, keys: Sequence[str], *, number: int = 0) -> None:
        """Put into the footprint what will be made: things with these keys, or so many cases."""
        if self._footprint is not None and (keys or number):
            tenant, remote = (place.tenant.key, dict(place.remote)) if place else ("", {})
            there = place.cases if place and kind == "case" else ()
            self._footprint.announce(
                Making(
                    kind=kind,
                    tenant=tenant,
                    remote=remote,
                    keys=tuple(keys),
                    number=number or len(keys),
                    there=there,
                )
            )

    def _create(
        self, kind: Kind, step: Step, context: Mapping[str, Any], key: str | None, place: Place | None = None
    ) -> str:
        """Make one thing that was announced; what the target calls it."""
        assert step.create is not None  # noqa: S101  # asked before
        id_ = self._asking.create(step.create, context, key, place)
        if self._footprint is not None:
            tenant = "" if kind == "tenant" else context["tenant"]["key"]
            self._footprint.note(Made(kind=kind, tenant=tenant, key=key or "", id=id_))
        return id_

    def _absent(self, what: str, kind: str) -> Aborted:
        start = f" ({self._target.start})" if self._target.start else ""
        return Aborted(f"the target {self._target.name} has no {what}; its {kind} are prepared beforehand{start}")

    def _with_progress(self, what: str, work: Callable[[Piece], Done], jobs: Sequence[Piece]) -> list[Done]:
        done: list[Done] = []
        for result in each(work, jobs):
            done.append(result)
            self._progress(what, len(done), len(jobs))
        return done


def _natural(id_: str) -> tuple[int, str]:
    """Orders ids that are numbers as numbers."""
    return len(id_), id_
