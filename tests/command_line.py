"""The command line: without a process of its own, fast and without a terminal, or as one where it matters."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from click.testing import CliRunner, Result

from savepath.cli import cli, main


def called(*words: object, **env: str) -> Result:
    """What ``savepath WORDS`` printed and returned, in 80 columns; an error is kept as it was raised."""
    return CliRunner().invoke(
        cli,
        [str(word) for word in words],
        prog_name="savepath",
        standalone_mode=False,
        env={"COLUMNS": "80", **env},
    )


def savepath(*words: object, cwd: Path | str = ".") -> subprocess.CompletedProcess[str]:
    """``savepath WORDS`` as a shell sees it, errors told and turned into exit codes; without a process."""
    code: object = None
    with CliRunner().isolation(env={"COLUMNS": "80"}) as (out, err, _), contextlib.chdir(cwd):
        try:
            main([str(word) for word in words])
        except SystemExit as end:
            code = end.code
        sys.stdout.flush()
        sys.stderr.flush()
        said = [stream.getvalue().decode() for stream in (out, err)]
    assert isinstance(code, int)
    return subprocess.CompletedProcess([*words], code, *said)


def spawned(*words: object, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """``savepath WORDS`` in a process of its own, with ``env`` added to the environment."""
    return subprocess.run(
        [sys.executable, "-m", "savepath", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=330,
        env={**os.environ, **(env or {})},
    )
