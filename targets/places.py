"""Where a part of a mapping stands in its file, for mistakes that only an answer brings to light."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from scenarios.source import Path, dotted
from targets.model import Target


def place_of(target: Target, part: BaseModel, *keys: str) -> str:
    """``my.yaml:12:8: provision.cases.find.items`` for ``items`` of a listing; empty for what is in no file.

    The part is known by being the very object that the target holds, so nobody has to carry paths about.
    What the file leaves out, or writes in a shorter form, is told by the nearest thing that stands there.
    """
    source = target.source
    path = next(_paths_to(part, target, ()), None)
    if source is None or path is None:
        return ""
    there: Path = ()
    for key in (*path, *keys):
        if (*there, key) in source.values:
            there = (*there, key)
    return str(source.problem(there, dotted(there) or "the mapping"))


def _paths_to(part: BaseModel, here: Any, path: Path) -> Iterator[Path]:
    if here is part:
        yield path
    elif isinstance(here, BaseModel):
        for name in type(here).model_fields:
            yield from _paths_to(part, getattr(here, name), (*path, name))
    elif isinstance(here, Mapping):
        for key, value in here.items():
            yield from _paths_to(part, value, (*path, key))
