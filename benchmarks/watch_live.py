"""The watch on the real thing in fast time: casedesk, blocks of 20 s, a baseline of 20 minutes, a day of 10.

``python -m benchmarks watch-live [--cases NAME ...] [--repeats N] [--baseline-min M] [--healthy-min M]``

ramp     the disk gets worse over 20 minutes: ESCALATE before the p95 of custom saves has doubled
scripts  one on-save script in a hundred is lost: ESCALATE by integrity within a block
healthy  an hour in which nothing is wrong: no ESCALATE

Each repetition has a desk and a baseline of its own; the cases of one repetition share them, the ramp last.
"""

from __future__ import annotations

import argparse
import json
import math
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from casedesk.disk import load_profile
from casedesk.process import RunningDesk, running_desk

BLOCK_S, DAY_S, RAMP_S = 20, 600, 1200
#: As the watch cuts it for its blocks, so that the baseline's runs are like its own.
SCENARIO = """\
name: window
about: A little of everything, for blocks of 20 seconds.
cohorts:
  none: {custom_fields: 0, tenants: 1, cases: 10}
  few:  {custom_fields: 10, tenants: 1, cases: 10}
  some: {custom_fields: 50, tenants: 1, cases: 20}
  many: {custom_fields: 200, tenants: 1, cases: 40}
  most: {custom_fields: 500, tenants: 1, cases: 80}
mix: {read_case: 30, send_email: 10, save_standard: 20, save_custom: 30, run_script: 10}
load: {rate_per_s: 25}
warmup_s: 1
duration_s: 13
verification: {read_back_share: 0.1, script_deadline_s: 3, mail_deadline_s: 5, settle_s: 0.5, rate_per_s: 40}
"""
CASES = ("healthy", "scripts", "ramp")
#: The p95 of a block is noisy: it has doubled where the median of so many blocks has.
SMOOTH = 3


