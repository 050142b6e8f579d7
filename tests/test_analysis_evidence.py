"""What is missing, not looked at or too good never speaks for a change: each on either side of its limit."""

import numpy as np
import pytest
from analysis_examples import effects, run, samples

from analysis.evidence import check_effects, check_failures, check_samples, check_speed
from analysis.failures import compare_failures
from analysis.findings import CellFinding, CheckOutcome, Reason, Word
from analysis.histograms import histogram_of
from analysis.levels import paired
from analysis.runs import Question
from analysis.tail import check_tail

SAVES = {("save_custom", 0): 0.1}
NOTE, PASS, FAIL = CheckOutcome.NOTE, CheckOutcome.PASS, CheckOutcome.FAIL


def of(checks, name):
    (found,) = [one for one in checks if one.name == name]
    return found.outcome, found.reason


@pytest.mark.parametrize(("kept", "expected"), [(100, (PASS, None)), (98, (FAIL, Reason.INVALID_LOAD))])
def test_samples_that_the_ledger_counts_must_be_there(kept, expected):
    whole, table = samples(SAVES, n=100), samples(SAVES, n=100)[:kept]
    runs = [run("a", 0, whole), run("b", 2, table, scheduled=100, recorded=100)]
    assert of(check_samples(runs), "samples whole") == expected


def test_what_was_never_sent_is_not_lost():
    late = run("b", 2, samples(SAVES, n=100)[:60], scheduled=100, recorded=60, unsent=40)
    assert of(check_samples([run("a", 0, samples(SAVES, n=100)), late]), "samples whole") == (PASS, None)


def test_a_run_that_was_stopped_in_its_warm_up_accuses_no_other():
    whole = [run(name, 2, samples(SAVES, n=90), scheduled=100, recorded=100) for name in "ab"]
    stopped = run("c", 0, samples(SAVES, n=2), status="interrupted", scheduled=100, recorded=2, unsent=98)
    assert of(check_samples([*whole, stopped]), "samples whole") == (PASS, None)


def test_which_arrivals_of_the_warm_up_fall_to_an_arm_is_chance():
    arms = [
        run(name, 0, samples(SAVES, n=n), scheduled=120, recorded=120, at_once="r")
        for name, n in (("b", 96), ("a", 88))
    ]
    assert of(check_samples(arms), "samples whole") == (PASS, None)


@pytest.mark.parametrize(("early", "expected"), [(1, (PASS, None)), (2, (FAIL, Reason.INVALID_LOAD))])
def test_a_request_cannot_leave_before_it_is_due(early, expected):
    table = samples(SAVES, n=100)
    table.loc[: early - 1, ["sent_s", "done_s"]] -= 0.05
    assert of(check_samples([run("a", 0, table)]), "clocks agree") == expected


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (1600, 1290, (PASS, None)),  # 90 % of 1,600, less four times their square root, are 1,280
        (1600, 1270, (FAIL, Reason.NEEDS_DATA)),
        (100, 60, (PASS, None)),  # of so few, as many may be left out by chance
    ],
)
def test_a_side_may_lack_a_tenth_of_the_effects_of_the_other_and_what_chance_leaves_out(before, after, expected):
    sides = [
        [run(name, at, samples(SAVES, n=100), effects=effects(script_once=n))]
        for at, (name, n) in enumerate((("b", before), ("a", after)))
    ]
    found = check_effects(*sides)
    assert (found.outcome, found.reason) == expected


def test_saves_that_failed_promised_nothing_and_lack_no_effects():
    failed = run("a", 2, samples(SAVES, n=50, failed=50), effects=effects(script_once=50))
    found = check_effects([run("b", 0, samples(SAVES, n=100), effects=effects(script_once=100))], [failed])
    assert found.outcome is PASS


@pytest.mark.parametrize(("operation", "expected"), [("read_case", None), ("save_custom", Reason.UNVERIFIED)])
def test_saves_without_a_recorded_effect_are_not_clear_and_reads_promise_none(operation, expected):
    sides = [[run(name, 0, samples({(operation, 0): 0.1}), effects=effects())] for name in "ba"]
    assert check_effects(*sides).reason is expected


def faster(ratio):
    return CellFinding(
        "read_case", 0, 0.5, 0.1, 0.1 * ratio, ratio, ratio, ratio, 1.1, Word.FASTER, True, 400, 400, 5
    )


@pytest.mark.parametrize(
    ("ratio", "planned", "expected"), [(0.51, (), None), (0.49, (), Reason.UNVERIFIED), (0.49, ("faster",), None)]
)
def test_a_part_that_takes_less_than_half_of_its_time_is_believed_when_it_was_announced(ratio, planned, expected):
    assert check_speed([faster(ratio)], Question(planned=frozenset(planned))).reason is expected


@pytest.mark.parametrize(("n", "expected"), [(400, None), (300, Reason.NEEDS_DATA)])
def test_more_failures_must_have_been_noticeable(n, expected):
    # Without a failure the difference of shares of n requests each is known to z^2 / (n + z^2), z = 1.96
    assert 1.96**2 / (400 + 1.96**2) < 0.01 < 1.96**2 / (300 + 1.96**2)
    sides = [[run(name, 0, samples(SAVES, n=n))] for name in "ba"]
    found = check_failures(compare_failures(*sides), Question(required=frozenset(SAVES)))
    assert found.reason is expected


@pytest.mark.parametrize(("times", "expected"), [(1, None), (8, Reason.NEAR_LIMIT)])
def test_a_tail_that_p95_does_not_see_stands_in_the_way(times, expected):
    cells = (("save_custom", 0), ("save_custom", 50))
    rng = np.random.default_rng(3)

    def drawn(stretched):
        took_s = np.exp(0.3 * rng.standard_normal(1000))
        took_s[:10] *= stretched  # one in a hundred
        return histogram_of(0.1 * took_s)

    sides = [[{cell: drawn(side) for cell in cells} for _ in range(6)] for side in (1, times)]
    assert check_tail(*sides, Question(required=frozenset(cells)), paired).reason is expected
