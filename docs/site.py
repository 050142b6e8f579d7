"""What the site needs beside the pages: their order, and the files that they name outside of docs/.

The order is that of the links in README.md, under its headings, so that it is written down once.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
#: A link that leaves docs/: the README, mappings, schemas.
_OUTSIDE = re.compile(r"\]\((?:\.\./)+(?!\.)([^)#]+)")
_README = re.compile(r"\[([^]]+)\]\(\.\./README\.md\)")
_LISTED = re.compile(r"\[([^]]+)\]\((?!\.\.)([^)]+\.md)\)")


def on_config(config: Any) -> Any:
    """Order the pages as README.md lists them."""
    nav: list[Any] = ["README.md"]
    for part in (ROOT / "docs" / "README.md").read_text(encoding="utf-8").split("\n## ")[1:]:
        title, _, text = part.partition("\n")
        nav.append({title: [{name: page} for name, page in _LISTED.findall(text)]})
    decisions = sorted(f"decisions/{path.name}" for path in (ROOT / "docs" / "decisions").glob("0*.md"))
    nav[-1] = {title: [*nav[-1][title], {"Each decision": decisions}] for title in nav[-1]}
    config["nav"] = nav
    return config


def on_files(files: Files, config: Any) -> Files:
    """Publish what the pages link to outside of docs/."""
    texts = [_README.sub("", page.read_text(encoding="utf-8")) for page in (ROOT / "docs").rglob("*.md")]
    named = {path for text in texts for path in _OUTSIDE.findall(text)}
    for path in sorted(named):
        if (ROOT / path).is_file():
            files.append(File(path, str(ROOT), config["site_dir"], config["use_directory_urls"]))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links that leave docs/ lead to the copies; the checkout's own README is only named."""
    up = "../" * page.file.src_uri.count("/")
    return _OUTSIDE.sub(lambda found: f"]({up}{found[1]}", _README.sub(r"\1", markdown))
