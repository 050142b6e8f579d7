"""Whether scripts ran in their turn, decided from moments made by hand."""

import pytest

from loadgen.turns import Decision, Turns, overtaken

CASE = ("t-01", "case-1")


def decided(turns: Turns, seq: int, ended_s: float, **ends: float) -> list[Decision]:
    return list(turns.ran(CASE, seq, ends, ended_s))


def saved(turns: Turns, seq: int, sent_s: float, done_s: float, case: tuple[str, str] = CASE) -> None:
    turns.sent(case, seq, sent_s)
    turns.acknowledged(case, seq, done_s)


IN_TURN = frozenset()


@pytest.mark.parametrize(
    ("ends", "found"),
    [
        ({"a": 1.0, "b": 2.0, "c": 3.0}, set()),
        ({"a": 3.0, "b": 2.0, "c": 1.0}, {"a", "b"}),
        ({"a": 1.0, "b": 3.0, "c": 2.0}, {"b"}),
        ({"a": 1.0, "b": 1.0}, set()),
    ],
)
def test_a_script_is_overtaken_by_one_of_a_higher_number_that_was_done_before_it(ends, found):
    assert overtaken(ends, []) == found


def test_a_script_is_overtaken_by_the_same_script_of_a_later_save_only():
    assert overtaken({"a": 5.0}, [{"a": 4.0}]) == {"a"}
    assert overtaken({"a": 5.0}, [{"b": 4.0}, {"a": 6.0}]) == set()


def test_a_save_that_ran_before_the_next_was_sent_is_decided_at_once():
    turns = Turns()
    saved(turns, 1, 0.0, 0.1)
    saved(turns, 2, 0.5, 0.6)
    assert decided(turns, 1, 0.3, a=100.3) == [Decision(1, IN_TURN)]


def test_a_save_waits_for_one_that_may_have_overtaken_it():
    turns = Turns()
    saved(turns, 1, 0.0, 0.1)
    saved(turns, 2, 0.5, 0.6)
    assert decided(turns, 1, 0.9, a=100.9) == []
    assert decided(turns, 2, 0.7, a=100.7) == [Decision(1, frozenset({"a"})), Decision(2, IN_TURN)]


def test_it_is_found_whichever_of_the_two_is_looked_up_first():
    turns = Turns()
    saved(turns, 1, 0.0, 0.1)
    saved(turns, 2, 0.5, 0.6)
    assert decided(turns, 2, 0.7, a=100.7) == [Decision(2, IN_TURN)]
    assert decided(turns, 1, 0.9, a=100.9) == [Decision(1, frozenset({"a"}))]


def test_saves_that_were_under_way_at_the_same_time_have_no_order():
    turns = Turns()
    saved(turns, 1, 0.0, 0.4)
    saved(turns, 2, 0.3, 0.5)
    assert decided(turns, 2, 0.6, a=100.6) == [Decision(2, IN_TURN)]
    assert decided(turns, 1, 0.9, a=100.9) == [Decision(1, IN_TURN)]


def test_saves_of_different_cases_have_no_order():
    turns = Turns()
    saved(turns, 1, 0.0, 0.1)
    saved(turns, 2, 0.5, 0.6, case=("t-01", "case-2"))
    assert decided(turns, 1, 0.9, a=100.9) == [Decision(1, IN_TURN)]


def test_a_save_that_was_not_acknowledged_overtakes_nobody():
    turns = Turns()
    saved(turns, 1, 0.0, 0.1)
    turns.sent(CASE, 2, 0.5)
    assert decided(turns, 1, 0.9, a=100.9) == []
    assert list(turns.forget(CASE, 2)) == [Decision(1, IN_TURN)]


def test_what_nobody_looked_at_decides_nothing_at_the_end():
    turns = Turns()
    saved(turns, 1, 0.0, 0.1)
    saved(turns, 2, 0.5, 0.6)
    assert decided(turns, 1, 0.9, a=100.9) == []
    assert list(turns.close()) == [Decision(1, IN_TURN)]


def test_nothing_is_kept_of_saves_that_are_decided():
    turns = Turns()
    for seq in range(100):
        saved(turns, seq, float(seq), seq + 0.1)
        assert decided(turns, seq, seq + 0.3, a=100.0 + seq) == [Decision(seq, IN_TURN)]
    assert turns == Turns()
