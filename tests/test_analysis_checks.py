"""The checks: one example on either side of each, and whose fault is whose."""

import numpy as np
import pandas as pd
import pytest
from analysis_examples import CELLS, effects, run, samples, sides

from analysis.assessment import assess
from analysis.errors import IncomparableRuns
from analysis.findings import CheckOutcome, Reason, Verdict
from analysis.generator import gate, late_s, waited_share
from analysis.runs import Origin, Question

NAN = float("nan")


FEW = {("read_case", 0): 0.1, ("save_custom", 0): 0.2, ("save_custom", 50): 0.2}


def assessed(**shape):
    return assess(*sides(cells=FEW, **shape), Question())


def outcome(assessment, name):
    return next(one.outcome for one in assessment.checks if one.name == name)


def first_only(**facts):
    """Facts of the first run of a side alone."""
    return lambda pair: facts if pair == 0 else {}


def test_runs_beyond_reproach_pass_every_check():
    checks = assessed(pairs=6, n=200).checks
    # The examples have effects of scripts, stored cases and no setting: nothing is unknown.
    assert [one.name for one in checks if one.outcome is not CheckOutcome.PASS] == []


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"run_queue_delay": 0.3}, "waited for a core"),
        ({"samples": {"lag_s": 0.5}}, "sent its requests late"),
        ({"unsent": 100, "scheduled": 220}, "offered only"),
        ({"status": "interrupted"}, "was interrupted"),
    ],
)
def test_a_pair_whose_generator_was_at_fault_is_dropped_and_said(facts, words):
    found = assessed(pairs=6, after=first_only(**facts))
    assert (found.pairs, found.pairs_dropped) == (5, 1)
    assert [warning for warning in found.warnings if words in warning and "Pair 1 is dropped" in warning]
    assert Reason.INVALID_LOAD not in found.reasons


def test_more_than_a_quarter_of_the_pairs_dropped_is_invalid_load():
    found = assessed(pairs=6, n=120, after=lambda pair: {"run_queue_delay": 0.5} if pair < 2 else {})
    assert (found.verdict, found.reasons) == (Verdict.HOLD, (Reason.INVALID_LOAD,))


def test_fewer_than_two_pairs_left_is_invalid_load():
    found = assessed(pairs=2, after=first_only(run_queue_delay=0.5))
    assert Reason.INVALID_LOAD in found.reasons


def test_arrivals_that_waited_for_the_target_are_not_the_generators_fault():
    waited = {"samples": {"lag_s": 2.0}, "waited_for_pool": 480}
    found = assessed(pairs=4, after=lambda pair: waited)
    assert found.pairs_dropped == 0
    assert outcome(found, "after side keeps up") is CheckOutcome.NOTE


def test_without_that_count_a_crowd_of_open_requests_shows_the_targets_fault():
    # 480 requests a minute of 20 s each: 160 open at a time.
    slow = samples(dict.fromkeys(CELLS, 20.0), lag_s=5.0)
    assert waited_share(run("a", 0, slow)) == 1.0
    assert gate([], [run("a", 0, slow)]).faults == {}


def test_fast_requests_sent_late_are_the_generators_fault():
    assert list(gate([], [run("a", 0, samples(CELLS, lag_s=0.2))]).faults) == ["a"]


def test_the_lag_of_those_that_waited_is_left_out():
    table = samples({("read_case", 0): 0.1}, n=400)
    late = np.arange(400) % 10 == 0
    table.loc[late, ["sent_s", "done_s"]] += 3.0
    assert late_s(run("a", 0, table, waited_for_pool=40)) < 0.001
    assert late_s(run("a", 0, table, waited_for_pool=0)) > 2


@pytest.mark.parametrize(("typical_s", "limit_s"), [(0.003, 0.010), (1.0, 0.050)])
def test_the_lag_limit_is_a_twentieth_of_the_median_but_ten_milliseconds_at_least(typical_s, limit_s):
    runs = [run("b", 0, samples({("read_case", 0): typical_s}, sigma=0.0))]
    assert gate(runs, []).lag_limit_s == pytest.approx(limit_s, rel=0.005)


