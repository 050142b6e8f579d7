"""From run folders to sides: which run is called what."""

from run_examples import STARVED, driven

from savepath.comparing import Sides, compare_runs


def test_runs_of_one_name_on_both_sides_are_told_apart(tmp_path):
    for side in ("before", "after"):
        driven(tmp_path / side / "run-01")
    found, _ = compare_runs(Sides(before=[tmp_path / "before"], after=[tmp_path / "after"]))
    assert (found.before.runs, found.after.runs) == (("before/run-01",), ("after/run-01",))


def test_runs_of_different_names_keep_them(tmp_path):
    found, _ = compare_runs(Sides(before=[driven(tmp_path / "old")], after=[driven(tmp_path / "new")]))
    assert (found.before.runs, found.after.runs) == (("old",), ("new",))


def test_a_starved_run_is_blamed_without_its_namesake(tmp_path):
    driven(tmp_path / "before" / "run-01")
    driven(tmp_path / "after" / "run-01", generator=STARVED)
    found, _ = compare_runs(Sides(before=[tmp_path / "before"], after=[tmp_path / "after"]))
    told = " ".join(found.warnings)
    assert "after/run-01" in told
    assert "before/run-01" not in told


def test_a_run_given_twice_counts_once(tmp_path):
    run = driven(tmp_path / "old")
    found, _ = compare_runs(Sides(before=[run, run], after=[driven(tmp_path / "new")]))
    assert found.before.runs == ("old",)
