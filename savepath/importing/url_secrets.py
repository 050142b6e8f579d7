"""Labels that are URLs, without the secrets in them: a label is kept in the run, listed and printed."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from targets.literal_secrets import SECRET_NAME

_USER: Final = re.compile(r"://[^/\s@]+@")
_VALUE: Final = re.compile(r"([?&;])([^=&;\s]+)=([^&;\s]*)")


@lru_cache(maxsize=4096)
def without_secrets(label: str) -> str:
    """The label with ``***`` for a user in its address, and for each value whose name is that of a secret."""
    if "@" not in label and "=" not in label:
        return label
    return _VALUE.sub(_masked, _USER.sub("://***@", label))


def _masked(pair: re.Match[str]) -> str:
    before, name, _ = pair.groups()
    return f"{before}{name}=***" if SECRET_NAME.search(name) else pair.group()
