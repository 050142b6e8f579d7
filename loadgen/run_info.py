"""The facts of a run, as ``run.json`` holds them: what was driven, what became of it, how well the generator did.

Of several arms or workers the facts are also added up here. How they are written and read: ``loadgen.run_folder``.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Final, Literal, TypeVar

from pydantic import BeforeValidator, Field

from analysis.samples import Fact
from scenarios.load import Users
from scenarios.objectives import Objective
from scenarios.source import StrictModel

SCHEMA: Final = "savepath.run/1"
_Counts = TypeVar("_Counts", bound=StrictModel)

#: A number that may be unknown: NaN here, null in the file.
Unknowable = Annotated[
    Annotated[float, Field(allow_inf_nan=True)],
    BeforeValidator(lambda found: math.nan if found is None else found),
]


class Ledger(StrictModel):
    """What became of every planned arrival."""

    scheduled: int = Field(ge=0)
    recorded: int = Field(ge=0)  # finished, with any outcome but aborted
    aborted: int = Field(ge=0)  # sent, and not finished when the run stopped
    unsent: int = Field(ge=0)  # never sent, because the run stopped before
    lost: int = Field(0, ge=0)  # due, and of a worker that died before it could tell

    @property
    def closes(self) -> bool:
        """Whether every arrival is accounted for: scheduled = recorded + aborted + unsent + lost."""
        return self.scheduled == self.recorded + self.aborted + self.unsent + self.lost

    def __str__(self) -> str:
        """The ledger as one line for people."""
        relation = "=" if self.closes else "IS NOT"
        told = (
            f"scheduled {self.scheduled:,} {relation} recorded {self.recorded:,} + aborted {self.aborted:,} "
            f"+ unsent {self.unsent:,}"
        )
        return f"{told} + lost {self.lost:,}" if self.lost else told


class Generator(StrictModel):
    """How well the generator did its own part. Lag counts only arrivals that no full pool held back.

    Of several workers the lags are those of all, and the shares those of the worker that was worst off.
    """

    lag_p50_s: Unknowable = math.nan
    lag_p99_s: Unknowable = math.nan
    run_queue_delay: Unknowable = math.nan  # share of the time in which it waited for a core
    cpu: Unknowable = math.nan  # share of one core that it used
    waited_for_pool: int = 0  # arrivals that found in_flight_max requests open: the target is saturated
    in_flight_peak: int = 0
    client: str = "measured"  # what sent the requests: our own client, or one of Locust's (fast, requests)


class WorkerFacts(StrictModel):
    """How one of several workers did its part."""

    worker: int
    fired: int
    recorded: int
    lost: int = 0
    lag_p99_s: Unknowable = math.nan
    run_queue_delay: Unknowable = math.nan
    cpu: Unknowable = math.nan  # share of one core
    reason: str = ""  # how it was lost; empty for one that came to its end
    heirs: tuple[int, ...] = ()  # the workers that took over what it left


class Verified(StrictModel):
    """What the verification cost, and how many effects nobody could look at."""

    requests: int = 0  # all of them; never part of the load's figures
    polls: int = 0  # of them, those of users who wait for the scripts of a save (run_script)
    reads: int = 0  # of them, cases that were read back
    unverified: int = 0


class Cell(StrictModel):
    """An operation of a cohort."""

    operation: str
    custom_fields: int


class IntegrityLimit(StrictModel):
    """The largest share of the checked effects of a kind that may have this outcome."""

    kind: str
    outcome: str
    share: float


class Asked(StrictModel):
    """What the scenario asks of a comparison, kept with the run so that it needs no other file."""

    tolerance: float
    required: tuple[Cell, ...] = ()
    not_applicable: tuple[Cell, ...] = ()
    limits: tuple[IntegrityLimit, ...] = ()
    objectives: tuple[Objective, ...] = ()

    @property
    def required_cells(self) -> frozenset[tuple[str, int]]:
        """(operation, custom fields) of what must be shown harmless."""
        return frozenset((cell.operation, cell.custom_fields) for cell in self.required)

    @property
    def not_applicable_cells(self) -> frozenset[tuple[str, int]]:
        """(operation, custom fields) of what cannot be."""
        return frozenset((cell.operation, cell.custom_fields) for cell in self.not_applicable)

    @property
    def integrity_limits(self) -> dict[tuple[str, str], float]:
        """(kind, outcome) to share, where it is not 0."""
        return {(limit.kind, limit.outcome): limit.share for limit in self.limits}


class Origin(StrictModel):
    """Where the results were imported from, and what the files of that tool do not tell."""

    tool: Literal["jtl", "k6", "locust", "vegeta"]
    files: tuple[str, ...]  # their names
    lacks: tuple[Fact, ...]
    unmapped: dict[str, int] = Field({})  # label -> requests that the label map does not name: not in the samples
    ignored: dict[str, int] = Field({})  # label -> requests that the label map leaves out on purpose
    notes: tuple[str, ...] = ()  # whole sentences, for the report


class ArmFacts(StrictModel):
    """What is one arm's own where a run drives two targets at once; the whole, where it drives one."""

    target: str
    address: str  # its base_url
    environment: str = ""
    fingerprint: dict[str, str] = Field({})
    offered_per_s: float
    fired: int
    ledger: Ledger
    waited_for_pool: int = 0
    in_flight_peak: int = 0
    verification: Verified = Verified()
    effects: dict[str, dict[str, int]] = Field({})
    stored_cases: int | None = None


