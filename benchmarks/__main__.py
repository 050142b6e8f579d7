"""``python -m benchmarks NAME [OPTION ...]``: measure, print the table, write ``benchmarks/out/NAME.json``.

Ratios side by side in one run, since the machines are shared and noisy. A row is
{figure, value, low, high, goal, reached}; low and high bound the value over its repetitions. A bench that yields
its rows has each of them in the file as soon as it is known, so that one that is stopped has not run for nothing.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

#: name of the bench -> the modules whose ``measure()`` make its rows, in order.
BENCHES = {
    "load": ("benchmarks.startup", "benchmarks.load", "benchmarks.workers", "benchmarks.peers"),
    "workers": ("benchmarks.workers",),
    "peers": ("benchmarks.peers",),
    "performance": ("benchmarks.performance",),
    "soak": ("benchmarks.soak",),
    "day": ("benchmarks.day",),
    "scale": ("benchmarks.analysis_scale",),
    "truth": ("benchmarks.truth",),
    "plan": ("benchmarks.planned_pairs",),
    "disk": ("benchmarks.casedesk_disk",),
    "effects": ("benchmarks.effects",),
    "report": ("benchmarks.report",),
    "real": ("benchmarks.real_systems",),
    "watch": ("benchmarks.watch_truth",),
    "watch-beside": ("benchmarks.watch_beside",),
    "watch-live": ("benchmarks.watch_live",),
    "chaos": ("benchmarks.chaos",),
    "clean-real": ("benchmarks.clean_real",),
    "fuzz": ("benchmarks.fuzz",),
    "promises": ("benchmarks.promises",),
    "wrong-clear": ("benchmarks.wrong_clear",),
    "at-once": ("benchmarks.at_once",),
}
#: Those whose ``measure()`` takes the words that follow the name.
WITH_OPTIONS = {"performance", "truth", "watch", "watch-live", "wrong-clear", "chaos", "fuzz", "promises"}
OUT = Path(__file__).parent / "out"


def table(rows: list[dict[str, object]]) -> str:
    """The rows as text in 80 columns or a little more."""
    lines = [f"{'figure':<52}{'value':>10}{'low':>9}{'high':>9}  goal"]
    for row in rows:
        value, low, high = (f"{row[k]:.4g}" if row[k] is not None else "" for k in ("value", "low", "high"))
        mark = {True: "reached", False: "NOT REACHED", None: ""}[row["reached"]]
        lines.append(f"{row['figure']!s:<52}{value:>10}{low:>9}{high:>9}  {row['goal'] or ''} {mark}")
    return "\n".join(lines)


def main(name: str, options: Sequence[str]) -> int:
    if name not in BENCHES:
        print(f"no bench {name!r}; there are {', '.join(BENCHES)}", file=sys.stderr)
        return 2
    if options and name not in WITH_OPTIONS:
        print(f"the bench {name} takes no options", file=sys.stderr)
        return 2
    rows: list[dict[str, object]] = []
    OUT.mkdir(exist_ok=True)
    try:
        for module in BENCHES[name]:
            print(f"== {module}", file=sys.stderr, flush=True)
            measure = importlib.import_module(module).measure
            for row in measure(options) if options else measure():
                rows.append(row)
                (OUT / f"{name}.json").write_text(json.dumps(rows, indent=2) + "\n")
    except KeyboardInterrupt:
        print("stopped; what was measured until then:", file=sys.stderr)
        return 130
    finally:
        print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "load", sys.argv[2:]))
