"""A real Request Tracker for tests: prepared for a scenario, served by a child process, always ended."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from targets.request_tracker_prepare import PASSWORD_ENV, READY
from tests.real_system import running_module

#: What those who talk to it need in their environment.
ENVIRON = {PASSWORD_ENV: "only-for-tests"}


@contextmanager
def running_request_tracker(scenario_file: Path, home: Path, *, smtp_port: int) -> Iterator[str]:
    """Prepare and serve a scenario in ``home`` until the block ends; yields the URL.

    Its mail goes to ``smtp_port``.
    """
    words = ["--scenario", str(scenario_file), "--home", str(home), "--serve", "--smtp-port", str(smtp_port)]
    with running_module("targets.request_tracker_prepare", words, READY, ENVIRON) as url:
        yield url
