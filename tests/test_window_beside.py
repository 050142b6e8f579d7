"""The stabilization window beside an old environment that is asked at the same moments; blocks made by hand."""

import functools
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from test_window import CELLS, blocks, grown, watch

from analysis.findings import Verdict
from analysis.window.blocks import OVERALL, CellLevel, block_as_plain, block_from_plain
from analysis.window.decisions import Kind
from analysis.window.learning import learn_baseline
from analysis.window.state import Terms
from analysis.window.streams import name_streams
from analysis.window.watch import evidence

TERMS = Terms(settle_s=6 * 3600)
AGAINST = " against the old environment"
#: The old environment is a tenth slower by nature.
NATURE = 0.1


def both(first, n, *, new=lambda name, f: 0.0, old=0.0):
    """Blocks of both environments. All of it goes up and down by .15 within three hours, for both alike."""
    found = []
    for one in blocks(first, n, shift=new):
        shared = 0.15 * math.sin(2 * math.pi * one.start_s / 10_800)
        own = np.random.default_rng([int(one.start_s), 2]).normal(0, 0.04, len(CELLS)).tolist()
        found.append(
            replace(
                one,
                cells=tuple(replace(c, mean_log_s=c.mean_log_s + shared) for c in one.cells),
                levels={name: level + shared for name, level in one.levels.items()}
                | {OVERALL: one.levels[OVERALL] + shared + new("read_case", 0)},
                versus=tuple(
                    CellLevel(name, f, 40, -2.3 + shared + NATURE + old + noise, math.nan)
                    for (name, f), noise in zip(CELLS, own, strict=True)
                ),
            )
        )
    return found


def alone(seen):
    return [replace(one, versus=()) for one in seen]


@functools.cache
def of_both():
    """The baseline of two quiet days with the old environment beside it, learnt once by who asks for it."""
    return learn_baseline(both(0, 2 * 288))


@functools.cache
def of_one():
    """The same without the old environment."""
    return learn_baseline(alone(both(0, 2 * 288)))


def slower(share):
    return lambda name, f: math.log1p(share)


def test_what_both_environments_share_is_no_difference_and_what_only_one_has_is_all_of_it():
    cells = [("read_case", f) for f in (0, 250, 500)]
    streams = name_streams([], cells, dict.fromkeys(cells, 1 / 3))
    assert streams.against == (f"read_case{AGAINST}", f"growth of read_case{AGAINST}")
    means = [1.0, 1.2, 1.4]
    beside = [CellLevel(name, f, 9, mean - 0.3, math.nan) for (name, f), mean in zip(cells, means, strict=True)]
    row = streams.row(replace(blocks(0, 1)[0], versus=tuple(beside)), np.array(means))
    assert row[streams.own :].tolist() == pytest.approx([0.3, 0.0])


def test_streams_against_the_old_one_count_for_the_false_alarms_that_all_may_raise():
    assert len(of_both().streams.names) - len(of_one().streams.names) == len(of_both().streams.against) == 5
    assert (of_both().z_alarm > of_one().z_alarm).all()


def test_a_uniform_slow_down_is_found_sooner_beside_the_old_one_and_says_so():
    after = both(1000, 30, new=slower(0.25))
    state, decisions = watch(after, TERMS, of_both())
    without = [one.verdict for one in watch(alone(after), TERMS, of_one())[1]]
    assert [one.verdict for one in decisions].index(Verdict.ESCALATE) < without.index(Verdict.ESCALATE)
    (alarm, *_) = decisions[-1].alarms
    assert (alarm.kind, alarm.what) == (Kind.LATENCY, f"all{AGAINST}")
    found = evidence(of_both(), TERMS, state)
    assert found.hits[0].versus == pytest.approx(1.25 / math.exp(NATURE), rel=0.05)


def test_growth_beside_the_old_one_is_an_alarm_of_growth():
    kinds = {one.what: one.kind for one in watch(both(1000, 20, new=grown(1.0)), TERMS, of_both())[1][-1].alarms}
    assert kinds[f"growth of all{AGAINST}"] is Kind.GROWTH


@pytest.mark.parametrize("share", [0.1, 1.0])
def test_an_old_environment_that_becomes_faster_changes_no_verdict_about_the_new_one(share):
    after = both(1000, 110, old=-math.log1p(share))
    with_it, without = (
        watch(after, TERMS, of_both())[1],
        watch(alone(after), TERMS, of_one())[1],
    )
    assert [one.verdict for one in with_it] == [one.verdict for one in without]
    assert with_it[-1].verdict is Verdict.CLEAR


def test_an_old_environment_that_becomes_slower_is_nobodys_alarm():
    decisions = watch(both(1000, 60, old=1.0), TERMS, of_both())[1]
    assert {one.verdict for one in decisions} == {Verdict.HOLD}
    assert {reason.code for reason in decisions[-1].reasons} == {"settling"}


def test_an_old_environment_that_is_switched_off_is_told_and_holds_nothing_back():
    seen = both(1000, 30)
    decisions = watch([*seen, *alone(both(1030, 60))], TERMS, of_both())[1]
    assert {one.alone_since_s for one in decisions[:30]} == {None}
    assert {one.alone_since_s for one in decisions[30:]} == {seen[-1].end_s}
    assert decisions[-1].verdict is Verdict.CLEAR


def test_a_baseline_of_one_target_decides_nothing_on_the_difference_and_tells_it():
    after = both(1000, 20, new=grown(1.0))
    assert of_one().streams.against == ()
    state, decisions = watch(after, TERMS, of_one())
    assert [one.verdict for one in decisions] == [one.verdict for one in watch(alone(after), TERMS, of_one())[1]]
    worst = evidence(of_one(), TERMS, state).hits[0]
    assert worst.versus == pytest.approx(2 / math.exp(NATURE), rel=0.05)


def test_a_watch_that_folds_its_journal_decides_the_same_beside_the_old_one():
    seen = [*both(1000, 10), *both(1010, 20, new=slower(0.5)), *alone(both(1030, 5))]
    written = [block_from_plain(json.loads(json.dumps(block_as_plain(one)))) for one in seen]
    assert watch(written, TERMS, of_both())[1] == watch(seen, TERMS, of_both())[1]
