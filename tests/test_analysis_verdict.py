"""The rules of the verdict, with findings made by hand: every reason, and what outweighs what."""

from dataclasses import replace

import pytest

from analysis.findings import (
    CellFinding,
    Check,
    CheckOutcome,
    Design,
    FailureFinding,
    IntegrityFinding,
    Measure,
    ObjectiveFinding,
    ObjectiveOutcome,
    Reason,
    SlopeFinding,
    StandoutFinding,
    Verdict,
    Word,
)
from analysis.verdict import judge

NAN = float("nan")


def cell(word, *, p=1e-9, q=0.95, required=True, fields=500):
    return CellFinding(
        "save_custom", fields, q, 1.0, 1.3, 1.3, 1.2, 1.4, 1.1, word, required, 500, 500, 8, p_value=p
    )


FINE = cell(Word.NO_HARM, p=0.5)
SLOPE = SlopeFinding("save_custom", 0.95, 0.5, 0.3, 0.7, True, 1e-9)
OUT = StandoutFinding("save_custom", 50, Measure.MEAN, 1.25, 1.2, 1.3, True, True, 1e-9)
FAILING = FailureFinding("save_custom", None, 1, 50, 1000, 1000, 0.03, 0.07, True, 1e-9)
LOST = IntegrityFinding("value", "lost", 0, 1, 100, 100, 0, False)
OVER = ObjectiveFinding("p95 <= 2 s", "s", 2, 1.9, 3, 2.8, 3.2, 500, ObjectiveOutcome.BROKEN, latency=True)
LATE = ObjectiveFinding("scripts late == 0", "count", 0, 0, 1, 1, 1, 500, ObjectiveOutcome.BROKEN)
SPOILED = Check("ledger closes", CheckOutcome.FAIL, "It does not.", Reason.INVALID_LOAD)
PASSED = Check("ledger closes", CheckOutcome.PASS, "It does.")


def judged(
    cells=(FINE,), slopes=(), failures=(), integrity=(), checks=(PASSED,), design=Design.ALTERNATING, **more
):
    found = judge(cells, slopes, failures, integrity, checks, design, **more)
    return found.verdict, found.reasons


def test_everything_harmless_and_sound_is_clear():
    assert judged() == (Verdict.CLEAR, ())


@pytest.mark.parametrize("word", [Word.NO_HARM, Word.FASTER])
def test_harmless_and_faster_are_clear(word):
    assert judged([cell(word, p=0.9)]) == (Verdict.CLEAR, ())


@pytest.mark.parametrize("word", [Word.SLOWER, Word.MUCH_SLOWER])
def test_a_required_cell_that_is_slower_beyond_doubt_escalates(word):
    assert judged([FINE, cell(word)]) == (Verdict.ESCALATE, (Reason.LATENCY,))


def test_the_cells_on_which_the_verdict_rests_are_marked():
    cells = [FINE, cell(Word.SLOWER), cell(Word.SLOWER, p=0.04, fields=50)]
    found = judge(cells, (), (), (), (PASSED,), Design.ALTERNATING)
    assert [one.alarms for one in found.cells] == [False, True, False]


def test_a_failed_check_leaves_no_cell_on_which_the_verdict_rests():
    found = judge([cell(Word.SLOWER)], (), (), (), (SPOILED,), Design.ALTERNATING)
    assert not found.cells[0].alarms


def test_a_slower_cell_that_nobody_requires_does_not():
    assert judged([FINE, cell(Word.MUCH_SLOWER, required=False)]) == (Verdict.CLEAR, ())


def test_slower_without_holms_consent_waits_for_data():
    # .03 of two hypotheses is .06 after Holm.
    assert judged([FINE, cell(Word.SLOWER, p=0.03)]) == (Verdict.HOLD, (Reason.NEEDS_DATA,))


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        (Word.UNCLEAR, Reason.NEEDS_DATA),
        (Word.TOO_LITTLE_DATA, Reason.NEEDS_DATA),
        (Word.NEAR_THE_LIMIT, Reason.NEAR_LIMIT),
    ],
)
def test_a_required_cell_without_an_answer_holds(word, reason):
    assert judged([FINE, cell(word, p=0.2)]) == (Verdict.HOLD, (reason,))


def test_an_unknown_p_neither_alarms_nor_disturbs_the_others():
    assert judged([cell(Word.TOO_LITTLE_DATA, p=NAN), cell(Word.SLOWER)]) == (Verdict.ESCALATE, (Reason.LATENCY,))


def test_no_required_cell_at_all_is_no_data():
    assert judged([]) == (Verdict.HOLD, (Reason.NEEDS_DATA,))


def test_growth_escalates():
    assert judged(slopes=[SLOPE]) == (Verdict.ESCALATE, (Reason.GROWTH,))


