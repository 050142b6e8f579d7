"""A real PocketBase for tests: prepared for a scenario, served by a child process, always ended."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from targets.pocketbase_prepare import PASSWORD_ENV, READY
from tests.real_system import running_module

#: What those who talk to it need in their environment.
ENVIRON = {PASSWORD_ENV: "only-for-tests"}


@contextmanager
def running_pocketbase(scenario_file: Path, home: Path) -> Iterator[str]:
    """Prepare and serve a scenario in ``home`` until the block ends; yields the URL."""
    words = ["--scenario", str(scenario_file), "--home", str(home), "--serve"]
    with running_module("targets.pocketbase_prepare", words, READY, ENVIRON) as url:
        yield url
