"""The bench of wrong CLEARs: without a fault its runs are beyond reproach, and every fault can be asked about."""

from collections import Counter

import pytest

from analysis.assessment import assess
from analysis.findings import CheckOutcome
from analysis.runs import Question
from benchmarks.wrong_clear import NOTHING, SAID, WORLD, ask, made, markdown
from benchmarks.wrong_clear.faults import FAULTS

SMALL = WORLD.but(pairs=2, duration_s=20.0)


@pytest.mark.parametrize("seed", [2, 3])  # by turns, and both at once
def test_without_a_fault_no_check_fails(seed):
    trial = made(seed, SMALL)
    found = assess([one.run for one in trial.before], [one.run for one in trial.after], Question())
    assert [check for check in found.checks if check.outcome is CheckOutcome.FAIL] == []
    assert found.verdict != "ESCALATE"


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_leaves_runs_of_which_something_is_said(name):
    assert ask(name, 5, SMALL) in SAID[1:]


def test_the_table_adds_up_what_was_wrongly_called_clear():
    table = markdown({NOTHING: Counter(CLEAR=3), "a": Counter(CLEAR=1, HOLD=2), "b": Counter(ESCALATE=997)})
    assert table.splitlines()[-1].startswith("| **all faults together** | **1** of 1,000 |")
