"""A PostgreSQL of its own for tests: a new cluster in a temporary folder, on a socket there, always ended.

PostgreSQL refuses to run as root; then it runs as ``nobody``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("initdb", "pg_ctl", "postgres", "psql")
USER = "savepath"
_WAIT_S = 60
#: Debian keeps the programs of the server off the PATH, a folder for each version.
_DEBIAN = Path("/usr/lib/postgresql")


def obstacle() -> str:
    """Why there can be no PostgreSQL here, or nothing."""
    missing = [name for name in PROGRAMS if _program(name) is None]
    if missing:
        return f"PostgreSQL is not there (no {', '.join(missing)}); apt install postgresql"
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        return "PostgreSQL refuses root, and there is no setpriv to become nobody"
    return ""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running PostgreSQL; ``socket_folder`` is the host to connect to, as ``USER``."""

    socket_folder: Path

    def ask(self, *statements: str) -> list[str]:
        """The rows that the statements print, each in a transaction of its own."""
        where = ["-h", str(self.socket_folder), "-U", USER, "-d", "postgres"]
        words = [str(_program("psql")), *where, "-qAtX", "-v", "ON_ERROR_STOP=1"]
        done = subprocess.run(
            [*words, *(word for statement in statements for word in ("-c", statement))],
            capture_output=True,
            text=True,
            timeout=_WAIT_S,
            check=True,
        )
        return done.stdout.splitlines()


@contextmanager
def running_postgres(environment: Mapping[str, str] = {}) -> Iterator[Cluster]:
    """Start a new cluster with that in its environment, too (the shim of a slow disk, say)."""
    with tempfile.TemporaryDirectory(prefix="pg-") as room:  # a short path: a socket's may have 107 characters
        folder = Path(room)
        if os.geteuid() == 0:
            shutil.chown(folder, "nobody")
        data, log = folder / "data", folder / "log"
        # No sync while the cluster is made: nobody keeps it. The server itself syncs as always.
        _run(["initdb", "-D", str(data), "-U", USER, "-A", "trust", "-N", "--no-locale", "-E", "UTF8"], {})
        options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c autovacuum=off"
        try:
            _run(["pg_ctl", "start", "-w", "-D", str(data), "-l", str(log), "-o", options], environment)
            yield Cluster(folder)
        finally:
            with contextlib.suppress(RuntimeError):  # if it has not started, there is nothing to stop
                _run(["pg_ctl", "stop", "-w", "-m", "immediate", "-D", str(data)], {})


def _program(name: str) -> Path | None:
    """Where a program of PostgreSQL is: on the PATH, else Debian's newest."""
    found = shutil.which(name)
    newest_first = sorted(_DEBIAN.glob(f"*/bin/{name}"), key=lambda path: -float(path.parts[-3]))
    return Path(found) if found else next(iter(newest_first), None)


def _run(words: Sequence[str], environment: Mapping[str, str]) -> None:
    leave_root = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []
    with tempfile.TemporaryFile("w+") as said:  # a pipe would be kept open by the server that pg_ctl starts
        done = subprocess.run(
            [*leave_root, str(_program(words[0])), *words[1:]],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            timeout=_WAIT_S,
            check=False,
            cwd="/",
            env={**os.environ, **environment},
        )
        if done.returncode:
            said.seek(0)
            raise RuntimeError(f"{words[0]} ended with {done.returncode}: {said.read()[-800:]}")