class RunInfo(StrictModel):
    """The facts of one run, as ``run.json`` holds them. Times count from the start of the measured window."""

    schema_: Literal["savepath.run/1"] = Field("savepath.run/1", alias="schema")
    id: str
    key: str = Field(pattern=r"^[0-9a-f]{10}$")  # with a sample's seq it makes the save id
    purpose: str = ""
    scenario: str
    target: str
    environment: str = ""
    plan_digest: str
    labels: dict[str, str] = Field({})
    fingerprint: dict[str, str] = Field({})
    started_at: str  # ISO 8601, UTC: second 0, the start of the measured window
    warmup_s: float
    duration_s: float  # of the measured window that was really driven
    ended_s: float  # when verification was through
    status: Literal["complete", "aborted", "interrupted"]
    reason: str = ""  # empty for a complete run
    offered_per_s: float  # planned arrivals per second of the measured window
    fired: int  # arrivals that were sent, whatever became of them
    ledger: Ledger
    generator: Generator = Generator()
    verification: Verified = Verified()
    effects: dict[str, dict[str, int]] = Field({})  # kind -> outcome -> count
    outages: int | None = None  # of all arms; None: nobody looked (too many samples, an older run)
    stored_cases: int | None = None
    #: "before" and "after" of a run of two targets, else empty; in a watch "before" may be missing.
    arms: dict[str, ArmFacts] = Field({})
    workers: tuple[WorkerFacts, ...] = ()  # where there were several
    users: Users | None = None  # of a closed loop, whose times are not comparable; None: the load was open
    question: Asked
    versions: dict[str, str] = Field({})
    origin: Origin | None = None  # None: driven by savepath

    @property
    def taken_over(self) -> tuple[WorkerFacts, ...]:
        """The workers that were lost and whose part others took over: such a run is no yardstick of times."""
        return tuple(worker for worker in self.workers if worker.heirs)

    def to_json(self) -> bytes:
        """The text of ``run.json``; what is unknown is null."""
        return self.model_dump_json(by_alias=True, indent=1).encode()


def arms_of_run(arms: Mapping[str, ArmFacts]) -> dict[str, ArmFacts]:
    """The arms as ``run.json`` holds them: none where there is only one target, whose facts are the run's."""
    return {} if "" in arms else dict(arms)


def facts_of_all(arms: Mapping[str, ArmFacts]) -> ArmFacts:
    """The arms as one: counts are added; what is not the same for all of them is left to each."""
    parts = list(arms.values())
    if len(parts) == 1:
        return parts[0]
    return ArmFacts(
        target=" and ".join(dict.fromkeys(part.target for part in parts)),
        address="",
        offered_per_s=round(sum(part.offered_per_s for part in parts), 4),
        fired=sum(part.fired for part in parts),
        ledger=added(Ledger, [part.ledger for part in parts]),
        waited_for_pool=sum(part.waited_for_pool for part in parts),
        in_flight_peak=sum(part.in_flight_peak for part in parts),
        verification=added(Verified, [part.verification for part in parts]),
        effects=effects_of_all([part.effects for part in parts]),
    )


def effects_of_all(parts: Iterable[Mapping[str, Mapping[str, int]]]) -> dict[str, dict[str, int]]:
    """Counts of effects by kind and outcome, added; in order of both."""
    whole: dict[str, Counter[str]] = {}
    for part in parts:
        for kind, counts in part.items():
            whole.setdefault(kind, Counter()).update(counts)
    return {kind: dict(sorted(counts.items())) for kind, counts in sorted(whole.items())}


def added(kind: type[_Counts], parts: Sequence[_Counts]) -> _Counts:
    """A record of counts, each the sum of the parts'."""
    return kind(**{name: sum(getattr(part, name) for part in parts) for name in kind.model_fields})
