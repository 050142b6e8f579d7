"""The simulator behind docs/method.md: its worlds keep their truth, and it asks what ``compare`` asks."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.assessment import assess
from benchmarks.truth import tables
from benchmarks.truth.asking import QUESTION, hear
from benchmarks.truth.failing import fires
from benchmarks.truth.figures import Row, row, shown
from benchmarks.truth.folding import record
from benchmarks.truth.real import splits
from benchmarks.truth.worlds import CELLS, NOISY, QUIET, Change, World, draw


def test_what_is_asked_of_a_simulation_is_what_compare_asks_of_its_runs():
    world = World(QUIET, 3, duration_s=60.0, change=Change(growth=1.5))
    sides = draw(world, np.random.default_rng(4))
    heard = hear(world, sides)
    before, after = (
        [
            record(run, f"{side}{pair}", minutes=4 * pair + 2 * late, duration_s=60.0).run
            for pair, run in enumerate(runs)
        ]
        for late, (side, runs) in enumerate({"b": sides.before, "a": sides.after}.items())
    )
    found = assess(before, after, QUESTION)
    assert [cell.word for cell in found.cells] == [cell.word for cell in heard.cells]
    for figure in (lambda cell: cell.low, lambda cell: cell.high, lambda cell: cell.p_value):
        expected = [figure(cell) for cell in heard.cells]
        assert [figure(cell) for cell in found.cells] == pytest.approx(expected, rel=1e-3, nan_ok=True)
    assert [slope.growth for slope in found.slopes] == pytest.approx([slope.growth for slope in heard.slopes])
    assert heard.by_growth


def test_a_planted_change_is_the_true_ratio_of_every_quantile():
    world = World(replace(QUIET, common_sd=0.0, cell_sd=0.0), 1, duration_s=600, rate_per_s=200)
    planted = replace(world, change=Change(uniform=1.1, growth=1.5, one_cell=1.2))
    runs = [draw(one, np.random.default_rng(2)).after[0] for one in (world, planted)]
    for cell, truth in {
        ("read_case", 500): 1.1,
        ("save_custom", 500): 1.65,
        ("save_custom", 50): 1.1 * 1.05 * 1.2,
    }.items():
        at = CELLS.index(cell)
        times = [run.response_s[run.cell == at] for run in runs]
        for q in (0.5, 0.95):
            assert np.quantile(times[1], q) / np.quantile(times[0], q) == pytest.approx(truth)


def test_arms_asked_at_once_share_nine_tenths_of_their_noise():
    world = World(replace(NOISY, common_sd=0.3, cell_sd=0.0, busy=0.01), 200, duration_s=10, design="concurrent")
    sides = draw(world, np.random.default_rng(3))
    before, after = ([np.log(run.response_s).mean() for run in side] for side in (sides.before, sides.after))
    assert np.corrcoef(before, after)[0, 1] == pytest.approx(0.9, abs=0.04)


def test_the_error_of_a_share_is_two_standard_errors_and_never_nothing():
    found = row("identical", "x", [1] * 10 + [0] * 90, 0.05, most=True)
    assert (found.value, found.low, found.high) == pytest.approx((0.1, 0.04, 0.16))
    assert found.reached is False
    assert row("identical", "x", [0] * 100, 0.05, most=True).high == pytest.approx(0.03)


def test_the_tables_take_the_place_of_those_that_stood_there(tmp_path):
    document = tmp_path / "method.md"
    document.write_text(
        f"before\n\n{tables.BEGIN}\n\n### {tables.TITLES['power']}\n\nold\n\n"
        f"### {tables.TITLES['failures']}\n\n| kept |\n\n{tables.END}\n\nafter\n"
    )
    tables.write([Row("power", "found", 0.9, 0.85, 0.95, 0.95, False, 400)], document)
    text = document.read_text()
    assert "old" not in text
    assert f"### {tables.TITLES['failures']}\n\n| kept |\n\n{tables.END}" in text
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "| found | .900 | 0.850 to 0.950 | ≥ 0.95, **not reached** | 400 |" in text


def test_a_figure_whose_error_nobody_knows_is_told_without_one():
    told = tables.markdown([shown("real", "70 splits: CLEAR", 0.25, 70)])[tables.TITLES["real"]]
    assert told.splitlines()[-1] == "| 70 splits: CLEAR | .250 |  |  | 70 |"


def test_failures_that_are_simulated_are_found():
    assert fires(1, after=0.2, runs=2, bursty=False)


def test_every_split_of_real_runs_gives_each_run_one_side():
    found = splits(list("abcdef"))
    assert len(found) == 8
    for before, after in found:
        assert sorted([*before, *after]) == list("abcdef")
        assert [set(pair) for pair in zip(before, after, strict=True)] == [set("ab"), set("cd"), set("ef")]
