"""Save ids and trace ids: derived from the run's key and the number of the arrival.

A save id is what a save carries so that its effects can be found again, however it was
answered. Because it follows from ``(run_key, seq)`` it is never stored twice, and a save id
read back from the target leads to the very save that wrote it.
"""

from __future__ import annotations

import re
import secrets

_SAVE_ID = re.compile(r"sp-([0-9a-f]{10})-([0-9a-f]{7,8})")


def new_run_key() -> str:
    """Ten random hexadecimal digits, so that two runs against one target never share a save id."""
    return secrets.token_hex(5)


def save_id(run_key: str, seq: int) -> str:
    """The token of arrival ``seq``: ``sp-<run key>-<seq>``, 21 or 22 characters, safe in any text field."""
    return f"{prefix_of(run_key)}{seq:07x}"


def prefix_of(run_key: str) -> str:
    """How the tokens of a run begin, and those of no other."""
    return f"sp-{run_key}-"


def seq_of(run_key: str, token: str) -> int | None:
    """The arrival that a save id belongs to, or None if it is of another run or no save id at all."""
    match = _SAVE_ID.fullmatch(token)
    return int(match[2], 16) if match and match[1] == run_key else None


def trace_id(run_key: str, seq: int) -> str:
    """The W3C trace id of an arrival, 32 hexadecimal digits, to be looked up in the target's tracing."""
    return f"{run_key:0<16}{seq:016x}"


def traceparent(run_key: str, seq: int) -> str:
    """The ``traceparent`` header of an arrival (W3C Trace Context 1, sampled)."""
    return f"00-{trace_id(run_key, seq)}-{seq + 1:016x}-01"