def measure(options: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Rows {figure, value, low, high, goal, reached}."""
    asked = _parser().parse_args(options)
    found: dict[str, list[dict[str, Any]]] = {case: [] for case in CASES if case in asked.cases}
    for number in range(asked.repeats):
        with tempfile.TemporaryDirectory() as place, running_desk(seed=number + 1) as desk:
            room = Path(place)
            (room / "window.yaml").write_text(SCENARIO)
            _make_baseline(room, desk, round(asked.baseline_min * 60 / BLOCK_S))
            for case, results in found.items():
                results.append(LIVED[case](room, desk, asked))
                print(f"{case} {number + 1}: {results[-1]}", file=sys.stderr, flush=True)
    return [row for case, results in found.items() for row in ROWS[case](results)]


def _make_baseline(room: Path, desk: RunningDesk, runs: int) -> None:
    words = ["run", "window.yaml", *_target(desk), "--pairs", str(runs), "--out", "before", "--quiet"]
    subprocess.run([sys.executable, "-m", "savepath", *words], cwd=room, check=True)


def _healthy(room: Path, desk: RunningDesk, asked: argparse.Namespace) -> dict[str, Any]:
    with _watching(room, desk, "healthy", asked.healthy_min * 60) as lines:
        decided = list(lines)
    return {
        "escalated": sum(line["verdict"] == "ESCALATE" for line in decided),
        "clear": sum(line["verdict"] == "CLEAR" for line in decided),
        "blocks": len(decided),
    }


def _scripts(room: Path, desk: RunningDesk, asked: argparse.Namespace) -> dict[str, Any]:
    """Blocks from the first one in which a script was lost to the alarm; both ends count as one block."""
    desk.set_faults(script_lost=0.01)
    hit, blocks = None, 0
    with _watching(room, desk, "scripts", 600) as lines:
        for line in lines:
            blocks += hit is not None
            if hit is None and any(fault["fault"] == "script_lost" for fault in desk.planted()):
                hit, blocks = line["run"], 1
            if any(alarm["kind"] == "integrity" for alarm in line["alarms"]):
                break
    desk.set_faults()
    return {"blocks": blocks if hit is not None else math.inf, "sentence": line["sentence"]}


def _ramp(room: Path, desk: RunningDesk, asked: argparse.Namespace) -> dict[str, Any]:
    """Minutes to the first alarm in latency and to twice the p95 of custom saves."""
    profile = load_profile("ramping").model_dump(mode="json", by_alias=True, exclude_none=True)
    desk.set_disk({**profile, "ramp": {"over_s": RAMP_S, "from": "healthy"}})
    begun_s = time.time()
    escalated = doubled = math.inf
    said, recent = "", []
    with _watching(room, desk, "ramp", RAMP_S) as lines:
        normal = _baseline_p95(room / "ramp")
        for line in lines:
            minutes = (line["at_s"] - begun_s) / 60
            recent = [*recent, line["block"]["levels"].get("p95 of save_custom", math.nan)][-SMOOTH:]
            if math.isinf(escalated) and line["verdict"] == "ESCALATE":
                escalated, said = minutes, line["sentence"]
            if len(recent) == SMOOTH and np.nanmedian(recent) >= normal + math.log(2):
                doubled = min(doubled, minutes)
            if math.isfinite(escalated) and math.isfinite(doubled):
                break
    desk.set_disk("healthy")
    return {"escalated_min": escalated, "doubled_min": doubled, "sentence": said}


def _baseline_p95(state: Path) -> float:
    """The median p95 of custom saves in the baseline, log seconds."""
    lines = (state / "baseline.jsonl").read_text().splitlines()
    return float(np.nanmedian([json.loads(line)["levels"].get("p95 of save_custom", math.nan) for line in lines]))


@contextmanager
def _watching(room: Path, desk: RunningDesk, name: str, lasts_s: float) -> Iterator[Iterator[dict[str, Any]]]:
    """A watch of its own, and its decisions as they come until it ends; it is ended with the block."""
    words = ["watch", "window.yaml", *_target(desk), "--baseline", "before", "--state", name, "--quiet"]
    words += ["--for", f"{lasts_s:g}s", "--every", f"{BLOCK_S}s", "--settle", "120s", "--day", f"{DAY_S}s"]
    child = subprocess.Popen([sys.executable, "-m", "savepath", *words], cwd=room, stdout=sys.stderr)
    journal = room / name / "decisions.jsonl"
    try:
        while not journal.exists() and child.poll() is None:
            time.sleep(0.2)
        yield _decisions(journal, child)
    finally:
        if child.poll() is None:
            child.send_signal(signal.SIGINT)
        child.wait(60)


def _decisions(journal: Path, child: subprocess.Popen[bytes]) -> Iterator[dict[str, Any]]:
    with journal.open() as file:
        text = ""
        while True:
            ended = child.poll() is not None
            text += file.read()
            *whole, text = text.split("\n")
            yield from (line for one in whole if (line := json.loads(one))["kind"] == "decision")
            if ended:
                return
            time.sleep(0.5)


def _target(desk: RunningDesk) -> list[str]:
    return ["--target", "casedesk", "--set", f"base_url={desk.url}"]


def _healthy_rows(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    quiet = sum(one["escalated"] == 0 for one in results)
    minutes = results[0]["blocks"] * BLOCK_S / 60
    return [_row(f"healthy for {minutes:.0f} min: without ESCALATE, of {len(results)}", [quiet], len(results))]


def _scripts_rows(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    blocks = [one["blocks"] for one in results]
    return [_row("scripts lost at 1 %: blocks to ESCALATE by integrity", blocks, 1, at_most=True)]


def _ramp_rows(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    in_time = sum(one["escalated_min"] < one["doubled_min"] for one in results)
    return [
        _row("disk ramps over 20 min: minutes to ESCALATE", [one["escalated_min"] for one in results], None),
        _row("disk ramps: minutes until custom saves' p95 doubled", [one["doubled_min"] for one in results], None),
        _row(f"disk ramps: ESCALATE before it doubled, of {len(results)}", [in_time], len(results)),
    ]


LIVED = {"healthy": _healthy, "scripts": _scripts, "ramp": _ramp}
ROWS = {"healthy": _healthy_rows, "scripts": _scripts_rows, "ramp": _ramp_rows}


def _row(figure: str, values: Sequence[float], goal: float | None, *, at_most: bool = False) -> dict[str, Any]:
    value = float(np.median(values))
    told = [None if math.isinf(one) else one for one in (value, min(values), max(values))]
    return {
        "figure": figure,
        **dict(zip(("value", "low", "high"), told, strict=True)),
        "goal": None if goal is None else f"{'<=' if at_most else '='} {goal:g}",
        "reached": None if goal is None else (value <= goal if at_most else value == goal),
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks watch-live", description=__doc__)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--baseline-min", type=float, default=20.0)
    parser.add_argument("--healthy-min", type=float, default=60.0)
    return parser
