"""``savepath worker``: drive a part of runs that another machine leads."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from savepath.options import Listen, allow_python_option

if TYPE_CHECKING:
    from savepath.listening import Address


@click.command()
@click.option("--master", type=Listen(), required=True, help="Where savepath run --listen waits for workers.")
@click.option("--token-env", metavar="NAME", default="", help="The variable with the token of that run.")
@click.option(
    "--wait",
    type=click.FloatRange(1, 86_400),
    default=60.0,
    show_default=True,
    help="Seconds to wait for a run, and for the next one.",
)
@allow_python_option
def command(master: Address, token_env: str, wait: float, allow_python: bool) -> None:
    """Take part in the runs that are led at MASTER, one after the other, until there is none.

    The part, the scenario and the mapping come from there; secrets of the target are looked for in the environment
    here. What is recorded is sent home while the run lasts.

    \b
    Examples:
      savepath worker --master 10.0.0.1:8720 --token-env SAVEPATH_TOKEN
      savepath worker --master 127.0.0.1:8720 --wait 3600
    """
    if token_env:
        from savepath.secret import needed

        needed("--token-env", token_env)
    words = [sys.executable, "-m", "loadgen.worker", "--master", f"{master.host}:{master.port}"]
    words += ["--wait", f"{wait:g}"]
    words += ["--token-env", token_env] if token_env else []
    words += ["--allow-python"] if allow_python else []
    os.execv(sys.executable, words)  # noqa: S606  # in place of this process, so that signals reach it
