"""Quotas of a target: whether a plan keeps within them, before anything is sent.

Hosted systems bind the rate per account, tenant and record long before they are slow. A run that meets
a quota measures the quota.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

from scenarios.arms import ARMS, arm_of
from scenarios.arrivals import Arrival, arrivals
from scenarios.errors import Refused
from scenarios.model import Operation, Scenario
from scenarios.users import arrivals_at_most
from targets.forms import compile_form
from targets.model import Quota, Target

#: Where the rate of a scenario does not change, the beginning of a long one is looked at.
ARRIVALS_MAX: Final = 200_000
#: Times of evenly spaced arrivals are sums of fractions: nearer than this they are the same.
_INSTANT_S: Final = 1e-6
#: Each run tosses its arms anew; one toss stands for all of them.
_ANY_RUN: Final = "quota"


def over_quota(target: Target, scenario: Scenario, *, at_once: bool = False) -> tuple[str, ...]:
    """Why the plan is over the target's quotas, with numbers and what to change; nothing if it is not.

    Counted are the requests of the arrivals in the moments in which they are planned (of the first 200,000, where
    the rate does not change), with the reads before them and each mail of a batch that is sent one by one. To a
    quota of the whole account the verification comes, at the rate that the scenario allows it. Polls of
    ``run_script`` are a part of that rate wherever there are quotas. ``at_once``: another target gets half of the
    arrivals.
    """
    if not target.limits:
        return ()
    planned = arrivals_at_most(scenario) if scenario.load.users else arrivals(scenario)
    whole = (one for one in planned if not at_once or arm_of(_ANY_RUN, one.seq) == ARMS[0])
    plan = list(islice(whole, ARRIVALS_MAX if scenario.load.is_steady and not scenario.load.bursts else None))
    costs = {op: _cost(target, op, scenario) for op in Operation}
    reasons = [_reason(target, scenario, quota, plan, costs) for quota in target.limits]
    return tuple(reason for reason in reasons if reason)


def refuse_over_quota(target: Target, scenario: Scenario, *, at_once: bool = False) -> None:
    """Raises Refused with every quota that the plan is over."""
    reasons = over_quota(target, scenario, at_once=at_once)
    if reasons:
        raise Refused("\n".join(reasons))


@dataclass(frozen=True, slots=True)
class _Cost:
    """What one arrival of an operation asks of the target."""

    requests: int
    on_record: bool


def _cost(target: Target, operation: Operation, scenario: Scenario) -> _Cost:
    mapping = target.mapping_of(operation) if target.supports(operation) else None
    if mapping is None:
        return _Cost(0, False)
    names = compile_form(mapping.request).names
    return _Cost(_sends(operation, names, scenario) + bool(mapping.precondition), "case" in names)


def _sends(operation: Operation, names: frozenset[str], scenario: Scenario) -> int:
    return scenario.batch_size if operation is Operation.SEND_BATCH and "mail" in names else 1


@dataclass(frozen=True, slots=True)
class _Peak:
    """The most requests in one time of a quota, and whose they are."""

    requests: int
    key: tuple[str, ...]


def _reason(
    target: Target, scenario: Scenario, quota: Quota, plan: Iterable[Arrival], costs: Mapping[Operation, _Cost]
) -> str | None:
    peak = _peak(quota, plan, costs)
    offered = [op for op, weight in scenario.mix.items() if weight and op in (quota.operations or Operation)]
    checks = math.ceil(scenario.verification.rate_per_s * quota.in_s) if _is_verified(target, quota) else 0
    if not offered or peak.requests + checks <= quota.requests:
        return None
    of = f" ({', '.join(quota.operations)})" if quota.operations else ""
    whose = {"account": "", "tenant": " of tenant ", "record": " of case "}[quota.per] + " number ".join(peak.key)
    said = (
        f"{target.name} allows {quota.requests:,} requests in {quota.in_s:g} s per {quota.per}{of}; "
        f"the plan sends up to {peak.requests:,}{whose}"
    )
    less = "load.users.count" if scenario.load.users else "load.rate_per_s"
    if checks and peak.requests < quota.requests:
        rate = (quota.requests - peak.requests) / quota.in_s
        return (
            f"{said} and its verification {checks:,}; set verification.rate_per_s to {_down(rate)} or less "
            f"or lower {less}"
        )
    other = {"account": "", "tenant": ", or spread it over more tenants", "record": ", or over more cases"}
    largest = max(offered, key=lambda op: costs[op].requests)
    if costs[largest].requests > quota.requests:
        remedy = "lower batch_size" if largest is Operation.SEND_BATCH else "leave it out of the mix"
        return f"{said}; a single {largest} takes {costs[largest].requests:,}: {remedy}"
    share, load = quota.requests / peak.requests, scenario.load
    if load.users:
        count = math.floor(load.users.count * share)
        how = f"set load.users.count to {count:,} or less" if count else "let load.users.think_s be longer"
        return f"{said}; {how} (they are {load.users.count:,}){other[quota.per]}"
    if load.rate_per_s is None:
        return f"{said}; leave {1 - share:.0%} or more of the arrivals out of {load.replay}{other[quota.per]}"
    rate, now = load.rate_per_s * share, f" (it is {load.rate_per_s:g})"
    return f"{said}; set load.rate_per_s to {_down(rate)} or less{now}{other[quota.per]}"


def _is_verified(target: Target, quota: Quota) -> bool:
    verify = target.verify
    looks = [lookup for lookup in (verify.scripts, verify.mails) if lookup and lookup.base_url is None]
    return quota.per == "account" and not quota.operations and bool(looks or verify.values)


def _peak(quota: Quota, plan: Iterable[Arrival], costs: Mapping[Operation, _Cost]) -> _Peak:
    """The largest sum of requests in any stretch of ``in_s``, over all keys."""
    open_ones: dict[tuple[str, ...], deque[tuple[float, int]]] = {}
    sums: dict[tuple[str, ...], int] = {}
    most = _Peak(0, ())
    for arrival in plan:
        cost = costs[arrival.operation]
        if quota.operations and arrival.operation not in quota.operations:
            continue
        if not cost.requests or (quota.per == "record" and not cost.on_record):
            continue
        key = _key(quota, arrival)
        window = open_ones.setdefault(key, deque())
        window.append((arrival.at_s, cost.requests))
        total = sums.get(key, 0) + cost.requests
        while window[0][0] <= arrival.at_s - quota.in_s + _INSTANT_S:
            total -= window.popleft()[1]
        sums[key] = total
        if total > most.requests:
            most = _Peak(total, key)
    return most


def _key(quota: Quota, arrival: Arrival) -> tuple[str, ...]:
    match quota.per:
        case "account":
            return ()
        case "tenant":
            return (arrival.tenant.key,)
        case "record":
            return (arrival.tenant.key, str(arrival.case + 1))


def _down(rate: float) -> str:
    """A rate to two digits, rounded down."""
    digits = 1 - math.floor(math.log10(rate))
    return f"{math.floor(rate * 10**digits) / 10**digits:g}"
