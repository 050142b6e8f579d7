"""An assessment told: on the terminal, in files (each whole or not there at all), or one format on stdout."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from analysis.findings import Assessment
from reports import html, junit, markdown, model, sentences, terminal
from reports.model import ReportMeta
from savepath import screen
from scenarios.errors import InputError

#: In place of a file's name.
STDOUT = Path("-")


@dataclass(frozen=True, slots=True)
class Formats:
    """The files to write; None for those that nobody asked for, ``-`` for the one that goes to stdout."""

    json: Path | None = None
    html: Path | None = None
    md: Path | None = None
    junit: Path | None = None

    def __post_init__(self) -> None:
        if list(self.wanted.values()).count(STDOUT) > 1:
            raise InputError("only one format can go to stdout; name a file in place of the other -")

    @property
    def wanted(self) -> dict[str, Path]:
        """Those that somebody asked for."""
        return {f.name: path for f in fields(self) if (path := getattr(self, f.name))}

    @property
    def piped(self) -> bool:
        """Whether stdout is for one format alone."""
        return STDOUT in self.wanted.values()

    @classmethod
    def into(cls, folder: Path) -> Formats:
        """All four, under their usual names."""
        return cls(
            json=folder / "results.json",
            html=folder / "report.html",
            md=folder / "summary.md",
            junit=folder / "junit.xml",
        )


def tell(
    assessment: Assessment, meta: ReportMeta, formats: Formats, *, quiet: bool = False, color: bool = False
) -> None:
    """Print the assessment and write the files; ``quiet`` prints only the verdict and its sentence."""
    bytes_of = {
        "json": lambda: model.to_json(assessment, meta=meta),
        "html": lambda: html.render(assessment, meta).encode(),
        "md": lambda: markdown.render(assessment, meta).encode(),
        "junit": lambda: junit.render(assessment, meta),
    }
    files = write(formats, bytes_of)
    if quiet and not formats.piped:
        screen.say(f"{assessment.verdict.value}: {sentences.tell(assessment, meta).headline}")
    elif not formats.piped:
        screen.say(terminal.render(assessment, meta, width=screen.width(), color=color))
    if files and not quiet:
        screen.note(files)


def write(formats: Formats, bytes_of: Mapping[str, Callable[[], bytes]]) -> str:
    """Write each format that somebody asked for; returns what to say of the files."""
    wrote = []
    for name, path in formats.wanted.items():
        content = bytes_of[name]()
        if path == STDOUT:
            sys.stdout.buffer.write(content)
        else:
            _write_out(path, content)
            wrote.append(str(path))
    return f"wrote {' '.join(wrote)}" if wrote else ""


def _write_out(path: Path, content: bytes) -> None:
    """Write a file by rename, so that nobody ever reads half of it. Raises InputError where it cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            file.write(content)
        Path(file.name).chmod(0o644)
        Path(file.name).replace(path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from None
