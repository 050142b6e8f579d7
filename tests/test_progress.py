"""Progress on stderr: a changing line on a terminal, one line a minute elsewhere."""

import io

from savepath.progress import NOBODY, Progress, line

STATE = {
    "phase": "measure",
    "elapsed_s": 40.0,
    "total_s": 120.0,
    "recorded": 1203,
    "rate_per_s": 30.1,
    "failures": 2,
}


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
    Progress(stream).show({**STATE, "phase": "warm-up"})
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
    assert written.endswith("\r")


def test_a_line_that_is_too_long_keeps_rate_failures_and_time_left():
    assert line(STATE, 40) == "measure · 30.1/s · 2 failed · 80 s left"


def test_on_a_terminal_the_time_left_is_seen_behind_a_long_title():
    stream = Terminal()
    Progress(stream).titled("pair 10 of 12, before ").show(
        {**STATE, "elapsed_s": 1000, "total_s": 1200, "recorded": 301203, "failures": 1002}
    )
    assert stream.getvalue().endswith("1,002 failed · 200 s left")


def test_nobody_is_told_anything():
    progress = Progress(NOBODY)
    progress.say("a word")
    progress.show(STATE)
    assert NOBODY.getvalue() == ""


def test_a_line_on_a_terminal_fits_80_columns():
    stream = Terminal()
    Progress(stream, title="x" * 100).show(STATE)
    assert len(stream.getvalue().strip("\r")) <= 79
