"""What is late because the generator stood still is told from what is late because the target was full."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.stalls import seconds_taken


def rows(*times, worker=0):
    """Arrivals of (due, sent, done), in seconds."""
    table = pd.DataFrame(times, columns=["scheduled_s", "sent_s", "done_s"], dtype=float)
    return table.assign(worker=worker)


#: Three open at once, and never again: from the start on the loop is full, as far as anybody can tell.
FULL = [(0, 0, 1), (0, 0, 1), (0, 0, 1)]


def taken(*times):
    """Of the arrivals after those of ``FULL``."""
    return seconds_taken(rows(*FULL, *times))[len(FULL) :].tolist()


def test_what_was_sent_in_time_took_from_its_due_moment_on():
    assert taken((10, 10, 10.5), (11, 11, 14)) == [0.5, 3.0]


def test_the_wait_for_a_generator_that_stood_still_is_not_counted_nor_that_of_what_was_under_way():
    # It stood still from 10 to 12, as the second shows; 2 s of the first are its own.
    assert taken((9.5, 9.5, 12.25), (10, 12, 12.25), (11, 12, 12.5)) == [0.75, 0.25, 0.5]


def test_stretches_that_lie_in_each_other_are_one_and_what_lies_between_two_counts():
    long = (9, 9, 21)  # stood still 10..12 and 15..16
    assert taken(long, (10, 12, 12), (11, 11.5, 12), (15, 16, 16))[0] == 9.0


def test_the_wait_for_room_is_the_targets():
    # Three are open from 10 on; the fourth is due at 11 and waits until one of them is answered.
    assert taken((10, 10, 14), (10, 10, 14), (10, 10, 14), (11, 14, 14.5)) == [4.0, 4.0, 4.0, 3.5]


def test_each_worker_stands_still_by_itself():
    one = rows(*FULL, (10, 12, 12.5))
    other = rows(*FULL, (9.5, 9.5, 12.5), worker=1)
    both = pd.concat([one, other], ignore_index=True)
    assert seconds_taken(both)[[3, 7]].tolist() == [0.5, 3.0]


def test_nothing_was_sent():
    assert len(seconds_taken(rows())) == 0


@given(
    st.lists(st.tuples(*[st.floats(0, 100)] + [st.floats(0, 9)] * 2), min_size=1, max_size=30),
    st.randoms(use_true_random=False),
)
def test_it_is_between_the_time_from_its_sending_less_any_stall_and_that_from_its_due_moment(times, random):
    table = rows(*((due, due + late, due + late + served) for due, late, served in times))
    found = seconds_taken(table)
    assert (found <= (table["done_s"] - table["scheduled_s"]).to_numpy() + 1e-9).all()
    assert (found >= -1e-9).all()
    places = list(range(len(table)))
    random.shuffle(places)
    assert seconds_taken(table.iloc[places]) == pytest.approx(found[places])
    in_time = table.assign(sent_s=table["scheduled_s"])
    assert seconds_taken(in_time) == pytest.approx(np.asarray(table["done_s"] - table["scheduled_s"]))
