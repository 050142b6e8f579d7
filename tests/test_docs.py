"""The documentation is tried out: its files load, its commands exist, its links lead somewhere."""

import re
import shlex
from pathlib import Path

import click
import pytest

from savepath.cli import cli
from scenarios.library import parse_scenario
from targets.mapping import parse_target

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """Every ``savepath ...`` line of a shell block."""
    return [
        re.split(r" [#>|] ", line)[0].strip().removeprefix("$ ")
        for page in PAGES
        for block in blocks(page, "sh")
        for line in block.replace("\\\n", " ").splitlines()
        if line.strip().removeprefix("$ ").startswith("savepath ")
    ]


def test_the_readme_names_the_two_commands_and_the_makefile_has_them():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert {"demo", "test"} <= named <= targets


@pytest.mark.parametrize("line", commands())
def test_every_command_of_the_docs_is_one_that_exists_with_these_flags(line):
    _, name, *words = shlex.split(line)
    context = click.Context(cli)
    command = cli.get_command(context, name)
    assert command is not None, name
    command.make_context(name, words, parent=context)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_inside_the_docs_leads_somewhere(page):
    links = re.findall(r"\]\((?!http)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_scenario_in_the_docs_loads():
    found = [block for page in PAGES for block in blocks(page, "yaml") if "\ncohorts:" in block]
    assert len(found) >= 1
    for block in found:
        parse_scenario(block, "docs")


def test_every_target_in_the_docs_loads():
    found = [block for page in PAGES for block in blocks(page, "yaml") if "\noperations:" in block]
    assert len(found) >= 1
    for block in found:
        parse_target(block, "docs")


def test_every_decision_is_listed():
    listed = re.findall(r"\((\d{4}-[a-z-]+\.md)\)", (ROOT / "docs/decisions/README.md").read_text())
    assert listed == sorted(path.name for path in (ROOT / "docs/decisions").glob("0*.md"))
