"""A desk as a child process: started on a free port, waited for, and always ended."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, cast

import httpx

from casedesk.problems import StartError

_READY: Final = "casedesk ready at "
_START_S: Final = 30.0
_STOP_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class RunningDesk:
    """A desk that runs as a child process, and the switches of its administration."""

    url: str
    pid: int
    api_key: str | None = None

    def set_disk(self, profile: str | Mapping[str, Any]) -> None:
        """Put a disk profile in force: the name of a packaged one, or a whole one."""
        self._ask("PUT", "/admin/disk", {"profile": profile} if isinstance(profile, str) else dict(profile))

    def set_faults(self, **shares: float) -> None:
        """Set the shares of the faults; what is not named is off."""
        self._ask("PUT", "/admin/faults", shares)

    def planted(self) -> list[dict[str, Any]]:
        """Every fault that has happened so far: the truth."""
        return cast(list[dict[str, Any]], self._ask("GET", "/admin/planted"))

    def counters(self) -> dict[str, float]:
        """What disk, writer and process have done so far (``GET /admin/disk``)."""
        return cast(dict[str, float], self._ask("GET", "/admin/disk")["counters"])

    def move_host(self) -> None:
        """Fail over now: every connection drops, and the disk is healthy afterwards."""
        self._ask("POST", "/admin/move-host")

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        headers = {"X-Api-Key": self.api_key} if self.api_key else {}
        answer = httpx.request(method, self.url + path, json=body, headers=headers, timeout=30, trust_env=False)
        if answer.is_error:
            raise ValueError(f"casedesk answers {answer.status_code} to {method} {path}: {answer.text}")
        return answer.json()


@contextmanager
def running_desk(
    disk: str = "healthy",
    *,
    data: Path | None = None,
    seed: int = 1,
    smtp: str | None = None,
    deadline_s: float = 5.0,
    api_key_env: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[RunningDesk]:
    """Run ``python -m casedesk`` on a free port until the block ends.

    ``smtp`` is HOST:PORT; ``environment`` replaces this process's. :class:`StartError` with what the
    child said if it does not become ready.
    """
    options = {"--disk": disk, "--data": data, "--seed": seed, "--smtp": smtp, "--deadline-s": deadline_s}
    options["--api-key-env"] = api_key_env
    given = [str(part) for pair in options.items() if pair[1] is not None for part in pair]
    command = [sys.executable, "-m", "casedesk", "--port", "0", *given]
    with tempfile.TemporaryFile("w+") as complaints:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            env=None if environment is None else dict(environment),
        )
        try:
            url = _wait_until_ready(child, complaints)
            key = (environment or os.environ).get(api_key_env) if api_key_env else None
            yield RunningDesk(url=url, pid=child.pid, api_key=key)
        finally:
            _end(child)


def _wait_until_ready(child: subprocess.Popen[str], complaints: IO[str]) -> str:
    assert child.stdout is not None  # noqa: S101  # it was asked for
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.append(child.stdout.readline()), daemon=True)  # type: ignore[union-attr]
    reader.start()
    reader.join(_START_S)
    if lines and lines[0].startswith(_READY):
        return lines[0].removeprefix(_READY).strip()
    _end(child)
    reader.join()
    complaints.seek(0)
    said = complaints.read().strip() or f"nothing within {_START_S:.0f} s"
    raise StartError(f"casedesk did not start (exit code {child.returncode}); it said: {said}")


def _end(child: subprocess.Popen[str]) -> None:
    child.terminate()
    try:
        child.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    if child.stdout is not None:
        child.stdout.close()
