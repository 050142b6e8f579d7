"""Old and new at once, live: two casedesks under ``run --versus``, and what ``compare --both`` says of them.

Once both on a healthy disk, where ESCALATE would be false, and once with the new one on the degraded disk, where
it must be ESCALATE, custom saves among what became slower; each with three runs, and with the first of them
alone, which cannot tell.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from casedesk.process import running_desk

RUNS, DURATION_S = 3, 30
SCENARIO = f"""\
name: at-once
cohorts:
  none: {{custom_fields: 0, cases: 10}}
  some: {{custom_fields: 50, cases: 20}}
  most: {{custom_fields: 500, cases: 80}}
mix: {{read_case: 40, save_standard: 20, save_custom: 40}}
load: {{rate_per_s: 30}}
warmup_s: 2
duration_s: {DURATION_S}
pairs: {RUNS}
verification: {{read_back_share: 0.2, settle_s: 0.5, rate_per_s: 40}}
required: [read_case, save_standard, save_custom]
"""


def measure() -> list[dict[str, Any]]:
    """Rows {figure, value, low, high, goal, reached}: what was said (1: as it should be), and how much slower."""
    rows = []
    for disk in ("healthy", "degraded"):
        with tempfile.TemporaryDirectory() as room:
            whole, single = said(Path(room), disk)
        escalates = whole["verdict"] == "ESCALATE"
        slow = [cell["operation"] for cell in whole["cells"] if cell["alarms"]]
        right = not escalates if disk == "healthy" else escalates and "save_custom" in slow
        told = f"{whole['verdict']} ({', '.join([*whole['reasons'], *dict.fromkeys(slow)])})"
        rows.append(_row(f"{disk}, {RUNS} runs at once: {told}", float(right), "1", right))
        rows.append(
            _row(f"{disk}, one of them: {single['verdict']}", float(single["verdict"] == "HOLD"), "", None)
        )
        for cell in whole["cells"]:
            if (cell["custom_fields"], cell["quantile"]) == (500, 0.95):
                figure = f"{disk}: {cell['operation']}@500 p95, after / before"
                rows.append({**_row(figure, cell["ratio"], "", None), "low": cell["low"], "high": cell["high"]})
    return rows


def said(room: Path, disk: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The results of all runs, and of the first alone."""
    scenario, runs = room / "at-once.yaml", room / "runs"
    scenario.write_text(SCENARIO)
    with running_desk() as old, running_desk(seed=2, disk=disk) as new:
        _savepath(
            "run", scenario, "--target", "casedesk", "--set", f"base_url={old.url}",
            "--versus", "casedesk", "--versus-set", f"base_url={new.url}", "--out", runs,
        )  # fmt: skip
    return _results(room, runs), _results(room, runs / "run-01")


def _results(room: Path, runs: Path) -> dict[str, Any]:
    _savepath("compare", "--both", runs, "--planned", "disk", "--json", room / "r.json", "--fail-on", "never")
    found: dict[str, Any] = json.loads((room / "r.json").read_text())
    return found


def _savepath(*words: object) -> None:
    subprocess.run([sys.executable, "-m", "savepath", *map(str, words)], check=True, stdout=sys.stderr)


def _row(figure: str, value: float, goal: str, reached: bool | None) -> dict[str, Any]:
    return {"figure": figure, "value": value, "low": None, "high": None, "goal": goal, "reached": reached}
