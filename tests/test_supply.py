"""What savepath is made of and what its code never does."""

import ast
import importlib.util
import json
from functools import cache
from pathlib import Path

import pytest
from test_architecture import MAY_IMPORT, ROOT

_spec = importlib.util.spec_from_file_location("supply", ROOT / ".ci" / "supply.py")
supply = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(supply)

#: Calls that run text as code, or read data that can: by the last name, and the module where that matters.
FORBIDDEN = {"eval", "exec", "compile", "system", "popen", "__import__"}
FORBIDDEN_MODULES = {"pickle", "marshal", "shelve", "dill"}
FILES = {str(file.relative_to(ROOT)): file for room in MAY_IMPORT for file in (ROOT / room).rglob("*.py")}


@cache
def nodes(file: Path) -> list[ast.AST]:
    """All of a module."""
    return list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))


def findings(file: Path) -> list[str]:
    """Each place in a file that could run what it reads."""
    found = []
    for node in nodes(file):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name.split(".")[0] for alias in node.names} | {(getattr(node, "module", "") or "")}
            found += [f"{file.name}:{node.lineno}: {name}" for name in names & FORBIDDEN_MODULES]
        if not isinstance(node, ast.Call):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        whose = getattr(getattr(node.func, "value", None), "id", "")
        shell = any(word.arg == "shell" for word in node.keywords)
        bare = isinstance(node.func, ast.Name) or whose == "os"
        if (
            (name in FORBIDDEN and bare)
            or shell
            or (whose == "yaml" and name in ("load", "load_all", "unsafe_load"))
        ):
            found.append(f"{file.name}:{node.lineno}: {name}")
    return found


def test_nothing_runs_text_as_code_or_reads_data_that_could():
    assert len(FILES) > 150
    assert [one for file in FILES.values() for one in findings(file)] == []


@pytest.mark.parametrize(
    "code", ["eval('1')", "import pickle", "yaml.load(x)", "os.system('ls')", "run('ls', shell=True)", "exec(x)"]
)
def test_what_must_not_be_there_would_be_found(tmp_path, code):
    (tmp_path / "it.py").write_text(code)
    assert len(findings(tmp_path / "it.py")) == 1


#: Where a listener takes the host that it is told, and the test that others are answered only with a secret.
GIVEN_HOSTS = {
    "casedesk/server.py": "test_casedesk_process.py",
    "savepath/listening.py": "test_watch_service.py",
    "loadgen/listening.py": "test_two_machines.py",  # and 127.0.0.1 for the metrics of a run
}


def listeners(file: Path) -> list[str]:
    """Each listener of a file that is on another host than 127.0.0.1, or on one that it is given."""
    found = []
    for node in nodes(file):
        name = getattr(node.func, "attr", "") if isinstance(node, ast.Call) else ""
        if name in ("bind", "create_server", "bind_sockets", "run_simple", "start_http_server"):
            named = [word.value for word in node.keywords if word.arg in ("host", "addr", "sock")]
            place = ast.unparse(named[0] if named else node.args[0])
            if "127.0.0.1" not in place and place != "listener":
                found.append(f"{name}({place})")
    return found


def test_every_listener_is_on_loopback_or_on_the_host_that_it_is_told():
    assert {name for name, file in FILES.items() if listeners(file)} == set(GIVEN_HOSTS)


def test_the_list_of_parts_has_every_pinned_package_with_its_hashes(tmp_path):
    assert supply.main(["sbom", str(tmp_path / "sbom.json")]) == 0
    found = json.loads((tmp_path / "sbom.json").read_text())
    text = (ROOT / "requirements.txt").read_text()
    pins = [line.split(" ")[0] for line in text.splitlines() if "==" in line]
    assert [f"{one['name']}=={one['version']}" for one in found["components"]] == pins
    assert sum(len(one["hashes"]) for one in found["components"]) == text.count("--hash=sha256:")
    assert all(one["hashes"] for one in found["components"])


@pytest.mark.parametrize(
    ("dependencies", "code", "said"),
    [
        ([{"name": "a", "version": "1", "vulns": []}], 0, "no known vulnerability in 1 packages"),
        (
            [{"name": "a", "version": "1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2"]}]}],
            1,
            "a 1: PYSEC-1; fixed in 2",
        ),
        ([{"name": "a", "skip_reason": "not found"}], 0, "skipped, none of the 1 packages is known"),
    ],
)
def test_an_audit_fails_for_what_is_known_and_says_what_nobody_was_asked(dependencies, code, said, capsys):
    assert supply.report(dependencies) == code
    assert said in capsys.readouterr().out
