"""A pause in a longer piece of work, in which answers are read and arrivals begin that are due.

``gevent.sleep(0)`` is none: up to fifty greenlets that are ready go on before gevent looks at sockets and timers,
and one that says ``sleep(0)`` is ready at once. With half a millisecond of work in between, that is after 25 ms.
"""

from __future__ import annotations

from typing import Final

import gevent

#: Any time at all; with nothing else to do it is a millisecond, the step of the loop's clock.
_SHORT_S: Final = 0.0001


def pause() -> None:
    """Let whatever is due have its turn."""
    gevent.sleep(_SHORT_S)
