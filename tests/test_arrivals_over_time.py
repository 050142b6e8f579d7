"""Arrivals whose rate changes, that come in bursts or from a recording: by hand arithmetic and by law."""

from collections import Counter

import numpy as np
import pytest
import scipy

from scenarios.arrivals import Arrival, arrivals, expected_in_cells, survey
from scenarios.errors import InputError
from scenarios.library import load_scenario, parse_scenario
from scenarios.load import OFFICE
from scenarios.model import Scenario

TEXT = """\
name: law
seed: 7
cohorts:
  none: {custom_fields: 0, share: 0.25}
  some: {custom_fields: 50, tenants: 3, share: 0.75}
mix: {read_case: 3, save_custom: 1, send_email: 0}
"""


def scenario(load: str, duration: float = 20, warmup: float = 0, seed: int = 7) -> Scenario:
    text = TEXT.replace("seed: 7", f"seed: {seed}")
    return parse_scenario(f"{text}load: {{{load}}}\nwarmup_s: {warmup}\nduration_s: {duration}\n", "law.yaml")


def times(load: str, duration: float = 20, warmup: float = 0, seed: int = 7):
    return np.array([one.at_s for one in arrivals(scenario(load, duration, warmup, seed))])


def recorded(folder, rows: str, header: str = "at_s,operation,cohort", duration: float = 20) -> Scenario:
    (folder / "monday.csv").write_text(f"{header}\n{rows}\n")
    (folder / "s.yaml").write_text(f"{TEXT}load: {{replay: monday.csv}}\nwarmup_s: 5\nduration_s: {duration}\n")
    return load_scenario(str(folder / "s.yaml"))


