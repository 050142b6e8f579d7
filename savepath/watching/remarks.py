"""Remarks: what people tell a watch from beside it, through its journal."""

from __future__ import annotations

import time
from pathlib import Path

from savepath.watching.agreed import read_agreed
from savepath.watching.journal import Journal, unwritable


def remark(state: Path, kind: str, text: str) -> None:
    """Append a note, an event or an acknowledgement; it counts from the next block on.

    Raises InputError where it cannot be written; the journal is then as it was.
    """
    read_agreed(state)
    journal = Journal(state)
    try:
        with journal.locked():
            journal.read()
            journal.append({"kind": kind, "at_s": time.time(), "text": text})
    except OSError as error:
        raise unwritable(journal.path, error) from None
