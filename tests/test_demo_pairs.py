"""The pairs of the demonstration: what the generator spoiled is made again, and nothing is thrown away."""

import io

from run_examples import STARVED, driven

from savepath.demo import SPARE_PAIRS, make_pairs
from savepath.progress import Progress


def make_runs(out, *, starved: int, pairs: int = 2) -> tuple[list[str], str]:
    """Make the pairs by hand, the generator starved in the first so many runs: the runs, and what was said."""
    made, said = [], io.StringIO()

    def make(turn):
        changes = {"generator": STARVED} if len(made) < starved else {}
        made.append(f"{turn.sides[0]}-{turn.folder.name}")
        driven(turn.folder, **changes)

    make_pairs(out, pairs, make, Progress(said))
    return made, said.getvalue()


def test_a_sound_pair_is_made_once(tmp_path):
    made, _ = make_runs(tmp_path, starved=0)
    assert made == ["before-run-01", "after-run-01", "after-run-02", "before-run-02"]


def test_a_spoiled_pair_is_made_again_and_the_first_is_kept_aside(tmp_path):
    made, said = make_runs(tmp_path, starved=1)
    assert made[:4] == ["before-run-01", "after-run-01"] * 2
    assert "pair 1 is made again" in said
    assert sorted(path.name for path in (tmp_path / "runs" / "spoiled" / "01").iterdir()) == ["after", "before"]


def test_a_machine_that_is_always_busy_ends_with_all_pairs_and_no_spare(tmp_path):
    made, _ = make_runs(tmp_path, starved=1000)
    assert len(made) == 2 * (2 + SPARE_PAIRS)
    assert len(list((tmp_path / "runs" / "before").iterdir())) == 2
