"""The house keeps its shape: the direction of imports, what stays light, what the wheel holds."""

import ast
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

#: room -> the rooms it may import (README.md, "The house"); a dotted name stands for that module alone.
MAY_IMPORT = {
    "scenarios": set(),
    "targets": {"scenarios"},
    "loadgen": {
        "scenarios",
        "targets",
        "analysis.samples",
        "analysis.slices",
        "analysis.notable",
        "analysis.outages",
        "analysis.details",
    },
    "locustfiles": {"loadgen"},
    "analysis": set(),
    "reports": {"analysis"},
    "savepath": {"scenarios", "targets", "loadgen", "analysis", "reports", "casedesk"},
    "casedesk": set(),
}

#: loaded in the measured client's process only: importing Locust patches the whole process.
MAY_IMPORT_LOCUST = {"loadgen", "locustfiles"}


@cache
def imports_of(file: Path) -> set[str]:
    """Every module that a file names in an import, at any depth of the code."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are written in full"
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def allowed(room: str, name: str) -> bool:
    """Whether a module of ``room`` may import ``name``."""
    if name.split(".")[0] not in MAY_IMPORT:
        return True
    return any(name == one or name.startswith(f"{one}.") for one in MAY_IMPORT[room] | {room})


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_imports_between_rooms_run_one_way(room):
    wrong = [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in (ROOT / room).rglob("*.py")
        for name in imports_of(file)
        if not allowed(room, name)
    ]
    assert wrong == []


def test_only_the_load_generator_imports_locust():
    wrong = [
        str(file.relative_to(ROOT))
        for room in set(MAY_IMPORT) - MAY_IMPORT_LOCUST
        for file in (ROOT / room).rglob("*.py")
        if {name.split(".")[0] for name in imports_of(file)} & {"locust", "gevent", "geventhttpclient"}
    ]
    assert wrong == []


HEAVY = ("locust", "pandas", "scipy", "matplotlib", "httpx", "pyarrow")


@pytest.mark.parametrize(
    ("words", "unwanted"),
    [
        ([["--help"]], (*HEAVY, "numpy", "rich", "pydantic", "jinja2")),
        ([["plan", "smoke", "--target", "casedesk"]], HEAVY),
        ([["compare", "--help"], ["show", "--help"], ["run", "--help"]], (*HEAVY, "numpy", "rich", "pydantic")),
    ],
    ids=["help", "plan", "help of a command"],
)
def test_a_command_loads_nothing_heavy_that_it_does_not_need(words, unwanted):
    code = (
        "import sys\nfrom savepath.cli import cli\nfrom click.testing import CliRunner\n"
        f"assert all(CliRunner().invoke(cli, words).exit_code == 0 for words in {words})\n"
        f"print(*(name for name in {unwanted} if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == ""


def test_scipys_package_of_distributions_is_not_imported():
    """It takes a second to load, in each process; scipy.special has the same functions."""
    wrong = [
        str(file.relative_to(ROOT))
        for room in MAY_IMPORT
        for file in (ROOT / room).rglob("*.py")
        if any(name.startswith("scipy.stats") for name in imports_of(file))
    ]
    assert wrong == []


def test_the_wheel_holds_these_packages_and_no_others(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == set(MAY_IMPORT)
    assert {"scenarios/field-sweep.yaml", "targets/casedesk.yaml", "casedesk/disks/degraded.yaml"} <= set(names)


def test_pinned_requirements_have_hashes_and_no_addresses():
    for file in ROOT.glob("requirements*.txt"):
        text = file.read_text()
        assert "://" not in text, file.name
        pins = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
        assert pins
        assert all("==" in pin and pin.endswith("\\") for pin in pins), file.name
