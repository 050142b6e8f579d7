"""``savepath plan``: say what a run would offer to a target; sends nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import click

from savepath.exits import Exit
from savepath.options import allow_python_option, scenario_argument, settings_option, target_option


@click.command()
@scenario_argument
@target_option
@settings_option
@allow_python_option
@click.option("--pairs", type=click.IntRange(1, 1000), help="Pairs of runs; the scenario's own number by default.")
@click.option("--json", "as_json", is_flag=True, help="The plan as JSON on stdout.")
@click.pass_context
def command(
    context: click.Context,
    scenario: str,
    target: str,
    settings: Sequence[tuple[str, str]],
    allow_python: bool,
    pairs: int | None,
    as_json: bool,
) -> None:
    """Say what SCENARIO would offer to TARGET: rate, rows, time. No packet is sent.

    A plan that is over a quota of the target is told with what to change, and ends with exit code 3.

    \b
    Examples:
      savepath plan field-sweep --target casedesk
      savepath plan my.yaml --target roundup --set base_url=http://127.0.0.1:8080 --json
    """
    from loadgen.plan import make_plan
    from savepath.planning import plan_as_json, tell_plan
    from scenarios.library import load_scenario
    from targets.mapping import load_target
    from targets.quotas import over_quota

    system = load_target(target, dict(settings), allow_python=allow_python)
    plan = make_plan(load_scenario(scenario), system)
    reasons = over_quota(system, plan.scenario)
    plan = replace(plan, warnings=(*plan.warnings, *reasons))
    wanted = pairs or plan.scenario.pairs
    click.echo(plan_as_json(plan, wanted) if as_json else tell_plan(plan, wanted))
    if reasons:
        context.exit(Exit.REFUSED)
