"""Starting Locust as a child process, and staying in charge of it.

Importing Locust patches the whole process (gevent), so the application never does: it starts
``locust -f locustfiles/save_path.py``, follows the run through ``progress.json`` in the run folder,
and hands on signals. The run itself, its ledger and ``run.json`` belong to the child.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from types import FrameType
from typing import Any

from pydantic import ValidationError

from loadgen.chosen import ALONE, ChosenTarget, Workers
from loadgen.live import Live
from savepath.exits import Exit
from scenarios.errors import Aborted, SavepathError, Unauthorised

#: How the lines begin that the child says itself (``loadgen.session``, ``loadgen.plugin``).
OWN_WORDS = "savepath: "
#: After a second Ctrl-C the child has this long before it is killed.
KILL_AFTER_S = 3.0


@dataclass(frozen=True, slots=True)
class How:
    """How a run is made, whatever it drives; the same for all runs of one command."""

    purpose: str = ""
    allow_python: bool = False
    client: str = "measured"
    production: bool = False
    workers: Workers = ALONE
    metrics_port: int | None = None
    #: It belongs to a watch: its target is the after side, and a second one is the old one, and may be missing.
    watched: bool = False

    @property
    def words(self) -> list[str]:
        """The same on the command line of a child."""
        words = ["--purpose", self.purpose] if self.purpose else []
        if self.allow_python:
            words += ["--allow-python"]
        if self.client != "measured":
            words += ["--client", self.client]
        if self.production:
            words += ["--production"]
        if self.watched:
            words += ["--watched"]
        if self.workers.number > 1:
            words += ["--workers", str(self.workers.number)]
        if self.workers.take_over:
            words += ["--lost-worker", self.workers.lost]
        if self.workers.listen:
            words += ["--listen", self.workers.listen]
        if self.metrics_port is not None:
            words += ["--metrics-port", str(self.metrics_port)]
        if self.workers.token_env:
            words += ["--token-env", self.workers.token_env]
        return words


@dataclass(frozen=True, slots=True)
class Launch:
    """What a child needs to know to make one run."""

    scenario: str  # name or path
    target: ChosenTarget
    folder: Path
    versus: ChosenTarget | None = None  # driven at the same time
    labels: Mapping[str, str] = field(default_factory=dict)
    how: How = How()
    environ: Mapping[str, str] | None = None  # this process's own by default

    @property
    def command(self) -> list[str]:
        """The command line of the child; plain Locust, so that it can be repeated by hand."""
        words = [sys.executable, "-m", "locust", "-f", str(files("locustfiles") / "save_path.py")]
        words += ["--headless", "--only-summary", "--scenario", self.scenario, "--run-dir", str(self.folder)]
        words += ["--stop-with-parent", str(os.getpid())]  # named: it may be gone before the child can look
        words += _words_of(self.target, "--target", "--set", "--inventory")
        if self.versus:
            words += _words_of(self.versus, "--versus", "--versus-set", "--versus-inventory")
        return [*words, *_words("--label", self.labels), *self.how.words]


def _words_of(chosen: ChosenTarget, name: str, setting: str, inventory: str) -> list[str]:
    words = [name, chosen.mapping, *_words(setting, chosen.variables)]
    return [*words, inventory, str(chosen.inventory)] if chosen.inventory else words


def _words(flag: str, pairs: Mapping[str, str]) -> list[str]:
    return [word for key, value in pairs.items() for word in (flag, f"{key}={value}")]


def drive(launch: Launch, show: Callable[[Live], None]) -> None:
    """Make one run and return when its folder is whole. ``show`` is called twice a second with the progress.

    Raises Aborted when the run could not be finished (the folder keeps what there is) and
    Interrupted after Ctrl-C or SIGTERM, which the child is given to end in order: open requests
    are awaited and the run is kept, marked as interrupted. A second Ctrl-C ends it at once.
    """
    with tempfile.TemporaryFile() as log:
        child = subprocess.Popen(
            launch.command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=launch.environ,
        )
        with _signals_for(child) as received:
            while child.poll() is None:
                live = _read_live(launch.folder / "progress.json")
                if live is not None:
                    show(live)
                wait(child, 0.5)
        log.seek(0)
        said = log.read().decode(errors="replace")
    _explain(launch.folder, child.returncode, said, received)


class Interrupted(SavepathError):
    """The user ended the run. ``exit_code`` tells by which signal."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def wait(child: subprocess.Popen[bytes], seconds: float) -> None:
    """Wait for a child, so long at most; says nothing of whether it has ended."""
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        return


def _explain(folder: Path, returncode: int, said: str, received: list[int]) -> None:
    """Turn the end of the child into silence or into the error that says what happened."""
    if returncode == 0 and (folder / "run.json").is_file():
        if received:  # too late for this run, but whoever would make another must not
            raise Interrupted(f"interrupted; the run is whole: {folder}", _code_of(received))
        return
    failure = _read_json(folder / "failure.json")
    if failure and failure.get("unauthorised"):
        raise Unauthorised(str(failure["message"]))
    if failure:
        error = SavepathError(str(failure["message"]))
        error.exit_code = int(failure["exit_code"])
        raise error
    run = _read_json(folder / "run.json")
    if received:
        kept = "the run is kept, marked as interrupted" if run else "the run is not whole and will not be compared"
        raise Interrupted(f"interrupted; {kept}: {folder}", _code_of(received))
    if run:
        raise Aborted(
            f"the run was aborted: {run.get('reason') or 'no reason given'}; what was recorded: {folder}"
        )
    told = _told_by(said)
    if returncode == -signal.SIGKILL:  # it had no last words: somebody killed it, or no memory was left
        raise Aborted(
            f"the load generator was killed (SIGKILL) and left no run in {folder}; what it recorded is in shards/ "
            f"there. Make the run again; savepath clean {folder} removes what it made"
        )
    head = f"the load generator ended with code {returncode} and left no run in {folder}"
    if returncode in (Exit.USAGE, Exit.REFUSED) and told:  # it could not even say so in the folder
        error = SavepathError(told)
        error.exit_code = returncode
        raise error
    raise Aborted("\n".join([head, told or "\n".join(said.strip().splitlines()[-12:])]))


def _told_by(said: str) -> str:
    """What savepath itself said in the child, without what Locust prints around it."""
    own = [line.removeprefix(OWN_WORDS) for line in said.splitlines() if line.startswith(OWN_WORDS)]
    return "\n".join(own[-12:])


def _code_of(received: list[int]) -> Exit:
    return Exit.TERMINATED if received[0] == signal.SIGTERM else Exit.INTERRUPTED


def _read_live(path: Path) -> Live | None:
    try:
        return Live.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


@contextmanager
def _signals_for(child: subprocess.Popen[bytes]) -> Iterator[list[int]]:
    """Hand SIGINT and SIGTERM on to the child; the second one ends it. Yields the signals received."""
    received: list[int] = []
    killed_at: list[float] = []

    def forward(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if child.poll() is not None:
            return
        if len(received) == 1:
            os.write(2, b"\nstopping: no new arrivals, open requests are awaited; Ctrl-C again to end at once\n")
            child.send_signal(number)
        elif not killed_at:
            child.send_signal(number)
            killed_at.append(time.monotonic())
            signal.setitimer(signal.ITIMER_REAL, KILL_AFTER_S)

    def kill(number: int, frame: FrameType | None) -> None:
        if child.poll() is None:
            child.kill()

    before = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM)}
    before[signal.SIGALRM] = signal.signal(signal.SIGALRM, kill)
    try:
        yield received
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
        if child.poll() is None:  # we are leaving because of an error of our own
            child.kill()
            child.wait()
