"""What ``savepath clean`` leaves on Roundup and PocketBase, after whole runs and after kills at random moments.

Rows of the systems' own databases, counted before a run and after its clean-up. A run makes cases, saves, script
runs and, on Roundup, mails; the command and its load generator are killed at once, at a moment drawn evenly from
the first ``SPAN_S`` seconds. ``CLEAN_KILLS`` kills on each system (20); seed 8.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from savepath.cleaned import exit_code
from savepath.cleaning import Choice, clean
from targets.mail_sink import running_sink
from tests.real_system import Driven, kill
from tests.test_real_systems import MAILS, POCKETBASE, ROUNDUP, SCENARIO, Served, System, words_of_a_run

KILLS = 20
WHOLE = 3
SPAN_S = 25.0
SEED = 8


def measure() -> Iterator[dict[str, object]]:
    """A row for each system and way of ending: the objects that were left in the worst case."""
    kills, rng = int(os.environ.get("CLEAN_KILLS", KILLS)), random.Random(SEED)
    for system in (ROUNDUP, POCKETBASE):
        os.environ.update(system.environ)
        with tempfile.TemporaryDirectory() as room, _served(system, Path(room)) as served:
            with Driven(system.target, served.settings, served.scenario_file, system.environ).client:
                pass  # the cases that are there before: none of them may be removed
            whole = [_left(served, Path(room) / f"whole{number}", None) for number in range(WHOLE)]
            yield _row(f"{system.target}: objects left after {WHOLE} whole runs", whole)
            killed = [
                _left(served, Path(room) / f"killed{number}", rng.uniform(0.5, SPAN_S)) for number in range(kills)
            ]
            yield _row(f"{system.target}: objects left after {kills} kills", killed)


@contextlib.contextmanager
def _served(system: System, room: Path) -> Iterator[Served]:
    scenario = room / "sweep.yaml"
    mails = MAILS if system.mails else ""
    scenario.write_text(SCENARIO.format(mails=mails, rate_per_s=system.rate_per_s, duration_s=3))
    with running_sink() as (smtp_port, sink), system.serve(scenario, room / "home", smtp_port) as url:
        settings = {"base_url": url} | ({"mail_sink": sink} if system.mails else {})
        yield Served(system, scenario, room / "home", settings)


def _left(served: Served, out: Path, killed_after_s: float | None) -> int:
    """How many rows more or fewer there are after a run and its clean-up, summed over the tables."""
    before, more = served.system.rows(served.home), out.with_suffix(".yaml")
    text = served.scenario_file.read_text().replace("cases: 2", "cases: 6")
    more.write_text(re.sub("duration_s: .*", "duration_s: 60", text) if killed_after_s else text)
    child = subprocess.Popen(words_of_a_run(served, more, out), stderr=subprocess.DEVNULL)
    if killed_after_s is None:
        child.wait()
    else:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(killed_after_s)
        kill(child)
    if (out / "footprint").is_dir():
        cleaned = clean([out], Choice(), lambda _: None, settle_s=2)
        if exit_code(cleaned):
            raise RuntimeError(f"{out.name} was not cleaned up")
    after = served.system.rows(served.home)
    return sum(abs(number - before[table]) for table, number in after.items())


def _row(figure: str, left: list[int]) -> dict[str, object]:
    worst = max(left)
    return {
        "figure": figure, "value": sum(left), "low": min(left), "high": worst, "goal": "0", "reached": worst == 0,
    }  # fmt: skip
