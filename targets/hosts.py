"""The hosts that a target may send requests to, and the networks that they may stand in.

Every client asks before it opens a connection. Asked at that edge, a rule holds for whatever leads elsewhere: the
next page of a list, a Location, a login, a look-up, a class of the user's own, a name that has come to stand for
another system.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from scenarios.errors import Refused

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """``desk.example.test``, ``*.example.test``, or with a port, ``desk.example.test:8443``; else for any port.

    Where there are ``networks``, whatever such a name leads to has to be in one of them.
    """

    patterns: tuple[str, ...]
    networks: tuple[Network, ...] = ()

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

    def refuse_elsewhere(self, host: str, addresses: Iterable[str]) -> None:
        """Raises Refused for a host of which one of the IP addresses is in none of the networks.

        For all of them: a name that stands for the right system and for another is not to be tried at all.
        """
        if not self.networks:
            return
        for text in addresses:
            address = _address_of(text)
            if not any(address in network for network in self.networks):
                raise Refused(
                    f"{host} leads to {address}, which is in none of the networks of the target "
                    f"({', '.join(map(str, self.networks))}), so nothing is sent there; look why it does (DNS, "
                    "the hosts file), or list the address under networks in the mapping if that is meant"
                )

    def refuse_url(self, url: str) -> None:
        """As ``refuse_others``, for a client that reads the address itself: no two may read it differently."""
        parts = urlsplit(url)
        if "\\" in url or "@" in parts.netloc:
            raise Refused(f"an address with a user or a backslash in it is not sent to: {parts.scheme}://...")
        self.refuse_others(parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))


def unmapped(address: IpAddress) -> IpAddress:
    """An IPv4 address that is written as one of IPv6 (``::ffff:10.0.0.7``) as what it is."""
    return getattr(address, "ipv4_mapped", None) or address


@lru_cache(maxsize=1024)
def _address_of(text: str) -> IpAddress:
    """Asked before each connection, where a name leads to the same few for hours: reading one takes 3 to 30 us."""
    return unmapped(ipaddress.ip_address(text))


def network_of(text: str) -> Network:
    """``10.20.0.0/16``, ``fd00:20::/64``, or one address. Raises ValueError, in words."""
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        pass
    try:
        meant = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is no network; expected one like 10.20.0.0/16 or fd00:20::/64") from None
    raise ValueError(f"{text!r} is one address in {meant}; write that, or {text.partition('/')[0]} for it alone")


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
