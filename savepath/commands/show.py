"""``savepath show``: one run by itself."""

from __future__ import annotations

from pathlib import Path

import click

from savepath.options import RUN_FOLDER, json_flag, no_color_option, quiet_option


@click.command()
@click.argument("run", metavar="RUN", type=RUN_FOLDER)
@json_flag
@quiet_option
@no_color_option
def command(run: Path, as_json: bool, quiet: bool, no_color: bool) -> None:
    """Tell one run by itself: percentiles with their ranges, failures by kind, what became of saves, scripts and
    mails, objectives, the generator's health, the ledger, the target's own words about itself.

    It is no comparison: how much two runs of the same system differ, one run cannot tell.

    \b
    Examples:
      savepath show runs/first
      savepath show runs/before/run-01 --json | jq '.accounts[].cells'
    """
    from savepath.screen import say, suggest, wants_color, width
    from savepath.showing import run_as_json, show_run, tell_line, tell_run

    shown = show_run(run)
    if as_json:
        say(run_as_json(shown))
    elif quiet:
        say(tell_line(shown))
    else:
        say(tell_run(shown, width=width(), color=wants_color(no_color)))
    sides = f"--both {run}" if shown.info.arms else f"--before {run} --after OTHER_RUNS"
    suggest(f"savepath compare {sides} --html report.html", quiet=quiet or as_json)
