"""Who may ask what listens here: by a secret, or by the name that was called."""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from targets.hosts import unmapped

#: The names of loopback.
OWN_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})


#: So many wrong secrets are slips of the hand; after each further one there is a wait, twice as long each time.
SLIPS: Final = 3
WAIT_MOST_S: Final = 10.0
#: Whoever said no wrong one for so long has a clean slate.
FORGIVEN_S: Final = 600.0
#: So many places are remembered, the latest: memory is not filled by guessing from everywhere.
REMEMBERED: Final = 1000


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """The secret was missing or wrong; or nothing that comes from there is looked at for ``wait_s``."""

    wait_s: float = 0.0


class Door:
    """Lets in who says the secret, and hears those less and less often who say wrong ones.

    A wrong one is answered at once. What comes from the same place before the wait is over is not looked at, be it
    right: who guesses many at once gains nothing by it. Nothing sleeps here, and other places do not wait.
    """

    def __init__(self, secret: str, now: Callable[[], float] = time.monotonic) -> None:
        self._secret = secret.encode()
        self._now = now
        self._wrong: dict[str, _Wrong] = {}  # by place, the latest last

    def turned_away(self, said: str, address: str) -> TurnedAway | None:
        """Why what somebody at an IP address says lets nobody in; None where it is the secret."""
        place, now_s = _place_of(address), self._now()
        before = self._wrong.get(place, _Wrong(0, now_s))
        if said and now_s < before.until_s:
            return TurnedAway(before.until_s - now_s)
        if hmac.compare_digest(said.encode(), self._secret):
            return None
        if said:  # a browser says nothing before it is asked
            self._remember(place, before, now_s)
        return TurnedAway()

    def _remember(self, place: str, before: _Wrong, now_s: float) -> None:
        times = 1 if now_s - before.until_s > FORGIVEN_S else before.times + 1
        wait_s = min(2.0 ** (times - SLIPS - 1), WAIT_MOST_S) if times > SLIPS else 0.0
        self._wrong.pop(place, None)
        self._wrong[place] = _Wrong(times, now_s + wait_s)
        if len(self._wrong) > REMEMBERED:
            del self._wrong[next(iter(self._wrong))]


@dataclass(frozen=True, slots=True)
class _Wrong:
    times: int
    until_s: float


def _place_of(address: str) -> str:
    """Who is taken for one: an IPv4 address, or the network of 64 bits that a single machine has of IPv6."""
    try:
        found = unmapped(ipaddress.ip_address(address))
    except ValueError:
        return address
    return str(found) if found.version == 4 else str(ipaddress.ip_network((int(found) >> 64 << 64, 64)))


def said_in(authorization: str) -> str:
    """The secret in the header, said as Bearer or as the password of Basic; "" for none."""
    scheme, _, value = authorization.partition(" ")
    match scheme.lower():
        case "bearer":
            return value.strip()
        case "basic":
            try:
                return base64.b64decode(value.strip(), validate=True).decode().partition(":")[2]
            except (binascii.Error, UnicodeDecodeError):
                return ""
        case _:
            return ""


def is_called(host: str, names: Collection[str]) -> bool:
    """Whether the Host header names one of ``names``, with any port."""
    try:
        return (urlsplit(f"//{host}").hostname or "") in names
    except ValueError:
        return False


def is_of_another_page(origin: str, host: str) -> bool:
    """Whether a browser says that a page from elsewhere is asking."""
    return bool(origin) and urlsplit(origin).netloc != host
