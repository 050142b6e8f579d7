"""A folder to begin with: scenario, mapping, secrets' names, pipelines. What is there already is never touched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from scenarios.errors import InputError

#: Files whose name would hide them, or mislead the tools of this checkout, while they are kept here.
_RENAMED = {"env.example": ".env.example"}


def scaffold() -> Mapping[str, str]:
    """Every file to begin with: its path inside the folder, and its text."""
    root = files("savepath") / "scaffold"
    return dict(sorted(_texts(root, "")))


def _texts(folder: Traversable, inside: str) -> Iterator[tuple[str, str]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _texts(entry, f"{inside}{entry.name}/")
        else:
            yield inside + _RENAMED.get(entry.name, entry.name), entry.read_text(encoding="utf-8")


def lay_out(folder: Path) -> dict[str, bool]:
    """Write the files into a folder: path -> whether it was written, or was there and left alone.

    Nothing is half written: what cannot be written whole is taken away again. Raises InputError then.
    """
    done = {}
    for name, text in scaffold().items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            done[name] = _write_new(path, text.encode())
        except OSError as error:
            wrote = ", ".join(name for name, written in done.items() if written) or "nothing"
            raise InputError(f"cannot write {path}: {error.strerror or error}; written so far: {wrote}") from None
    return done


def _write_new(path: Path, content: bytes) -> bool:
    try:
        file = path.open("xb")  # a new file or none, whoever else may be writing
    except FileExistsError:
        return False
    try:
        with file:
            file.write(content)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return True
