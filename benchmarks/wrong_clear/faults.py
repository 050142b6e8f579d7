"""What is wrong with a simulated comparison: of the system after the change, or of how it was measured.

Each fault takes a comparison that would be CLEAR and spoils it, by how much and where chance says. Where a fault
of the measurement only hides something, a slow-down is planted for it to hide.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from benchmarks.truth.folding import Recorded

GROWING: Final = ("save_custom", "run_script")
BAD: Final = {
    "script": ("missed", "doubled", "late", "out_of_order"),
    "value": ("lost", "partial", "foreign"),
}


@dataclass(slots=True)
class Trial:
    """The recorded runs of both sides, and the chance that spoils them."""

    before: list[Recorded]
    after: list[Recorded]
    rng: np.random.Generator

    @property
    def both(self) -> list[Recorded]:
        """All runs."""
        return [*self.before, *self.after]

    @property
    def side(self) -> list[Recorded]:
        """The after side, or both: what is wrong on both sides alike hides best."""
        return self.after if self.rng.random() < 0.5 else self.both

    def cell(self) -> tuple[str, int]:
        """One of the cells."""
        samples = self.after[0].samples
        cells = sorted(set(zip(samples["operation"].astype(str), samples["custom_fields"], strict=True)))
        operation, fields = cells[self.rng.integers(len(cells))]
        return operation, int(fields)


def slower(trial: Trial) -> None:
    """Everything takes 25 to 100 % longer."""
    factor = trial.rng.uniform(1.25, 2.0)
    for run in trial.after:
        _stretch(run, np.full(len(run.samples), factor))


def one_cell_slower(trial: Trial) -> None:
    """One operation of one cohort takes 25 to 100 % longer."""
    factor, (operation, fields) = trial.rng.uniform(1.25, 2.0), trial.cell()
    for run in trial.after:
        hit = (run.samples["operation"] == operation) & (run.samples["custom_fields"] == fields)
        _stretch(run, np.where(hit, factor, 1.0))


def slope_only(trial: Trial) -> None:
    """Custom saves and scripts take longer by up to 25 to 100 % at the most fields, those without any do not."""
    growth = trial.rng.uniform(0.25, 1.0)
    for run in trial.after:
        share = run.samples["custom_fields"] / run.samples["custom_fields"].max()
        _stretch(run, np.where(run.samples["operation"].isin(GROWING), 1 + growth * share, 1.0))


def tail_only(trial: Trial) -> None:
    """Of 1 to 4 in a hundred requests, of all or of one operation, each takes 5 to 20 times as long."""
    share, factor = trial.rng.uniform(0.01, 0.04), trial.rng.uniform(5, 20)
    operation = trial.cell()[0] if trial.rng.random() < 0.5 else None
    for run in trial.after:
        hit = trial.rng.random(len(run.samples)) < share
        if operation:
            hit &= (run.samples["operation"] == operation).to_numpy()
        _stretch(run, np.where(hit, factor, 1.0))


def failures(trial: Trial) -> None:
    """1 to 20 % of the requests of an operation fail, at any moment or within a part of the run."""
    share, operation = trial.rng.uniform(0.01, 0.20), trial.cell()[0]
    bursts = trial.rng.random() < 0.5
    for run in trial.after:
        own = (run.samples["operation"] == operation).to_numpy()
        if bursts:
            begun_s = trial.rng.uniform(0, run.duration_s * 0.75)
            within = run.samples["scheduled_s"].between(begun_s, begun_s + run.duration_s / 4).to_numpy()
            _fail(run, own & within & (trial.rng.random(len(own)) < min(4 * share, 1.0)))
        else:
            _fail(run, own & (trial.rng.random(len(own)) < share))


def integrity(trial: Trial) -> None:
    """1 to 20 effects of one kind are not what was promised."""
    kind = str(trial.rng.choice(list(BAD)))
    outcome = str(trial.rng.choice(BAD[kind]))
    for _ in range(trial.rng.integers(1, 21)):
        run = trial.after[trial.rng.integers(len(trial.after))]
        at = trial.rng.choice(np.flatnonzero(run.effects["kind"] == kind))
        run.effects.iloc[at, run.effects.columns.get_loc("outcome")] = outcome


def generator_overloaded(trial: Trial) -> None:
    """The generator is late, starved of a core or short of its schedule; on both sides it hides a slow-down."""
    side = trial.side
    if side is not trial.after:
        slower(trial)
    match trial.rng.integers(3):
        case 0:
            late_s = trial.rng.uniform(0.05, 2.0)
            for run in side:
                _shift(run, trial.rng.exponential(late_s, len(run.samples)))
        case 1:
            starved = trial.rng.uniform(0.3, 0.9)
            for run in side:
                _shift(run, trial.rng.exponential(starved * 0.03, len(run.samples)))
                run.facts["run_queue_delay"] = starved
        case _:
            sent = trial.rng.uniform(0.5, 0.97)
            for run in side:
                planned = len(run.samples)
                _keep(run, trial.rng.random(planned) < sent)
                run.facts |= {"scheduled": planned, "unsent": planned - len(run.samples)}


def samples_missing(trial: Trial) -> None:
    """Half of what was measured is not there: rows, the slow ones, the end, a cohort, the effects."""
    side = trial.side
    kind = int(trial.rng.integers(6))
    told = kind != 0  # the ledger does not notice
    if kind == 1 or side is not trial.after:
        slower(trial)
    cohort = trial.cell()[1]
    for run in side:
        samples, n = run.samples, len(run.samples)
        match kind:
            case 0 | 2:
                kept = trial.rng.random(n) < 0.5
            case 1:  # those that took longer than half of their cell
                took_s = samples["done_s"] - samples["scheduled_s"]
                middle_s = took_s.groupby([samples["operation"], samples["custom_fields"]], observed=True)
                kept = (took_s <= middle_s.transform("median")).to_numpy()
            case 3:
                kept = (samples["scheduled_s"] < run.duration_s / 2).to_numpy()
            case 4:
                kept = (samples["custom_fields"] != cohort).to_numpy() | (trial.rng.random(n) < 0.5)
            case _:
                run.effects = run.effects[trial.rng.random(len(run.effects)) < 0.5]
                continue
        _keep(run, kept)
        run.facts |= {"scheduled": n, "recorded": n if told else len(run.samples)}


def clock_skew(trial: Trial) -> None:
    """A clock that is wrong hides a slow-down: a worker's, one set back during the run, or a side's by hours."""
    slower(trial)
    match trial.rng.integers(3):
        case 0:  # a worker's clock is behind that of the schedule
            behind = trial.rng.uniform(0.2, 1.0)
            for run in trial.after:
                took_s = (run.samples["done_s"] - run.samples["scheduled_s"]).to_numpy()
                _shift(run, np.full(len(took_s), -behind * float(np.median(took_s)) / 2))
        case 1:  # set back during the run
            for run in trial.after:
                late = (run.samples["scheduled_s"] > run.duration_s / 2).to_numpy()
                _shift(run, np.where(late, -trial.rng.uniform(0.02, 0.2), 0.0))
        case _:  # the sides' machines disagree on the hour
            hours = float(trial.rng.uniform(-48, 48))
            for run in trial.after:
                run.minutes += 60 * hours


def mixed_plans(trial: Trial) -> None:
    """Runs of two plans: by their digest, or with one digest and another mix or another scenario."""
    chosen = trial.after if trial.rng.random() < 0.5 else [trial.after[trial.rng.integers(len(trial.after))]]
    kind = int(trial.rng.integers(3))
    light = trial.rng.uniform(0.2, 0.7)
    for run in trial.after if kind == 2 else chosen:
        match kind:
            case 0:
                run.facts["plan_digest"] = "cd" * 32
            case 1:
                run.facts["scenario"] = "another"
            case _:  # fewer of the large cases, so that the rest is served faster
                heavy = (run.samples["custom_fields"] == run.samples["custom_fields"].max()).to_numpy()
                _keep(run, ~heavy | (trial.rng.random(len(heavy)) < light))
                run.facts |= {"scheduled": len(run.samples), "recorded": len(run.samples)}


def arm_empty(trial: Trial) -> None:
    """One arm recorded nothing: no run of it, runs without a sample, one run without, or none of its effects."""
    arm = trial.before if trial.rng.random() < 0.5 else trial.after
    match trial.rng.integers(4):
        case 0:
            arm.clear()
        case 1:
            for run in arm:
                _keep(run, np.zeros(len(run.samples), np.bool_))
        case 2:
            run = arm[trial.rng.integers(len(arm))]
            _keep(run, np.zeros(len(run.samples), np.bool_))
        case _:
            for run in arm:
                run.effects = run.effects.iloc[:0]


def cached(trial: Trial) -> None:
    """Something in front of the target answers in its place: nothing is stored, or nobody looks whether it is."""
    share = trial.rng.uniform(0.6, 1.0)
    kind = int(trial.rng.integers(3))
    for run in trial.after:
        hit = trial.rng.random(len(run.samples)) < share
        _stretch(run, np.where(hit, trial.rng.uniform(0.02, 0.3), 1.0))
        of_hit = hit[run.effects.index]
        match kind:
            case 0:  # saves never arrive
                run.effects.loc[of_hit & (run.effects["kind"] == "value"), "outcome"] = "lost"
                run.effects.loc[of_hit & (run.effects["kind"] == "script"), "outcome"] = "missed"
            case 1:  # look-ups are answered by it as well, with nothing that can be believed
                run.effects.loc[of_hit, "outcome"] = "unverified"
            case _:
                pass
    if kind == 2:  # a scenario that promises nothing and is asked nothing but whether it answers
        for run in trial.both:
            run.effects = run.effects.iloc[:0]


def read_only(trial: Trial) -> None:
    """The target takes no saves: it refuses them, or says that it took them."""
    side, refuses = trial.side, trial.rng.random() < 0.5
    share = trial.rng.uniform(0.3, 1.0)
    for run in side:
        saves = run.samples["operation"].isin(GROWING).to_numpy() & (trial.rng.random(len(run.samples)) < share)
        if refuses:
            _stretch(run, np.where(saves, 0.3, 1.0))
            _fail(run, saves)
        else:
            of_saves = saves[run.effects.index]
            run.effects.loc[of_saves & (run.effects["kind"] == "value"), "outcome"] = "lost"
            run.effects.loc[of_saves & (run.effects["kind"] == "script"), "outcome"] = "missed"


FAULTS: Final[Mapping[str, Callable[[Trial], None]]] = {
    "everything slower, 25 to 100 %": slower,
    "one cell slower, 25 to 100 %": one_cell_slower,
    "slope only, 25 to 100 % at 500 fields": slope_only,
    "tail only, 1 to 4 % of requests": tail_only,
    "failures, 1 to 20 % of an operation": failures,
    "integrity, 1 to 20 effects": integrity,
    "generator overloaded": generator_overloaded,
    "half the samples or effects missing": samples_missing,
    "clock skew": clock_skew,
    "mixed plans": mixed_plans,
    "one arm empty": arm_empty,
    "answers from a cache": cached,
    "read-only target": read_only,
}


def _stretch(run: Recorded, factor: np.ndarray) -> None:
    """Multiply the response times; the lag stays."""
    samples = run.samples
    took_s = (samples["done_s"] - samples["scheduled_s"]) * factor
    run.samples = samples.assign(done_s=np.maximum(samples["scheduled_s"] + took_s, samples["sent_s"]))


def _shift(run: Recorded, by_s: np.ndarray) -> None:
    """Move when requests were sent and answered, but not when they were due."""
    samples = run.samples
    run.samples = samples.assign(sent_s=samples["sent_s"] + by_s, done_s=samples["done_s"] + by_s)


def _keep(run: Recorded, kept: np.ndarray) -> None:
    """Lose all other samples; what they promised stays unless nothing is left."""
    places = np.flatnonzero(kept)
    run.samples = run.samples.iloc[places].reset_index(drop=True)
    renumbered = pd.Series(np.arange(len(places)), index=places)
    run.effects = run.effects[run.effects.index.isin(places)]
    run.effects.index = renumbered[run.effects.index].to_numpy()


def _fail(run: Recorded, failed: np.ndarray) -> None:
    """Let these requests fail; they promise nothing."""
    outcome = np.where(failed, "http_error", run.samples["outcome"])
    run.samples = run.samples.assign(outcome=outcome, detail=np.where(failed, "http 503", run.samples["detail"]))
    run.effects = run.effects[~failed[run.effects.index]]
