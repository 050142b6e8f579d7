"""A real Roundup for tests: prepared for a scenario, served by a child process, always ended."""

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from targets.roundup_prepare import PASSWORD_ENV, READY

#: What those who talk to it need in their environment.
ENVIRON = {PASSWORD_ENV: "only-for-tests"}
START_S = 60


@contextmanager
def running_roundup(scenario_file: Path, home: Path) -> Iterator[str]:
    """Prepare and serve the trackers of a scenario in ``home`` until the block ends; yields the URL."""
    words = ["-m", "targets.roundup_prepare", "--scenario", str(scenario_file), "--home", str(home), "--serve"]
    with tempfile.TemporaryFile("w+") as complaints:
        child = subprocess.Popen(
            [sys.executable, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            env={**os.environ, **ENVIRON},
        )
        killer = threading.Timer(START_S, child.kill)
        killer.start()
        try:
            line = child.stdout.readline()
            killer.cancel()
            if not line.startswith(READY):
                child.kill()
                child.wait()
                complaints.seek(0)
                raise RuntimeError(f"Roundup did not start: {line}{complaints.read()}")
            yield line.removeprefix(READY).strip()
        finally:
            killer.cancel()
            child.terminate()
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            child.stdout.close()
