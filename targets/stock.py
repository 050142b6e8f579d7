"""What of a scenario is on a target already: its tenants, custom fields and cases, asked for by reads alone."""

from __future__ import annotations

from typing import Any

from scenarios.errors import few_of
from scenarios.fields import CustomField, define_fields
from scenarios.model import Scenario, Tenant
from targets.answer import Answer
from targets.asking import Asking
from targets.inventory import TenantInventory
from targets.model import Target
from targets.provision_mapping import Step
from targets.wanted import case_type_of, is_as_wanted


class Stock:
    """Asked for in order: tenants, the custom fields of each cohort, cases. Raises Aborted for an unfit answer."""

    def __init__(self, target: Target, scenario: Scenario, asking: Asking) -> None:
        self._target = target
        self._scenario = scenario
        self._asking = asking
        self._remote: dict[str, str] = {}  # what the target calls the tenants that are there
        self._fields: dict[str, dict[str, str]] = {}
        self._cases: dict[str, tuple[str, ...]] = {}

    def has(self, tenant: Tenant) -> bool:
        """Whether the tenant was found."""
        return tenant.key in self._remote

    def known(self, tenant: Tenant) -> TenantInventory:
        """What was found of the tenant so far."""
        return TenantInventory(
            remote={"id": self._remote.get(tenant.key, "")},
            fields=self._fields.get(tenant.key, {}),
            cases=self._cases.get(tenant.key, ()),
        )

    def context(self, tenant: Tenant) -> dict[str, Any]:
        """What templates may ask of the tenant."""
        return {"tenant": {"key": tenant.key, "remote": {"id": self._remote.get(tenant.key, "")}}}

    def tenants(self) -> Answer:
        """Are all tenants there? Those that are not are not asked about again."""
        keys = [tenant.key for tenant in self._scenario.tenants]
        step = self._target.provision.tenants
        if step is None:
            self._remote = {key: key for key in keys}
            return Answer("tenants", "open", "the mapping does not say how they are found; it uses our keys")
        there = self._asking.list_all(step.find, {})
        self._remote = {key: there[key][0] for key in keys if key in there}
        missing = [key for key in keys if key not in there]
        return self._counted("tenants", len(missing), len(keys), f"missing are {few_of(missing, 3)}", step)

    def custom_fields(self, cohort: str) -> Answer:
        """Have the cohort's tenants all custom fields, or case types that are as wanted?"""
        wanted = self._scenario.cohorts[cohort].custom_fields
        tenants = [t for t in self._scenario.tenants if t.cohort == cohort and t.key in self._remote]
        provision = self._target.provision
        where = f"{cohort}, {wanted} fields: "
        if not tenants:
            return Answer("custom fields", "open", f"{where}none of the tenants is there yet")
        if provision.fields:
            return self._fields_found(provision.fields, tenants, where, wanted)
        for tenant in tenants:
            self._fields[tenant.key] = {field.key: field.key for field in self._defined(tenant)}
        if provision.case_types:
            return self._case_types_found(provision.case_types, tenants, where)
        return Answer("custom fields", "open", f"{where}the mapping does not say how they are found")

    def _fields_found(self, step: Step, tenants: list[Tenant], where: str, wanted: int) -> Answer:
        most = ("", 0)
        for tenant in tenants:
            there = self._asking.list_all(step.find, self.context(tenant))
            keys = [field.key for field in self._defined(tenant)]
            self._fields[tenant.key] = {key: there[key][0] for key in keys if key in there}
            most = max(most, (tenant.key, sum(key not in there for key in keys)), key=lambda one: one[1])
        key, missing = most
        if not missing:
            return Answer("custom fields", "ok", f"{where}there in {_times(len(tenants), 'tenant')}")
        said = f"{where}{wanted - missing} of {wanted} are there in {key}"
        if step.create:
            return Answer("custom fields", "ok", f"{said}; a run makes the others")
        return Answer("custom fields", "no", said, f"{self._prepare()}; or lower custom_fields of the cohort")

    def _case_types_found(self, step: Step, tenants: list[Tenant], where: str) -> Answer:
        absent: list[str] = []
        for tenant in tenants:
            context = self.context(tenant)
            there = self._asking.list_all(step.find, context)
            for number in range(tenant.case_types):
                case_type = case_type_of(tenant, number, self._defined(tenant))
                name = f"{case_type['key']} of {tenant.key}"
                if case_type["key"] not in there:
                    absent.append(name)
                elif not is_as_wanted(
                    self._asking, step, {**context, "case_type": case_type}, there[case_type["key"]][1]
                ):
                    said = f"{where}{name} is there with other fields or scripts"
                    if step.update:
                        return Answer("custom fields", "ok", f"{said}; a run changes it, if no case is in the way")
                    return Answer("custom fields", "no", said, "clean up, or give the scenario another name")
        if absent and step.create is None:
            return Answer("custom fields", "no", f"{where}there is no {absent[0]}", self._prepare())
        if absent:
            return Answer("custom fields", "ok", f"{where}{_times(len(absent), 'case type')} to be made by a run")
        return Answer("custom fields", "ok", f"{where}there in {_times(len(tenants), 'tenant')}")

    def cases(self) -> Answer:
        """Are there as many cases as every tenant is to have?"""
        step = self._target.provision.cases
        if step is None:
            return Answer("cases", "no", "the mapping does not say how they are found", "see provision.cases")
        wanted = missing = 0
        short: list[str] = []
        for tenant in self._scenario.tenants:
            there = self._remote.get(tenant.key) is not None
            listed = self._asking.list_all(step.find, self.context(tenant)) if there else {}
            self._cases[tenant.key] = tuple(id_ for id_, _ in listed.values())[: tenant.cases]
            wanted += tenant.cases
            missing += tenant.cases - len(self._cases[tenant.key])
            short += [tenant.key] if len(self._cases[tenant.key]) < tenant.cases else []
        return self._counted("cases", missing, wanted, f"short are {few_of(short, 3)}", step)

    def _counted(self, question: str, missing: int, wanted: int, which: str, step: Step) -> Answer:
        said = f"{wanted - missing:,} of {wanted:,} are there"
        if not missing:
            return Answer(question, "ok", said)
        if step.create:
            return Answer(question, "ok", f"{said}; a run makes the others")
        return Answer(question, "no", f"{said}; {which}", self._prepare())

    def _defined(self, tenant: Tenant) -> tuple[CustomField, ...]:
        return define_fields(self._scenario, tenant.custom_fields)

    def _prepare(self) -> str:
        return f"prepare it: {self._target.start}" if self._target.start else "make them on the target"


def _times(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"
