"""What can be broken on purpose: faults to prove that a check finds them, and the truth about them.

Every fault is off by default. Whether one strikes is decided by a hash of the seed, the
fault and the save's (or mail's) token, so the same tokens meet the same faults in whatever
order the threads run. Each fault that really happened is entered in a ledger, in memory
and in a file (JSON lines).
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

import orjson
from pydantic import BaseModel, ConfigDict, Field

Fault = Literal[
    "script_lost",  # a script of the save is never queued
    "script_doubled",  # a script of the save is queued twice
    "script_reordered",  # the scripts of the save run in the opposite order (needs two or more)
    "script_late",  # a script of the save runs script_late_s after it was queued
    "value_dropped",  # one changed value is not stored, though the save answers 200
    "value_truncated",  # one changed text loses its second half
    "foreign_write",  # the values are saved in a case of another tenant, with its history
    "mail_lost",  # the mail is never delivered
    "mail_doubled",  # the mail is delivered twice
    "mail_misdirected",  # the mail goes to another recipient
    "ok_not_committed",  # 200 is answered, nothing is committed
    "committed_but_500",  # everything is committed, 500 is answered
]
FAULTS: Final = get_args(Fault)


class FaultShares(BaseModel):
    """The share of saves (or scripts, or mails) that each fault strikes; 0 is off, 1 is always."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
    script_lost: float = Field(default=0.0, ge=0, le=1)
    script_doubled: float = Field(default=0.0, ge=0, le=1)
    script_reordered: float = Field(default=0.0, ge=0, le=1)
    script_late: float = Field(default=0.0, ge=0, le=1)
    script_late_s: float = Field(default=10.0, ge=0, le=3600)
    value_dropped: float = Field(default=0.0, ge=0, le=1)
    value_truncated: float = Field(default=0.0, ge=0, le=1)
    foreign_write: float = Field(default=0.0, ge=0, le=1)
    mail_lost: float = Field(default=0.0, ge=0, le=1)
    mail_doubled: float = Field(default=0.0, ge=0, le=1)
    mail_misdirected: float = Field(default=0.0, ge=0, le=1)
    ok_not_committed: float = Field(default=0.0, ge=0, le=1)
    committed_but_500: float = Field(default=0.0, ge=0, le=1)


@dataclass(frozen=True, slots=True)
class Planted:
    """A fault that happened. ``token_key`` is ``save_id`` for saves and ``token`` for mails."""

    token_key: Literal["save_id", "token"]
    token: str
    fault: Fault
    detail: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """The shape of the API and of the ledger file."""
        return {self.token_key: self.token, "fault": self.fault, "detail": self.detail}


class Faults:
    """The switches and the ledger of one desk."""

    def __init__(self, ledger: Path, *, seed: int) -> None:
        self.ledger = ledger
        self._seed = seed
        self._lock = threading.Lock()
        self._planted: list[Planted] = []
        self.shares = FaultShares()

    def strikes(self, fault: Fault, token: str, *, name: str = "") -> bool:
        """Whether the fault strikes this token (and this script of it, if named)."""
        share: float = getattr(self.shares, fault)
        return share > 0 and self.fraction(fault, token, name) < share

    def fraction(self, *parts: str) -> float:
        """A reproducible number in [0, 1) for these texts: uniform, by a hash keyed with the seed."""
        text = "\x00".join((str(self._seed), *parts)).encode()
        return (int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 11) / 2**53

    def enter(self, *planted: Planted) -> None:
        """Write down faults that have happened, after they have."""
        if not planted:
            return
        with self._lock, self.ledger.open("ab") as ledger:
            self._planted.extend(planted)
            ledger.writelines(orjson.dumps(p.as_json()) + b"\n" for p in planted)

    def planted(self) -> list[Planted]:
        """Everything planted since the start, oldest first."""
        with self._lock:
            return list(self._planted)