def test_unknown_health_is_a_note_and_not_a_fault():
    found = assessed(pairs=3, before={"run_queue_delay": NAN})
    assert outcome(found, "generator had a core") is CheckOutcome.NOTE
    assert found.pairs_dropped == 0


def test_a_ledger_that_does_not_close_is_invalid_load():
    found = assessed(pairs=3, after=first_only(scheduled=500))
    assert outcome(found, "ledger closes") is CheckOutcome.FAIL
    assert Reason.INVALID_LOAD in found.reasons


@pytest.mark.parametrize(("side", "reason"), [("before", Reason.BASELINE_UNFIT), ("after", Reason.INVALID_LOAD)])
def test_an_aborted_run_fails_the_check_of_its_side(side, reason):
    found = assessed(pairs=4, **{side: first_only(status="aborted")})
    assert outcome(found, "runs complete") is CheckOutcome.FAIL
    assert reason in found.reasons


def test_why_a_run_was_aborted_is_told():
    found = assessed(pairs=4, after=first_only(status="aborted", reason="memory > 2 GB: it is 2,100 MB"))
    (said,) = [check.meaning for check in found.checks if check.name == "runs complete"]
    assert said.endswith(" (memory > 2 GB: it is 2,100 MB). Make them again.")


def test_a_baseline_that_fails_is_unfit():
    found = assessed(pairs=3, before={"samples": {"failed": 2}}, after={"samples": {"failed": 2}})
    assert outcome(found, "before side sound") is CheckOutcome.FAIL
    assert Reason.BASELINE_UNFIT in found.reasons


def test_a_baseline_with_a_full_pool_is_unfit():
    found = assessed(pairs=3, before={"waited_for_pool": 48})
    assert Reason.BASELINE_UNFIT in found.reasons


def test_a_ramp_before_makes_the_baseline_unfit():
    found = assessed(pairs=3, n=80, before={"samples": {"ramp": 0.6}}, after={"samples": {"ramp": 0.6}})
    assert outcome(found, "before side steady") is CheckOutcome.FAIL
    assert Reason.BASELINE_UNFIT in found.reasons


def test_a_ramp_after_holds_as_settling_and_voids_nothing():
    found = assessed(pairs=3, n=160, after={"samples": {"ramp": -0.5}})
    assert outcome(found, "after side steady") is CheckOutcome.NOTE
    assert found.reasons == (Reason.SETTLING,)


def test_another_mix_is_invalid_load():
    half = {cell: typical_s for cell, typical_s in CELLS.items() if cell[1] < 200}
    before = sides(3)[0]
    after = sides(3, cells=half)[1]
    found = assess(before, after, Question())
    assert outcome(found, "same mix") is CheckOutcome.FAIL


@pytest.mark.parametrize(("n", "expected"), [(560, CheckOutcome.PASS), (470, CheckOutcome.FAIL)])
def test_a_small_cell_may_lose_a_tenth_of_its_share_and_no_more(n, expected):
    rare = ("save_custom", 500)
    rest = {cell: typical_s for cell, typical_s in CELLS.items() if cell != rare}
    fewer = pd.concat([samples(rest, n=600), samples({rare: 0.4}, n=n)], ignore_index=True)
    before = [run(f"b{k}", 4 * k, samples(CELLS, n=600)) for k in range(2)]
    after = [run(f"a{k}", 4 * k + 2, fewer) for k in range(2)]
    assert outcome(assess(before, after, Question()), "same mix") is expected


@pytest.mark.parametrize(("unverified", "expected"), [(1, CheckOutcome.PASS), (2, CheckOutcome.FAIL)])
def test_effects_nobody_looked_at_may_be_one_in_a_hundred(unverified, expected):
    some = {"effects": effects(script_once=100 - unverified, script_unverified=unverified)}
    assert outcome(assessed(pairs=3, after=some), "effects checked") is expected


