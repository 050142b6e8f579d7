"""What holds of every command: its help, its flags, what it says on which stream, and how wide."""

import json
import os
import pty
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from command_line import called
from run_examples import driven

from savepath.cli import COMMANDS, cli

CONTEXT = click.Context(cli, info_name="savepath")
SAY_NO_MORE = (
    "schema",
    "completion",
    "gate",
    "watch",
    "desk",
    "worker",
)  # data, or lines of which each is a result


def command_of(name: str) -> click.Command:
    command = cli.get_command(CONTEXT, name)
    assert command is not None
    return command


def examples_of(name: str) -> list[str]:
    """The commands that its help shows, each on one line."""
    text = called(name, "--help").stdout.partition("Examples:")[2].partition("\n\n")[0].replace("\\\n", " ")
    return [line.strip() for line in text.splitlines() if "savepath" in line]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_has_two_examples(name):
    assert len([line for line in examples_of(name) if f"savepath {name}" in line]) >= 2


@pytest.mark.parametrize("name", COMMANDS)
def test_every_example_of_a_help_is_a_command_with_flags_that_exist(name):
    for line in examples_of(name):
        words = shlex.split(re.split(r"[#|>&]| in |\)\"", line.partition("savepath ")[2])[0])
        command_of(words[0]).make_context(words[0], words[1:], parent=CONTEXT)


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_every_help_fits_80_columns(name):
    said = called(*name.split(), "--help").stdout
    assert [line for line in said.splitlines() if len(line) > 80] == []


def test_a_flag_that_several_commands_share_says_the_same_in_all_of_them():
    told: dict[str, set[str]] = {}
    for name in COMMANDS:
        for option in command_of(name).params:
            if isinstance(option, click.Option) and option.is_flag:
                told.setdefault(option.opts[0], set()).add(option.help or "")
    assert {flag: help for flag, help in told.items() if len(help) > 1 and flag != "--open"} == {}


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in SAY_NO_MORE])
def test_every_command_that_speaks_can_be_quiet(name):
    assert "--quiet" in [option.opts[0] for option in command_of(name).params]


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["comapre"], "compare"),
        (["run", "smoke", "--taget", "casedesk"], "--target"),
        (["compare", "--fail-on", "esclate"], "escalate"),
        (["schema", "scenaro"], "scenario"),
        (["plan", "smok", "--target", "casedesk"], "smoke"),
        (["plan", "smoke", "--target", "casdesk"], "casedesk"),
        (["plan", "smoke", "--target", "casedesk", "--set", "bas_url=http://127.0.0.1:9"], "base_url"),
        (["demo", "--disk", "degradd", "--out", "{out}"], "degraded"),
    ],
)
def test_what_was_meant_is_suggested(words, meant, tmp_path):
    error = called(*(word.format(out=tmp_path / "demo") for word in words)).exception
    said = error.format_message() if isinstance(error, click.ClickException) else str(error)
    assert re.search(f"[Dd]id you mean[^?]*{meant}", said), said


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for name in ("before/1", "after/1"):
        driven(folder / name)
    return folder


#: What a newcomer types -> what it says is next.
STEPS = {
    "init {new}": "savepath desk, and in another terminal",
    "plan smoke --target casedesk": "savepath plan smoke --target casedesk --check",
    "show {runs}/before/1": "savepath compare --before {runs}/before/1 --after OTHER_RUNS --html report.html",
    "report {runs}": "savepath show {runs}/before/1",
    "compare --before {runs}/before --after {runs}/after": "savepath compare --before {runs}/before --after "
    "{runs}/after --html report.html",
}


@pytest.mark.parametrize("line", STEPS)
def test_a_command_names_the_next_on_stderr_and_its_results_fit_80_columns_without_colour(line, runs, tmp_path):
    places = {"runs": runs, "new": tmp_path / "new"}
    done = called(*line.format(**places).split())
    assert STEPS[line].format(**places) in done.stderr
    assert "next:" not in done.stdout
    assert "\x1b" not in done.output
    paths = re.compile(re.escape(str(tmp_path.parent.parent)) + r"\S+")
    assert [row for row in done.stdout.splitlines() if len(paths.sub("", row)) > 80] == []


