"""The demonstration: short runs on a healthy and on a degraded disk, in turns, compared and told.

It is the whole walk on real parts: casedesk on its own SQLite behind a disk that degrades, Locust,
run folders, the comparison, the report. Nothing is written for the demonstration alone except
which disk is on when.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.findings import Verdict
from analysis.generator import gate
from casedesk.disk import load_profile
from casedesk.problems import ProfileError
from casedesk.process import running_desk
from loadgen.chosen import ChosenTarget
from loadgen.run_folder import refuse_used
from savepath.comparing import Sides, compare_runs
from savepath.driving import Turn, drive_one, pair_in_turn, prepare
from savepath.launch import How, Launch
from savepath.loading import load_run
from savepath.progress import NOBODY, Progress
from savepath.telling import Formats, tell
from scenarios.errors import InputError
from scenarios.library import load_scenario
from targets.mapping import load_target

#: Marks a folder that an earlier demonstration made, so that the next one may replace it.
MARKER = ".savepath-demo"

#: Pairs that are made again, in all, because the generator was late or starved: on a busy machine a pair now and
#: then is, and with a quarter of so few pairs dropped there would be no verdict at all.
SPARE_PAIRS = 3


@dataclass(frozen=True, slots=True)
class Demonstration:
    """What is to be shown: the disk of the after side, and the verdict that must come out."""

    out: Path
    disk: str = "degraded"
    healthy: bool = False
    scenario: str = "demo"
    pairs: int | None = None  # the scenario's own number

    def succeeded(self, verdict: Verdict) -> bool:
        """Whether the planted truth was found: ESCALATE, or not ESCALATE where both sides are alike."""
        return (verdict is Verdict.ESCALATE) is not self.healthy


def demonstrate(demo: Demonstration, *, quiet: bool = False, color: bool = False) -> Verdict:
    """Make the runs, compare them, write report.html, results.json, summary.md and junit.xml into ``out``."""
    begun = time.monotonic()
    _make_room(demo.out)
    plan, progress = load_scenario(demo.scenario), Progress(NOBODY if quiet else sys.stderr)
    disks = {"before": _profile("healthy"), "after": _profile("healthy" if demo.healthy else demo.disk)}
    after_disk = disks["after"]["name"]
    pairs = demo.pairs or plan.pairs
    progress.say(f"casedesk, the embedded system, on a disk that is healthy before and {after_disk} after")
    with running_desk(disk="healthy") as desk:
        settings = {"base_url": desk.url}
        inventory = prepare(plan, load_target("casedesk", settings), progress)
        known = demo.out / "inventory.json"
        known.write_text(inventory.model_dump_json(), encoding="utf-8")
        chosen = ChosenTarget("casedesk", settings, known)

        def make(turn: Turn) -> None:
            desk.set_disk(disks[turn.sides[0]])
            launch = Launch(
                demo.scenario, chosen, turn.folder, labels=turn.labels, how=How(purpose="demonstration")
            )
            drive_one(launch, progress.titled(turn.title))

        make_pairs(demo.out, pairs, make, progress)
    runs = demo.out / "runs"
    assessment, meta = compare_runs(
        Sides(before=[runs / "before"], after=[runs / "after"]),
        planned=["disk"],
        title=f"Demonstration: a disk that is healthy, then {after_disk}",
    )
    tell(assessment, meta, Formats.into(demo.out), quiet=quiet, color=color)
    progress.say(f"{time.monotonic() - begun:.0f} s in all; the page: {demo.out / 'report.html'}")
    return assessment.verdict


def make_pairs(out: Path, pairs: int, make: Callable[[Turn], None], progress: Progress) -> None:
    """Make the pairs, in turns; what the generator spoiled is put aside, and made again while spares last."""
    spares = SPARE_PAIRS
    for pair in range(1, pairs + 1):
        turns = list(pair_in_turn(out / "runs", pair, pairs))
        while True:
            for turn in turns:
                make(turn)
            why = _spoiled(turns)
            if not why or not spares:
                break
            progress.say(f"pair {pair} is made again, the first is kept in runs/spoiled: {why}")
            _put_aside(turns, out / "runs" / "spoiled" / f"{SPARE_PAIRS - spares + 1:02d}")
            spares -= 1


def _spoiled(turns: Sequence[Turn]) -> str:
    """What the generator did wrong in one of the runs, as the comparison will see it; empty if nothing."""
    runs = [load_run(turn.folder) for turn in turns]
    return "; ".join(dict.fromkeys(f"a run {fault}" for fault in gate(runs, []).faults.values()))


def _put_aside(turns: Sequence[Turn], room: Path) -> None:
    """Out of the folders that are compared; nothing is thrown away."""
    room.mkdir(parents=True)
    for turn in turns:
        turn.folder.rename(room / turn.sides[0])


def _profile(disk: str) -> dict[str, Any]:
    """A disk profile by name or from its file, as casedesk takes it. Raises InputError."""
    try:
        return load_profile(disk).model_dump(mode="json", by_alias=True, exclude_none=True)
    except ProfileError as error:
        raise InputError(str(error)) from None


def _make_room(out: Path) -> None:
    """An empty folder; an earlier demonstration there is replaced, anything else is refused."""
    if (out / MARKER).is_file():
        shutil.rmtree(out)
    refuse_used(out)
    out.mkdir(parents=True, exist_ok=True)
    (out / MARKER).touch()
