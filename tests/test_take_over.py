"""A run that loses one of its two workers and goes on: who drives what, what is counted, what is judged."""

import os
import re
import signal
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from analysis_examples import sides
from command_line import savepath
from test_loadgen_workers import PATIENCE_S, children, until

from analysis.assessment import assess
from analysis.findings import ENOUGH_PAIRS, Reason, Verdict
from analysis.runs import Question
from analysis.samples import SAMPLE_COLUMNS
from casedesk.process import running_desk
from loadgen.chosen import ChosenTarget, Workers
from loadgen.ending import Ending
from loadgen.run_folder import RunFolder
from loadgen.run_info import RunInfo
from loadgen.session import Session
from loadgen.settings import Settings
from loadgen.shards import read_shard
from scenarios.arms import ARMS, arm_of
from scenarios.arrivals import Arrival, arrivals
from scenarios.errors import InputError
from scenarios.library import parse_scenario
from scenarios.parts import Parts

TEXT = """\
name: shared
cohorts:
  none: {custom_fields: 0, cases: 4, scripts_on_save: 1}
  some: {custom_fields: 10, cases: 6, scripts_on_save: 2}
mix: {read_case: 1, save_standard: 1, save_custom: 4, send_email: 1}
load: {rate_per_s: 40, arrivals: constant, timeout_s: 0.8}
warmup_s: 0
duration_s: 14
verification: {settle_s: 0.1, script_deadline_s: 20, mail_deadline_s: 20, read_back_share: 1, rate_per_s: 100}
"""
PLAN = parse_scenario(TEXT, "shared.yaml")
#: What a healthy target may be told of; anything else would be a false alarm, or what nobody could look at.
TRUE = {"script": {"once"}, "mail": {"once"}, "value": {"identical", "superseded"}}
KILLED_BEFORE_S = 4.0
BEFORE_OURS = 3 * PLAN.load.timeout_s  # what the lost one had sent may change its cases for so long


@dataclass(frozen=True)
class Driven:
    info: RunInfo
    samples: pd.DataFrame
    effects: pd.DataFrame
    folder: Path
    said: list[str]

    @property
    def heritage(self) -> dict[int, Arrival]:
        """What worker 1 leaves to worker 0, by number."""
        return {one.seq: one for one in Parts(PLAN, 2).inherited(0, 1)}

    @property
    def taken(self) -> pd.DataFrame:
        """What worker 0 sent of it."""
        return self.samples[(self.samples["worker"] == 0) & self.samples["seq"].isin(list(self.heritage))]

    def place(self, arrival: Arrival) -> tuple[str, str, int]:
        """The case of the arrival, in its arm."""
        return arm_of(self.info.key, arrival.seq), arrival.tenant.key, arrival.case

    def places_saved_before(self, at_s: float) -> set[tuple[str, str, int]]:
        """The cases that worker 1 may have saved by then."""
        due = [one for one in self.heritage.values() if one.at_s <= at_s and one.operation.saves]
        return {self.place(one) for one in due}


def answered_to_worker_1(folder: RunFolder) -> int:
    """So many of its requests in either arm, as far as it has recorded them."""

    def of_arm(arm: str) -> int:
        shards = [read_shard(path, SAMPLE_COLUMNS) for path in folder.shards_of(1, "samples", arm)]
        return sum(shard["outcome"].to_pylist().count("ok") for shard in shards)

    return min(map(of_arm, ARMS))


def kill(worker: int, session: Session) -> None:
    """It is frozen first, so that some arrivals were due and not told of when it dies."""
    os.kill(worker, signal.SIGSTOP)
    frozen_s = session.now()
    until(lambda: session.now() > frozen_s + 0.5)
    os.kill(worker, signal.SIGKILL)


