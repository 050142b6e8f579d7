"""``savepath run``: drive a target with a scenario and record what happened."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from savepath.options import (
    OUT_FOLDER,
    KeyValue,
    allow_python_option,
    label_option,
    scenario_argument,
    settings_option,
    target_option,
)


@click.command()
@scenario_argument
@target_option
@settings_option
@label_option
@allow_python_option
@click.option("--versus", metavar="TARGET", help="A second target, driven at once; chance decides.")
@click.option("--versus-set", type=KeyValue(), multiple=True, help="A variable of the target of --versus.")
@click.option("--alternate", metavar="TARGET", help="A second target, driven by turns.")
@click.option("--alternate-set", type=KeyValue(), multiple=True, help="A variable of the target of --alternate.")
@click.option("--out", type=OUT_FOLDER, required=True, help="The run folder to make; must not hold anything yet.")
@click.option(
    "--pairs",
    type=click.IntRange(1, 1000),
    help="Runs to make, as OUT/run-01, OUT/run-02, ...: one by default, or with --versus and --alternate as "
    "many as the scenario says.",
)
@click.option("--purpose", default="", help="One sentence on why this run is made; kept in run.json.")
def command(
    scenario: str,
    target: str,
    settings: Sequence[tuple[str, str]],
    labels: Sequence[tuple[str, str]],
    allow_python: bool,
    versus: str | None,
    versus_set: Sequence[tuple[str, str]],
    alternate: str | None,
    alternate_set: Sequence[tuple[str, str]],
    out: Path,
    pairs: int | None,
    purpose: str,
) -> None:
    """Drive TARGET as SCENARIO says, check the effects, and keep everything in run folders.

    Secrets of a second target are looked for as VERSUS_NAME before NAME.

    \b
    Examples:
      savepath run smoke --target casedesk --out runs/first
      savepath run field-sweep --target my.yaml --pairs 8 --out runs/before --label release=24.3
      savepath run field-sweep --target my.yaml --versus my.yaml \\
          --versus-set base_url=https://new.example.test --out runs/old-and-new
    """
    if versus and alternate:
        raise click.UsageError("--versus drives two targets at once and --alternate in turn; choose one.")
    for flag, other, words in (("--versus", versus, versus_set), ("--alternate", alternate, alternate_set)):
        if words and not other:
            raise click.UsageError(f"{flag}-set is of no use without {flag} TARGET.")

    from loadgen.chosen import ChosenTarget
    from savepath.driving import AFTER, BEFORE, Drive, drive_runs, in_turns, runs_of
    from scenarios.library import load_scenario

    targets = {BEFORE: ChosenTarget(target, dict(settings))}
    if versus or alternate:
        targets[AFTER] = ChosenTarget(versus or alternate or "", dict(versus_set or alternate_set))
    number = pairs or (load_scenario(scenario).pairs if AFTER in targets else 1)
    turns = list(in_turns(out, number)) if alternate else runs_of(tuple(targets), out, number)
    drive_runs(Drive(scenario, targets, dict(labels), purpose, allow_python), turns)
    click.echo(f"recorded: {out}")
    if alternate:
        click.echo(f"next: savepath compare --before {out / BEFORE} --after {out / AFTER} --html report.html")
    elif versus:
        click.echo(f"next: savepath compare --both {out} --html report.html")
    else:
        click.echo(f"next: savepath compare --before {out} --after OTHER_RUNS --html report.html")
