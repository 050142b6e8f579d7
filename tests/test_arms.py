"""Which arm an arrival goes to: by chance, by the laws of fair coins, and the same whenever it is asked."""

from collections import Counter

import numpy as np
import pytest
import scipy
from hypothesis import given
from hypothesis import strategies as st

from loadgen.chosen import environ_of
from scenarios.arms import ARMS, arm_of, count_arms

N = 20_000


def tosses(key: str) -> np.ndarray:
    return np.array([arm_of(key, seq) == "after" for seq in range(N)])


def test_half_of_the_arrivals_go_to_each_arm_and_none_knows_its_neighbour():
    after = tosses("0123456789")
    assert scipy.stats.binomtest(int(after.sum()), N).pvalue > 0.001
    assert scipy.stats.binomtest(int((after[1:] == after[:-1]).sum()), N - 1).pvalue > 0.001


def test_two_runs_toss_independently_of_each_other():
    agree = int((tosses("0123456789") == tosses("0123456780")).sum())
    assert scipy.stats.binomtest(agree, N).pvalue > 0.001


@given(key=st.text("0123456789abcdef", min_size=10, max_size=10), n=st.integers(0, 2000))
def test_the_counts_are_those_of_the_tosses_one_by_one(key, n):
    one_by_one = Counter(arm_of(key, seq) for seq in range(n))
    assert count_arms(key, n) == {arm: one_by_one[arm] for arm in ARMS}


@pytest.mark.parametrize(
    ("arm", "environ", "seen"),
    [
        ("after", {"KEY": "old", "VERSUS_KEY": "new"}, "new"),
        ("before", {"KEY": "old", "VERSUS_KEY": "new"}, "old"),
        ("", {"KEY": "old", "VERSUS_KEY": "new"}, "old"),
        ("after", {"KEY": "old"}, "old"),
    ],
)
def test_the_after_arm_takes_its_own_secret_where_there_is_one(arm, environ, seen):
    assert environ_of(arm, environ)["KEY"] == seen


def test_a_secret_of_its_own_is_not_mixed_with_the_file_of_the_other():
    environ = {"KEY_FILE": "/old", "VERSUS_KEY": "new"}
    assert "KEY_FILE" not in environ_of("after", environ)