def problems_of(load: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        scenario(load)
    return [str(problem) for problem in caught.value.problems]


RAMP = "rate_per_s: 10, ramp: [{at_s: 0, times: 0}, {at_s: 20, times: 2}]"
STEPS = "rate_per_s: 10, steps: [{at_s: 0, times: 1}, {at_s: 5, times: 0}, {at_s: 15, times: 3}]"
HELD = (
    "rate_per_s: 0.01, arrivals: constant, rate_max_per_s: 10, "
    "bursts: [{{at_s: {at_s}, arrivals: 60, within_s: 0.1}}]"
)
BURST = "rate_per_s: 0.01, arrivals: constant, bursts: [{at_s: 8, arrivals: 90, within_s: 4, every_s: 25, %s}]"


def test_a_ramp_of_even_arrivals_holds_the_area_under_it():
    # From 0 to 20/s in 20 s: t^2 / 2 arrivals until t.
    found = times(f"{RAMP}, arrivals: constant")
    assert [(found < t).sum() for t in (2, 10, 20)] == [2, 50, 200]


def test_the_warm_up_has_the_rate_that_the_window_starts_with():
    found = times("rate_per_s: 10, arrivals: constant, steps: [{at_s: 3, times: 2}, {at_s: 6, times: 1}]", 10, 5)
    assert [((found >= a) & (found < b)).sum() for a, b in ((-5, 0), (0, 6), (6, 10))] == [100, 120, 40]


def test_a_step_to_nothing_is_a_pause():
    found = times(f"{STEPS}, arrivals: constant")
    assert [((found >= a) & (found < b)).sum() for a, b in ((0, 5), (5, 15), (15, 20))] == [50, 0, 150]


def test_a_ramp_may_jump_where_two_points_share_a_moment():
    ramp = "ramp: [{at_s: 0, times: 1}, {at_s: 10, times: 1}, {at_s: 10, times: 4}, {at_s: 20, times: 4}]"
    found = times(f"rate_per_s: 5, arrivals: constant, {ramp}")
    assert [(found < 10).sum(), (found >= 10).sum()] == [50, 200]


def test_a_ramp_goes_on_to_a_point_beyond_the_end():
    # Until 20 s it rises from 10 to 20/s, half of its way to 30/s.
    assert (
        len(times("rate_per_s: 10, arrivals: constant, ramp: [{at_s: 0, times: 1}, {at_s: 40, times: 3}]")) == 300
    )


def test_a_day_played_in_four_minutes_has_ten_seconds_for_each_hour():
    # Straight between the hours: 10 s at the mean of both ends, times 20/s; it starts at half past eight.
    found = times("rate_per_s: 20, arrivals: constant, daily: {lasts_s: 240, starts_at_h: 8.5}", 245)
    half_past = (OFFICE[8] + OFFICE[9]) / 2
    until_nine = 20 * 5 * (half_past + OFFICE[9]) / 2
    hours = [20 * 10 * (OFFICE[h % 24] + OFFICE[(h + 1) % 24]) / 2 for h in range(9, 33)]
    assert (found < 5).sum() == np.ceil(until_nine)
    counts = np.histogram(found, bins=5 + 10 * np.arange(25))[0]
    assert np.abs(np.cumsum(counts) - np.cumsum(hours)).max() <= 1


def test_poisson_arrivals_on_a_ramp_follow_the_law_of_their_rate():
    """Put through the integral of the rate by hand, they are Poisson arrivals at rate 1."""
    found = times("rate_per_s: 10, ramp: [{at_s: 0, times: 1}, {at_s: 400, times: 5}]", 400)
    gaps = np.diff(10 * found + 0.05 * found**2)
    assert scipy.stats.kstest(gaps, "expon").pvalue > 0.001
    counts = np.histogram(found, bins=[0, 100, 200, 300, 400])[0]
    expected = np.array([1500, 2500, 3500, 4500])
    assert scipy.stats.chi2.sf(((counts - expected) ** 2 / expected).sum(), 4) > 0.001


def test_counts_of_a_step_are_poisson_over_the_seeds():
    # 30/s over 5 s, 200 times: a mean and a variance of 150; sd of the mean .87, of the variance about 15.
    counts = np.array([(times(STEPS, seed=seed) >= 15).sum() for seed in range(200)])
    assert abs(counts.mean() - 150) < 3.5
    assert abs(counts.var() - 150) < 50


def test_a_burst_has_exactly_its_arrivals_within_its_time_again_and_again():
    found = times(BURST % "operation: read_case", 40)
    inside = [((found >= a) & (found < a + 4)).sum() for a in (8, 33)]
    assert (inside, len(found) - sum(inside)) == ([90, 90], 1)


def test_a_burst_across_two_blocks_is_spread_evenly():
    moments = np.concatenate([times(BURST % "cohort: some", seed=seed)[1:] for seed in range(10)])
    assert scipy.stats.kstest(moments, "uniform", args=(8, 4)).pvalue > 0.001


def test_a_burst_does_what_it_says_where_it_says():
    kinds = Counter((a.operation, a.tenant.cohort) for a in arrivals(scenario(BURST % "operation: save_custom")))
    assert kinds[("save_custom", "some")] >= 90
    kinds = Counter((a.operation, a.tenant.cohort) for a in arrivals(scenario(BURST % "cohort: none")))
    assert kinds[("read_case", "none")] >= 90


def test_the_end_of_the_run_cuts_a_burst_off():
    assert 20 < len(times(BURST % "cohort: some", 10)) < 70  # half of 90 on average


def test_bursts_leave_the_other_arrivals_as_they_are():
    without = {(a.at_s, a.tenant.key) for a in arrivals(scenario("rate_per_s: 10"))}
    more = "rate_per_s: 10, bursts: [{at_s: 3, arrivals: 40, within_s: 2}]"
    assert without < {(a.at_s, a.tenant.key) for a in arrivals(scenario(more))}


def test_a_ceiling_makes_arrivals_later_and_loses_none():
    # 60 within a tenth of a second at 10/s: six seconds, and none of the first ten waits.
    load = HELD.format(at_s=2)
    found, offered = times(load), survey(scenario(load))
    assert (len(found), offered.peak_per_s, offered.held_back, offered.left_out) == (61, 10, 50, 0)
    assert 5 <= found[-1] - found[1] < 5.1 + 1e-6


def test_what_a_ceiling_moves_beyond_the_end_is_left_out_and_counted():
    load = HELD.format(at_s=18)
    assert (len(times(load)), survey(scenario(load)).left_out) == (21, 40)


def test_a_recording_is_replayed_at_its_moments(tmp_path):
    plan = recorded(tmp_path, "-1,read_case,none\n0.5,save_custom,\n0.5,,some\n19.5,,\n20,,")
    found = list(arrivals(plan))
    assert [a.at_s for a in found] == [-1, 0.5, 0.5, 19.5]
    told = [(a.operation, a.tenant.cohort) for a in found]
    assert (told[0], told[1]) == (("read_case", "none"), ("save_custom", "some"))
    assert found[2].tenant.cohort == "some"


def test_a_recording_needs_no_more_than_moments(tmp_path):
    rows = "\n".join(f"{n / 100}" for n in range(2000))
    kinds = Counter(a.tenant.cohort for a in arrivals(recorded(tmp_path, rows, "at_s")))
    assert scipy.stats.binomtest(kinds["none"], 2000, 0.25).pvalue > 0.001


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("1,read_case\n", "monday.csv:2:1: 2 values; expected 3, as in the first line"),
        ("1,,\nsoon,,\n", "monday.csv:3:1: at_s is 'soon'; expected a number of seconds"),
        ("3,,\n2,,\n", "monday.csv:3:1: at_s is 2; expected 3 or more, arrivals stand in order of time"),
        ("-6,,\n", "monday.csv:2:1: at_s is -6; expected -5 or more, the warm-up starts there"),
        ("1,raed_case,\n", "monday.csv:2:3: 'raed_case' is not in the mix (did you mean read_case?)"),
        ("1,,nnoe\n", "monday.csv:2:4: 'nnoe' is no cohort of the scenario (did you mean none?)"),
        ("1,save_custom,none\n", "monday.csv:2:3: cohort none cannot do save_custom"),
        ("", "monday.csv:1:1: no arrivals; expected one on each further line"),
    ],
)
def test_a_mistake_of_a_recording_is_told_with_its_place(tmp_path, rows, said):
    with pytest.raises(InputError) as caught:
        recorded(tmp_path, rows)
    assert [str(problem).removeprefix(f"{tmp_path}/") for problem in caught.value.problems] == [said]


