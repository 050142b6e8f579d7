"""Failures, by counts whose answer is known."""

import numpy as np
import pandas as pd
import pytest
from analysis_examples import run, samples, sides

from analysis.failures import compare_failures, dispersion, failure_kinds, p_more_failures

READ = ("read_case", 0)


def one_sided(before, after, n=200, cell=READ):
    """Two runs a side of one cell, with failures spread evenly over their minute."""
    return [
        [run(f"{name}{k}", 2 * k + side, samples({cell: 0.1}, n=n, failed=failed)) for k in range(2)]
        for side, (name, failed) in enumerate((("b", before), ("a", after)))
    ]


def operation(findings, name="read_case"):
    return next(one for one in findings if one.operation == name and one.custom_fields is None)


def test_five_failures_all_after_have_p_one_in_32():
    assert p_more_failures(0, 5, 1000, 1000) == pytest.approx(1 / 32)


def test_no_failure_after_is_no_evidence():
    assert p_more_failures(5, 0, 1000, 1000) == 1.0


def test_bursts_divide_the_counts():
    assert p_more_failures(0, 10, 500, 500, phi=2.0) == pytest.approx(1 / 32)


def test_an_unequal_number_of_requests_is_reckoned_with():
    # P(both of two fall on a side with three quarters of the requests)
    assert p_more_failures(0, 2, 250, 750) == pytest.approx((3 / 4) ** 2)


def test_the_dispersion_is_pearsons_by_hand():
    # One run, slices with 0 and 4 failures of equal requests: mu = 2, (4 + 4) / 2 over one degree = 4.
    rows = pd.DataFrame(
        {"side": [0, 0], "run": [0, 0], "t_s": [0.0, 10.0], "requests": [100, 100], "failures": [0, 4]}
    )
    assert dispersion(rows) == pytest.approx(4.0)


def test_the_dispersion_is_never_below_one():
    rows = pd.DataFrame(
        {"side": [0, 0], "run": [0, 0], "t_s": [0.0, 10.0], "requests": [100, 100], "failures": [2, 2]}
    )
    assert dispersion(rows) == 1.0


def test_a_difference_between_the_sides_is_no_burst():
    rows = pd.DataFrame(
        {
            "side": [0, 0, 1, 1],
            "run": [0, 0, 1, 1],
            "t_s": [0.0, 10.0] * 2,
            "requests": [100] * 4,
            "failures": [1, 1, 50, 50],
        }
    )
    assert dispersion(rows) == 1.0


def test_many_more_failures_fire():
    found = operation(compare_failures(*one_sided(1, 30)))
    assert (found.before, found.after, found.requests_before, found.requests_after) == (2, 60, 402, 460)
    assert found.fires


def test_as_many_failures_as_before_do_not_fire():
    assert not operation(compare_failures(*one_sided(20, 20))).fires


def test_fewer_failures_never_fire():
    found = operation(compare_failures(*one_sided(30, 1)))
    assert not found.fires
    assert found.high < 0


def test_one_burst_does_not_fire_though_as_many_failures_would():
    # 14 failures at one moment: as binomial counts p is 2^-14, as one event it is one in two.
    burst = samples({READ: 0.1}, n=200, failed=14)
    burst.loc[burst["outcome"] != "ok", "scheduled_s"] = 31.0
    before = [run(f"b{k}", 4 * k) for k in range(4)]
    after = [run(f"a{k}", 4 * k + 2, burst if k == 0 else None) for k in range(4)]
    assert p_more_failures(0, 14, 1000, 1000) < 1e-4
    assert not operation(compare_failures(before, after)).fires


def test_the_interval_of_the_difference_is_newcombes():
    # Newcombe 1998, table II (a), method 10: 56/70 - 48/80 = .2 from .0524 to .3339.
    tables = [
        pd.DataFrame(
            {
                "arm": "",
                "operation": "read_case",
                "custom_fields": 0,
                "scheduled_s": 1.0,
                "sent_s": 1.0,
                "done_s": 1.1,
                "outcome": ["http_error"] * failed + ["ok"] * (n - failed),
                "detail": "",
            },
            index=range(n),
        )
        for failed, n in ((48, 80), (56, 70))
    ]
    found = operation(compare_failures([run("b", 0, tables[0])], [run("a", 2, tables[1])]))
    assert (found.low, found.high) == (pytest.approx(0.0524, abs=1e-4), pytest.approx(0.3339, abs=1e-4))


def test_operations_without_a_failure_are_listed_with_zeros():
    found = operation(compare_failures(*one_sided(0, 0)))
    assert (found.before, found.after, found.fires) == (0, 0, False)
    assert found.low < 0 < found.high


def test_a_cell_is_listed_only_where_ten_failures_are_expected():
    few, many = compare_failures(*one_sided(2, 2)), compare_failures(*one_sided(20, 20))
    assert [one.custom_fields for one in few] == [None]
    assert [one.custom_fields for one in many] == [None, 0]


def test_an_operation_that_fails_does_not_fire_for_its_neighbours():
    before, after = sides(4, cells={READ: 0.1, ("send_email", 0): 0.2})
    broken = [
        run(f"x{k}", 4 * k + 2, pd.concat([samples({READ: 0.1}), samples({("send_email", 0): 0.2}, failed=25)]))
        for k in range(4)
    ]
    found = compare_failures(before, broken)
    assert {one.operation for one in found if one.fires} == {"send_email"}
    assert len(after) == len(broken)


def test_kinds_are_counted_on_both_sides_with_the_operations_they_fell_on():
    before = [run("b", 0, samples({READ: 0.1}, failed=2))]
    after = [run("a", 2, samples({READ: 0.1, ("send_email", 0): 0.1}, failed=3, outcome="timeout", detail=""))]
    assert [(k.outcome, k.detail, k.before, k.after, k.where) for k in failure_kinds(before, after)] == [
        ("timeout", "", 0, 6, ("read_case", "send_email")),
        ("http_error", "http 503", 2, 0, ("read_case",)),
    ]


def test_failures_unchanged_fire_in_no_more_than_a_hundredth():
    rng, n, fired = np.random.default_rng(11), 2000, 0
    for _ in range(400):
        p_values = [p_more_failures(int(b), int(a), n, n) for b, a in rng.poisson(6, (5, 2))]
        fired += min(p_values) < 0.01 / 5
    assert fired / 400 <= 0.01 + 3 * np.sqrt(0.01 * 0.99 / 400)
