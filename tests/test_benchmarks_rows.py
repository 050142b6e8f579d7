"""The benches: what one that is stopped leaves behind, and how a try of the watch on a real desk is read."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from benchmarks import __main__ as benches
from benchmarks import records
from benchmarks.watch_beside import Subject, go_on
from benchmarks.watch_live import CUSTOM_P95, Ramp, read_ramp


def test_a_bench_that_is_stopped_leaves_the_rows_it_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"figure": "one", "value": 1.0, "low": 1.0, "high": 1.0, "goal": "= 1", "reached": True}

    def measure() -> Iterator[dict[str, Any]]:
        yield known
        raise KeyboardInterrupt

    stopped = ModuleType("stopped")
    stopped.measure = measure  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "stopped", stopped)
    monkeypatch.setitem(benches.BENCHES, "stopped", ("stopped",))
    monkeypatch.setattr(benches, "OUT", tmp_path)
    assert (benches.main("stopped", ()), json.loads((tmp_path / "stopped.json").read_text())) == (130, [known])


def test_a_bench_of_many_histories_tells_what_it_has_where_it_is_ended_and_goes_on_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "OUT", tmp_path)
    asked, patience = [], [3]

    def one(seed: int) -> float:
        asked.append(seed)
        if len(asked) > patience[0]:
            raise KeyboardInterrupt
        return float(seed)

    subjects = [Subject(name, wants, one, lambda found: {"n": len(found)}) for name, wants in (("a", 3), ("b", 1))]
    told: list[dict[str, Any]] = []
    with pytest.raises(KeyboardInterrupt):
        told.extend(go_on(subjects))
    assert told == [{"n": 2}, {"n": 1}]
    assert asked == [0, 0, 1, 2]  # a and b, then a alone
    patience[0] = 9
    assert list(go_on(subjects)) == [{"n": 3}, {"n": 1}]
    assert asked == [0, 0, 1, 2, 2]
    assert subjects[0].found().values == [0.0, 1.0, 2.0]


def test_a_ramp_is_timed_from_the_disks_change_to_the_middle_of_the_blocks_that_doubled() -> None:
    # Twice is log 2 = .693 above usual: of .5 .6 .7 .8 the first three blocks whose median has it are .6 .7 .8.
    p95 = [0.0, 0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
    decided = [_line(20.0 * (i + 1), "ESCALATE" if i >= 5 else "HOLD", one) for i, one in enumerate(p95)]
    found = read_ramp(decided, 60.0, 0.0)
    assert (found.escalated_min, found.doubled_min) == (60 / 60, 120 / 60)


def test_an_alarm_before_the_disk_changed_is_a_false_one_and_ends_the_try() -> None:
    alarm = _line(40.0, "ESCALATE", 0.0)
    found = read_ramp([_line(20.0, "HOLD", 0.0), alarm], math.inf, 0.0)
    assert (found, found.is_over(math.inf)) == (Ramp(-math.inf, math.inf, alarm), True)


def _line(at_s: float, verdict: str, p95_log_s: float) -> dict[str, Any]:
    return {"at_s": at_s, "verdict": verdict, "block": {"levels": {CUSTOM_P95: p95_log_s}}}
