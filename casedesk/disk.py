"""What a disk costs: the model of a disk profile, and how its YAML files are read.

A profile names the price of the three things a database asks of a disk (read a page,
write a page, sync a file) and how the disk misbehaves: jitter, stalls, a slow ramp, a
time after which the system is moved to a healthy host. It never names an operation of
the service.
"""

from __future__ import annotations

import difflib
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from casedesk.problems import ProfileError

_CONFIG: Final = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
#: What PyYAML raises for text that it cannot read; for numbers, dates, escapes and tags what Python says.
_UNREADABLE: Final = (
    yaml.YAMLError, ValueError, OverflowError, LookupError, AttributeError, RecursionError,
)  # fmt: skip


class Stalls(BaseModel):
    """Every ``every_s`` seconds, counted from the switch, the device starts nothing for ``for_s``."""

    model_config = _CONFIG
    every_s: float = Field(gt=0)
    for_s: float = Field(gt=0)

    @model_validator(mode="after")
    def _leave_time_to_work(self) -> Stalls:
        if self.for_s >= self.every_s:
            raise ValueError("for_s must be less than every_s, or the device never works")
        return self


class Ramp(BaseModel):
    """The costs go linearly from those of the packaged profile ``from`` to the own within ``over_s``."""

    model_config = ConfigDict(**_CONFIG, populate_by_name=True)
    over_s: float = Field(gt=0)
    start: str = Field(default="healthy", alias="from")


class DiskProfile(BaseModel):
    """The costs and manners of one disk. Costs are milliseconds per 4 KiB page or per sync."""

    model_config = _CONFIG
    name: str = Field(min_length=1, max_length=80)
    read_ms: float = Field(ge=0, le=10_000)
    write_ms: float = Field(ge=0, le=10_000)
    sync_ms: float = Field(ge=0, le=60_000)
    #: Spread of each cost: sigma of a lognormal factor whose mean is 1.
    jitter: float = Field(default=0.0, ge=0, le=2)
    #: How many operations the device serves at the same time.
    queue_depth: int = Field(default=1, ge=1, le=256)
    #: Size of the host's page cache, in pages of 4 KiB.
    cache_pages: int = Field(default=512, ge=1, le=10_000_000)
    stalls: Stalls | None = None
    ramp: Ramp | None = None
    #: After this long on this profile the system moves to a new host with a healthy disk.
    repaired_after_s: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _start_from_a_packaged_profile(self) -> DiskProfile:
        if self.ramp and self.ramp.start not in packaged_names():
            raise ValueError(f"ramp.from is {self.ramp.start!r}; expected one of {', '.join(packaged_names())}")
        return self


@cache
def packaged_names() -> tuple[str, ...]:
    """The names of the profiles that come with casedesk, sorted."""
    folder = resources.files("casedesk") / "disks"
    return tuple(sorted(f.name.removesuffix(".yaml") for f in folder.iterdir() if f.name.endswith(".yaml")))


@cache
def packaged_profile(name: str) -> DiskProfile:
    """The packaged profile of this name; :class:`ProfileError` names the ones there are."""
    if name not in packaged_names():
        raise ProfileError(f"disk profile {name!r} is unknown; expected one of {', '.join(packaged_names())}")
    file = resources.files("casedesk") / "disks" / f"{name}.yaml"
    return parse_profile(file.read_text(encoding="utf-8"), where=f"casedesk/disks/{name}.yaml")


def load_profile(source: str) -> DiskProfile:
    """A packaged profile by its name, else the profile in the YAML file at this path."""
    if source in packaged_names():
        return packaged_profile(source)
    path = Path(source)
    if not path.is_file():
        close = difflib.get_close_matches(path.stem, packaged_names(), n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        names = ", ".join(packaged_names())
        raise ProfileError(
            f"{source} is neither a file nor a disk profile{hint}; expected a path or one of {names}"
        )
    try:
        return parse_profile(path.read_text(encoding="utf-8"), where=source)
    except UnicodeDecodeError as error:
        raise ProfileError(f"{source}: byte {error.start} is not UTF-8; expected a YAML text file") from error
    except OSError as error:
        raise ProfileError(f"{source}: cannot be read ({error.strerror}); expected a YAML text file") from error


def parse_profile(text: str, *, where: str) -> DiskProfile:
    """The profile in this YAML text; ``where`` is what error messages call the text."""
    try:
        content = yaml.safe_load(text)
    except _UNREADABLE as error:
        raise ProfileError(f"{where}: not valid YAML: {' '.join(str(error).split())}") from error
    return check_profile(content, where=where)


def check_profile(content: object, *, where: str) -> DiskProfile:
    """The profile that this mapping describes; :class:`ProfileError` lists every wrong key."""
    if not isinstance(content, dict):
        raise ProfileError(f"{where}: found {type(content).__name__}; expected a mapping with name, read_ms, ...")
    try:
        return DiskProfile.model_validate(content)
    except ValidationError as error:
        raise ProfileError("\n".join(_sentence(where, e) for e in error.errors())) from error


def _sentence(where: str, error: Any) -> str:
    key = ".".join(str(part) for part in error["loc"]) or "profile"
    if error["type"] == "missing":
        return f"{where}: {key} is missing; expected a value"
    if error["type"] == "extra_forbidden":
        known = ", ".join(f.alias or n for n, f in DiskProfile.model_fields.items())
        return f"{where}: {key} is not a known key; expected one of {known}"
    return f"{where}: {key} is {error['input']!r}; expected: {error['msg'].removeprefix('Value error, ')}"
