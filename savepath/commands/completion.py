"""``savepath completion``: what a shell needs to complete savepath's commands, options and names."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from savepath.options import OneOf


@click.command()
@click.argument("shell", type=OneOf(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the script that makes SHELL complete commands, options, scenarios and targets.

    \b
    Examples:
      eval "$(savepath completion bash)"    # in ~/.bashrc for every shell
      eval "$(savepath completion zsh)"     # in ~/.zshrc
      savepath completion fish > ~/.config/fish/completions/savepath.fish
    """
    from savepath.cli import cli

    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 (click knows these three)
    click.echo(kind(cli, {}, "savepath", "_SAVEPATH_COMPLETE").source())
