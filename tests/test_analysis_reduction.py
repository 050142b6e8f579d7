"""The reduction of a run gives what the slow and obvious way over its slices or samples gives."""

import math

import pytest
from analysis_examples import run, samples

from analysis.course import draw_course
from analysis.histograms import joined, total
from analysis.quantiles import quantile
from analysis.reduction import pool
from analysis.slices import cell_histograms, empty, histograms_by
from analysis.timeline import draw_timeline

CELLS = {("read_case", 0): 0.1, ("save_custom", 0): 0.2, ("save_custom", 50): 0.4}


@pytest.fixture(scope="module")
def made():
    return run("a", 0, samples(CELLS, n=60, failed=2, sigma=0.5))


def test_the_histograms_of_the_cells_are_those_of_the_slices(made):
    expected = cell_histograms(made.slices)
    assert made.reduced.cells == tuple(expected)
    for cell, histogram in made.reduced.by_cell.items():
        assert histogram.bins.tolist() == expected[cell].bins.tolist()
        assert histogram.counts.tolist() == expected[cell].counts.tolist()


def test_all_cells_together_are_all_samples(made):
    whole = total(made.slices, "response")
    assert made.reduced.response.n == made.reduced.of_all("ok") == 180
    assert made.reduced.response.bins.tolist() == whole.bins.tolist()
    assert made.reduced.response.counts.tolist() == whole.counts.tolist()


def test_counts_are_told_by_cell(made):
    assert made.reduced.of_cells("requests") == dict.fromkeys(CELLS, 62)
    assert made.reduced.of_cells("failures") == dict.fromkeys(CELLS, 2)


def test_pooled_quantiles_are_those_of_the_joined_histograms(made):
    other = run("b", 2, samples(CELLS, n=40, sigma=0.2))
    parts = [made.reduced, other.reduced]
    pooled = pool(parts, [part.places_in(made.reduced.cells) for part in parts], len(CELLS))
    expected = [quantile(joined([part.by_cell[cell] for part in parts]), 0.95) for cell in made.reduced.cells]
    assert pooled.quantiles(0.95).tolist() == pytest.approx(expected, rel=1e-12)
    assert pooled.n.tolist() == [100, 100, 100]


def test_what_belongs_to_no_group_is_left_out(made):
    reads = made.reduced.places_in([("read_case", 0)])
    assert pool([made.reduced], [reads], 1).n.tolist() == [60]


def test_points_of_the_timeline_are_those_of_the_slices(made):
    keys, histograms = histograms_by(made.slices, ("t_s", "operation", "custom_fields"))
    points = draw_timeline([made], [])
    assert [point.t_s for point in points] == keys["t_s"].tolist()
    assert [point.operation for point in points] == keys["operation"].tolist()
    expected = [quantile(one, 0.95) if one.n >= 10 else math.nan for one in histograms]
    assert [point.p95_s for point in points] == pytest.approx(expected, rel=1e-12, nan_ok=True)


def test_a_run_without_a_sample_reduces_to_nothing():
    none = run("a", 0, samples(CELLS), slices=empty())
    assert (none.reduced.cells, none.reduced.response.n, none.reduced.of_all("requests")) == ((), 0, 0)
    assert draw_timeline([none], [none]) == draw_course([none], [none], paired=True) == ()
