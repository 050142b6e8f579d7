"""Which folders are runs: the facts in ``run.json``, or what is there instead and what to do about it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from loadgen.run_info import SCHEMA, RunInfo
from scenarios.errors import InputError, few_of


def find_runs(paths: Iterable[Path]) -> list[Path]:
    """The runs at the paths: each a run, or a folder whose direct subfolders are runs.

    Raises InputError for a path that is no folder, and for each unfinished run by its name; a folder
    that holds neither runs nor remains of runs gives none.
    """
    found: list[Path] = []
    for path in paths:
        inside = sorted(p for p in path.iterdir() if looks_like_run(p)) if path.is_dir() else []
        candidates = inside if inside and not looks_like_run(path) else [path]
        if path.is_dir() and not inside and not looks_like_run(path):
            continue
        for candidate in candidates:
            read_info(candidate)
            found.append(candidate)
    return found


def looks_like_run(path: Path) -> bool:
    """Whether a folder holds a run, finished or not."""
    return path.is_dir() and any((path / name).exists() for name in _MARKS)


#: What a run leaves from its beginning on.
_MARKS: Final = ("run.json", "progress.json", "plan.json", "failure.json", "shards")


def read_info(path: Path) -> RunInfo:
    """The facts of the run in a folder. Raises InputError, which says what is there instead and what to do."""
    if not path.is_dir():
        what = "is a file" if path.exists() else "is not there"
        raise InputError(f"{path} {what}; expected a run folder, as savepath run makes it")
    try:
        text = (path / "run.json").read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(_unfinished(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path / 'run.json'} cannot be read: {error}") from None
    info = _parse(path / "run.json", text)
    missing = [name for name in ("samples.parquet", "effects.parquet") if not (path / name).is_file()]
    if missing:
        raise InputError(
            f"{path} has a run.json but no {' and no '.join(missing)}; copy the whole folder or make the run again"
        )
    return info


def _parse(file: Path, text: str) -> RunInfo:
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{file}:{error.lineno}:{error.colno}: not valid JSON ({error.msg}); the file is damaged, "
            "copy it again or make the run again"
        ) from None
    except (ValueError, RecursionError):  # a number of thousands of digits, or brackets without end
        raise InputError(
            f"{file}: no JSON that savepath writes; the file is damaged, copy it again or make the run again"
        ) from None
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        schema = found.get("schema") if isinstance(found, dict) else None
        raise InputError(
            f"{file}: the schema is {schema!r}; this savepath reads {SCHEMA!r}, use the version that made the run"
        )
    try:
        return RunInfo.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{file}: {where}: {first['msg']}; the file was changed or is damaged") from None


def _unfinished(path: Path) -> str:
    """What a folder without run.json holds, and what to do about it."""
    names = sorted(p.name for p in path.iterdir() if not p.name.startswith("."))
    if not names:
        return f"{path} is empty; expected a run folder with a run.json"
    if not looks_like_run(path):
        return f"{path} has no run.json, so it is no run; it holds {few_of(names, 6)}"
    said = ""
    try:
        said = str(json.loads((path / "failure.json").read_text(encoding="utf-8"))["message"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        said = ""
    why = f"it could not begin: {said}" if said else f"it was killed, or is still going on{_last_heard_of(path)}"
    return (
        f"{path} has no run.json: the run is unfinished ({why}); it holds {few_of(names, 6)}. "
        "Leave it out or make it again; what it recorded stays readable in shards/"
    )


def _last_heard_of(path: Path) -> str:
    """Where the run was when it last told its progress, and when that was."""
    try:
        file = path / "progress.json"
        told = json.loads(file.read_text(encoding="utf-8"))
        at = datetime.fromtimestamp(file.stat().st_mtime, UTC)
        return f"; last heard of {at:%Y-%m-%d %H:%M:%S} UTC: {told['phase']}, {told['recorded']:,} requests"
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ""
