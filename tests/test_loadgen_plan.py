"""The plan: what decides its digest, what it counts, and what a target leaves out of it."""

import re

import numpy as np
import pytest

from loadgen.chosen import CLIENTS
from loadgen.plan import make_plan, notes_on_rules, plan_for
from loadgen.recorder import Recorder, Sample
from loadgen.run_folder import RunFolder
from scenarios.arrivals import arrivals, most_in_a_second
from scenarios.errors import InputError
from scenarios.library import parse_scenario
from scenarios.model import Operation, Scenario
from targets.mapping import load_target
from targets.model import Target

TEXT = """\
name: law
cohorts:
  none: {custom_fields: 0, cases: 5}
  some: {custom_fields: 10, cases: 5, scripts_on_save: 2}
mix: {read_case: 1, save_standard: 1, save_custom: 1, send_batch: 1}
load: {rate_per_s: 20, arrivals: constant}
warmup_s: 1
duration_s: 9
batch_size: 3
verification: {read_back_share: 0.5}
required: [read_case, save_custom]
"""


def scenario(text: str = TEXT) -> Scenario:
    return parse_scenario(text, "law.yaml")


def target(*left_out: Operation) -> Target:
    whole = load_target("casedesk")
    operations = {op: mapping for op, mapping in whole.operations.items() if op not in left_out}
    return whole.model_copy(update={"operations": operations})


def digest(text: str = TEXT, on: Target | None = None) -> str:
    return make_plan(scenario(text), on or target()).digest


def test_a_plan_counts_arrivals_rows_and_time():
    plan = make_plan(scenario(), target())
    # 200 arrivals, half of them on each cohort. none: 3 possible operations, 1 script and 3 mails a third
    # each; some: 4 operations, 2 saves with 2 scripts, 0.5 read-backs, 3 mails, a quarter each.
    effects = 100 * (1 + 3) / 3 + 100 * (2 + 2 + 0.5 + 3) / 4
    assert (plan.arrivals_expected, plan.duration_s, plan.peak_rate_per_s) == (200, 10.0, 20.0)
    assert plan.rows == 200 + round(effects)


def test_the_arrivals_expected_are_exactly_those_of_the_schedule():
    poisson = TEXT.replace("constant", "poisson")
    plan = make_plan(scenario(poisson), target())
    assert plan.arrivals_expected == sum(1 for _ in arrivals(plan.scenario))


@pytest.mark.parametrize(
    "same",
    [
        TEXT.replace("name: law", "name: law\nabout: told differently"),
        TEXT + "pairs: 9\n",
        TEXT + "limits: {slower: 0.5}\n",
        TEXT.replace("required: [read_case, save_custom]\n", ""),
    ],
)
def test_what_is_asked_does_not_change_the_digest(same):
    assert digest(same) == digest()


@pytest.mark.parametrize(
    "other", [TEXT.replace("20,", "21,"), TEXT + "seed: 2\n", TEXT.replace("cases: 5}", "cases: 6}")]
)
def test_what_is_offered_changes_the_digest(other):
    assert digest(other) != digest()


@pytest.mark.parametrize(
    "other",
    [
        "ramp: [{at_s: 0, times: 2}]",
        "steps: [{at_s: 0, times: 2}]",
        "daily: {}",
        "rate_max_per_s: 20",
        "bursts: [{at_s: 0, arrivals: 1}]",
    ],
)
def test_how_the_load_changes_over_time_changes_the_digest(other):
    assert digest(TEXT.replace("arrivals: constant", f"arrivals: constant, {other}")) != digest()


def test_of_a_recording_what_it_holds_decides_the_digest_and_not_where_it_is(tmp_path):
    digests = []
    for name, rows in (("a.csv", "1\n2\n"), ("b.csv", "1\n2\n"), ("c.csv", "1\n3\n")):
        (tmp_path / name).write_text(f"at_s\n{rows}")
        text = TEXT.replace("rate_per_s: 20, arrivals: constant", f"replay: {name}")
        digests.append(make_plan(parse_scenario(text, str(tmp_path / "s.yaml")), target()).digest)
    assert digests[0] == digests[1] != digests[2]


def test_the_plan_says_what_the_ceiling_does():
    plan = make_plan(
        scenario(TEXT.replace("arrivals: constant", "arrivals: constant, rate_max_per_s: 10")), target()
    )
    # 200 in 10 s at 20/s, of which a half fits.
    assert (plan.arrivals_expected, plan.peak_rate_per_s) == (100, 10)
    assert plan.warnings == (
        "load.rate_max_per_s 10 makes 190 arrivals later, and 100 are left out by the end of the run",
    )


