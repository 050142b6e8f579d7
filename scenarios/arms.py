"""The arms of a run that drives two targets at once: which of them an arrival goes to, by chance.

A pure function of the run's key and the number of the arrival, so that it can be said again later. Not
of the scenario's seed: then every run would send the same arrivals to the same arm, and the luck of that
one draw (which of them came in a crowd) would look like a difference that no number of pairs averages out.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import Final

#: The target that is there and the one that it is held against, in this order.
ARMS: Final = ("before", "after")

#: So many arrivals get their arm from one hash.
_BLOCK = 512


def arm_of(run_key: str, seq: int) -> str:
    """The arm of arrival ``seq``: either with probability 1/2, independent of every other arrival."""
    return ARMS[_bits(run_key, seq // _BLOCK) >> seq % _BLOCK & 1]


def count_arms(run_key: str, arrivals: int) -> dict[str, int]:
    """How many of the first ``arrivals`` go to each arm."""
    whole, rest = divmod(arrivals, _BLOCK)
    last = _bits(run_key, whole) & ((1 << rest) - 1)
    after = sum(_bits(run_key, block).bit_count() for block in range(whole)) + last.bit_count()
    return {"before": arrivals - after, "after": after}


@lru_cache(maxsize=16)
def _bits(run_key: str, block: int) -> int:
    """512 fair and independent bits."""
    return int.from_bytes(blake2b(f"{run_key}/{block}".encode(), digest_size=_BLOCK // 8).digest(), "big")
