"""The closing of a watch from its state folder, told in every format that somebody asked for."""

from __future__ import annotations

import time
from pathlib import Path

from reports import closing_formats
from reports.closing import Closing
from savepath import __version__, screen
from savepath.telling import Formats, write
from savepath.watching.history import History
from savepath.watching.journal import UNREADABLE
from savepath.watching.state import found_in_a_day, read_baseline
from savepath.watching.status import status_of
from savepath.watching.view import watched_of
from scenarios.errors import InputError


def tell_closing(state: Path, formats: Formats, *, quiet: bool, color: bool) -> None:
    """Print how the watch stands and write the files. Raises InputError for a state that cannot be read."""
    if formats.junit:
        raise InputError("--junit tells comparisons; of a watch, savepath gate tells a pipeline")
    history, now_s = History(state), time.time()
    try:
        watched, status = watched_of(history, now_s), status_of(history, now_s)
    except UNREADABLE:
        raise InputError(f"{state}: the last decision cannot be read; the journal is damaged") from None
    closing = Closing(watched, __version__, found_in_a_day(read_baseline(state, history.agreed)))
    bytes_of = {
        "json": lambda: status.model_dump_json(by_alias=True, indent=1).encode() + b"\n",
        "html": lambda: closing_formats.page(closing).encode(),
        "md": lambda: closing_formats.markdown(closing).encode(),
    }
    files = write(formats, bytes_of)
    if quiet and not formats.piped:
        screen.say(f"{watched.verdict.value}: {watched.sentence}")
    elif not formats.piped:
        screen.say(closing_formats.terminal(closing, width=screen.width(), color=color))
    if files and not quiet:
        screen.note(files)
