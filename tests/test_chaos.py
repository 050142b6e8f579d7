"""Killed at random moments, a few times each; ``make bench-chaos`` does it a hundred times."""

import contextlib
import itertools
import random

import pytest

from benchmarks.chaos import TORMENTS, Tally

pytestmark = pytest.mark.live


@pytest.mark.parametrize(("command", "kills"), [("compare", 2), ("watch", 3), ("clean", 4), ("run", 1)])
def test_a_kill_leaves_nothing_that_could_be_taken_for_whole_or_counted_twice(tmp_path, command, kills):
    tally = Tally()
    with contextlib.closing(TORMENTS[command](tmp_path, random.Random(4), tally)) as torment:
        for _ in itertools.islice(torment, kills):
            pass
    assert tally.kills == kills
    assert {what: number for what, number in tally.wrong.items() if number} == {}
