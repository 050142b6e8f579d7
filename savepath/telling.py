"""An assessment told: on the terminal and in files, each file whole or not there at all."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from dataclasses import dataclass, fields
from pathlib import Path

from analysis.findings import Assessment
from reports import html, junit, markdown, model, sentences, terminal
from reports.model import ReportMeta
from scenarios.errors import InputError


@dataclass(frozen=True, slots=True)
class Formats:
    """The files to write; None for those that nobody asked for."""

    json: Path | None = None
    html: Path | None = None
    md: Path | None = None
    junit: Path | None = None

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
    assessment: Assessment, meta: ReportMeta, formats: Formats, *, quiet: bool = False, color: bool | None = None
) -> None:
    """Print the assessment and write the files. ``color`` None: as the terminal and NO_COLOR say."""
    bytes_of = {
        "json": lambda: model.to_json(assessment, meta=meta),
        "html": lambda: html.render(assessment, meta).encode(),
        "md": lambda: markdown.render(assessment, meta).encode(),
        "junit": lambda: junit.render(assessment, meta),
    }
    wanted = {f.name: path for f in fields(formats) if (path := getattr(formats, f.name))}
    for name, path in wanted.items():
        write_whole(path, bytes_of[name]())
    if color is None:
        color = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    width = min(shutil.get_terminal_size((80, 24)).columns, 120)
    if quiet:
        text = f"{assessment.verdict.value}: {sentences.tell(assessment, meta).headline}"
    else:
        text = terminal.render(assessment, meta, width=width, color=color)
    sys.stdout.write(text.rstrip("\n") + "\n")
    if wanted:
        sys.stdout.write(f"wrote {' '.join(str(path) for path in wanted.values())}\n")


def write_whole(path: Path, content: bytes) -> None:
    """Write a file by rename, so that nobody ever reads half of it. Raises InputError where it cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            file.write(content)
        Path(file.name).chmod(0o644)
        Path(file.name).replace(path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from None
