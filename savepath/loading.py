"""A run folder as the analysis wants it: a run, or one for each of its arms, and what its scenario asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pandas as pd

from analysis.runs import Objective, Origin, Question, Run
from loadgen.run_folder import RunFolder
from loadgen.run_info import RunInfo
from scenarios.arms import ARMS
from scenarios.errors import InputError
from scenarios.tokens import trace_id


def load_run(path: Path) -> Run:
    """One run folder as the analysis wants it."""
    folder = RunFolder(path)
    info = folder.read()
    outages = folder.read_outages()
    return Run(
        id=info.id,
        started_at=datetime.fromisoformat(info.started_at),
        status=info.status,
        scenario=info.scenario,
        target=info.target,
        plan_digest=info.plan_digest,
        duration_s=info.duration_s,
        lasted_s=info.warmup_s + info.ended_s,
        scheduled=info.ledger.scheduled,
        recorded=info.ledger.recorded,
        aborted=info.ledger.aborted,
        unsent=info.ledger.unsent,
        lost=info.ledger.lost,
        taken_over="; ".join(f"worker {worker.worker} {worker.reason}" for worker in info.taken_over),
        waited_for_pool=None if info.origin else info.generator.waited_for_pool,
        run_queue_delay=info.generator.run_queue_delay,
        cpu=info.generator.cpu,
        slices=folder.read_slices(),
        effects=folder.read_effects(),
        labels=info.labels,
        fingerprint=info.fingerprint,
        stored_cases=info.stored_cases,
        users=info.users.count if info.users else 0,
        origin=_origin_of(info),
        notable=_traced(folder.read_notable(), info),
        outages=None if outages is None else outages.get("", ()),
        reason=info.reason,
    )


def _traced(notable: pd.DataFrame, info: RunInfo) -> pd.DataFrame:
    """The notable samples with the trace id that each request carried; imported ones carried none of ours."""
    ids = ["" if info.origin else trace_id(info.key, int(seq)) for seq in notable["seq"]]
    return notable.assign(trace_id=pd.Series(ids, index=notable.index, dtype="str"))


def _origin_of(info: RunInfo) -> Origin | None:
    if info.origin is None:
        return None
    return Origin(info.origin.tool, frozenset(info.origin.lacks), info.origin.notes)


def load_arms(path: Path) -> dict[str, Run]:
    """The two sides of a run that drove two targets at once, each as a run of its own."""
    whole, info, outages = load_run(path), RunFolder(path).read(), RunFolder(path).read_outages()
    return {
        arm: replace(
            whole,
            id=f"{whole.id}/{arm}",
            at_once=whole.id,
            target=facts.target,
            scheduled=facts.ledger.scheduled,
            recorded=facts.ledger.recorded,
            aborted=facts.ledger.aborted,
            unsent=facts.ledger.unsent,
            lost=facts.ledger.lost,
            waited_for_pool=facts.waited_for_pool,
            slices=whole.slices[whole.slices["arm"] == arm],
            effects=whole.effects[whole.effects["arm"] == arm],
            notable=whole.notable[whole.notable["arm"] == arm],
            outages=None if outages is None else outages.get(arm, ()),
            labels={**whole.labels, "address": facts.address},
            fingerprint=facts.fingerprint,
            stored_cases=facts.stored_cases,
        )
        for arm, facts in info.arms.items()
    }


def load_both_arms(path: Path) -> dict[str, Run]:
    """As ``load_arms``. Raises InputError where one of the two targets was missing, as it may in a watch."""
    arms = load_arms(path)
    if len(arms) < len(ARMS):
        raise InputError(f"{path} drove one of its two targets only, as the other did not answer; leave it out")
    return arms


def question_of(path: Path, planned: Sequence[str]) -> Question:
    """What the scenario of a run asked: its limits and required cells."""
    asked = RunFolder(path).read().question
    return Question(
        tolerance=asked.tolerance,
        required=asked.required_cells,
        integrity_limits=asked.integrity_limits,
        planned=frozenset(planned),
        not_applicable=asked.not_applicable_cells,
        objectives=tuple(Objective(**one.model_dump()) for one in asked.objectives),
    )
