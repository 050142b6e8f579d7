"""The rounds of a watch: take the next run, decide on its blocks, say so; until the window is over.

Runs come from a folder that others fill, or are driven here one a block. Either way a run counts once it is
whole, so that a kill at any moment costs at most the block in progress. Which runs were decided to their end the
journal tells, so that a watch that goes on reads only the others.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from analysis.findings import Verdict
from analysis.window.blocks import Block
from analysis.window.decisions import Decision
from loadgen.runs import read_info
from savepath.driving import AFTER, BEFORE, Command, Turn, ready
from savepath.launch import Interrupted
from savepath.progress import Progress
from savepath.screen import note
from savepath.watching.blocks_of_runs import begun_at, blocks_of
from savepath.watching.cutting import Cut
from savepath.watching.lines import Told
from savepath.watching.pacing import Now, turn_at
from savepath.watching.state import Watching
from savepath.watching.thinning import forget, is_news, run_of, thin
from scenarios.errors import Aborted, InputError, SavepathError, Unauthorised

POLL_S: Final = 1.0
#: So many blocks an old environment that did not answer is left out.
ALONE_BLOCKS: Final = 12

Say = Callable[[str], None]


def follow(watching: Watching, folder: Path, *, until_clear: bool, say: Say) -> None:
    """Decide on the runs that others write into ``folder``, until the window is over."""
    last, done = None, set(watching.taken)
    while True:
        for path in _whole_runs(folder, done):
            last = _take(watching, path, say) or last
        if _is_over(watching, last, until_clear=until_clear):
            return
        time.sleep(POLL_S)


def drive(
    watching: Watching, command: Command, cut: Cut, runs: Path, progress: Progress, *, until_clear: bool, say: Say
) -> None:
    """Drive one run a block, and decide on it, until the window is over."""
    last, number = None, -1
    for path in runs.glob("block-*"):
        if not (path / "run.json").is_file():
            forget(path)  # what a kill left
    # What a watch that was killed between a run and its decision left:
    for path in _whole_runs(runs, set(watching.taken)):
        last = _take(watching, path, say) or last
    with ExitStack() as stack:
        maker = _Maker(command, runs.parent, progress, stack, has_begun=watching.has_decided)
        while not _is_over(watching, last, until_clear=until_clear):
            begun = _now()
            turn = turn_at(watching.agreed, begun, number)
            number = turn.number
            path, before = run_of(runs, number), last
            cut.follow_the_clock(begun.wall_s)
            failure = maker.make(path, number)
            if (path / "run.json").is_file():
                last = _take(watching, path, say) or last
                if last:
                    thin(runs, number, news=is_news(last, before))
            else:
                last = _tell(
                    _decide(watching, _lost(begun.wall_s, watching.agreed.block_s, failure), path.name), say
                )
            time.sleep(turn.left_s(_now()))


class _Maker:
    """Makes runs. What goes wrong with one is evidence; only the user's will ends the watch.

    Until a watch has decided anything a target that cannot be got ready ends it, as it would end a run. After that
    an old environment that does not answer is left out for an hour, so that no block waits for it.
    """

    def __init__(
        self, command: Command, state: Path, progress: Progress, stack: ExitStack, *, has_begun: bool
    ) -> None:
        self._command, self._state, self._progress, self._stack = command, state, progress, stack
        self._has_begun = has_begun
        self._make: Callable[[Turn], None] | None = None
        self._alone_until = 0  # the number of a block

    def make(self, path: Path, number: int) -> SavepathError | None:
        """Make the run of a block; what went wrong, None if nothing did."""
        try:
            if self._make is None:
                spare = BEFORE if self._command.how.watched and self._has_begun else None
                command = replace(self._command, spare=spare)
                self._make = self._stack.enter_context(ready(command, [], self._state, self._progress))
            self._has_begun = True
            self._make(Turn(path, self._sides(number)))
            if self._command.how.watched and BEFORE not in read_info(path).arms and number >= self._alone_until:
                self._alone_until = number + ALONE_BLOCKS
        except Interrupted:
            raise
        except SavepathError as error:
            if not self._has_begun:
                raise
            return error
        return None

    def _sides(self, number: int) -> tuple[str, ...]:
        """The watched side first."""
        if not self._command.how.watched:
            return (BEFORE,)
        return (AFTER,) if number < self._alone_until else (AFTER, BEFORE)


def _now() -> Now:
    return Now(time.time(), time.monotonic())


def _lost(start_s: float, length_s: float, failure: SavepathError | None) -> Block:
    """A block of which there is no run: the target refused us, or was gone; else nobody knows anything."""
    said = str(failure).splitlines()[0] if failure else "it left nothing"
    nothing = Block(start_s, length_s, (), {}, ())
    if isinstance(failure, Unauthorised):
        return replace(nothing, refused=said)
    if isinstance(failure, Aborted) or (failure and failure.exit_code == Aborted.exit_code):
        return replace(nothing, unreachable=said)
    return replace(nothing, fault=f"no run could be made: {said}")


def _take(watching: Watching, path: Path, say: Say) -> Decision | None:
    """Decide on the blocks of a run that were not yet decided; the last decision, None without a new one."""
    last = None
    blocks = _blocks(path, watching.agreed.block_s)
    for number in range(watching.decided_of(path.name), len(blocks)):
        left = len(blocks) - number - 1
        last = _tell(_decide(watching, blocks[number], path.name, left=left), say)
    return last


def _blocks(path: Path, block_s: float) -> list[Block]:
    """The blocks of a run; one that proves nothing if its files are damaged."""
    try:
        return blocks_of(path, block_s)
    except InputError as error:
        return [Block(begun_at(path), block_s, (), {}, (), fault=f"the run cannot be read: {error}")]


def _decide(watching: Watching, block: Block, run: str, *, left: int = 0) -> Told:
    """The decision, once it can be written down: a full disk is waited for, and meanwhile the gate holds."""
    told = False
    while True:
        try:
            return watching.decide(block, run, time.time(), left=left)
        except FileNotFoundError:
            raise InputError(f"{watching.journal.path} is gone; begin a new watch with another --state") from None
        except OSError as error:
            if not told:
                why = error.strerror or type(error).__name__
                note(f"savepath: {watching.journal.path} cannot be written ({why}); it is tried until it can")
            told = True
            time.sleep(POLL_S)


def _tell(told: Told, say: Say) -> Decision:
    decision, after = told.decision, ""
    at = _clock(decision.at_s)
    if told.note and told.note_is_new:
        after = f" [after: {told.note.text}]"
    if decision.alone_since_s is not None:
        after += f" [no answer of the old environment since {_clock(decision.alone_since_s)}Z]"
    say(f"{at}Z {decision.verdict:<8} {told.sentence}{after}")
    return decision


def _clock(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%m-%d %H:%M:%S")


def _whole_runs(folder: Path, done: set[str]) -> list[Path]:
    """The whole runs of a folder by the time of their beginning, without those that are ``done``; now they are."""
    found: dict[Path, float] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.name not in done and (path / "run.json").is_file():
            done.add(path.name)
            try:
                found[path] = begun_at(path)
            except InputError as error:
                note(f"savepath: left out: {error}")
    return sorted(found, key=lambda path: found[path])


def _is_over(watching: Watching, last: Decision | None, *, until_clear: bool) -> bool:
    if until_clear and last is not None and last.verdict is Verdict.CLEAR:
        return True
    return time.time() >= watching.agreed.begun_s + watching.agreed.lasts_s
