"""What is kept of custom saves: enough for every verdict, and no more."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from loadgen.custom_saves import CustomSaves
from loadgen.values import CustomSave, classify_values

CASES = [("t1", "a"), ("t1", "b"), ("t2", "a")]
#: Of each save: its case, how long its answer takes, whether it is acknowledged, how long its read (0: none).
SAVES = st.lists(
    st.tuples(st.sampled_from(CASES), st.integers(1, 9), st.booleans(), st.sampled_from([0, 0, 1, 5])),
    min_size=1,
    max_size=25,
)


def values_of(save):
    return {"token": save.seq, "other": "x"}


def verdicts(own, known, numbers):
    """What a read says of ``own``, whichever save's token the case holds, with and without its other value."""
    return [
        classify_values(own, found, known(seq), values_of)
        for seq in numbers
        for found in ({"token": seq, "other": "x"}, {"token": seq, "other": "y"})
    ]


@given(SAVES)
def test_every_verdict_is_the_same_whether_or_not_old_saves_are_let_go(saves):
    kept, whole = CustomSaves(), {}  # the second lets nothing go
    moments = []
    for seq, (_, takes, _, read) in enumerate(saves):
        moments += [(seq, 0, "sent", seq), (seq + takes, 1, "answered", seq)]
        moments += [(seq + takes + read, 2, "judged", seq)] if read else []
    for now, _, what, seq in sorted(moments):
        case, _, acknowledged, read = saves[seq]
        if what == "sent":
            kept.sending(seq, *case, float(now))
            whole[seq] = CustomSave(seq, *case, float(now))
        elif what == "answered":
            assert kept.answered(seq, float(now), acknowledged=acknowledged)
            whole[seq] = replace(whole[seq], done_s=float(now), acknowledged=acknowledged)
        if what == "judged":
            assert verdicts(kept.find(seq), kept.find, whole) == verdicts(whole[seq], whole.get, whole)
        if what == "judged" or (what == "answered" and not read):
            kept.over(seq)
    assert [(kept.find(seq).tenant, kept.find(seq).case) for seq in whole] == [case for case, *_ in saves]
    assert len(kept) == 0


def test_of_saves_that_are_over_only_those_stay_whole_that_one_under_way_may_have_come_before():
    saves = CustomSaves()
    saves.sending(0, "t", "a", 0.0)
    for seq in range(1, 1001):
        saves.sending(seq, "t", "a", seq + 0.0)
        saves.answered(seq, seq + 0.5, acknowledged=True)
        saves.over(seq)
    assert len(saves) == 1001  # any of them may be later than the first, which is still under way
    saves.answered(0, 2000.0, acknowledged=True)
    saves.over(0)
    assert len(saves) == 0


def test_what_was_no_custom_save_is_none():
    saves = CustomSaves()
    saves.sending(5, "t", "a", 0.0)
    saves.answered(5, 1.0, acknowledged=False)
    saves.over(5)
    assert (saves.find(4), saves.find(6), saves.answered(4, 1.0, acknowledged=True)) == (None, None, False)
    assert not saves.find(5).acknowledged
