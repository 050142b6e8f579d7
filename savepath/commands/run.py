"""``savepath run``: drive a target with a scenario and record what happened."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from savepath.options import (
    OUT_FOLDER,
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
@click.option("--out", type=OUT_FOLDER, required=True, help="The run folder to make; must not hold anything yet.")
@click.option(
    "--pairs",
    type=click.IntRange(1, 1000),
    default=1,
    show_default=True,
    help="Runs to make, one after the other, as OUT/run-01, OUT/run-02, ...: this side of so many pairs.",
)
@click.option("--purpose", default="", help="One sentence on why this run is made; kept in run.json.")
def command(
    scenario: str,
    target: str,
    settings: Sequence[tuple[str, str]],
    labels: Sequence[tuple[str, str]],
    allow_python: bool,
    out: Path,
    pairs: int,
    purpose: str,
) -> None:
    """Drive TARGET as SCENARIO says, check the effects, and keep everything in a run folder.

    \b
    Examples:
      savepath run smoke --target casedesk --out runs/first
      savepath run field-sweep --target my.yaml --pairs 8 --out runs/before --label release=24.3
    """
    from savepath.driving import drive_runs

    folders = [out] if pairs == 1 else [out / f"run-{number:02d}" for number in range(1, pairs + 1)]
    drive_runs(
        scenario,
        target,
        dict(settings),
        folders,
        labels=dict(labels),
        purpose=purpose,
        allow_python=allow_python,
    )
    click.echo(f"recorded: {out}")
    click.echo(f"next: savepath compare --before {out} --after OTHER_RUNS --html report.html")