def test_no_effects_at_all_are_noted():
    found = assessed(pairs=3, before={"effects": effects()}, after={"effects": effects()})
    assert outcome(found, "effects checked") is CheckOutcome.NOTE


def test_effects_on_one_side_alone_need_data():
    found = assessed(pairs=3, after={"effects": effects()})
    assert outcome(found, "effects checked") is CheckOutcome.FAIL
    assert Reason.NEEDS_DATA in found.reasons


@pytest.mark.parametrize(
    ("cases", "expected"),
    [(1190, CheckOutcome.PASS), (1210, CheckOutcome.FAIL), (800, CheckOutcome.FAIL), (None, CheckOutcome.NOTE)],
)
def test_the_stored_data_may_differ_by_a_fifth(cases, expected):
    assert outcome(assessed(pairs=3, after={"stored_cases": cases}), "same stored data") is expected


def test_a_setting_that_differs_unannounced_is_noted():
    shape = {"pairs": 3, "before": {"fingerprint": {"release": "1"}}, "after": {"fingerprint": {"release": "2"}}}
    assert outcome(assessed(**shape), "only announced changes") is CheckOutcome.NOTE
    planned = assess(*sides(**shape), Question(planned=frozenset({"release"})))
    assert outcome(planned, "only announced changes") is CheckOutcome.PASS
    assert [(d.setting, d.before, d.after, d.planned) for d in planned.differences] == [
        ("release", "1", "2", True)
    ]


def test_runs_apart_at_another_hour_are_noted():
    before, _ = sides(3, apart=True)
    late = [run(f"a{k}", (3 + k) * 24 * 60 + 5 * 60, samples(CELLS)) for k in range(2)]
    assert outcome(assess(before, late, Question()), "same time of day") is CheckOutcome.NOTE


#: What k6 does not tell.
IMPORTED = {"origin": Origin("k6", frozenset({"schedule", "generator", "effects"})), "run_queue_delay": NAN}


def test_what_imported_results_do_not_tell_is_a_note_and_never_a_pass():
    facts = {**IMPORTED, "effects": effects(), "stored_cases": None}
    found = assessed(pairs=3, n=200, before=facts, after=facts)
    noted = {one.name for one in found.checks if one.outcome is CheckOutcome.NOTE}
    assert noted == {
        "ledger closes",
        "offered rate",
        "generator on time",
        "generator had a core",
        "times from due moment",
        "same offered rate",
        "samples whole",
        "clocks agree",
        "after side keeps up",
        "effects checked",
        "same stored data",
        "baseline alike itself",
    }
    assert [one.name for one in found.checks if one.outcome is CheckOutcome.FAIL] == []
    assert (found.imported_from, found.pairs) == ("k6", 3)


def test_many_open_requests_of_an_imported_run_are_not_taken_for_a_full_pool():
    table = samples({("read_case", 0): 30.0}, n=4000)
    assert waited_share(run("a", 0, table)) > 0.9
    assert waited_share(run("a", 0, table, **IMPORTED)) == 0.0


def test_an_imported_run_without_cohorts_says_that_growth_cannot_be_seen():
    facts = {"origin": Origin("jtl", frozenset({"cohorts"}))}
    (check,) = [one for one in assessed(pairs=3, before=facts, after=facts).checks if one.name == "cohorts"]
    assert check.outcome is CheckOutcome.NOTE


def test_what_was_seen_at_the_import_is_told_by_run():
    facts = {"origin": Origin("jtl", frozenset(), ("3 requests named login are left out.",))}
    (check,) = [one for one in assessed(pairs=2, after=facts).checks if one.name == "imported files"]
    assert check.meaning.startswith("a0: 3 requests named login are left out.")


