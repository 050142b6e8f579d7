"""The rounds of a watch: take the next run, decide on its blocks, say so; until the window is over.

Runs come from a folder that others fill, or are driven here one a block. Either way a run counts once it is
whole, so that a kill at any moment costs at most the block in progress.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from analysis.findings import Verdict
from analysis.window.blocks import Block
from analysis.window.decisions import Decision
from savepath.driving import BEFORE, Drive, Turn, ready
from savepath.launch import Interrupted
from savepath.progress import Progress
from savepath.watching.blocks_of_runs import begun_at, blocks_of
from savepath.watching.lines import Told
from savepath.watching.state import Watching
from scenarios.errors import InputError, SavepathError
from targets.footprint import move_footprints

POLL_S: Final = 1.0
#: Of the raw samples of driven runs, those are kept of which somebody may ask: of every twelfth block (once an
#: hour) and of every block that is not merely waiting. The decision keeps what it rests on in any case.
KEEP_EVERY: Final = 12
WAITING: Final = frozenset({"settling", "needs-data", "event-not-seen"})

Say = Callable[[str], None]


def follow(watching: Watching, folder: Path, *, until_clear: bool, say: Say) -> Verdict:
    """Decide on the runs that others write into ``folder``, until the window is over."""
    last, done = None, set[str]()
    while True:
        for path in _whole_runs(folder, done):
            last = _take(watching, path, say) or last
            done.add(path.name)
        if _is_over(watching, last, until_clear=until_clear):
            return last.verdict if last else Verdict.HOLD
        time.sleep(POLL_S)


def drive(
    watching: Watching, command: Drive, runs: Path, progress: Progress, *, until_clear: bool, say: Say
) -> Verdict:
    """Drive one run a block, and decide on it, until the window is over."""
    last, block_s = None, watching.agreed.block_s
    for path in runs.glob("block-*"):
        if not (path / "run.json").is_file():
            _forget(path)  # what a kill left
    for path in _whole_runs(runs):  # of a watch that was killed between a run and its decision
        last = _take(watching, path, say) or last
    with ready(command, [], runs.parent, progress) as make:
        while not _is_over(watching, last, until_clear=until_clear):
            number = int((time.time() - watching.agreed.begun_s) // block_s)
            path = runs / f"block-{number:06d}"
            said = _attempt(make, path)
            if (path / "run.json").is_file():
                last = _take(watching, path, say) or last
                if last:
                    _thin(path, number, last)
            else:
                start_s = watching.agreed.begun_s + number * block_s
                lost = Block(start_s, block_s, (), {}, (), fault=f"no run could be made: {said}")
                last = _tell(watching.decide(lost, path.name, time.time()), say)
            _sleep_until(watching.agreed.begun_s + (number + 1) * block_s)
    return last.verdict if last else Verdict.HOLD


def _attempt(make: Callable[[Turn], None], path: Path) -> str:
    """Make one run; what went wrong with it is evidence, and only the user's will ends the watch."""
    try:
        make(Turn(path, (BEFORE,)))
    except Interrupted:
        raise
    except SavepathError as error:
        return str(error).splitlines()[0]
    return ""


def _take(watching: Watching, path: Path, say: Say) -> Decision | None:
    """Decide on the blocks of a run that were not yet decided; the last decision, None without a new one."""
    last = None
    for block in blocks_of(path, watching.agreed.block_s)[watching.decided_of(path.name) :]:
        last = _tell(watching.decide(block, path.name, time.time()), say)
    return last


def _tell(told: Told, say: Say) -> Decision:
    decision = told.decision
    at = datetime.fromtimestamp(decision.at_s, UTC).strftime("%m-%d %H:%M:%S")
    say(f"{at}Z {decision.verdict:<8} {decision.sentence}")
    return decision


def _whole_runs(folder: Path, done: Collection[str] = ()) -> list[Path]:
    """The whole runs of a folder by the time of their beginning, without those that are ``done``."""
    found: dict[Path, float] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.name not in done and (path / "run.json").is_file():
            try:
                found[path] = begun_at(path)
            except InputError as error:
                print(f"savepath: left out: {error}", file=sys.stderr)  # noqa: T201
    return sorted(found, key=lambda path: found[path])


def _thin(path: Path, number: int, decision: Decision) -> None:
    codes = {one.code.value for one in decision.reasons}
    if number % KEEP_EVERY and not decision.alarms and codes <= WAITING:
        _forget(path)


def _forget(path: Path) -> None:
    """Remove a run's folder; what it made on the target is still known beside the runs."""
    move_footprints(path, into=path.parent.parent)
    shutil.rmtree(path, ignore_errors=True)


def _is_over(watching: Watching, last: Decision | None, *, until_clear: bool) -> bool:
    if until_clear and last is not None and last.verdict is Verdict.CLEAR:
        return True
    return time.time() >= watching.agreed.begun_s + watching.agreed.lasts_s


def _sleep_until(at_s: float) -> None:
    time.sleep(max(at_s - time.time(), 0.0))
