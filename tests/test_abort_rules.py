"""Abort rules: what people write, and when the guard ends a run by them."""

import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from loadgen.guard import Guard, Watch, memory_bytes
from loadgen.health import Health
from scenarios.abort_rules import parse_abort_rule
from scenarios.errors import InputError
from scenarios.library import parse_scenario

SCENARIO = """
name: acme
cohorts: {plain: {custom_fields: 0}}
mix: {read_case: 1}
load: {rate_per_s: 5}
duration_s: 60
abort:
"""


class Machine:
    """A clock and what the kernel tells, as a test wants them."""

    def __init__(self, folder: Path) -> None:
        self.wall_s, self.waited_s, self._file = 100.0, 0.0, folder / "schedstat"
        self._write()
        self.health = Health(wall=lambda: self.wall_s, schedstat=self._file)
        self.health.start()

    def second(self, *lags_s: float, waited_s: float = 0.0) -> None:
        for lag_s in lags_s:
            self.health.note_lag(lag_s)
        self.wall_s += 1
        self.waited_s += waited_s
        self._write()
        self.health.tick()

    def _write(self) -> None:
        self._file.write_text(f"0 {self.waited_s * 1e9:.0f} 0\n")


def watch(rule: str, seconds: Sequence[Sequence[tuple[str, float]]]) -> list[str]:
    """What is said after each second; a finished request is its outcome and its response time."""
    watched, said = Watch([parse_abort_rule(rule)]), []
    for second in seconds:
        for outcome, response_s in second:
            watched.note(outcome, 0.0, response_s)
        said.append(watched.reason())
    return said


def guard(rule: str, machine: Machine) -> str:
    return Guard([parse_abort_rule(rule)], {}, machine.health, Path()).reason()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("failures > 50 % over 30 s", ("failures", 0.5, 30)),
        ("timeouts > 10% over 1 min", ("timeouts", 0.1, 60)),
        ("p99 > 20 s", ("quantile", 20, 30)),
        ("schedule lag > 100 ms over 10 s", ("schedule lag", 0.1, 10)),
        ("run-queue delay > 50 %", ("run-queue delay", 0.5, 30)),
        ("memory > 2 GB", ("memory", 2e9, 0)),
        ("disk free < 500 MB", ("disk free", 5e8, 0)),
    ],
)
def test_a_rule_says_what_is_looked_at_how_far_and_for_how_long(text, expected):
    rule = parse_abort_rule(text)
    assert (rule.measure, rule.limit, rule.over_s) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("stop it", "is no abort rule; expected something like: failures > 50 %"),
        ("failure > 50 %", "'failure' is not known (did you mean failures?)"),
        ("failures < 50 %", "found <; a run ends where failures > LIMIT"),
        ("disk free > 1 GB", "found >; a run ends where disk free < LIMIT"),
        ("p99 > 20 %", "the limit of p99 has ms or s or min behind its number"),
        ("memory > 2 GB over 10 s", "memory is looked at each second; leave out over"),
        ("failures > 50 % over 2 h", "over takes a time in s or min"),
        ("failures > 50 % over 20 min", "over takes 1 s to 10 min"),
        ("failures > 5.5.5 %", "'5.5.5' is no number"),
    ],
)
def test_a_mistake_of_a_rule_is_told_with_its_place(text, said):
    with pytest.raises(InputError) as caught:
        parse_scenario(f"{SCENARIO}  - disk free < 1 GB\n  - {text}\n", "s.yaml")
    (problem,) = caught.value.problems
    assert (str(problem).startswith("s.yaml:9:5: abort[1]: "), said in str(problem)) == (True, True)


def test_a_share_of_failures_over_its_limit_ends_the_run_once_the_window_is_full():
    ten = [("ok", 0.1)] * 4 + [("http_error", 0.1)] * 6
    said = watch("failures > 50 % over 3 s", [ten] * 3)
    assert said == ["", "", "failures > 50 % over 3 s: it is 60.0%"]


def test_what_left_the_window_no_longer_counts():
    bad, good = [("http_error", 0.1)] * 20, [("ok", 0.1)] * 20
    assert watch("failures > 50 % over 3 s", [bad, good, good, bad, bad])[2:] == [
        "",
        "",
        "failures > 50 % over 3 s: it is 66.7%",
    ]


def test_a_share_on_its_limit_is_no_reason():
    assert watch("failures > 50 % over 1 s", [[("ok", 0)] * 10 + [("invalid", 0)] * 10]) == [""]


def test_nineteen_requests_say_nothing():
    assert watch("failures > 50 % over 1 s", [[("invalid", 0)] * 19]) == [""]


def test_only_what_had_no_answer_in_time_is_a_timeout():
    second = [("timeout", 30)] * 3 + [("http_error", 1)] * 17
    assert watch("timeouts > 10 % over 1 s", [second]) == ["timeouts > 10 % over 1 s: it is 15.0%"]
    assert watch("timeouts > 15 % over 1 s", [second]) == [""]


def test_a_percentile_is_that_of_all_requests_in_the_window():
    # 2 of 100 took 8 s: the p99 lies among them, the p95 does not.
    seconds = [[("ok", 0.1)] * 49 + [("ok", 8.0)]] * 2
    assert watch("p99 > 5 s over 2 s", seconds) == ["", "p99 > 5 s over 2 s: it is 8 s"]
    assert watch("p95 > 5 s over 2 s", seconds) == ["", ""]


def test_the_generators_own_lateness_ends_a_run(tmp_path):
    machine = Machine(tmp_path)
    for _ in range(3):
        assert guard("schedule lag > 100 ms over 3 s", machine) == ""
        machine.second(*[0.001] * 48, 0.2, 0.3)
    assert guard("schedule lag > 100 ms over 3 s", machine) == "schedule lag > 100 ms over 3 s: it is 300 ms"


def test_a_wait_for_a_core_ends_a_run(tmp_path):
    machine = Machine(tmp_path)
    for waited_s in (0.9, 0.2, 0.6):
        machine.second(waited_s=waited_s)
    assert guard("run-queue delay > 30 % over 2 s", machine) == "run-queue delay > 30 % over 2 s: it is 40.0%"
    assert guard("run-queue delay > 50 % over 2 s", machine) == ""


def test_memory_and_disk_are_looked_at_each_second(tmp_path):
    machine = Machine(tmp_path)
    assert guard("memory > 1 MB", machine).startswith("memory > 1 MB: it is ")
    assert guard("disk free < 999999 GB", machine).startswith("disk free < 999999 GB: it is ")
    assert (guard("memory > 900 GB", machine), guard("disk free < 1 MB", machine)) == ("", "")


def test_where_the_system_does_not_tell_its_memory_no_rule_is_broken(tmp_path):
    assert math.isnan(memory_bytes(tmp_path / "nothing"))
    assert not parse_abort_rule("memory > 1 MB").broken_by(math.nan)


def test_of_two_targets_the_one_to_blame_is_named(tmp_path):
    rule = parse_abort_rule("failures > 50 % over 1 s")
    watches = {"before (http://old)": Watch([rule]), "after (http://new)": Watch([rule])}
    for name, outcome in (("before (http://old)", "ok"), ("after (http://new)", "invalid")):
        for _ in range(20):
            watches[name].note(outcome, 0.0)
    said = Guard([rule], watches, Machine(tmp_path).health, tmp_path).reason()
    assert said == "after (http://new): failures > 50 % over 1 s: it is 100.0%"