def test_an_unknown_column_of_a_recording_is_told(tmp_path):
    with pytest.raises(InputError, match=r"monday.csv:1:6: 'opration' is not .*did you mean operation\?"):
        recorded(tmp_path, "1,read_case", "at_s,opration")


def test_a_recording_that_is_not_there_is_told_at_the_key_of_the_scenario():
    assert problems_of("replay: gone.csv") == [
        "law.yaml:7:16: gone.csv is not there; name a CSV beside the scenario"
    ]


@pytest.mark.parametrize(
    ("load", "said"),
    [
        (f"{RAMP}, steps: [{{at_s: 0, times: 1}}]", "7:7: load: ramp and steps each say when arrivals come"),
        ("arrivals: poisson", "7:7: load: rate_per_s is missing"),
        ("rate_per_s: 100, ramp: [{at_s: 0, times: 99}]", "7:7: load: the rate rises to 9,900/s; expected 5,000"),
        (
            "rate_per_s: 1, ramp: [{at_s: 5, times: 1}, {at_s: 4, times: 1}]",
            "7:29: load.ramp: at_s falls from 5 to 4",
        ),
        (
            "rate_per_s: 1, steps: [{at_s: 0, time: 1}]",
            "load.steps[0].time is not a known key (did you mean",
        ),
        (BURST % "operation: raed_case", "'raed_case' is not in the mix (did you mean read_case?)"),
        (BURST % "operation: save_custom, cohort: none", "none cannot do save_custom"),
        (
            "rate_per_s: 1, ramp: [{at_s: 0, times: 0}]",
            "7:7: nothing arrives in the measured window",
        ),
        ("rate_per_s: 1, daily: {hours: [1, 2]}", "load.daily.hours is a list; expected at least 24"),
    ],
)
def test_a_mistake_of_the_load_is_told_with_its_place(load, said):
    assert any(said in problem for problem in problems_of(load))


LOADS = [RAMP, STEPS, "rate_per_s: 9, daily: {lasts_s: 60}", f"{RAMP}, rate_max_per_s: 12", "rate_per_s: 30"]
LOADS += ["rate_per_s: 9, rate_max_per_s: 20, bursts: [{at_s: 8, arrivals: 50, within_s: 4, every_s: 11}]"]


@pytest.mark.parametrize("load", LOADS)
def test_the_survey_tells_what_the_schedule_holds(load):
    plan = scenario(load, 30, 3)
    found = [a.at_s for a in arrivals(plan)]
    assert found == sorted(found)
    most = max(sum(at_s <= other < at_s + 1 - 1e-9 for other in found) for at_s in found)
    assert (survey(plan).arrivals, survey(plan).peak_per_s) == (len(found), most)


@pytest.mark.parametrize("load", LOADS)
def test_the_beginning_of_a_longer_run_is_the_shorter_one(load):
    def until(end_s: float, found: list[Arrival]) -> list[tuple[float, str, str]]:
        return [(round(a.at_s, 9), a.tenant.key, a.operation) for a in found if a.at_s < end_s]

    shorter, longer = (list(arrivals(scenario(load, duration))) for duration in (20, 50))
    assert until(20, shorter) == until(20, longer)


def test_the_cells_get_what_the_rate_and_the_bursts_give_them():
    load = "rate_per_s: 10, bursts: [{at_s: 18, arrivals: 100, within_s: 4, operation: save_custom}]"
    # 200 at the rate: a quarter on none, all reads; of 150 on some a quarter saves. Half of the burst is inside.
    expected = {("read_case", 0): 50.0, ("read_case", 50): 112.5, ("save_custom", 50): 37.5 + 50}
    assert expected_in_cells(scenario(load)) == pytest.approx(expected)
