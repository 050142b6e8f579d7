"""Progress on stderr: lines that change in place on a terminal, one line a minute elsewhere."""

import io

from loadgen.live import Live, LiveCell
from savepath.live_table import table
from savepath.progress import NOBODY, Progress, line

STATE = Live(phase="measure", elapsed_s=40.0, total_s=120.0, recorded=1203, rate_per_s=30.1, failures=2)
CELLS = tuple(
    LiveCell(operation=operation, custom_fields=fields, requests=40, failures=1, p50_s=0.12, p95_s=0.45, p99_s=1.2)
    for operation in ("save_custom", "read_case")
    for fields in (10, 500)
)
SEEN = STATE.model_copy(
    update={
        "cells": CELLS,
        "scheduled": 3600,
        "in_flight": 3,
        "lag_p99_s": 0.0004,
        "effects": {"script": {"once": 900, "late": 2}, "value": {"identical": 30, "unverified": 1}},
    }
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_line_tells_phase_rate_failures_and_time_left():
    assert line(STATE) == "measure 40 of 120 s · 1,203 done · 30.1/s · 2 failed · 80 s left"


def test_without_a_terminal_there_is_one_line_a_minute():
    stream, now = io.StringIO(), 0.0
    progress = Progress(stream, clock=lambda: now)
    for now in range(0, 150):  # noqa: B007 (the clock reads it)
        progress.show(STATE)
    assert len(stream.getvalue().splitlines()) == 3


def test_without_a_terminal_nothing_is_told_before_it_measures():
    stream = io.StringIO()
    Progress(stream).show(STATE.model_copy(update={"phase": "warm-up"}))
    assert stream.getvalue() == ""


def test_on_a_terminal_the_line_changes_in_place_and_is_cleared_at_the_end():
    stream = Terminal()
    progress = Progress(stream, title="run 1 of 2: ")
    progress.show(STATE)
    progress.step("cases", 3, 20)
    progress.close()
    written = stream.getvalue()
    assert "\n" not in written
    assert "making cases: 3 of 20" in written
    assert written.endswith("\r\x1b[J\r")


def test_a_line_that_is_too_long_keeps_rate_failures_and_time_left():
    assert line(STATE, 40) == "measure · 30.1/s · 2 failed · 80 s left"


def test_on_a_terminal_the_time_left_is_seen_behind_a_long_title():
    stream = Terminal()
    Progress(stream).titled("pair 10 of 12, before ").show(
        STATE.model_copy(update={"elapsed_s": 1000, "total_s": 1200, "recorded": 301203, "failures": 1002})
    )
    assert stream.getvalue().endswith("1,002 failed · 200 s left\r")


def test_nobody_is_told_anything():
    progress = Progress(NOBODY)
    progress.say("a word")
    progress.show(STATE)
    assert NOBODY.getvalue() == ""


def test_a_line_on_a_terminal_fits_80_columns():
    stream = Terminal()
    Progress(stream, title="x" * 100).show(STATE)
    assert len(stream.getvalue().strip("\r").removeprefix("\x1b[J")) <= 79


def test_below_it_each_cell_the_effects_and_the_schedule_are_told_in_80_columns():
    assert table(SEEN, columns=79, lines=24) == [
        "operation    fields  requests  failed     p50     p95    p99",
        "save_custom      10        40       1  120 ms  450 ms  1.2 s",
        "save_custom     500        40       1  120 ms  450 ms  1.2 s",
        "read_case        10        40       1  120 ms  450 ms  1.2 s",
        "read_case       500        40       1  120 ms  450 ms  1.2 s",
        "effects   script 2 late, 900 once · value 30 identical, 1 unverified",
        "schedule  lag p99 0.4 ms · 1,203 of 3,600 recorded, 3 in flight",
    ]
    assert line(SEEN) == "measure 40 of 120 s · 1,203 done · 30.1/s · 2 failed · 2 effects broken · 80 s left"


def test_on_a_low_terminal_the_last_cells_are_left_out_and_counted():
    told = table(SEEN, columns=79, lines=8)
    assert [row[:11] for row in told[1:3]] == ["save_custom"] * 2
    assert told[3] == "and 2 more, for which this terminal is too low"
    assert len(told) + 1 < 8


def test_what_else_is_written_while_cells_are_shown_is_kept_and_the_same_again_is_not_drawn():
    stream = Terminal()
    progress = Progress(stream)
    progress.show(SEEN)
    drawn = stream.getvalue()
    progress.show(SEEN)
    assert stream.getvalue() == drawn
    assert drawn.endswith("\x1b[7A\r")  # back on the first of eight lines
