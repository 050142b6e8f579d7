"""Files that are whole whenever they are read, and last through a crash where that is asked for."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: Path, content: bytes, *, lasting: bool = False) -> None:
    """Write a file by rename, so that a reader sees all of it or none; ``lasting``: also after a crash."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as file:
        file.write(content)
        if lasting:
            file.flush()
            os.fsync(file.fileno())
    temporary.replace(path)
    if lasting:
        sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Let what was named or renamed in a folder last: without it a crash may forget the name of a whole file."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
