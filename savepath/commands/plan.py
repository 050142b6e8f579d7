"""``savepath plan``: say what a run would offer to a target; sends nothing, or asks by reads whether it can be."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from savepath.exits import Exit
from savepath.options import (
    RUN_FOLDER,
    ManyPaths,
    Percent,
    allow_python_option,
    json_flag,
    production_option,
    quiet_option,
    scenario_argument,
    settings_option,
    target_option,
)


@click.command(cls=ManyPaths)
@scenario_argument
@target_option
@settings_option
@allow_python_option
@production_option
@click.option("--pairs", type=click.IntRange(1, 1000), help="Pairs of runs; the scenario's own number by default.")
@json_flag
@quiet_option
@click.option(
    "--check", is_flag=True, help="Ask the target, by reads alone, whether all is there that a run needs."
)
@click.option(
    "--detect", type=Percent(), help="Say how many pairs of runs tell a change of so much, e.g. 10%, and how long."
)
@click.option(
    "--from",
    "earlier",
    type=RUN_FOLDER,
    multiple=True,
    metavar="RUN...",
    help="Earlier runs, to know the noise by; else that of typical hosts.",
)
@click.pass_context
def command(
    context: click.Context,
    scenario: str,
    target: str,
    settings: Sequence[tuple[str, str]],
    allow_python: bool,
    production: bool,
    pairs: int | None,
    as_json: bool,
    quiet: bool,
    check: bool,
    detect: float | None,
    earlier: tuple[Path, ...],
) -> None:
    """Say what SCENARIO would offer to TARGET: rate, rows, time. No packet is sent to it.

    A plan that is over a quota of the target is told with what to change, and ends with exit code 3; so does one
    for production without --production, a rate cap and test tenants in the mapping, and one whose hosts lead out
    of the networks of the mapping: they are looked up for that.

    With --check the target is asked in place of that, unless the plan is refused: is it reachable, are the
    credentials accepted, are tenants, custom fields and cases there, can its answers be read, may it be cleaned
    up, does its clock agree. Only GET and the login of the mapping are sent. What stands in the way of a run ends
    with exit code 4.

    \b
    Examples:
      savepath plan field-sweep --target casedesk
      savepath plan field-sweep --target my.yaml --check
      savepath plan field-sweep --target my.yaml --detect 10% --from runs/before
      savepath plan my.yaml --target roundup --set base_url=http://127.0.0.1:8080
    """
    if earlier and detect is None:
        raise click.UsageError("--from is of no use without --detect PERCENT.")

    from loadgen.plan import make_plan
    from savepath.planning import plan_as_json, tell_plan
    from savepath.screen import say, suggest
    from scenarios.library import load_scenario
    from targets.mapping import load_target
    from targets.quotas import over_quota
    from targets.safety import refuse_unsafe

    system = load_target(target, dict(settings), allow_python=allow_python)
    plan = make_plan(load_scenario(scenario), system)
    refuse_unsafe(system, plan.scenario.tenant_keys, production=production)
    reasons = over_quota(system, plan.scenario)
    plan = replace(plan, warnings=(*plan.warnings, *reasons))
    wanted = pairs or plan.scenario.pairs
    # What is asked beside the plan loads its libraries only where it is asked.
    ready = True
    asked: dict[str, object] = {"networks": list(system.networks)}
    told: list[str] = []
    if check and not reasons:
        from savepath.checking import answers_as_data, check_target, tell_count

        answers = check_target(system, plan.scenario, (lambda _: None) if as_json or quiet else say)
        ready, asked["checks"] = all(answer.word != "no" for answer in answers), answers_as_data(answers)
        told += [tell_count(answers)] if quiet else []
    if detect is not None:
        from savepath.needs import needs_as_data, needs_of, tell_needs

        needs = needs_of(plan, detect, wanted, earlier)
        asked["detect"] = needs_as_data(needs)
        told.append(f"{'' if quiet else chr(10)}{tell_needs(needs)}")
    if as_json:
        say(plan_as_json(plan, wanted, asked))
    else:
        for text in [*(reasons if check or quiet else [tell_plan(plan, wanted, system.networks)]), *told]:
            say(text)
    if not ready:
        context.exit(Exit.ABORTED)
    if reasons:
        context.exit(Exit.REFUSED)
    same = shlex.join(
        [scenario, "--target", target, *(word for pair in settings for word in ("--set", "=".join(pair)))]
        + ["--production"] * production
    )
    suggest(
        f"savepath run {same} --out runs/first" if check else f"savepath plan {same} --check",
        quiet=quiet or as_json,
    )
