"""What the machine that asks has run out of, so that the target is not blamed for it."""

from __future__ import annotations

import errno
from typing import Final

#: What to do about it.
_ADVICE: Final = {
    errno.EMFILE: "let the process have more of them (ulimit -n), or lower load.in_flight_max",
    errno.ENFILE: "this machine has none left (fs.file-max)",
    errno.EADDRNOTAVAIL: "no local port is free; lower the rate, or let the target keep its connections open",
    errno.ENOBUFS: "this machine has no memory left for it",
    errno.ENOMEM: "this machine has no memory left for it",
}


def own_fault(error: BaseException | None) -> str:
    """What this machine lacks and what to do, where that is behind an error of a client; else nothing."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _ADVICE:
            return f"{error.strerror}; {_ADVICE[error.errno]}"
        error = error.__cause__ or error.__context__
    return ""
