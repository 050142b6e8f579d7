"""A slow disk under systems that nobody here wrote, seen by savepath itself: saves slower, reads not blamed.

Drives two Roundups at once with ``savepath run --versus``, one on the disk as it is and one with 20 ms
added to each fsync, then lets ``savepath compare`` say what it sees: on SQLite, and on PostgreSQL where
it and its driver are. The delay is measured before each run, and the calls that were slowed are
counted after it.

    python -m benchmarks.real_systems
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from targets.mail_sink import running_sink
from tests import postgres_server, slow_disk
from tests.roundup_server import ENVIRON, running_roundup

Row = dict[str, object]

SYNC_MS = 20.0
PAIRS = 6
DURATION_S = 30.0
BACKENDS = ("sqlite", "postgresql")

#: Each side gets half of the arrivals, and saves are few on purpose. On SQLite a read that meets the end of
#: a save does wait for the disk: if it lets go of the file last it moves the log into the file, if it comes
#: meanwhile it waits for the lock. With 1.2 slow saves of .15 s a second few reads meet one, so that what is
#: asked is whether reads are blamed for saves, not whether they queue behind them.
SCENARIO = """\
name: slow-disk
about: Cases with 50 custom fields on a real system, both sides at once in short runs.
seed: 20261123
cohorts: {{some: {{custom_fields: 50, cases: 40}}}}
mix: {{read_case: 50, save_standard: 25, save_custom: 25}}
load: {{rate_per_s: 4.8}}
warmup_s: 2
duration_s: {duration_s}
pairs: {pairs}
verification: {{read_back_share: 0.1, script_deadline_s: 10}}
required: [read_case, save_standard, save_custom]
"""


def measure(duration_s: float = DURATION_S, pairs: int = PAIRS, backends: Sequence[str] = BACKENDS) -> list[Row]:
    """Rows {figure, value, low, high, goal, reached}: what was found by backend, then ratios after / before."""
    if slow_disk.obstacle():
        print(f"no slow disk: {slow_disk.obstacle()}", file=sys.stderr)
        return []
    rows: list[Row] = []
    for backend in backends:
        missing = _missing(backend)
        if missing:
            print(f"{backend} is left out: {missing}", file=sys.stderr)
        else:
            results = compare_disks(backend, duration_s, pairs)
            _tell(backend, results)
            rows += rows_of(backend, results)
    return rows


def compare_disks(backend: str, duration_s: float, pairs: int) -> dict[str, Any]:
    """What ``savepath compare`` says of Roundup on a disk as it is, and at once on one with slow syncs."""
    with tempfile.TemporaryDirectory(prefix="real-systems-") as room, contextlib.ExitStack() as stack:
        folder = Path(room)
        scenario = folder / "scenario.yaml"
        scenario.write_text(SCENARIO.format(duration_s=duration_s, pairs=pairs))
        smtp_port, sink = stack.enter_context(running_sink())
        disks, urls = {}, {}
        for side in ("before", "after"):
            disks[side] = stack.enter_context(slow_disk.slow_disk())
            serving = _serving(backend, scenario, folder / f"{side}-home", disks[side].environment, smtp_port)
            urls[side] = stack.enter_context(serving)
        words = ["run", str(scenario), "--pairs", "1", "--target", "roundup", "--versus", "roundup"]
        words += ["--set", f"base_url={urls['before']}", "--versus-set", f"base_url={urls['after']}"]
        words += ["--set", f"mail_sink={sink}", "--versus-set", f"mail_sink={sink}"]
        words += ["--label", f"added_sync_ms={SYNC_MS:g}"]
        for pair in range(pairs):
            disks["after"].set_delay(sync_ms=SYNC_MS)  # and measure that it is there
            counted = {side: disk.slowed for side, disk in disks.items()}
            _savepath([*words, "--out", str(folder / "both" / f"run-{pair}")])
            slowed = {side: disk.slowed - counted[side] for side, disk in disks.items()}
            if slowed["before"] or not slowed["after"]:
                raise slow_disk.DeadInjectorError(f"syncs that were slowed: {slowed}")
        found = folder / "results.json"
        words = ["compare", "--both", str(folder / "both"), "--json", str(found), "--fail-on", "never", "--quiet"]
        _savepath(words)
        results: dict[str, Any] = json.loads(found.read_text())
        return results


def rows_of(backend: str, results: dict[str, Any]) -> list[Row]:
    """Whether every kind of save was found slower and no read was, then each ratio.

    A save takes a sync at least, so its median counts. A read takes none: it is blamed if its median
    or its p95 is called slower. Neither counts where the load was not the one that was planned.
    """
    found = [cell for cell in results["cells"] if cell["ratio"] is not None and cell["quantile"] in (0.5, 0.95)]
    reads = [cell for cell in found if cell["operation"] == "read_case"]
    saves = [cell for cell in found if cell["operation"] != "read_case" and cell["quantile"] == 0.5]
    slower, blamed = sum(map(_is_slower, saves)), sum(map(_is_slower, reads))
    valid = "invalid-load" not in results["reasons"]
    pairs = max((cell["pairs"] for cell in found), default=0)
    return [
        _row(f"{backend}: kinds of save found slower, {pairs} pairs", slower, 2, valid and slower == 2),
        _row(f"{backend}: reads called slower, of p50 and p95", blamed, 0, valid and blamed == 0 < len(reads)),
        *(_ratio_row(backend, cell, "slower", _is_slower(cell)) for cell in saves),
        *(_ratio_row(backend, cell, "not blamed", not _is_slower(cell)) for cell in reads),
    ]


def _is_slower(cell: dict[str, Any]) -> bool:
    return cell["word"] in ("slower", "much slower")


def _ratio_row(backend: str, cell: dict[str, Any], goal: str, reached: bool) -> Row:
    what = f"{backend} {cell['operation']} {cell['custom_fields']} p{100 * cell['quantile']:g}"
    times = f"{1000 * cell['before_s']:.0f} -> {1000 * cell['after_s']:.0f} ms"
    goal = f"{goal} ({cell['word']})"
    return _row(f"{what}: {times}", cell["ratio"], goal, reached, low=cell["low"], high=cell["high"])


def _row(figure: str, value: float, goal: object, reached: bool, **bounds: float | None) -> Row:
    return {
        "figure": figure,
        "value": value,
        "low": None,
        "high": None,
        **bounds,
        "goal": goal,
        "reached": reached,
    }


def _tell(backend: str, results: dict[str, Any]) -> None:
    """The verdict, what failed beside it, and the effects that were looked up."""
    print(f"{backend}: {results['verdict']} ({', '.join(results['reasons'])})", file=sys.stderr)
    for check in results["checks"]:
        if check["outcome"] == "fail":
            print(f"  {check['name']}: {check['meaning']}", file=sys.stderr)
    for finding in results["integrity"]:
        if finding["after"]:
            words = f"{finding['kind']} {finding['outcome']}"
            print(f"  {words}: {finding['after']} of {finding['checked_after']} after", file=sys.stderr)
    for kind in results["failure_kinds"]:
        print(f"  {kind['outcome']} {kind['detail']}: {kind['before']} -> {kind['after']}", file=sys.stderr)


@contextmanager
def _serving(
    backend: str, scenario: Path, home: Path, environment: Mapping[str, str], smtp_port: int
) -> Iterator[str]:
    """Roundup on that backend, with the disk under the part that stores; its URL."""
    with contextlib.ExitStack() as stack:
        where = ""
        if backend == "postgresql":
            cluster = stack.enter_context(postgres_server.running_postgres(environment))
            where, environment = f"host={cluster.socket_folder} user={postgres_server.USER}", {}
        serving = running_roundup(scenario, home, environment, smtp_port=smtp_port, postgres=where)
        yield stack.enter_context(serving)


def _savepath(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "savepath", *words], env={**os.environ, **ENVIRON}, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"savepath {' '.join(words)} ended with {done.returncode}:\n{done.stderr[-2000:]}")


def _missing(backend: str) -> str:
    if backend == "sqlite":
        return ""
    driver = importlib.util.find_spec("psycopg2")
    return postgres_server.obstacle() or ("" if driver else "psycopg2 is not installed")


if __name__ == "__main__":
    from benchmarks.__main__ import table

    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seconds", type=float, default=DURATION_S)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--backend", action="append", choices=BACKENDS, help="all if not given")
    given = parser.parse_args()
    print(table(measure(given.seconds, given.pairs, given.backend or BACKENDS)))
