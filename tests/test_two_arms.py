"""One run of two targets at once, from the command line to the comparison: two desks, one of them ill."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from command_line import savepath

from casedesk.process import running_desk
from loadgen.plan import plan_for
from loadgen.run_folder import RunFolder
from savepath.driving import in_turns
from scenarios.arms import arm_of
from scenarios.arrivals import arrivals
from scenarios.errors import InputError
from scenarios.library import parse_scenario
from scenarios.tokens import seq_of
from targets.mapping import load_target

pytestmark = pytest.mark.live

TINY = """\
name: tiny
cohorts:
  none: {custom_fields: 0, cases: 5}
  some: {custom_fields: 10, cases: 5}
mix: {read_case: 2, save_standard: 1, save_custom: 2}
load: {rate_per_s: 40}
warmup_s: 0.3
duration_s: 2
verification: {settle_s: 0.1, script_deadline_s: 4, read_back_share: 1, rate_per_s: 100}
"""


@dataclass(frozen=True)
class Made:
    out: Path
    scenario: Path
    planted: list[dict]
    urls: dict[str, str]

    @property
    def runs(self) -> list[RunFolder]:
        return [RunFolder(path) for path in sorted(self.out.glob("run-*"))]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Made:
    """Two runs of both desks at once, where the one on the after side loses scripts."""
    room = tmp_path_factory.mktemp("arms")
    scenario, out = room / "tiny.yaml", room / "both"
    scenario.write_text(TINY)
    with running_desk() as well, running_desk(seed=2) as ill:
        ill.set_faults(script_lost=0.9)  # none of 37 saves, half of them its own, is struck once in 10^9
        done = savepath(
            "run", scenario, "--target", "casedesk", "--set", f"base_url={well.url}",
            "--versus", "casedesk", "--versus-set", f"base_url={ill.url}", "--pairs", 2, "--out", out,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert f"compare --both {out}" in done.stderr
        return Made(out, scenario, ill.planted(), {"before": well.url, "after": ill.url})


def test_every_arrival_is_accounted_for_in_its_arm(made):
    for run in made.runs:
        info, samples = run.read(), run.read_samples()
        ledgers = {arm: facts.ledger for arm, facts in info.arms.items()}
        assert [ledger.closes for ledger in (*ledgers.values(), info.ledger)] == [True] * 3
        assert sum(ledger.scheduled for ledger in ledgers.values()) == info.ledger.scheduled
        assert samples["arm"].value_counts().to_dict() == {arm: one.recorded for arm, one in ledgers.items()}
        assert samples["arm"].tolist() == [arm_of(info.key, seq) for seq in samples["seq"]]


def test_both_arms_together_offer_the_whole_schedule(made):
    planned = list(arrivals(parse_scenario(TINY, "tiny.yaml")))
    for run in made.runs:
        samples = run.read_samples()
        assert samples["scheduled_s"].tolist() == [round(one.at_s, 6) for one in planned]
        assert samples["operation"].tolist() == [str(one.operation) for one in planned]


def test_two_runs_send_the_same_arrivals_to_different_arms(made):
    first, second = (run.read_samples()["arm"].tolist() for run in made.runs)
    assert first != second


def test_what_went_wrong_is_found_in_the_arm_where_it_was_planted_and_nowhere_else(made):
    for run in made.runs:
        info, effects = run.read(), run.read_effects()
        missed = effects[effects["outcome"] == "missed"]
        tokens = [re.sub(r"^(sp-\w+-\w+)-\d+$", r"\1", one.get("save_id") or one["token"]) for one in made.planted]
        truth = {seq_of(info.key, token) for token in tokens} - {None}
        assert set(missed["arm"]) == {"after"}
        assert set(missed["seq"]) == truth
        # What a busy machine ran late is none of the faults.
        assert {"once"} <= info.arms["before"].effects["script"].keys() <= {"once", "late"}
        assert info.arms["after"].effects["script"]["missed"] == len(missed)


def test_each_arm_keeps_its_own_facts_and_the_run_none_that_are_only_one_arms(made):
    info = made.runs[0].read()
    assert {arm: facts.address for arm, facts in info.arms.items()} == made.urls
    assert {facts.fingerprint["disk"] for facts in info.arms.values()} == {"healthy"}
    assert {facts.stored_cases for facts in info.arms.values()} == {10}
    assert (info.target, info.fingerprint, info.stored_cases) == ("casedesk", {}, None)


def test_the_comparison_of_both_arms_is_of_the_concurrent_design_and_finds_the_ill_side(made, tmp_path):
    done = savepath("compare", "--both", made.out, "--json", tmp_path / "r.json")
    results = json.loads((tmp_path / "r.json").read_text())
    assert (done.returncode, results["design"], results["verdict"]) == (20, "concurrent", "ESCALATE")
    assert (results["pairs"] + results["pairs_dropped"], results["reasons"][0]) == (2, "integrity")
    assert results["before"]["runs"] == ["run-01/before", "run-02/before"]


def test_a_run_of_both_sides_given_as_one_side_is_refused_with_what_to_give_instead(made):
    done = savepath("compare", "--before", made.out, "--after", made.out)
    assert (done.returncode, f"--both {made.out}/run-01" in done.stderr) == (2, True)


def test_both_stands_alone(made):
    done = savepath("compare", "--both", made.out, "--after", made.out)
    assert (done.returncode, "--both stands alone" in done.stderr) == (2, True)


def test_the_same_system_on_both_sides_is_refused_before_anything_is_sent(made, tmp_path):
    done = savepath("run", made.scenario, "--target", "casedesk", "--versus", "casedesk", "--out", tmp_path / "o")
    assert (done.returncode, "both targets are the system at" in done.stderr) == (2, True)
    assert not (tmp_path / "o").exists()


def test_two_targets_with_other_operations_cannot_be_driven_at_once():
    scenario = parse_scenario(TINY, "tiny.yaml")
    with pytest.raises(InputError, match="their operations on the scenario tiny differ"):
        plan_for(scenario, [load_target("casedesk"), load_target("roundup")])


def test_a_run_of_two_targets_is_never_of_the_plan_of_one():
    scenario = parse_scenario(TINY, "tiny.yaml")
    one, other = load_target("casedesk"), load_target("casedesk", {"base_url": "http://127.0.0.1:9"})
    assert plan_for(scenario, [one, other]).digest != plan_for(scenario, [one]).digest


def test_turns_swap_their_order_from_pair_to_pair_and_keep_each_side_together(tmp_path):
    turns = list(in_turns(tmp_path, 3))
    assert [turn.sides[0][0] for turn in turns] == list("baabba")
    assert [turn.folder.relative_to(tmp_path).as_posix() for turn in turns[:3]] == [
        "before/run-01", "after/run-01", "after/run-02",
    ]  # fmt: skip
    assert all(turn.labels == {"side": turn.sides[0]} for turn in turns)