def test_a_cell_that_stands_out_escalates_where_it_fires():
    assert judged(standouts=[OUT]) == (Verdict.ESCALATE, (Reason.STANDS_OUT,))
    assert judged(standouts=[replace(OUT, fires=False)]) == (Verdict.CLEAR, ())


def test_standing_out_wakes_nobody_apart_in_time_nor_where_a_check_failed():
    assert judged(standouts=[OUT], design=Design.APART) == (Verdict.HOLD, (Reason.CONFOUNDED,))
    assert judged(standouts=[OUT], checks=[SPOILED]) == (Verdict.HOLD, (Reason.INVALID_LOAD,))


def test_failures_escalate():
    assert judged(failures=[FAILING]) == (Verdict.ESCALATE, (Reason.FAILURES,))


def test_broken_integrity_escalates():
    assert judged(integrity=[LOST]) == (Verdict.ESCALATE, (Reason.INTEGRITY,))


def test_the_gravest_reason_comes_first():
    verdict, reasons = judged([cell(Word.SLOWER)], [SLOPE], [FAILING], [LOST])
    assert verdict is Verdict.ESCALATE
    assert reasons == (Reason.INTEGRITY, Reason.FAILURES, Reason.GROWTH, Reason.LATENCY)


def test_a_failed_check_voids_latency_and_growth():
    assert judged([cell(Word.MUCH_SLOWER)], [SLOPE], checks=[SPOILED]) == (Verdict.HOLD, (Reason.INVALID_LOAD,))


def test_a_failed_check_voids_neither_integrity_nor_failures():
    verdict, reasons = judged([cell(Word.SLOWER)], [SLOPE], [FAILING], [LOST], [SPOILED])
    assert (verdict, reasons) == (Verdict.ESCALATE, (Reason.INTEGRITY, Reason.FAILURES))


@pytest.mark.parametrize(
    "reason", [Reason.INVALID_LOAD, Reason.SETTLING, Reason.BASELINE_UNFIT, Reason.NEEDS_DATA]
)
def test_a_check_holds_with_its_reason(reason):
    assert judged(checks=[replace(SPOILED, reason=reason)]) == (Verdict.HOLD, (reason,))


def test_a_note_without_a_reason_holds_nothing():
    assert judged(checks=[Check("x", CheckOutcome.NOTE, "y")]) == (Verdict.CLEAR, ())


def test_settling_as_a_note_leaves_the_alarm_on():
    ramp = Check("after side steady", CheckOutcome.NOTE, "It rises.", Reason.SETTLING)
    assert judged([cell(Word.SLOWER)], checks=[ramp]) == (Verdict.ESCALATE, (Reason.LATENCY,))


def test_apart_in_time_harmless_levels_are_confounded():
    assert judged(design=Design.APART) == (Verdict.HOLD, (Reason.CONFOUNDED,))


def test_apart_in_time_a_slower_level_is_confounded_unless_beyond_every_before_run():
    slow = [cell(Word.MUCH_SLOWER)]
    assert judged(slow, design=Design.APART)[0] is Verdict.HOLD
    assert Reason.CONFOUNDED in judged(slow, design=Design.APART)[1]
    beyond = judged(slow, design=Design.APART, beyond={("save_custom", 500, 0.95)})
    assert beyond == (Verdict.ESCALATE, (Reason.LATENCY,))


def test_apart_in_time_growth_escalates():
    assert judged(slopes=[SLOPE], design=Design.APART) == (Verdict.ESCALATE, (Reason.GROWTH,))


def test_a_broken_objective_escalates_as_the_last_reason():
    assert judged(objectives=[OVER]) == (Verdict.ESCALATE, (Reason.OBJECTIVE,))
    assert judged(integrity=[LOST], objectives=[OVER])[1] == (Reason.INTEGRITY, Reason.OBJECTIVE)


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [(ObjectiveOutcome.NO_DATA, Reason.NEEDS_DATA), (ObjectiveOutcome.NEAR, Reason.NEAR_LIMIT)],
)
def test_an_objective_without_an_answer_holds(outcome, reason):
    assert judged(objectives=[replace(OVER, outcome=outcome)]) == (Verdict.HOLD, (reason,))


def test_a_kept_objective_stands_in_nobodys_way():
    assert judged(objectives=[replace(OVER, outcome=ObjectiveOutcome.HELD)]) == (Verdict.CLEAR, ())


def test_a_failed_check_voids_an_objective_about_times_and_no_other():
    assert judged(checks=[SPOILED], objectives=[OVER]) == (Verdict.HOLD, (Reason.INVALID_LOAD,))
    assert judged(checks=[SPOILED], objectives=[LATE]) == (Verdict.ESCALATE, (Reason.OBJECTIVE,))
