"""Whether a watch survives SIGKILL: killed at random moments and started again, it decides as if nothing had been.

The watch follows the same finished runs each time, so its decisions must be the same to the digit as those of a
watch that nobody disturbed. ``python -m benchmarks.watch_survival RUNS STATE BYTES ...`` kills one watch each time
its journal is so long, and says whether it was still at work.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.watched_runs import BLOCK_S, write_run
from savepath.cli import cli

KILLS = 20
#: A watch that hangs is killed after this.
PATIENCE_S = 60.0


def words(runs: Path, state: Path) -> list[str]:
    """The command line of a watch that decides on what there is, and ends."""
    return [
        "watch", "--follow", str(runs / "grown"), "--baseline", str(runs / "before"), "--state", str(state),
        "--for", "0.01s", "--every", f"{BLOCK_S:g}s", "--settle", "100s", "--day", "200s", "--quiet",
    ]  # fmt: skip


def decisions(state: Path) -> list[dict[str, Any]]:
    """What was decided, without the moments at which it was written down."""
    lines = [json.loads(line) for line in (state / "decisions.jsonl").read_text().splitlines()]
    return [
        {key: value for key, value in line.items() if key != "written_s"}
        for line in lines
        if line["kind"] == "decision"
    ]


def begin(runs: Path, state: Path) -> int:
    """A watch in a process of its own, from this one: nothing is imported again. Its number."""
    child = os.fork()
    if child:
        return child
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    code = 1
    try:
        code = int(cli.main(words(runs, state), standalone_mode=False) or 0)
    finally:
        os._exit(code)


def let_end(runs: Path, state: Path) -> int:
    """A watch from its beginning, or from where it was killed, to its end; its exit code."""
    _, status = os.waitpid(begin(runs, state), 0)
    return os.waitstatus_to_exitcode(status)


def kill(runs: Path, state: Path, *, seconds: float = PATIENCE_S, journal_bytes: float = float("inf")) -> bool:
    """Begin a watch and kill it after some time, or once its journal is so long; whether it was still at work."""
    child, ends_s = begin(runs, state), time.monotonic() + seconds
    journal = state / "decisions.jsonl"
    while time.monotonic() < ends_s and not (journal.exists() and journal.stat().st_size >= journal_bytes):
        if os.waitpid(child, os.WNOHANG)[0]:
            return False
        time.sleep(0.0005)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def make_runs(room: Path) -> Path:
    """Twenty healthy runs before a change, and twenty after it that grow by half."""
    for number in range(40):
        write_run(room / ("before" if number < 20 else "grown"), number, 0.5 if number >= 20 else 0.0)
    return room


def measure() -> list[dict[str, Any]]:
    """Rows {figure, value, low, high, goal, reached}: one kill while a watch begins, two while it decides."""
    with tempfile.TemporaryDirectory() as place:
        runs, rng = make_runs(Path(place) / "runs"), random.Random(1)
        begun_s = time.monotonic()
        let_end(runs, Path(place) / "calm")
        lasted_s = time.monotonic() - begun_s
        expected = decisions(Path(place) / "calm")
        length = (Path(place) / "calm" / "decisions.jsonl").stat().st_size
        kills = watches = same = 0
        while kills < KILLS:
            state = Path(place) / f"state-{watches}"
            kills += kill(runs, state, seconds=rng.uniform(0, lasted_s))
            for share in sorted(rng.uniform(0.02, 0.95) for _ in range(2)):
                kills += kill(runs, state, journal_bytes=share * length)
            let_end(runs, state)
            watches, same = watches + 1, same + (decisions(state) == expected)
            print(f"{kills} kills, {same} of {watches} watches identical", file=sys.stderr, flush=True)
    return [
        {
            "figure": f"decisions as undisturbed, {watches} watches, {kills} kills",
            "value": same / watches,
            "low": same / watches,
            "high": same / watches,
            "goal": "= 1",
            "reached": same == watches,
            "n": kills,
        }
    ]


if __name__ == "__main__":
    asked_runs, asked_state, *sizes = sys.argv[1:]
    print(*(kill(Path(asked_runs), Path(asked_state), journal_bytes=int(size)) for size in sizes))
