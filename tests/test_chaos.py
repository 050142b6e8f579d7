"""Killed at random moments, a few times each; ``make bench-chaos`` does it a hundred times."""

import random

import pytest

from benchmarks import chaos

pytestmark = pytest.mark.live


@pytest.mark.parametrize(
    ("torment", "kills"),
    [(chaos.torment_compare, 2), (chaos.torment_watch, 3), (chaos.torment_clean, 4), (chaos.torment_run, 1)],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_a_kill_leaves_nothing_that_could_be_taken_for_whole_or_counted_twice(tmp_path, torment, kills):
    tally = torment(tmp_path, kills, random.Random(4))
    assert tally.kills == kills
    assert {what: number for what, number in tally.wrong.items() if number} == {}
