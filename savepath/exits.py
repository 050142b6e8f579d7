"""The exit codes, the one table of them."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """How a command ended, for the shell and the pipeline that called it."""

    DONE = 0
    BUG = 1
    USAGE = 2
    REFUSED = 3
    ABORTED = 4
    HOLD = 10
    ESCALATE = 20
    INTERRUPTED = 130
    TERMINATED = 143


MEANINGS = {
    Exit.DONE: "CLEAR, or done",
    Exit.BUG: "unexpected error (a bug)",
    Exit.USAGE: "usage: bad flag, scenario, target or run folder",
    Exit.REFUSED: "refused by a safety rule, no traffic sent",
    Exit.ABORTED: "aborted: target gone, run or removal incomplete, generator overloaded",
    Exit.HOLD: "HOLD",
    Exit.ESCALATE: "ESCALATE",
    Exit.INTERRUPTED: "interrupted by Ctrl-C",
    Exit.TERMINATED: "interrupted by a request to terminate",
}


def exit_code(verdict: str, fail_on: str) -> Exit:
    """The exit code of a verdict: ``--fail-on hold`` tells both, ``escalate`` one, ``never`` none."""
    if verdict == "ESCALATE" and fail_on != "never":
        return Exit.ESCALATE
    if verdict == "HOLD" and fail_on == "hold":
        return Exit.HOLD
    return Exit.DONE