def test_runs_imported_with_two_mappings_are_not_compared():
    with pytest.raises(IncomparableRuns, match="not imported in the same way"):
        assessed(pairs=2, before=IMPORTED, after={**IMPORTED, "plan_digest": "cd" * 32})


def scaled(factor):
    """Samples of the few cells, so many times as slow."""
    return samples({cell: typical_s * factor for cell, typical_s in FEW.items()})


def unlike_itself(pair):
    """In each two neighbours of a baseline the one that counts as first is 1.5 times as slow."""
    return {"slices": run("x", 0, scaled(1.5 if pair % 4 in (1, 2) else 1.0)).slices}


def test_a_baseline_that_differs_from_itself_is_unfit():
    found = assessed(pairs=8, before=unlike_itself)
    assert outcome(found, "baseline alike itself") is CheckOutcome.FAIL
    assert Reason.BASELINE_UNFIT in found.reasons


def test_a_quiet_baseline_is_alike_itself():
    assert outcome(assessed(pairs=8), "baseline alike itself") is CheckOutcome.PASS


def test_five_runs_before_are_too_few_to_be_held_against_each_other():
    assert outcome(assessed(pairs=5), "baseline alike itself") is CheckOutcome.NOTE


def test_apart_in_time_a_course_over_the_days_before_makes_them_unfit():
    rising = [run(f"b{day}", day * 24 * 60, scaled(1.08**day)) for day in range(12)]
    after = [run("a", 20 * 24 * 60, samples(FEW))]
    assert outcome(assess(rising, after, Question()), "baseline alike itself") is CheckOutcome.FAIL


def test_a_cohort_that_was_asked_on_one_side_alone_is_invalid_load():
    more = {**FEW, ("read_case", 500): 0.1}
    found = assess(sides(3, cells=FEW)[0], sides(3, cells=more)[1], Question())
    assert outcome(found, "same cohorts") is CheckOutcome.FAIL
    assert Reason.INVALID_LOAD in found.reasons


def released(releases):
    return lambda pair: {"labels": {"release": releases.split()[pair]}}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("24.3 24.3 24.3", "24.4 24.4 24.4", CheckOutcome.PASS),
        ("24.3 24.4 24.3", "24.4 24.4 24.4", CheckOutcome.NOTE),
        ("1 2 3", "1 2 3", CheckOutcome.PASS),  # the number of the pair
    ],
)
def test_labels_that_differ_within_one_side_alone_are_noted(before, after, expected):
    found = assessed(pairs=3, before=released(before), after=released(after))
    assert outcome(found, "labels agree") is expected


FAILING = {
    "dropped pairs": {"after": {"run_queue_delay": 0.5}},
    "an open ledger": {"after": {"scheduled": 500}},
    "an aborted run": {"after": {"status": "aborted"}},
    "failures before": {"before": {"samples": {"failed": 2}}},
    "a full pool before": {"before": {"waited_for_pool": 48}},
    "more data": {"after": {"stored_cases": 5000}},
    "a baseline unlike itself": {"before": unlike_itself},
}


@pytest.mark.parametrize("lost", [0, 1])
@pytest.mark.parametrize("way", FAILING)
def test_what_fails_voids_the_latency_verdict_and_never_the_integrity_verdict(way, lost):
    shape = {side: facts if callable(facts) else dict(facts) for side, facts in FAILING[way].items()}
    after = shape.get("after", {})
    shape["after"] = {**after, "effects": effects(script_once=99, script_missed=lost)}
    pairs = 8 if callable(shape.get("before")) else 4
    found = assess(*sides(pairs, dict.fromkeys(FEW, 3.0), cells=FEW, **shape), Question())
    assert CheckOutcome.FAIL in {one.outcome for one in found.checks}
    expected = (Verdict.ESCALATE, (Reason.INTEGRITY,)) if lost else (Verdict.HOLD, found.reasons)
    assert (found.verdict, found.reasons) == expected
    assert Reason.LATENCY not in found.reasons
