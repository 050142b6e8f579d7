"""What is said to people beside the results: whether in colour, how wide, and what to do next.

Results go to stdout and everything else to stderr, so that a pipe holds results alone.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

WIDEST = 120


def width() -> int:
    """Columns of the terminal, or 80 where there is none; more than ``WIDEST`` is hard to read."""
    return min(shutil.get_terminal_size((80, 24)).columns, WIDEST)


def wants_color(no_color: bool) -> bool:
    """Whether stdout may be coloured: a terminal that is not dumb, and nobody said no (no-color.org)."""
    return (
        not no_color
        and sys.stdout.isatty()
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM") != "dumb"
    )


def say(text: str) -> None:
    """Print a result: text of one line or many, with exactly one line break at its end."""
    sys.stdout.write(text.rstrip("\n") + "\n")


def note(text: str) -> None:
    """Say something beside the results, on stderr."""
    sys.stdout.flush()  # so that it stands below what it follows
    sys.stderr.write(f"{text}\n")


def suggest(*steps: str, quiet: bool = False) -> None:
    """Name the next sensible command, or several of which one will be; on stderr, unless ``quiet``."""
    if quiet or not steps:
        return
    note("\n".join(f"{'next:' if n == 0 else '':<5} {step}" for n, step in enumerate(steps)))


def open_page(page: Path) -> None:
    """Show the page in the user's browser, where there is a screen to show it on; else say where it lies."""
    import webbrowser

    has_screen = (
        sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
    if not (has_screen and webbrowser.open(page.resolve().as_uri())):
        note(f"no screen to open it on: {page}")
