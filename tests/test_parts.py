"""The parts of a plan: everything offered by somebody, each case in one hand, each hand as full as the others."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenarios.arrivals import arrivals
from scenarios.errors import InputError
from scenarios.library import parse_scenario
from scenarios.model import Scenario
from scenarios.parts import Parts, refuse_too_many, scaled


def scenario(cohorts: str, load: str = "rate_per_s: 20", more: str = "") -> Scenario:
    text = f"name: law\ncohorts: {cohorts}\nmix: {{read_case: 1, save_standard: 1, send_batch: 1}}\n"
    return parse_scenario(f"{text}load: {{{load}}}\nwarmup_s: 1\nduration_s: 9\n{more}", "law.yaml")


ODD = """{
  none: {custom_fields: 0, cases: 5, share: 0.7},
  some: {custom_fields: 10, tenants: 3, cases: 2, share: 0.2},
  one: {custom_fields: 20, cases: 1, share: 0.1}}"""


@given(st.integers(1, 7), st.integers(0, 2**31))
@settings(max_examples=15)
def test_any_number_of_workers_offers_the_same_arrivals_and_each_case_is_one_workers(workers, seed):
    burst = "bursts: [{at_s: 2, arrivals: 30, operation: send_batch, cohort: some}]"
    plan = scenario(ODD, f"rate_per_s: 20, {burst}", f"seed: {seed}\n")
    parts = Parts(plan, workers)
    shares = [list(parts.arrivals(worker)) for worker in range(workers)]
    assert sorted((one for share in shares for one in share), key=lambda one: one.seq) == list(arrivals(plan))
    cases = [{(one.tenant.key, one.case) for one in share} for share in shares]
    assert sum(map(len, cases)) == len(set().union(*cases))


def test_the_cases_of_each_cohort_are_dealt_out_one_by_one():
    plan = scenario("{none: {custom_fields: 0, cases: 4}, some: {custom_fields: 10, tenants: 2, cases: 3}}")
    parts = Parts(plan, 2)
    hands = [parts.workers_of(np.full(n, tenant), np.arange(n)).tolist() for tenant, n in enumerate((4, 3, 3))]
    assert hands == [[0, 1, 0, 1], [0, 0, 0], [1, 1, 1]]
    assert parts.expected == pytest.approx([0.5, 0.5])


def test_what_cannot_be_shared_evenly_goes_to_whoever_has_the_least():
    """3 cases of .2 each: .4 and .2; then 3 of .4 / 3 each: the one with less gets two of them."""
    plan = scenario(
        "{none: {custom_fields: 0, cases: 3, share: 0.6}, some: {custom_fields: 9, cases: 3, share: 0.4}}"
    )
    assert Parts(plan, 2).expected == pytest.approx([0.4 + 0.4 / 3, 0.2 + 0.8 / 3])


def test_the_share_of_the_arrivals_that_a_worker_gets_is_the_expected_one():
    """Binomial: of 5,000 arrivals a share p has a standard deviation of sqrt(p (1 - p) / 5000) < 0.0071."""
    plan = scenario(ODD, "rate_per_s: 500")
    parts = Parts(plan, 3)
    counts = [sum(1 for _ in parts.arrivals(worker)) for worker in range(3)]
    assert [n / sum(counts) for n in counts] == pytest.approx(parts.expected, abs=0.03)


def test_cases_that_the_target_has_not_are_those_that_it_has_and_stay_in_one_hand():
    plan = scenario("{none: {custom_fields: 0, cases: 10}}")
    parts = Parts(plan, 2, {"law-none-01": 3})
    hands = parts.workers_of(np.zeros(10, np.int64), np.arange(10)).tolist()
    assert hands == [0, 1, 0] * 3 + [0]


@pytest.mark.parametrize(
    ("cases", "load", "told"),
    [
        (3, "rate_per_s: 20", "3 cases in all"),
        (9, "rate_per_s: 20, in_flight_max: 2", "2 open requests at most"),
    ],
)
def test_more_workers_than_there_is_something_for_are_refused(cases, load, told):
    with pytest.raises(InputError, match=f"4 workers are too many for scenario law: it has {told}"):
        refuse_too_many(scenario(f"{{none: {{custom_fields: 0, cases: {cases}}}}}", load), 4)


def test_what_is_bounded_for_the_run_is_shared_out():
    plan = scenario(
        "{none: {custom_fields: 0, cases: 9}}",
        "rate_per_s: 20, in_flight_max: 10",
        "verification: {rate_per_s: 6}\n",
    )
    parts = [scaled(plan, worker, 3) for worker in range(3)]
    assert [one.load.in_flight_max for one in parts] == [4, 3, 3]
    assert [one.verification.rate_per_s for one in parts] == [2, 2, 2]
    assert [one.tenants for one in parts] == [plan.tenants] * 3