@pytest.mark.parametrize("line", [line for line in STEPS if not line.startswith("compare")])  # below
def test_quiet_leaves_stderr_to_errors(line, runs, tmp_path):
    assert called(*line.format(runs=runs, new=tmp_path / "new").split(), "--quiet").stderr == ""


@pytest.mark.parametrize("line", ["plan smoke --target casedesk", "show {runs}/before/1", "report {runs}"])
def test_json_is_all_there_is(line, runs):
    done = called(*line.format(runs=runs).split(), "--json")
    json.loads(done.stdout)
    assert done.stderr == ""


def test_a_planned_setting_that_does_not_differ_is_told_with_the_one_that_was_meant(runs, tmp_path):
    driven(tmp_path / "moved", fingerprint={"version": "24.4"})
    sides = ("--before", runs / "before", "--after", tmp_path / "moved")
    said = called("compare", *sides, "--planned", "verson", "--quiet").stderr
    assert said == "savepath: --planned verson: no setting of that name differs (did you mean version?)\n"


def test_compare_writes_its_results_to_stdout_and_nothing_beside_them(runs):
    done = called("compare", "--before", runs / "before", "--after", runs / "after", "--json", "-")
    assert json.loads(done.stdout)["schema"] == "savepath.results/1"
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("setting", "flag", "wanted"),
    [({}, False, True), ({"NO_COLOR": "1"}, False, False), ({"TERM": "dumb"}, False, False), ({}, True, False)],
)
def test_colour_is_for_a_terminal_that_nobody_wants_plain(setting, flag, wanted):
    code = f"from savepath.screen import wants_color; print(wants_color({flag}))"
    ours, theirs = pty.openpty()
    env = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    subprocess.run(
        [sys.executable, "-c", code], stdout=theirs, env={**env, "TERM": "xterm", **setting}, check=True
    )
    os.close(theirs)
    said = os.read(ours, 100).decode().strip()
    os.close(ours)
    assert said == str(wanted)


def completed(line: str) -> list[str]:
    """What bash offers after such a line, asked as bash asks."""
    words = line.split(" ")
    done = called(_SAVEPATH_COMPLETE="bash_complete", COMP_WORDS=line, COMP_CWORD=str(len(words) - 1))
    return [row.partition(",")[2] for row in done.stdout.splitlines() if row.startswith("plain,")]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("savepath sh", ["show"]),
        ("savepath plan field", ["field-sweep"]),
        ("savepath run smoke --target case", ["casedesk"]),
        ("savepath run smoke --alternate-", ["--alternate-set"]),
        ("savepath compare --fail-on ", ["escalate", "hold", "never"]),
    ],
)
def test_the_shell_completes_commands_names_options_and_their_values(line, offered):
    assert completed(line) == offered


def test_bash_itself_completes_after_what_the_command_prints(tmp_path):
    (tmp_path / "savepath").write_text(f'#!/bin/sh\nexec {sys.executable} -m savepath "$@"\n')
    (tmp_path / "savepath").chmod(0o755)
    script = (
        'eval "$(savepath completion bash)"\n'
        "COMP_WORDS=(savepath comple); COMP_CWORD=1\n"
        '_savepath_completion savepath; echo "${COMPREPLY[@]}"\n'
        "complete -p savepath"
    )
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True, env=env, check=True)
    offered, registered = done.stdout.splitlines()
    assert (offered, "_savepath_completion" in registered) == ("completion", True)


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_other_shells_get_a_script_that_asks_savepath(shell):
    assert f"_SAVEPATH_COMPLETE={shell}_complete" in called("completion", shell).stdout