@pytest.fixture(scope="module")
def driven(tmp_path_factory) -> Driven:
    """Two targets at once, of which one tells histories and the other does not; worker 1 is killed."""
    room = tmp_path_factory.mktemp("taken")
    (room / "shared.yaml").write_text(TEXT)
    mapping = (Path(__file__).parent.parent / "targets" / "casedesk.yaml").read_text()
    history = mapping[mapping.index("  history:\n") : mapping.index("  saves:\n")]
    (room / "no-history.yaml").write_text(mapping.replace(history, ""))
    with running_desk() as one, running_desk(seed=2) as other:
        for number in range(5):
            said: list[str] = []
            session = Session(
                Settings(
                    str(room / "shared.yaml"),
                    ChosenTarget("casedesk", {"base_url": one.url}),
                    ChosenTarget(str(room / "no-history.yaml"), {"base_url": other.url}),
                    run_dir=room / f"run-{number}",
                    workers=Workers(2, lost="take-over"),
                ),
                say=said.append,
            )
            session.prepare()
            pids = [pid for pid, words in children().items() if "loadgen.worker" in words]
            session.start()
            until(lambda folder=session.folder: answered_to_worker_1(folder) > 3)
            if session.now() < KILLED_BEFORE_S:
                kill(max(pids), session)
                break
            session.stop(Ending("interrupted", "this machine was too busy for the question: once more"))
            assert session.finished.wait(PATIENCE_S)
        assert session.finished.wait(PATIENCE_S)
    assert session.ending.exit_code == 0, said
    folder = session.folder
    return Driven(folder.read(), folder.read_samples(), folder.read_effects(), folder.path, said)


@pytest.mark.live
def test_every_arrival_is_recorded_by_one_of_them_or_lost_and_none_is_sent_twice(driven):
    ledger, seqs = driven.info.ledger, driven.samples["seq"]
    assert seqs.is_unique
    assert (driven.info.status, ledger.closes, ledger.aborted, ledger.unsent) == ("complete", True, 0, 0)
    assert (ledger.scheduled, ledger.recorded) == (sum(1 for _ in arrivals(PLAN)), len(seqs))
    missing = [one for one in arrivals(PLAN) if one.seq not in set(seqs)]
    assert ledger.lost == len(missing) >= 5
    whole, lost = driven.info.workers
    assert (lost.heirs, lost.lost, whole.lost) == ((0,), ledger.lost, 0)
    assert {one.seq for one in missing} <= driven.heritage.keys()
    # The gap has an end: from the first that worker 0 takes over on, it drives all of them.
    assert len(driven.taken) > 20
    assert max(one.at_s for one in missing) < driven.taken["scheduled_s"].min()


@pytest.mark.live
def test_a_healthy_target_is_accused_of_nothing_whether_or_not_it_tells_histories(driven):
    assert set(driven.effects["arm"]) == set(ARMS)
    for kind, true in TRUE.items():
        found = driven.effects[driven.effects["kind"] == kind]
        assert set(found["outcome"]) - true <= {"unverified"}, found["outcome"].value_counts()


@pytest.mark.live
def test_what_worker_0_sends_is_judged_again_once_nothing_of_the_lost_one_can_change_its_cases(driven):
    values = driven.effects[driven.effects["kind"] == "value"].set_index("seq")
    taken = driven.taken[(driven.taken["operation"] == "save_custom") & (driven.taken["outcome"] == "ok")]
    assert set(taken["seq"]) <= set(values.index)
    # It took over between the loss, which is told to .1 s, and the first that it sent of the heritage.
    lost_s = float(re.search(r"([\d.]+) s into the measured window", driven.info.workers[1].reason)[1]) - 0.1
    surely_judged = taken[taken["sent_s"] > driven.taken["sent_s"].min() + BEFORE_OURS + 0.1]
    assert len(surely_judged) > 5
    # Reads may find a busy machine; that none is judged again would be all of them, in the arm that it is true of.
    judged = values.loc[surely_judged["seq"]]
    assert set(judged.loc[judged["outcome"] != "unverified", "arm"]) == set(ARMS)
    # Only a case that the lost one may have saved is unsure: all others are judged from the first save on.
    early = [driven.heritage[seq] for seq in taken.loc[taken["sent_s"] < lost_s + BEFORE_OURS, "seq"]]
    unsure = [one.seq for one in early if driven.place(one) in driven.places_saved_before(lost_s)]
    assert set(values.loc[unsure, "outcome"]) <= {"unverified"}


