"""``savepath init``: what it lays out works as it stands, and nothing that was there is touched."""

import re
import shlex
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner

from savepath.cli import cli
from savepath.exits import Exit
from savepath.scaffolding import lay_out, scaffold
from scenarios.errors import InputError
from scenarios.library import load_scenario
from targets.mapping import load_target
from targets.model import Target

FILES = scaffold()


@pytest.fixture
def laid_out(tmp_path):
    lay_out(tmp_path)
    return tmp_path


def commands(text: str) -> list[str]:
    """Every call of savepath in a file, without its first word."""
    return [line.strip() for line in re.findall(r"savepath ((?:plan|run|compare) [^'\"`\n#]*)", text)]


def test_these_are_the_files():
    wanted = ["README.md", "scenario.yaml", "target.yaml", ".env.example", "ci/github.yml", "ci/gitlab.yml"]
    assert sorted(FILES) == sorted([*wanted, "ci/Jenkinsfile"])


def test_scenario_and_mapping_load(laid_out):
    assert load_scenario(str(laid_out / "scenario.yaml")).name == "my-estate"
    assert load_target(str(laid_out / "target.yaml")).name == "my-desk"


def test_the_mapping_says_of_casedesk_what_savepaths_own_says(laid_out):
    mine, own = load_target(str(laid_out / "target.yaml")), load_target("casedesk")
    assert {str(op): mine.operations[op] for op in mine.operations} == {
        str(op): own.operations[op] for op in mine.operations
    }
    assert mine.fields == own.fields
    assert mine.provision.cases == own.provision.cases
    assert mine.provision.tenants == own.provision.tenants


def test_every_key_of_a_mapping_is_shown_with_a_comment():
    text = FILES["target.yaml"]
    shown = set(re.findall(r"^(?:# )?([a-z_]+):", text, re.MULTILINE))
    assert set(Target.model_fields) <= shown
    plain = [line for line in text.splitlines() if re.match(r"^[a-z_]+:", line) and "#" not in line]
    before = {line: text.splitlines()[text.splitlines().index(line) - 1] for line in plain}
    assert [line for line, above in before.items() if not above.startswith("#")] == []


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".yml")])
def test_a_pipeline_is_yaml_and_calls_plan_run_and_compare(name):
    assert isinstance(yaml.safe_load(FILES[name]), dict)
    assert {line.split()[0] for line in commands(FILES[name])} == {"plan", "run", "compare"}


def test_the_jenkinsfile_closes_what_it_opens():
    text = re.sub(r"'''.*?'''|'[^'\n]*'|\"[^\"\n]*\"|//[^\n]*", "", FILES["ci/Jenkinsfile"], flags=re.DOTALL)
    assert [text.count(one) for one in "{(["] == [text.count(one) for one in "})]"]


@pytest.mark.parametrize("name", ["README.md", "ci/github.yml", "ci/gitlab.yml", "ci/Jenkinsfile"])
def test_every_command_is_one_that_exists_with_these_flags(name):
    lines = commands(re.sub(r"\$\{\{[^}]*\}\}", "before", FILES[name]))
    assert len(lines) >= 3
    for line in lines:
        command, *words = shlex.split(line)
        found = cli.get_command(click.Context(cli), command)
        found.make_context(command, words)


@pytest.mark.parametrize("name", ["README.md", "ci/github.yml", "ci/gitlab.yml", "ci/Jenkinsfile"])
def test_the_exit_codes_are_told(name):
    for code in (Exit.HOLD, Exit.ESCALATE):
        assert re.search(rf"\b{int(code)}\b", FILES[name])


def test_no_file_holds_a_value_of_a_secret():
    assert [line for line in FILES[".env.example"].splitlines() if re.match(r"\w+=.+", line)] == []


# -- nothing is overwritten ------------------------------------------------------------------------


def test_what_is_there_is_left_alone_and_said(tmp_path):
    (tmp_path / "target.yaml").write_text("mine")
    (tmp_path / "scenario.yaml").symlink_to(tmp_path / "nowhere")
    said = CliRunner().invoke(cli, ["init", str(tmp_path)])
    assert said.exit_code == 0
    left = [line for line in said.output.splitlines() if line.startswith("left alone")]
    assert sorted(Path(line.split()[-1]).name for line in left) == ["scenario.yaml", "target.yaml"]
    assert (tmp_path / "target.yaml").read_text() == "mine"
    assert not (tmp_path / "nowhere").exists()
    assert (tmp_path / "README.md").read_text() == FILES["README.md"]


def test_a_second_time_nothing_is_written(laid_out):
    assert set(lay_out(laid_out).values()) == {False}


def test_what_cannot_be_written_is_told_with_what_was(tmp_path):
    (tmp_path / "ci").write_text("a file where a folder should be")
    with pytest.raises(
        InputError, match=r"cannot write .*/ci/Jenkinsfile: .*; written so far: \.env\.example, README"
    ):
        lay_out(tmp_path)
    assert (tmp_path / "ci").read_text() == "a file where a folder should be"
