"""A run of two workers on machines of their own, in network namespaces: one is cut off for a while, one is killed.

``unshare -n python tests/two_machines.py FOLDER``: the namespace is that of the leader and of the target, and is
gone with the process. Prints what came of it as JSON.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
from stub_server import OK, stub_server

from analysis.samples import SAMPLE_COLUMNS
from loadgen.chosen import ChosenTarget, Workers
from loadgen.session import Session
from loadgen.settings import Settings
from loadgen.shards import read_shard

HOME = "10.77.9.1"
ADDRESS = f"{HOME}:8720"
#: While the one is cut off the other sends so many rows: half of them, after which nothing is on its way any more.
ROWS_OF_A_CUT = 80
PATIENCE_S = 100.0
NUMBERS = (0, 1)


def run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)


@contextlib.contextmanager
def machine(number: int) -> Iterator[subprocess.Popen[bytes]]:
    """A namespace with a wire to this one; its worker is yielded."""
    holder = subprocess.Popen(["unshare", "-n", "sleep", "600"])
    inside = ["nsenter", "-t", str(holder.pid), "-n"]
    worker: subprocess.Popen[bytes] | None = None
    try:
        until(lambda: Path(f"/proc/{holder.pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink())
        run("ip", "link", "add", f"out{number}", "type", "veth", "peer", "name", f"in{number}")
        run("ip", "link", "set", f"in{number}", "netns", str(holder.pid))
        run("ip", "addr", "add", f"10.77.{number}.1/30", "dev", f"out{number}")
        run("ip", "link", "set", f"out{number}", "up")
        run(*inside, "ip", "addr", "add", f"10.77.{number}.2/30", "dev", f"in{number}")
        run(*inside, "ip", "link", "set", f"in{number}", "up")
        run(*inside, "ip", "route", "add", "default", "via", f"10.77.{number}.1")
        words = [*inside, sys.executable, "-m", "loadgen.worker", "--master", ADDRESS, "--token-env", "TOKEN"]
        worker = subprocess.Popen(words)
        yield worker
    finally:
        for process in (worker, holder):
            if process is not None:
                process.kill()
                process.wait()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(condition)
        gevent.sleep(0.05)


def rows(session: Session, worker: int) -> int:
    paths = session.folder.shards_of(worker, "samples")
    return sum(read_shard(path, SAMPLE_COLUMNS).num_rows for path in paths)


def grow(session: Session, least: int) -> list[int]:
    """Wait until one of them has sent so many rows more; how many each has."""
    before = [rows(session, number) for number in NUMBERS]

    def grown() -> list[int]:
        return [rows(session, number) - before[number] for number in NUMBERS]

    until(lambda: max(grown()) >= least)
    return grown()


def main(room: Path) -> None:
    run("ip", "link", "set", "lo", "up")
    run("ip", "addr", "add", f"{HOME}/32", "dev", "lo")
    with stub_server(lambda request, connection: OK, HOME) as target, machine(0), machine(1) as mortal:
        chosen = ChosenTarget(str(room / "desk.yaml"), {"base_url": target.url}, room / "known.json")
        settings = Settings(
            str(room / "slow.yaml"), chosen, run_dir=room / "run", workers=Workers(2, ADDRESS, "TOKEN")
        )
        session = Session(settings, say=lambda _: None)
        session.prepare()
        session.start()
        until(lambda: all(rows(session, number) > 20 for number in NUMBERS))
        # Which of them the mortal one is was decided by who came first; the other's wire is cut.
        run("ip", "link", "set", "out0", "down")
        grow(session, ROWS_OF_A_CUT // 2)  # what is on its way arrives meanwhile
        grown = grow(session, ROWS_OF_A_CUT // 2)
        run("ip", "link", "set", "out0", "up")
        lonely = grown.index(min(grown))
        cut = rows(session, lonely)
        until(lambda: rows(session, lonely) > cut + ROWS_OF_A_CUT)
        mortal.send_signal(signal.SIGKILL)
        session.finished.wait()
        info = session.folder.read()
        told = {"status": info.status, "reason": info.reason, "lonely": lonely, "asked": len(target.requests)}
        told |= {"ledger": info.ledger.model_dump(), "closes": info.ledger.closes, "grown_in_the_cut": grown}
        print(json.dumps(told))  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]))
