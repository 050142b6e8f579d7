"""A real Roundup for tests: prepared for a scenario, served by a child process, always ended."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from targets.roundup_prepare import PASSWORD_ENV, READY
from tests.real_system import running_module

#: What those who talk to it need in their environment.
ENVIRON = {PASSWORD_ENV: "only-for-tests"}


@contextmanager
def running_roundup(
    scenario_file: Path,
    home: Path,
    environment: Mapping[str, str] = {},
    *,
    smtp_port: int = 0,
    postgres: str = "",
) -> Iterator[str]:
    """Prepare and serve the trackers of a scenario in ``home`` until the block ends; yields the URL.

    ``environment`` is for the server (the shim of a slow disk, say), ``smtp_port`` where its mail
    goes, ``postgres`` where PostgreSQL is.
    """
    words = ["--scenario", str(scenario_file), "--home", str(home), "--serve"]
    words += ["--smtp-port", str(smtp_port)] if smtp_port else []
    words += ["--postgres", postgres] if postgres else []
    with running_module("targets.roundup_prepare", words, READY, {**ENVIRON, **environment}) as url:
        yield url
