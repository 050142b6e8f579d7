"""``savepath clean``: remove from a target what runs have made there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from savepath.options import (
    RUN_FOLDER,
    Shipped,
    allow_python_option,
    json_flag,
    production_option,
    quiet_option,
    settings_option,
)


@click.command()
@click.argument("runs", metavar="RUN...", type=RUN_FOLDER, nargs=-1, required=True)
@click.option("--target", metavar="TARGET", type=Shipped("targets"), help="In place of the runs' own.")
@settings_option
@allow_python_option
@production_option
@json_flag
@quiet_option
def command(
    runs: Sequence[Path],
    target: str | None,
    settings: Sequence[tuple[str, str]],
    allow_python: bool,
    production: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Remove what the RUNs have made on their targets: tenants, fields, cases, and what saves and mails left.

    RUN is a run folder, a folder of runs or the state of a watch, whole or killed in the middle. What was there
    before is not touched. Each thing is looked for again after its removal was answered, and what is left is
    told with the reason (exit code 4). Called again, it tries again what is left.

    \b
    Examples:
      savepath clean runs/first
      savepath clean runs/before --set base_url=https://new.example.test
    """
    from savepath.cleaned import cleaned_as_json, exit_code, tell_cleaned, tell_count
    from savepath.cleaning import Choice, clean
    from savepath.screen import note, say

    choice = Choice(target, dict(settings), allow_python, production)
    cleaned = clean(runs, choice, (lambda _: None) if quiet or as_json else note)
    if as_json:
        say(cleaned_as_json(cleaned))
    else:
        say(tell_count(cleaned) if quiet else tell_cleaned(cleaned))
    return exit_code(cleaned)