@pytest.mark.live
def test_what_the_lost_one_had_recorded_and_not_told_of_is_unverified(driven):
    theirs = driven.samples[(driven.samples["worker"] == 1) & (driven.samples["outcome"] == "ok")]
    told = driven.effects[driven.effects["seq"].isin(theirs["seq"])].groupby(["seq", "kind"]).size()
    fields = theirs["custom_fields"] > 0
    saves = theirs[theirs["operation"].isin(["save_standard", "save_custom"])]
    scripts = {seq: 1 + (number > 0) for seq, number in zip(saves["seq"], saves["custom_fields"], strict=True)}
    values = theirs.loc[fields & (theirs["operation"] == "save_custom"), "seq"]
    mails = theirs.loc[theirs["operation"] == "send_email", "seq"]
    expected = {(seq, "script"): number for seq, number in scripts.items()}
    expected |= {(seq, "value"): 1 for seq in values} | {(seq, "mail"): 1 for seq in mails}
    assert told.to_dict() == expected
    lost_arm = [arm_of(driven.info.key, seq) for seq in theirs["seq"]]
    assert set(lost_arm) == set(ARMS)


@pytest.mark.live
def test_the_run_says_who_was_lost_and_that_its_times_are_no_yardstick(driven):
    assert any("was killed (SIGKILL)" in text and "the others take over" in text for text in driven.said)
    shown = " ".join(savepath("show", driven.folder).stdout.split())
    assert "Its times are no yardstick: the run lost a worker, whose part others took over: worker 1" in shown
    assert f"{driven.info.ledger.lost} lost; the others took over what it left" in shown


def test_a_comparison_leaves_such_a_run_out_of_its_times_and_needs_others():
    def assessed(with_a_loss):
        lost = {"taken_over": "worker 1 was killed (SIGKILL) 9.0 s into the measured window"}
        return assess(*sides(8, after=lambda pair: lost if pair in with_a_loss else {}), Question())

    one, all_of_them = assessed({3}), assessed(range(8))
    kept = next(check.meaning for check in one.checks if check.name == ENOUGH_PAIRS)
    assert (one.verdict, kept.split(";")[0]) == (Verdict.CLEAR, "7 of 8 pairs are compared")
    assert (all_of_them.verdict, all_of_them.reasons[0]) == (Verdict.HOLD, Reason.INVALID_LOAD)


def test_the_heirs_of_a_worker_share_its_cases_and_nobody_elses():
    tenants = np.repeat(np.arange(len(PLAN.tenants)), [tenant.cases for tenant in PLAN.tenants])
    cases = np.concatenate([np.arange(tenant.cases) for tenant in PLAN.tenants])
    parts = Parts(PLAN, 3)
    was, heirs = parts.workers_of(tenants, cases), parts.heirs_of(1, tenants, cases)
    assert set(heirs[was == 1]) == {0, 2}
    assert set(heirs[was != 1]) == {-1}
    left = sorted((one for heir in (0, 2) for one in parts.inherited(heir, 1)), key=lambda one: one.seq)
    assert left == list(parts.arrivals(1))


@pytest.mark.parametrize(
    ("workers", "told"),
    [({"number": 1}, "needs somebody who is left"), ({"number": 2, "listen": "127.0.0.1:1"}, "may still drive")],
)
def test_where_nobody_can_take_over_it_is_refused(workers, told):
    with pytest.raises(InputError, match=told):
        Workers(**workers, lost="take-over")
