"""The state folder of a watch: what was agreed, the baseline, and the journal.

watch.json        what was agreed, written once
baseline.jsonl    the blocks of the baseline, written once
decisions.jsonl   the journal
runs/             the runs that the watch drives itself
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from analysis.window.baseline import Baseline
from analysis.window.blocks import Block, block_as_plain, block_from_plain
from analysis.window.learning import learn_baseline
from analysis.window.spans import moment_of
from analysis.window.state import acknowledge, begin, see
from analysis.window.streams import TELLING
from analysis.window.watch import evidence, step
from savepath.watching.agreed import Agreed, read_agreed
from savepath.watching.journal import UNREADABLE, Journal, Line, unwritable
from savepath.watching.lines import Note, Told, line_of
from scenarios.errors import InputError
from targets.lasting import write_whole


class Watching:
    """A watch in progress: the fold over its journal, and the one place that adds decisions to it."""

    def __init__(self, state: Path, agreed: Agreed, baseline: Baseline) -> None:
        self.journal = Journal(state)
        self.agreed = agreed
        self.baseline = baseline
        self.state = begin(baseline)
        self._note: tuple[Note | None, bool] = None, False  # the last one, and whether nothing was decided since
        self._decided: dict[str, int] = {}  # run -> how many of its blocks
        self.taken: set[str] = set()  # the runs of which no block is left to decide
        self.catch_up()

    def catch_up(self) -> None:
        """Fold what the journal has since the last time."""
        for line in self.journal.read_on():
            self._fold(line)

    @property
    def has_decided(self) -> bool:
        """Whether any block was decided."""
        return bool(self._decided)

    def decided_of(self, run: str) -> int:
        """How many blocks of a run were decided already."""
        return self._decided.get(run, 0)

    def decide(self, block: Block, run: str, now_s: float, *, left: int = 0) -> Told:
        """Decide on a block, and write the decision down so that it lasts; ``left`` blocks of its run are to come.

        Raises OSError where it cannot be written; then nothing was decided, and it can be tried again.
        """
        with self.journal.locked():
            self.catch_up()
            state, decision = step(self.baseline, self.agreed.terms, self.state, block)
            told = Told(decision, evidence(self.baseline, self.agreed.terms, state), *self._note)
            self.journal.append(line_of(block, run, told, now_s, left=left))
            self.state, self._note = state, (told.note, False)
            self._count(run, left)
        return told

    def end(self, now_s: float) -> None:
        """Write down that the window is over."""
        with self.journal.locked():
            self.journal.append({"kind": "end", "at_s": now_s})

    def _count(self, run: str, left: int | None) -> None:
        """Count a block that was decided; ``left`` is None in lines of a version that did not tell it."""
        self._decided[run] = self._decided.get(run, 0) + 1
        if left == 0:
            self.taken.add(run)

    def _fold(self, line: Line) -> None:
        try:
            if line["kind"] == "decision":
                self.state, _ = step(self.baseline, self.agreed.terms, self.state, block_from_plain(line["block"]))
                self._note = self._note[0], False
                self._count(str(line["run"]), line.get("left"))
            elif line["kind"] == "ack":
                self.state = acknowledge(self.state, self.baseline)
            elif line["kind"] == "note":
                self._note = Note(moment_of(line["at_s"]), str(line["text"])), True
            elif line["kind"] == "event":
                self.state = see(self.state, str(line["text"]))
        except UNREADABLE as error:
            raise InputError(f"{self.journal.path}: a line cannot be read ({error}); it was changed") from None


def make_state(state: Path, agreed: Agreed, baseline: Sequence[Block]) -> None:
    """Make the state folder. ``watch.json`` comes last and by rename: without it there is no watch."""
    try:
        state.mkdir(parents=True, exist_ok=True)
        text = "".join(json.dumps(block_as_plain(one), separators=(",", ":")) + "\n" for one in baseline)
        write_whole(state / "baseline.jsonl", text.encode(), lasting=True)
        (state / "decisions.jsonl").touch()
        terms = agreed.model_dump_json(by_alias=True, indent=1).encode()
        write_whole(state / "watch.json", terms, lasting=True)
    except OSError as error:
        raise InputError(f"{state} cannot be made: {error.strerror or error}") from None


def open_state(state: Path) -> Watching:
    """The watch of a state folder, as far as its journal goes. Raises InputError."""
    agreed = read_agreed(state)
    return Watching(state, agreed, read_baseline(state, agreed))


def read_baseline(state: Path, agreed: Agreed) -> Baseline:
    """What the watch compares with. Raises InputError."""
    path = state / "baseline.jsonl"
    try:
        blocks = [block_from_plain(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
        return learn_baseline(blocks, day_s=agreed.day_s)
    except (OSError, RecursionError, *UNREADABLE) as error:
        raise InputError(f"{path} cannot be read ({error}); it is damaged, begin a new watch") from None


def found_in_a_day(baseline: Baseline) -> str:
    """The smallest lasting changes that a day finds, so that nobody takes silence for more than it is."""
    names = [name for name in baseline.streams.names if name in TELLING]
    return ", ".join(f"{name} {baseline.smallest(name):+.0%}" for name in names)


@contextmanager
def only_watch(state: Path) -> Iterator[None]:
    """One watch a state folder; a killed one lets go. Raises InputError if another has it, or nobody can."""
    try:
        file = (state / ".lock").open("ab")
    except OSError as error:
        raise unwritable(state / ".lock", error) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(
                f"another watch is at work in {state}; stop it first, or choose another --state"
            ) from None
        yield
