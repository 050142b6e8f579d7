"""Rich's parts as plain text of a given width: what every table on the terminal is printed with."""

from __future__ import annotations

from collections.abc import Iterable
from io import StringIO
from typing import Final

from rich.console import Console, RenderableType
from rich.table import Table

NARROWEST = 40
#: The style of what is wrong: a broken promise, a broken objective, a run that did not end well.
BAD: Final = "bold bright_red"


def printed(parts: Iterable[RenderableType], *, width: int = 80, color: bool = False) -> str:
    """The parts one under the other; no line is wider than ``width``, and none has escapes unless ``color``."""
    buffer = StringIO()
    console = Console(
        file=buffer,
        width=max(width, NARROWEST),
        force_terminal=color,
        force_interactive=False,
        color_system="256" if color else None,
        no_color=not color,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
        _environ={},  # the caller decides, not COLUMNS or NO_COLOR
    )
    for part in parts:
        console.print(part)
    return "\n".join(line.rstrip() for line in buffer.getvalue().split("\n"))


def plain_table(*, header: bool = True, gap: int = 2) -> Table:
    """A table without lines, ``gap`` blanks between its columns."""
    return Table(box=None, show_header=header, padding=(0, gap, 0, 0), pad_edge=False, header_style="dim")
