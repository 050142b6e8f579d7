"""What came of one question about a target, put before a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Answer:
    """``open``: it could not be asked; only ``no`` stands in the way of a run."""

    question: str
    word: Literal["ok", "no", "open"]
    said: str
    remedy: str = ""
