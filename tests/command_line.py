"""The command line without a process of its own: fast, and without a terminal."""

from __future__ import annotations

from click.testing import CliRunner, Result

from savepath.cli import cli


def called(*words: object, **env: str) -> Result:
    """What ``savepath WORDS`` printed and returned, in 80 columns."""
    return CliRunner().invoke(
        cli,
        [str(word) for word in words],
        prog_name="savepath",
        standalone_mode=False,
        env={"COLUMNS": "80", **env},
    )
