"""A scenario: which tenants, doing what, how often, and what was agreed about the outcome."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from scenarios.abort_rules import DEFAULT, AbortRule, parse_abort_rule
from scenarios.errors import did_you_mean
from scenarios.load import Load
from scenarios.objectives import Objective, parse_objective
from scenarios.source import StrictModel

Share = Annotated[float, Field(ge=0, le=1)]


class Operation(StrEnum):
    """What a user of the system does."""

    READ_CASE = "read_case"
    SEND_EMAIL = "send_email"
    SEND_BATCH = "send_batch"
    SAVE_STANDARD = "save_standard"
    SAVE_CUSTOM = "save_custom"
    RUN_SCRIPT = "run_script"

    @functools.cached_property
    def saves(self) -> bool:
        """Whether it saves a case, so that on-save scripts must run."""
        return self in (Operation.SAVE_STANDARD, Operation.SAVE_CUSTOM, Operation.RUN_SCRIPT)

    @property
    def mails(self) -> bool:
        """Whether it sends mail, so that mail must arrive."""
        return self in (Operation.SEND_EMAIL, Operation.SEND_BATCH)

    def possible_for(self, cohort: Cohort) -> bool:
        """Whether tenants of the cohort can do it: no custom field to save, no script to wait for."""
        if self is Operation.SAVE_CUSTOM:
            return cohort.custom_fields > 0
        return self is not Operation.RUN_SCRIPT or cohort.scripts_on_save > 0


class FieldType(StrEnum):
    """The type of a custom field."""

    TEXT = "text"
    LONG_TEXT = "long_text"
    NUMBER = "number"
    DATE = "date"
    CHOICE = "choice"
    MULTI_CHOICE = "multi_choice"
    CHECKBOX = "checkbox"
    REFERENCE = "reference"


class Cohort(StrictModel):
    """Tenants with the same number of custom fields."""

    custom_fields: int = Field(ge=0, le=5000, description="the number of custom fields on a case")
    tenants: int = Field(1, ge=1, le=1000, description="how many tenants of this size there are")
    cases: int = Field(20, ge=1, le=100_000, description="cases per tenant")
    case_types: int = Field(1, ge=1, le=20, description="case types per tenant; the cases are spread over them")
    scripts_on_save: int = Field(1, ge=0, le=20, description="on-save scripts that each save must run once")
    share: float | None = Field(
        None, gt=0, le=1, description="the cohort's share of all arrivals; equal parts where none says"
    )


class Verification(StrictModel):
    """How the truth behind the answers is checked."""

    read_back_share: Share = Field(0.1, description="share of the custom saves that are read back")
    script_deadline_s: float = Field(30, gt=0, le=3600, description="a script that ran later is late")
    mail_deadline_s: float = Field(60, gt=0, le=3600, description="a mail that was delivered later is late")
    settle_s: float = Field(1, ge=0, le=600, description="wait this long before exactly once is believed")
    rate_per_s: float = Field(20, gt=0, le=1000, description="verification requests per second at most")
    pending_max: int = Field(100_000, ge=1, description="saves awaiting verification at most; more: unverified")


class Limits(StrictModel):
    """What was agreed to be harmless. Counts of broken effects are 0 unless a share is named here."""

    slower: float = Field(0.10, gt=0, le=5, description="a slow-down up to this share is agreed to be harmless")
    late_scripts: Share = Field(0.001, description="share of the script runs that may be late")
    late_mails: Share = Field(0.001, description="share of the mails that may be late")


@dataclass(frozen=True, slots=True)
class Tenant:
    """One tenant of a scenario. ``key`` names it on the target as well."""

    key: str
    cohort: str
    custom_fields: int
    cases: int
    case_types: int
    scripts_on_save: int


def _check_objective(text: str, info: ValidationInfo) -> str:
    """The text of an objective. Raises ValueError if it is none, or of what the scenario does not do."""
    objective = parse_objective(text)
    if objective.operation is not None and "mix" in info.data and "cohorts" in info.data:
        at = "" if objective.custom_fields is None else f"@{objective.custom_fields}"
        _cells_named(f"{objective.operation}{at}", info.data["mix"], info.data["cohorts"])
    return text


def _check_abort_rule(text: str) -> str:
    """The text of an abort rule. Raises ValueError if it is none."""
    parse_abort_rule(text)
    return text


class Scenario(StrictModel):
    """What is offered to a target, and what is asked about it."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,39}$", description="lower-case letters, digits and dashes")
    about: str = Field("", description="one sentence for people")
    seed: int = Field(1, ge=0, le=2**63 - 1)
    cohorts: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,19}$")], Cohort] = Field(
        min_length=1, description="a mapping of names to cohorts"
    )
    mix: dict[Operation, Annotated[float, Field(ge=0)]] = Field(
        min_length=1, description="a mapping of operations to weights"
    )
    load: Load = Field(description="a mapping with rate_per_s")
    warmup_s: float = Field(5, ge=0, le=86_400)
    duration_s: float = Field(gt=0, le=30 * 86_400, description="the length of the measured window in seconds")
    pairs: int = Field(5, ge=1, le=1000, description="runs on each side of a comparison")
    batch_size: int = Field(20, ge=1, le=10_000, description="messages in an e-mail batch")
    field_types: dict[FieldType, Annotated[float, Field(ge=0)]] = Field(
        default={
            FieldType.TEXT: 30,
            FieldType.CHOICE: 20,
            FieldType.NUMBER: 15,
            FieldType.DATE: 10,
            FieldType.CHECKBOX: 10,
            FieldType.MULTI_CHOICE: 5,
            FieldType.LONG_TEXT: 5,
            FieldType.REFERENCE: 5,
        },
        description="a mapping of field types to weights",
    )
    verification: Verification = Verification()
    limits: Limits = Limits()
    required: tuple[str, ...] = Field(
        (), description="cells that must be shown harmless: an operation, or operation@custom_fields"
    )

    objectives: tuple[Annotated[str, AfterValidator(_check_objective)], ...] = Field(
        (),
        description="limits on what users get: [OPERATION[@FIELDS]] MEASURE <= LIMIT, "
        "like save_custom@500 p95 <= 2 s, failures <= 0.1 %, scripts missed == 0, slower than before <= 10 %",
    )

    abort: tuple[Annotated[str, AfterValidator(_check_abort_rule)], ...] = Field(
        DEFAULT,
        description="when a run ends itself: MEASURE > LIMIT [over TIME], "
        "like failures > 50 % over 30 s, p99 > 20 s over 1 min, memory > 2 GB, disk free < 500 MB",
    )

    @field_validator("mix", "field_types")
    @classmethod
    def _some_weight(cls, weights: dict[StrEnum, float]) -> dict[StrEnum, float]:
        if sum(weights.values()) <= 0:
            raise ValueError("all weights are 0; expected at least one above 0")
        return weights

    @field_validator("cohorts")
    @classmethod
    def _cohorts_differ(cls, cohorts: dict[str, Cohort]) -> dict[str, Cohort]:
        seen: dict[int, str] = {}
        for name, cohort in cohorts.items():
            if cohort.custom_fields in seen:
                raise ValueError(
                    f"{seen[cohort.custom_fields]} and {name} both have {cohort.custom_fields} custom fields; "
                    "put them into one cohort, results are told by the number of fields"
                )
            seen[cohort.custom_fields] = name
        shares = [cohort.share for cohort in cohorts.values()]
        if any(share is None for share in shares) and any(share is not None for share in shares):
            raise ValueError("some cohorts have a share and some have none; give all of them one, or none")
        if shares[0] is not None and abs(sum(s for s in shares if s is not None) - 1) > 1e-6:
            raise ValueError(f"the shares add up to {sum(s for s in shares if s is not None):g}; expected 1")
        return cohorts

    @field_validator("mix")
    @classmethod
    def _somebody_can_do_it(cls, mix: dict[Operation, float], info: ValidationInfo) -> dict[Operation, float]:
        cohorts = info.data.get("cohorts", {}).values()  # none where they are wrong themselves
        for operation, weight in mix.items():
            if weight and cohorts and not any(operation.possible_for(one) for one in cohorts):
                lacks = "custom_fields" if operation is Operation.SAVE_CUSTOM else "scripts_on_save"
                raise ValueError(
                    f"no cohort can do {operation}: all have {lacks} 0; give one of them some, "
                    "or leave the operation out of the mix"
                )
        return mix

    @model_validator(mode="after")
    def _every_cohort_has_something_to_do(self) -> Self:
        for name, cohort in self.cohorts.items():
            if not any(weight and op.possible_for(cohort) for op, weight in self.mix.items()):
                raise ValueError(
                    f"cohort {name} can do nothing of the mix ({cohort.custom_fields} custom fields, "
                    f"{cohort.scripts_on_save} scripts on save); widen the mix or leave the cohort out"
                )
        return self

    @field_validator("required")
    @classmethod
    def _required_cells_exist(cls, required: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if "mix" in info.data and "cohorts" in info.data:
            for text in required:
                _cells_named(text, info.data["mix"], info.data["cohorts"])
        return required

    @property
    def required_cells(self) -> frozenset[tuple[str, int]]:
        """(operation, custom fields) of every cell that must be shown harmless; all cells if none is named."""
        named = self.required or tuple(op for op, weight in self.mix.items() if weight)
        return frozenset((str(op), n) for text in named for op, n in _cells_named(text, self.mix, self.cohorts))

    @property
    def parsed_objectives(self) -> tuple[Objective, ...]:
        """What the objectives ask for, in their order."""
        return tuple(parse_objective(text) for text in self.objectives)

    @property
    def abort_rules(self) -> tuple[AbortRule, ...]:
        """When a run ends itself, in their order."""
        return tuple(parse_abort_rule(text) for text in self.abort)

    @property
    def impossible_cells(self) -> frozenset[tuple[str, int]]:
        """(operation, custom fields) that the mix names but the cohort cannot do."""
        return frozenset(
            (str(op), cohort.custom_fields)
            for op, weight in self.mix.items()
            for cohort in self.cohorts.values()
            if weight and not op.possible_for(cohort)
        )

    @property
    def tenants(self) -> tuple[Tenant, ...]:
        """Every tenant, cohort by cohort, in the order of the file."""
        return tuple(
            Tenant(
                key=f"{self.name}-{name}-{number:02d}",
                cohort=name,
                custom_fields=cohort.custom_fields,
                cases=cohort.cases,
                case_types=cohort.case_types,
                scripts_on_save=cohort.scripts_on_save,
            )
            for name, cohort in self.cohorts.items()
            for number in range(1, cohort.tenants + 1)
        )

    @property
    def tenant_keys(self) -> tuple[str, ...]:
        """The keys of all tenants, in the same order."""
        return tuple(tenant.key for tenant in self.tenants)

    def can(self, operation: str, cohort: str = "") -> bool:
        """Whether some cohort (or that one) can do something of the mix (or that operation)."""
        return any(
            weight and operation in ("", op) and op.possible_for(one)
            for name, one in self.cohorts.items()
            if cohort in ("", name)
            for op, weight in self.mix.items()
        )

    def share_of(self, cohort: str) -> float:
        """The cohort's share of all arrivals."""
        return self.cohorts[cohort].share or 1 / len(self.cohorts)


def _cells_named(
    text: str, mix: Mapping[Operation, float], cohorts: Mapping[str, Cohort]
) -> frozenset[tuple[Operation, int]]:
    """The cells that one entry of ``required`` names. Raises ValueError for one that cannot be."""
    name, at, fields = text.partition("@")
    operation = next((op for op, weight in mix.items() if weight and op == name), None)
    if operation is None:
        known = [str(op) for op, weight in mix.items() if weight]
        hint = did_you_mean(name, known) or f"; expected one of {', '.join(known)}"
        raise ValueError(f"{text!r} is not in the mix{hint}")
    found = frozenset(
        (operation, cohort.custom_fields)
        for cohort in cohorts.values()
        if operation.possible_for(cohort) and (not at or str(cohort.custom_fields) == fields)
    )
    if not found:
        raise ValueError(f"{text!r}: no cohort with {fields} custom fields can do that")
    return found
