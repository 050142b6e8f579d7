"""What a report of a million samples costs and weighs: twenty run folders to a page, core seconds and kilobytes.

The page without the heat maps is weighed too: they are the one part that grows with what was measured.
"""

from __future__ import annotations

import dataclasses
import tempfile
import time
from pathlib import Path
from typing import Any

from analysis.details import Details
from benchmarks.analysis_scale import MILLION, median_row, write_runs
from reports import html
from reports.model import to_json
from savepath.comparing import Sides, compare_runs

REPEATS = 3


def measure() -> list[dict[str, Any]]:
    """Rows {figure, value, low, high, goal, reached}."""
    with tempfile.TemporaryDirectory() as room:
        place = Path(room)
        write_runs(place, MILLION)
        seconds = []
        for _ in range(REPEATS):
            begun = time.process_time()
            assessment, meta = compare_runs(Sides([place / "before"], [place / "after"]))
            page = html.render(assessment, meta)
            seconds.append(time.process_time() - begun)
    details: Details = dataclasses.replace(assessment.details, heat=())
    bare = html.render(dataclasses.replace(assessment, details=details), meta)
    return [
        median_row("compare and render 1 M samples, core s", seconds, 10),
        median_row("the page, KB", [len(page.encode()) / 1000], 2000),
        median_row("the page without heat maps, KB", [len(bare.encode()) / 1000], 400),
        median_row("results.json, KB", [len(to_json(assessment, meta=meta)) / 1000], 1000),
    ]
