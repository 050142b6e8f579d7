"""The documentation's YAML is valid for its kind, its commands run where they send nothing, its site is whole."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click import ClickException
from command_line import called
from run_examples import driven
from test_docs import PAGES, ROOT, blocks
from window_examples import whole_state

from analysis.samples import OPERATIONS
from savepath.importing.label_map import parse_label_map
from scenarios.errors import SavepathError
from scenarios.library import load_scenario, parse_scenario
from scenarios.model import Scenario
from targets.mapping import parse_target
from targets.model import Target

SWEEP = [cohort.custom_fields for cohort in load_scenario("field-sweep").cohorts.values()]
YAML = [
    pytest.param(page, block, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, block in enumerate(blocks(page, "yaml"))
]
#: They send requests, or serve until somebody ends them.
LIVE = ("run", "clean", "demo", "desk", "watch", "gate", "export", "worker")
#: Of a pipeline: validated by who runs it.
PIPELINE = ("jobs", "on", True, "stages", "savepath before", "verdict")


def whole(page: Path, part: str) -> dict:
    """The first document of a page that has this key."""
    return next(found for block in blocks(page, "yaml") if part in (found := yaml.safe_load(block)))


@pytest.mark.parametrize(("page", "block"), YAML)
def test_every_yaml_of_the_docs_is_valid_for_its_kind(page, block):
    found = yaml.safe_load(block)
    if isinstance(found, list) or any(key in found for key in PIPELINE):
        commands = re.findall(r"savepath (?:plan|run|compare) [^\n\]]*", block)
        assert commands, "a pipeline that does not call savepath"
    elif "labels" in found:
        parse_label_map(block, page.name)
    elif "operations" in found:
        parse_target(block, page.name)
    elif "cohorts" in found:
        parse_scenario(block, page.name)
    elif found.keys() <= Scenario.model_fields.keys():
        parse_scenario(yaml.safe_dump({**whole(page, "cohorts"), **found}), page.name)
    else:
        assert found.keys() <= Target.model_fields.keys(), "neither scenario, mapping, label map nor pipeline"
        parse_target(yaml.safe_dump({**whole(page, "operations"), **found}), page.name)


def commands() -> list[str]:
    """Every ``savepath`` command of a shell block that sends nothing, each once."""
    lines = [
        re.split(r" [#>|] ", line)[0].strip()
        for page in PAGES
        for block in blocks(page, "sh")
        for line in block.replace("\\\n", " ").splitlines()
    ]
    words = {" ".join(line.split()) for line in lines if line.startswith("savepath ")}
    found = [line for line in words if line.split()[1] not in LIVE and "--check" not in line]
    return sorted(found, key=lambda line: ("import" in line, line))  # last, as they put runs beside the others


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder in which the documentation's commands find the files that they name."""
    place = tmp_path_factory.mktemp("docs")
    shutil.copytree(ROOT / "targets", place / "targets", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    shutil.copytree(ROOT / "tests" / "imported", place / "tests" / "imported")
    shutil.copy(place / "tests/imported/cases.yaml", place)
    for side in ("before", "after"):
        shutil.copy(place / f"tests/imported/k6-{side}-1.json.gz", place / f"{side}-1.json.gz")
    (place / "target.yaml").write_text(blocks(ROOT / "docs/writing-a-target.md", "yaml")[0])
    shutil.copy(ROOT / "savepath/scaffold/scenario.yaml", place)
    (place / "my.yaml").write_text((ROOT / "scenarios/smoke.yaml").read_text())
    one = driven(place / "one", cells=[(operation, fields) for operation in OPERATIONS for fields in SWEEP])
    few = driven(place / "few")
    for name in ("before", "after", "turns/before", "turns/after", "old", "ssd", "cloud"):
        for number in range(3 if name in ("before", "after") else 2):
            shutil.copytree(one if name in ("before", "after") else few, place / "runs" / name / f"run-{number}")
    shutil.copytree(one, place / "runs" / "before" / "monday")
    whole_state(place / "watch" / "24.4")
    for number in range(1, 3):
        driven(place / "runs" / "old-and-new" / f"run-0{number}", arms=("before", "after"))
    return place


@pytest.fixture(scope="module")
def ended(folder) -> dict[str, int]:
    """The exit code of every command."""
    found = {}
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        for line in commands():
            # Drawing takes most of the time: the page is drawn once.
            words = [
                word for word in shlex.split(line)[1:] if not (Path("report.html").exists() and "html" in word)
            ]
            done = called(*words)
            error = done.exception
            found[line] = done.return_value or 0
            if isinstance(error, SavepathError | ClickException):
                found[line] = error.exit_code
            elif isinstance(error, SystemExit):
                found[line] = int(error.code or 0)
            elif error:
                raise error
    return found


@pytest.mark.parametrize("line", commands())
def test_every_command_of_the_docs_that_sends_nothing_runs(ended, line):
    assert ended[line] in (0, 10, 20)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The documentation as a site, where every warning is an error."""
    out = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", out]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def test_the_site_holds_every_page_and_the_mappings_they_name(site):
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")} - {"README"}
    assert pages <= {path.stem for path in site.glob("*.html")}
    assert (site / "targets" / "casedesk.yaml").is_file()


def test_the_site_asks_nothing_of_the_network(site):
    asked = re.compile(
        r"""<(?:script|img|source|iframe)[^>]*src(?:set)?=["']?https?:|<link[^>]*href=["']?https?:"""
    )
    assert [page.name for page in site.rglob("*.html") if asked.search(page.read_text())] == []
    assert [css.name for css in site.rglob("*.css") if re.search(r"url\(['\"]?https?:", css.read_text())] == []
