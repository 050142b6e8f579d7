"""What one worker counted of its part of a run, and what all of them together say of the run."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from pydantic import Field

from loadgen.health import quantile_of
from loadgen.run_info import (
    ArmFacts,
    Generator,
    Ledger,
    Unknowable,
    Verified,
    WorkerFacts,
    added,
    effects_of_all,
)
from scenarios.source import StrictModel


class ArmCounts(StrictModel):
    """What a worker counted of one arm."""

    fired: int = 0
    fired_in_window: int = 0
    written: int = 0  # rows in its shards
    aborted: int = 0  # of them
    lost: int = 0  # arrivals of which nobody knows what became
    waited_for_pool: int = 0
    in_flight_peak: int = 0
    verification: Verified = Verified()
    effects: dict[str, dict[str, int]] = Field({})
    logins_failed: int = 0
    inherited: int = 0  # arrivals of a lost worker that were due before this one took its part over


class Part(StrictModel):
    """What a worker says of itself when it is through, or what is left of it."""

    worker: int
    driven_s: float  # of the measured window
    arms: dict[str, ArmCounts]
    lags: dict[int, int] = Field({})  # as loadgen.health counts them
    run_queue_delay: Unknowable = math.nan
    cpu: Unknowable = math.nan
    strays: tuple[int, ...] = ()  # saves of other workers whose values were seen in a case of this one
    lost: str = ""  # why it could not say so itself
    heirs: tuple[int, ...] = ()  # who took over what it left


def ledger_of(counts: Sequence[ArmCounts], scheduled: int) -> Ledger:
    """From three independent counts: the plan, the drivers, and the rows that are in the shards."""
    aborted = sum(one.aborted for one in counts)
    return Ledger(
        scheduled=scheduled,
        recorded=sum(one.written for one in counts) - aborted,
        aborted=aborted,
        unsent=scheduled - sum(one.fired for one in counts),
        lost=sum(one.lost for one in counts),
    )


def facts_of_arm(about: ArmFacts, counts: Sequence[ArmCounts], scheduled: int, driven_s: float) -> ArmFacts:
    """What ``run.json`` says of an arm, of which so many arrivals were planned; ``about`` names the target."""
    fired_in_window = sum(one.fired_in_window for one in counts)
    return about.model_copy(
        update={
            "offered_per_s": round(fired_in_window / driven_s, 4) if driven_s else 0.0,
            "fired": sum(one.fired for one in counts),
            "ledger": ledger_of(counts, scheduled),
            "waited_for_pool": sum(one.waited_for_pool for one in counts),
            "in_flight_peak": sum(one.in_flight_peak for one in counts),
            "verification": added(Verified, [one.verification for one in counts]),
            "effects": effects_of_all([one.effects for one in counts]),
        }
    )


def with_foreign(facts: ArmFacts, number: int) -> ArmFacts:
    """The facts, where so many values that a worker called lost were found by another (``RunFolder.compact``)."""
    if not number:
        return facts
    moved = [{"value": {"lost": -number, "foreign": number}}, facts.effects]
    found = effects_of_all(moved)
    found["value"] = {outcome: n for outcome, n in found["value"].items() if n}
    return facts.model_copy(update={"effects": found})


def generator_of(parts: Sequence[Part], whole: ArmFacts, client: str) -> Generator:
    """The health of the generator: all arrivals' lags, and the worker that was worst off."""
    lags: Counter[int] = Counter()
    for part in parts:
        lags.update(part.lags)
    return Generator(
        lag_p50_s=quantile_of(lags, 0.5),
        lag_p99_s=quantile_of(lags, 0.99),
        run_queue_delay=_worst([part.run_queue_delay for part in parts]),
        cpu=_worst([part.cpu for part in parts]),
        waited_for_pool=whole.waited_for_pool,
        in_flight_peak=whole.in_flight_peak,
        client=client,
    )


def facts_of_workers(parts: Sequence[Part]) -> tuple[WorkerFacts, ...]:
    """The workers as ``run.json`` holds them: none where there is only one, whose facts are the run's."""
    if len(parts) == 1:
        return ()
    return tuple(
        WorkerFacts(
            worker=part.worker,
            fired=sum(counts.fired for counts in part.arms.values()),
            recorded=sum(counts.written - counts.aborted for counts in part.arms.values()),
            lost=sum(counts.lost for counts in part.arms.values()),
            lag_p99_s=quantile_of(part.lags, 0.99),
            run_queue_delay=part.run_queue_delay,
            cpu=part.cpu,
            reason=part.lost,
            heirs=part.heirs,
        )
        for part in parts
    )


def _worst(shares: Sequence[float]) -> float:
    return max((share for share in shares if not math.isnan(share)), default=math.nan)
