"""The plan of arrivals, by the laws that it must follow."""

from collections import Counter

import numpy as np
import scipy
from hypothesis import given, settings
from hypothesis import strategies as st

from scenarios.arrivals import arrivals, survey
from scenarios.library import parse_scenario
from scenarios.model import Operation, Scenario


def scenario(seed=1, rate=50.0, kind="poisson", warmup=5.0, duration=60.0) -> Scenario:
    return parse_scenario(
        f"""
name: law
seed: {seed}
cohorts:
  none: {{custom_fields: 0, tenants: 1, share: 0.2}}
  some: {{custom_fields: 50, tenants: 4, share: 0.8}}
mix: {{read_case: 3, save_custom: 1}}
load: {{rate_per_s: {rate}, arrivals: {kind}}}
warmup_s: {warmup}
duration_s: {duration}
""",
        "law.yaml",
    )


@given(seed=st.integers(0, 2**32), rate=st.floats(0.5, 80), warmup=st.floats(0, 12), duration=st.floats(0.5, 25))
@settings(max_examples=25, deadline=None)
def test_the_plan_is_a_pure_function_of_the_seed_rises_and_stays_inside_its_time(seed, rate, warmup, duration):
    plan = scenario(seed, rate, "poisson", warmup, duration)
    first, second = list(arrivals(plan)), list(arrivals(plan))
    times = [a.at_s for a in first]
    assert first == second
    assert times == sorted(times)
    assert all(-warmup <= t <= duration for t in times)
    assert [a.seq for a in first] == list(range(survey(plan).arrivals))


def test_constant_arrivals_are_evenly_spaced_across_blocks():
    times = np.array([a.at_s for a in arrivals(scenario(rate=7, kind="constant", warmup=3, duration=40))])
    assert len(times) == 7 * 43
    assert np.allclose(np.diff(times), 1 / 7)


def test_poisson_gaps_follow_the_exponential_law():
    times = np.array([a.at_s for a in arrivals(scenario(seed=3, duration=400))])
    assert scipy.stats.kstest(np.diff(times), "expon", args=(0, 1 / 50)).pvalue > 0.001


def test_tenants_and_operations_come_in_their_shares():
    plan = list(arrivals(scenario(seed=5, duration=400)))
    n = len(plan)
    cohorts = Counter(a.tenant.cohort for a in plan)
    customs = [a for a in plan if a.operation is Operation.SAVE_CUSTOM]
    tenants = Counter(a.tenant.key for a in plan if a.tenant.cohort == "some")
    assert scipy.stats.binomtest(cohorts["none"], n, 0.2).pvalue > 0.001
    assert scipy.stats.binomtest(len(customs), cohorts["some"], 0.25).pvalue > 0.001
    assert scipy.stats.chisquare(list(tenants.values())).pvalue > 0.001


def test_an_operation_that_a_cohort_cannot_do_never_arrives_there():
    assert {a.operation for a in arrivals(scenario()) if a.tenant.custom_fields == 0} == {Operation.READ_CASE}


def test_cases_are_drawn_from_all_that_the_tenant_has():
    assert {a.case for a in arrivals(scenario(duration=300))} == set(range(20))
