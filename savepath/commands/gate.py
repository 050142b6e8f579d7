"""``savepath gate``: what a deployment pipeline asks before a release goes out."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option(
    "--state", type=click.Path(path_type=Path), required=True, metavar="DIR", help="The state folder of the watch."
)
def command(state: Path) -> int:
    """Say in one line what the watch of DIR says now; exit 0 for CLEAR, 10 for HOLD, 20 for ESCALATE.

    No state, a broken one, or a watch that has fallen silent is HOLD.

    \b
    Examples:
      savepath gate --state watch/24.4
      savepath gate --state watch/24.4 && ./release.sh
    """
    import time

    from savepath.comparing import exit_code
    from savepath.watching.gatekeeping import ask

    answer = ask(state, time.time())
    click.echo(f"{answer.verdict}: {answer.reason}")
    return exit_code(answer.verdict, "hold")
