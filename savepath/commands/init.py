"""``savepath init``: a folder to begin with."""

from __future__ import annotations

from pathlib import Path

import click

from savepath.options import quiet_option


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@quiet_option
def command(folder: Path, quiet: bool) -> None:
    """Lay out DIR to begin with: a scenario, a mapping with every key explained, the names of the secrets,
    pipelines for GitHub, GitLab and Jenkins, and a README. What is there already is left alone.

    \b
    Examples:
      savepath init load-tests
      savepath init .
    """
    from savepath.scaffolding import lay_out
    from savepath.screen import say, suggest

    for name, written in lay_out(folder).items():
        say(f"{'wrote' if written else 'left alone, it was there':<25}{folder / name}")
    scenario, target = folder / "scenario.yaml", folder / "target.yaml"
    suggest(
        "savepath desk, and in another terminal",
        f"savepath plan {scenario} --target {target} --check",
        quiet=quiet,
    )
