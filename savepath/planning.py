"""A plan in words and as JSON."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence

from loadgen.plan import Plan
from reports.console import plain_table, printed
from reports.units import count, counted, duration, share
from scenarios.load import Users
from scenarios.model import Scenario


def tell_plan(plan: Plan, pairs: int, networks: Sequence[str] = ()) -> str:
    """What the plan offers, for people, in 80 columns; ``networks`` are those that the target may stand in."""
    scenario = plan.scenario
    lines = textwrap.wrap(f"{scenario.name}: {scenario.about}".rstrip(": "), 80)
    lines += [f"target {plan.target_name}"]
    if networks:
        lines += textwrap.wrap(f"connections only into {', '.join(networks)}", 80)
    lines.append("")
    lines.append(_cohorts(scenario))
    total = sum(scenario.mix.values())
    mix = ", ".join(f"{op} {weight / total:.0%}" for op, weight in scenario.mix.items() if weight)
    each = plan.duration_s
    lines += [
        "",
        f"offered     {_folded(_offered(plan))}",
        f"mix         {_folded(mix)}",
        f"one run     {duration(scenario.warmup_s)} warm-up + {duration(scenario.duration_s)} measured, "
        f"{'at most about ' if plan.is_closed else ''}{plan.arrivals_expected:,} arrivals",
        f"writes      {plan.rows:,} rows, at most {_size(plan.disk.most)} while it lasts, {_size(plan.disk.kept)} "
        "afterwards",
        f"in all      {pairs} pairs = {2 * pairs} runs, {duration(2 * pairs * each)} and the time between them, "
        f"{_size(2 * pairs * plan.disk.kept)}",
        f"ends at     {_folded('; '.join(scenario.abort) or 'no abort rule')}",
        f"digest      {plan.digest[:16]}",
    ]
    lines += [f"note        {_folded(warning)}" for warning in plan.warnings]
    lines += ["", "Nothing was sent."]
    return "\n".join(lines)


def _size(size: int) -> str:
    """Bytes, for people."""
    if size < 1e6:
        return f"{size / 1e3:,.0f} KB"
    return f"{size / 1e6:,.1f} MB" if size < 1e8 else f"{size / 1e6:,.0f} MB"


def _cohorts(scenario: Scenario) -> str:
    table = plain_table()
    table.add_column("cohort", overflow="fold", max_width=30)
    for name in ("fields", "tenants", "cases", "scripts", "share"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, cohort in scenario.cohorts.items():
        table.add_row(
            name,
            count(cohort.custom_fields),
            count(cohort.tenants),
            count(cohort.cases * cohort.tenants),
            count(cohort.scripts_on_save),
            share(scenario.share_of(name)),
        )
    return printed([table]).rstrip("\n")


def plan_as_json(plan: Plan, pairs: int, asked: Mapping[str, object]) -> str:
    """The same as JSON, with the units in the names, and the answers to what was ``asked`` beside it."""
    return json.dumps(
        {
            "scenario": plan.scenario.model_dump(mode="json"),
            "target": plan.target_name,
            "digest": plan.digest,
            "peak_rate_per_s": plan.peak_rate_per_s,
            "arrivals": plan.arrivals_expected,
            "rows": plan.rows,
            "bytes": plan.disk.most,
            "bytes_kept": plan.disk.kept,
            "duration_s": plan.duration_s,
            "pairs": pairs,
            "duration_of_all_s": 2 * pairs * plan.duration_s,
            "warnings": list(plan.warnings),
            **asked,
        },
        indent=2,
    )


def _offered(plan: Plan) -> str:
    """What the load is, in a few words."""
    load, mean = plan.scenario.load, f"{plan.arrivals_expected / plan.duration_s:.3g} arrivals/s on average"
    if load.users:
        parts = [f"{tell_users(load.users)}; {load.by_users_per_s:.3g} arrivals/s if all answers came at once"]
    elif load.recording:
        parts = [f"{mean} from {load.replay}"]
    elif load.is_steady:
        parts = [f"{load.rate_per_s:g} arrivals/s ({load.arrivals})"]
    else:
        curve = load.curve(warmup_s=plan.scenario.warmup_s, duration_s=plan.scenario.duration_s)
        parts = [f"{curve.lowest:g} to {curve.highest:g} arrivals/s ({load.arrivals})"]
    for burst in load.bursts:
        times = f"every {duration(burst.every_s)}" if burst.every_s else f"at {duration(burst.at_s)}"
        parts.append(f"{burst.arrivals:,} {burst.operation or 'more'} {times}")
    if load.bursts and not load.recording:
        parts.append(f"in all {mean}")
    if not load.users:
        parts.append(f"at most {plan.peak_rate_per_s:g} in one second")
    return ", ".join(parts)


def tell_users(users: Users) -> str:
    """The users of a closed loop, for people."""
    often = "always" if users.think_times == "constant" else "on average"
    return f"{counted(users.count, 'user')} with {users.think_s:g} s to think between answer and request ({often})"


def _folded(text: str) -> str:
    return ("\n" + " " * 12).join(textwrap.wrap(text, 66))
