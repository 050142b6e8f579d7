"""Who may ask what listens here: by a secret, or by the name that was called."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

#: The names of loopback.
OWN_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def knows(authorization: str, token: str) -> bool:
    """Whether the header carries the token, as Bearer or as the password of Basic, in constant time."""
    scheme, _, value = authorization.partition(" ")
    said = value.strip()
    if scheme.lower() == "basic":
        try:
            said = base64.b64decode(said, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return False
    elif scheme.lower() != "bearer":
        return False
    return hmac.compare_digest(said.encode(), token.encode())


def is_called(host: str, names: Collection[str]) -> bool:
    """Whether the Host header names one of ``names``, with any port."""
    try:
        return (urlsplit(f"//{host}").hostname or "") in names
    except ValueError:
        return False


def is_of_another_page(origin: str, host: str) -> bool:
    """Whether a browser says that a page from elsewhere is asking."""
    return bool(origin) and urlsplit(origin).netloc != host