def test_a_burst_of_what_the_target_cannot_do_does_not_come_and_it_is_said():
    burst = "arrivals: constant, bursts: [{at_s: 1, arrivals: 7, operation: send_batch}]"
    plan = make_plan(scenario(TEXT.replace("arrivals: constant", burst)), target(Operation.SEND_BATCH))
    assert plan.arrivals_expected == 200
    assert plan.warnings[0].startswith("send_batch is left out of the mix and its bursts: ")


def test_what_another_client_measured_is_of_another_plan():
    digests = {plan_for(scenario(), [target()], client=client).digest for client in CLIENTS}
    assert (len(digests), digest() in digests) == (3, True)


def test_where_the_target_is_does_not_change_the_digest():
    assert digest(on=load_target("casedesk", {"base_url": "http://127.0.0.1:9"})) == digest()


def test_how_an_operation_is_mapped_changes_the_digest():
    whole = target()
    changed = {**whole.operations, Operation.SAVE_CUSTOM: whole.operations[Operation.SAVE_STANDARD]}
    assert digest(on=whole.model_copy(update={"operations": changed})) != digest()


def test_an_operation_that_the_target_has_not_is_left_out_and_said():
    plan = make_plan(scenario(), target(Operation.SEND_BATCH))
    assert list(plan.scenario.mix) == ["read_case", "save_standard", "save_custom"]
    assert plan.warnings == ("send_batch is left out of the mix: its mapping does not have it (casedesk)",)


def test_a_required_operation_that_the_target_has_not_is_no_longer_required():
    plan = make_plan(scenario(), target(Operation.SAVE_CUSTOM))
    assert plan.scenario.required_cells == {("read_case", 0), ("read_case", 10)}


def test_awaiting_scripts_takes_a_place_to_look_them_up():
    whole = target()
    blind = whole.model_copy(update={"verify": whole.verify.model_copy(update={"scripts": None})})
    plan = make_plan(scenario(TEXT.replace("send_batch: 1", "run_script: 1")), blind)
    assert plan.warnings == ("run_script is left out of the mix: it has no verify.scripts to await (casedesk)",)


def test_a_target_that_can_do_nothing_of_the_mix_is_refused():
    with pytest.raises(InputError, match="leaves nothing to do for cohort none, some"):
        make_plan(scenario(), target(*Operation))


@pytest.mark.parametrize(
    ("times_s", "most"), [([], 0), ([0.0, 0.5, 0.99], 3), ([0.0, 0.5, 1.0], 2), ([1, 2, 3], 1)]
)
def test_the_peak_is_the_most_in_any_half_open_second(times_s, most):
    assert most_in_a_second(np.array(times_s)) == most


@pytest.mark.parametrize(
    ("rule", "parts", "said"),
    [
        ("failures > 1 % over 1 s", 1, []),  # 20 arrivals/s
        (
            "failures > 1 % over 3 s",
            4,
            ["wants 20 finished requests in its 3 s, and about 15 come of each of"],
        ),
        ("p99 > 1 s over 3 s", 4, ["give it 4 s"]),
        ("timeouts > 1 % over 10 min", 1000, ["no window is long enough for it"]),
        ("memory > 1 GB", 1000, []),
    ],
)
def test_an_abort_rule_that_may_never_be_judged_is_noted(rule, parts, said):
    found = notes_on_rules(scenario(f"{TEXT}abort: ['{rule}']\n"), 200, parts)
    assert [rule in one for one in found] == [True] * len(said)
    assert all(part in one for one, part in zip(found, said, strict=True))


def test_a_plan_notes_the_rules_that_its_own_rate_is_too_low_for():
    slow = TEXT.replace("rate_per_s: 20", "rate_per_s: 2") + "abort: [failures > 1 % over 5 s]\n"
    assert make_plan(scenario(slow), target()).warnings == (
        "abort rule 'failures > 1 % over 5 s' wants 20 finished requests in its 5 s, and about 10 come; "
        "give it 10 s",
    )


@pytest.mark.parametrize("rate", [0.5, 20, 300])
def test_what_a_run_writes_is_no_more_than_was_foretold_and_not_much_less(rate, tmp_path):
    text = re.sub(r"mix:.*", "mix: {read_case: 1}", TEXT).replace("20,", f"{rate},")
    reads = scenario(re.sub(r"required:.*", "", text))
    folder = RunFolder(tmp_path / "run")
    folder.create()
    recorder, second = Recorder(folder), 0.0
    for one in arrivals(reads):
        if one.at_s >= second:
            recorder.flush()
            second += 1
        times = (one.at_s, one.at_s, one.at_s + 0.1)
        who = (one.tenant.key, one.tenant.custom_fields, str(one.operation))
        recorder.sample(Sample(one.seq, 0, "", *who, *times, 200, "ok", "", 1200, 3400))
    recorder.close()
    written = sum(path.stat().st_size for path in folder.shards.iterdir())
    disk = make_plan(reads, target()).disk
    assert 0.6 * disk.most <= written + disk.kept <= disk.most
