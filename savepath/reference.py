"""The command line as a page of the documentation: ``python -m savepath.reference > docs/cli.md``."""

from __future__ import annotations

from collections.abc import Iterator

import click

from savepath.cli import COMMANDS, cli

_WIDTH = 80


def reference() -> str:
    """Every command with its help, in the order of ``savepath --help``, as Markdown."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    group = _context("savepath")
    yield "# Command line\n"
    yield "Made by `make cli-reference` from the helps themselves.\n"
    yield _block(cli, group)
    for name in COMMANDS:
        command = cli.get_command(group, name)
        assert command is not None  # noqa: S101 (COMMANDS names what there is)
        yield f"## {name}\n"
        yield _block(command, _context(name, group))


def _context(name: str, parent: click.Context | None = None) -> click.Context:
    return click.Context(
        cli, info_name=name, parent=parent, terminal_width=_WIDTH, help_option_names=["-h", "--help"]
    )


def _block(command: click.Command, context: click.Context) -> str:
    return f"```text\n{command.get_help(context).rstrip()}\n```\n"


if __name__ == "__main__":
    click.echo(reference(), nl=False)
