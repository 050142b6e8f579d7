"""One arrival as a mapping sees it: what its templates are filled in from."""

from __future__ import annotations

from typing import NamedTuple

from scenarios.model import Tenant


class Call(NamedTuple):
    """One arrival, ready to be put into requests. ``case`` is the remote id, ``token`` the save id."""

    seq: int
    token: str
    tenant: Tenant
    case: str
    traceparent: str
    batch_size: int = 1
