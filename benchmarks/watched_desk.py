"""A watch over a casedesk in fast time: its baseline, the watch itself, and its decisions as they come."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from casedesk.process import RunningDesk

BLOCK_S, DAY_S, SETTLE_S = 20, 600, 120
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
load: {rate_per_s: 45}
warmup_s: 1
duration_s: 13
verification: {read_back_share: 0.1, script_deadline_s: 3, mail_deadline_s: 5, settle_s: 0.5, rate_per_s: 40}
"""
#: A watch that is told to end ends its load generator and its service first.
_END_S = 60
Line = dict[str, Any]


def make_baseline(room: Path, desk: RunningDesk, minutes: float) -> str:
    """Drive the runs of a baseline into ``room/before``; what went wrong, empty if nothing did."""
    (room / "window.yaml").write_text(SCENARIO)
    runs = round(minutes * 60 / BLOCK_S)
    words = ["run", "window.yaml", *_target(desk), "--pairs", str(runs), "--out", "before", "--quiet"]
    done = subprocess.run([sys.executable, "-m", "savepath", *words], cwd=room, check=False)
    return f"no baseline could be made: savepath run ended with {done.returncode}" if done.returncode else ""


@contextmanager
def watching(room: Path, desk: RunningDesk, state: str, lasts_s: float) -> Iterator[Iterator[Line]]:
    """A watch of its own, and its decisions as they come until it ends; it is ended with the block."""
    words = ["watch", "window.yaml", *_target(desk), "--baseline", "before", "--state", state, "--quiet"]
    words += ["--for", f"{lasts_s:g}s", "--every", f"{BLOCK_S}s", "--settle", f"{SETTLE_S}s", "--day", f"{DAY_S}s"]
    child = subprocess.Popen(
        [sys.executable, "-m", "savepath", *words], cwd=room, stdout=sys.stderr, start_new_session=True
    )
    try:
        yield _decisions(room / state / "decisions.jsonl", child)
    finally:
        if child.poll() is None:
            child.send_signal(signal.SIGINT)
        try:
            child.wait(_END_S)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def _decisions(journal: Path, child: subprocess.Popen[bytes]) -> Iterator[Line]:
    read_to, ended = 0, False
    while not ended:
        ended = child.poll() is not None  # asked first: what it wrote before its end is read once more
        text = journal.read_bytes()[read_to:] if journal.exists() else b""
        whole = text[: text.rfind(b"\n") + 1]
        read_to += len(whole)
        yield from (line for one in whole.splitlines() if (line := json.loads(one))["kind"] == "decision")
        if not ended and not whole:
            time.sleep(0.5)


def _target(desk: RunningDesk) -> list[str]:
    return ["--target", "casedesk", "--set", f"base_url={desk.url}"]
