"""A slow disk under systems that nobody here wrote, seen by savepath itself: saves slower, reads not.

Runs a shortened field-sweep against Roundup with ``savepath run``, in turns on the disk as it is and
with a delay added to each fsync, then asks ``savepath compare`` what it sees. SQLite, and PostgreSQL
where it and its driver are. What comes out is one comparison a backend: a row for each operation.

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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from targets.mail_sink import running_sink
from tests import postgres_server, slow_disk
from tests.roundup_server import ENVIRON, running_roundup

SYNC_MS = 20.0
PAIRS = 4

#: field-sweep, shortened; few saves at once, so that the disk is slow and not a queue in front of it.
SCENARIO = """\
name: field-sweep
about: Tenants with 0, 10, 50 and 200 custom fields on a real system, each side in short runs.
seed: 20261123
cohorts:
  none: {{custom_fields: 0, cases: 20}}
  few:  {{custom_fields: 10, cases: 20}}
  some: {{custom_fields: 50, cases: 20}}
  many: {{custom_fields: 200, cases: 20}}
mix: {{read_case: 40, save_standard: 30, save_custom: 30}}
load: {{rate_per_s: 5}}
warmup_s: 2
duration_s: {duration_s}
pairs: {pairs}
verification: {{read_back_share: 0.1, script_deadline_s: 10}}
required: [read_case, save_standard, save_custom]
"""


def measure(duration_s: float = 20.0, pairs: int = PAIRS) -> list[dict[str, object]]:
    """Rows {figure, value, low, high, goal, reached}: ratios of medians after / before, by operation."""
    if slow_disk.obstacle():
        print(f"no slow disk: {slow_disk.obstacle()}", file=sys.stderr)
        return []
    rows = []
    for backend in ("sqlite", "postgresql"):
        missing = _missing(backend)
        if missing:
            print(f"{backend} is left out: {missing}", file=sys.stderr)
        else:
            rows += _rows(backend, compare_disks(backend, duration_s, pairs))
    return rows


def compare_disks(backend: str, duration_s: float, pairs: int) -> dict[str, Any]:
    """What ``savepath compare`` says of Roundup on a disk as it is, and on one with slow syncs."""
    with tempfile.TemporaryDirectory(prefix="real-systems-") as room, contextlib.ExitStack() as stack:
        folder = Path(room)
        scenario = folder / "scenario.yaml"
        scenario.write_text(SCENARIO.format(duration_s=duration_s, pairs=pairs))
        disk = stack.enter_context(slow_disk.slow_disk())
        url, sink = stack.enter_context(_serving(backend, scenario, folder / "home", disk.environment))
        for pair in range(pairs):
            # The order turns from pair to pair, so that what drifts falls on both sides alike.
            for side in ("before", "after") if pair % 2 == 0 else ("after", "before"):
                added_ms = SYNC_MS if side == "after" else 0
                disk.set_delay(sync_ms=added_ms)  # and measure that it is there
                counted = disk.slowed
                words = ["run", str(scenario), "--target", "roundup", "--out", str(folder / side / f"run-{pair}")]
                words += ["--set", f"base_url={url}", "--set", f"mail_sink={sink}"]
                _savepath([*words, "--label", f"added_sync_ms={added_ms:g}"])
                if (disk.slowed > counted) != (side == "after"):
                    raise slow_disk.DeadInjectorError(
                        f"{disk.slowed - counted} syncs were slowed {side} the change"
                    )
        found = folder / "results.json"
        words = ["compare", "--before", str(folder / "before"), "--after", str(folder / "after")]
        _savepath([*words, "--planned", "added_sync_ms", "--json", str(found), "--fail-on", "never", "--quiet"])
        results: dict[str, Any] = json.loads(found.read_text())
        return results


def _rows(backend: str, results: dict[str, Any]) -> list[dict[str, object]]:
    """The medians of both sides, by operation and number of fields; a save takes at least one sync."""
    rows: list[dict[str, object]] = []
    for cell in results["cells"]:
        if cell["quantile"] != 0.5 or cell["ratio"] is None:
            continue
        saves = cell["operation"] != "read_case"
        slower = cell["word"] in ("slower", "much slower")
        unharmed = cell["word"] in ("no harm", "faster")
        before_ms, after_ms = 1000 * cell["before_s"], 1000 * cell["after_s"]
        where = f"{backend} {cell['operation']} {cell['custom_fields']}: {before_ms:.1f} -> {after_ms:.1f} ms"
        rows.append(
            {
                "figure": where,
                "value": cell["ratio"],
                "low": cell["low"],
                "high": cell["high"],
                "goal": "slower" if saves else "not slower",
                # What the runs leave open is neither reached nor missed.
                "reached": slower == saves if slower or unharmed else None,
            }
        )
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
    return rows


@contextmanager
def _serving(
    backend: str, scenario: Path, home: Path, environment: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Roundup on that backend, with the disk under the part that stores; its URL and that of the mail sink."""
    with contextlib.ExitStack() as stack:
        smtp_port, sink = stack.enter_context(running_sink())
        where = ""
        if backend == "postgresql":
            cluster = stack.enter_context(postgres_server.running_postgres(environment))
            where, environment = f"host={cluster.socket_folder} user={postgres_server.USER}", {}
        serving = running_roundup(scenario, home, environment, smtp_port=smtp_port, postgres=where)
        yield stack.enter_context(serving), sink


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
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    given = parser.parse_args()
    print(table(measure(given.seconds, given.pairs)))
