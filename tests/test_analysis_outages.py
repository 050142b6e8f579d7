"""Outages are found where requests failed or hung in a row, and nowhere else."""

import math

import numpy as np
import pandas as pd
import pytest

from analysis.details import Kept, OutageKind
from analysis.outages import find_outages

NO_EFFECTS = pd.DataFrame({"seq": [], "kind": [], "outcome": []})
OK_S = 0.01


def run(seconds=60, rate=10, *, bad=(), outcome="refused", detail="connection refused", slow=(), took_s=1.0):
    """An arrival each tenth of a second, reads and saves in turn, of 0 and 500 fields in turn; 10 ms each.

    What is due in the interval ``bad`` fails, what is due in ``slow`` takes ``took_s``.
    """
    rows = []
    for seq in range(seconds * rate):
        due_s = seq / rate
        fails = any(low <= due_s < high for low, high in bad)
        hangs = any(low <= due_s < high for low, high in slow)
        rows.append(
            {
                "seq": seq,
                "worker": 0,
                "operation": ("read_case", "save_custom")[seq % 2],
                "custom_fields": (0, 500)[seq // 2 % 2],
                "scheduled_s": due_s,
                "sent_s": due_s,
                "done_s": due_s + (took_s if hangs else OK_S),
                "outcome": outcome if fails else "ok",
                "detail": detail if fails else "",
            }
        )
    return pd.DataFrame(rows)


def test_a_quiet_run_has_none():
    assert find_outages(run(), NO_EFFECTS) == ()


def test_a_run_without_a_request_has_none():
    assert find_outages(run().head(0), NO_EFFECTS) == ()


def test_requests_that_fail_in_a_row_are_an_outage_with_its_length_by_cell():
    (found,) = find_outages(run(bad=[(20, 23)]), NO_EFFECTS)
    assert (found.begun_s, found.ended_s, found.requests, found.failed) == (20.0, 23.1, 31, 30)
    assert found.kinds == (OutageKind("refused", "connection refused", 30),)
    # Reads of 0 fields are due at 20.0, 20.4, ..., 22.8; the first that is answered again at 23.2.
    cell = found.cells[0]
    assert (cell.operation, cell.custom_fields, cell.requests, cell.failed, cell.slow) == ("read_case", 0, 8, 8, 0)
    assert (cell.gone_s, cell.again_s) == (pytest.approx(3.2), pytest.approx(3.2))
    assert [round(one.down_s, 6) for one in found.cells] == [0.0, 0.2, 0.1, 0.3]
    assert [(one.operation, one.custom_fields) for one in found.cells] == [
        ("read_case", 0), ("read_case", 500), ("save_custom", 0), ("save_custom", 500),
    ]  # fmt: skip


def test_requests_that_hang_in_a_row_are_one_as_well():
    (found,) = find_outages(run(slow=[(20, 25)]), NO_EFFECTS)
    assert (found.begun_s, found.ended_s, found.failed) == (20.0, 25.1, 0)
    assert {cell.slow for cell in found.cells} == {12, 13}
    assert {cell.gone_s for cell in found.cells} == {0.0}
    assert all(math.isnan(cell.down_s) for cell in found.cells)


def test_what_is_slow_after_it_was_gone_is_as_before_later():
    # Three times as slow is no hanging, but not as before either.
    (found,) = find_outages(run(bad=[(20, 22)], slow=[(22, 30)], took_s=3 * OK_S), NO_EFFECTS)
    cell = found.cells[0]
    assert (found.ended_s, cell.gone_s, cell.again_s) == (22.1, pytest.approx(2.0), pytest.approx(10.0))


def test_one_operation_alone_can_be_out():
    samples = run()
    out = (samples["operation"] == "save_custom") & samples["scheduled_s"].between(20, 29.99)
    samples.loc[out, ["outcome", "detail"]] = ["timeout", "no answer in time"]
    (found,) = find_outages(samples, NO_EFFECTS)
    assert (found.begun_s, found.failed) == (20.1, 50)
    assert {cell.operation: cell.failed for cell in found.cells if cell.failed} == {"save_custom": 25}


@pytest.mark.parametrize("seed", range(5))
def test_failures_by_chance_are_none_however_many(seed):
    samples = run(seconds=600)
    chance = np.random.default_rng(seed).random(len(samples)) < 0.05
    samples.loc[chance, "outcome"] = "http_error"
    assert find_outages(samples, NO_EFFECTS) == ()


def test_conflicts_are_somebody_elses_saves_and_none():
    assert find_outages(run(bad=[(20, 23)], outcome="conflict"), NO_EFFECTS) == ()


def test_an_outage_that_the_run_ends_in_has_no_end_and_was_never_as_before():
    (found,) = find_outages(run(bad=[(50, 60)]), NO_EFFECTS)
    assert math.isnan(found.ended_s)
    assert all(math.isnan(cell.gone_s) and math.isnan(cell.again_s) for cell in found.cells)


def test_two_that_are_close_are_one_and_two_that_are_not_are_two():
    assert len(find_outages(run(bad=[(20, 22), (26, 28)]), NO_EFFECTS)) == 1
    first, second = find_outages(run(bad=[(20, 22), (40, 42)]), NO_EFFECTS)
    assert (first.begun_s, second.begun_s, first.failed, second.failed) == (20.0, 40.0, 20, 20)


def test_saves_that_were_acknowledged_before_it_are_held_against_what_became_of_them():
    samples = run(bad=[(20, 23)])
    saves = samples[(samples["operation"] == "save_custom") & (samples["scheduled_s"] < 19.95)]["seq"].tolist()
    effects = pd.DataFrame(
        {
            "seq": [saves[-1], saves[-1], saves[-2], saves[-3], saves[-4], 1000],
            "kind": ["value", "script", "value", "script", "value", "value"],
            "outcome": ["identical", "missed", "lost", "once", "unverified", "lost"],
        }
    )
    (found,) = find_outages(samples, effects)
    assert found.kept == Kept(acknowledged=len(saves), checked=3, lost=2)


def test_while_the_generator_stands_still_nothing_hangs_but_what_fails_in_a_row_is_out():
    def frozen(samples):
        """From 20 to 22 s nothing is sent and no answer is read."""
        times = ["sent_s", "done_s"]
        samples[times] = samples[times].where(
            ~samples["scheduled_s"].between(19.995, 22), samples[times].clip(lower=22)
        )
        return samples

    assert find_outages(frozen(run()), NO_EFFECTS) == ()
    (found,) = find_outages(frozen(run(bad=[(21, 23)])), NO_EFFECTS)
    assert (found.begun_s, found.failed, {cell.slow for cell in found.cells}) == (21.0, 20, {0})


def test_the_order_of_the_rows_has_no_meaning():
    samples = run(bad=[(20, 23)], slow=[(40, 42)])
    shuffled = samples.sample(frac=1, random_state=1)
    assert str(find_outages(shuffled, NO_EFFECTS)) == str(
        find_outages(samples, NO_EFFECTS)
    )  # as text: NaN equals NaN


def test_a_cell_that_was_never_answered_is_gone_for_ever_and_slow_never():
    (found,) = find_outages(run(bad=[(0, 60)]), NO_EFFECTS)
    cell = found.cells[0]
    assert (cell.requests, cell.failed, cell.slow) == (150, 150, 0)
    assert math.isnan(cell.gone_s)
    assert math.isnan(cell.again_s)
