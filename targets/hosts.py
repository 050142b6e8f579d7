"""The hosts that a target may send requests to: every client asks before it opens a connection.

Asked at that edge, a rule holds for whatever leads elsewhere: the next page of a list, a Location, a login, a
look-up, a class of the user's own.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final
from urllib.parse import urlsplit

from scenarios.errors import Refused


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """``desk.example.test``, ``*.example.test``, or with a port, ``desk.example.test:8443``; else for any port."""

    patterns: tuple[str, ...]

    def allow(self, host: str, port: int) -> bool:
        """Whether a connection to that port of that host may be opened."""
        name = host.lower().rstrip(".")
        return any(
            fnmatchcase(name, one) or fnmatchcase(f"{name}:{port}", one) for one in map(str.lower, self.patterns)
        )

    def refuse_others(self, host: str, port: int) -> None:
        """Raises Refused for a host that is not one of them."""
        if not self.allow(host, port):
            raise Refused(
                f"{host}:{port} is not one of the hosts of the target ({', '.join(self.patterns)}), so nothing is "
                "sent there; list it under hosts in the mapping if that is meant"
            )

    def refuse_url(self, url: str) -> None:
        """As ``refuse_others``, for a client that reads the address itself: no two may read it differently."""
        parts = urlsplit(url)
        if "\\" in url or "@" in parts.netloc:
            raise Refused(f"an address with a user or a backslash in it is not sent to: {parts.scheme}://...")
        self.refuse_others(parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))


#: Names that lead nowhere (RFC 2606, RFC 6761), as examples have them.
_NOWHERE: Final = re.compile(r"(^|\.)(test|example|invalid|localhost|example\.(com|net|org))$")


def is_near(host: str) -> bool:
    """Whether a host is this machine, or a name that is reserved and so none at all."""
    name = host.lower().rstrip(".")
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return _NOWHERE.search(name) is not None


#: This machine and no other.
LOOPBACK: Final = AllowedHosts(("127.0.0.1", "localhost", "::1"))
