"""A mapping from somebody else: it runs no code, reads no file, fills no memory and ends in no traceback."""

import contextlib
import subprocess
import sys

import pytest

from scenarios.errors import InputError
from targets.mapping import parse_target
from targets.templates import TemplateError, compile_template

MAPPING = """\
name: theirs
base_url: http://127.0.0.1:1
operations:
  save_standard:
    request: {method: PUT, path: "/cases/{{ case }}", body: %s}
    success: {condition: %s}
"""


def load(body='"x"', condition="id"):
    return parse_target(MAPPING % (body, condition), "theirs.yaml")


@pytest.mark.parametrize(
    "expression",
    [
        "(" * 3000 + "1" + ")" * 3000,
        "[" * 300 + "]" * 300,
        "not " * 3000 + "1",
        "1+" * 5000 + "1",
        "case" + ".b" * 5000,
        "case" + "|upper" * 30_000,
        "9" * 4500,
    ],
    ids=["parentheses", "lists", "not", "sums", "dots", "filters", "digits"],
)
def test_a_template_beyond_bounds_is_a_problem_of_the_file(expression):
    with pytest.raises(InputError, match=r"theirs\.yaml:5:\d+: operations\.save_standard\.request\.body: "):
        load(f'"{{{{ {expression} }}}}"')


@pytest.mark.parametrize(
    "expression", ["(" * 3000 + "a" + ")" * 3000, "!" * 3000 + "a", "`" + "[" * 100_000 + "`"]
)
def test_an_expression_beyond_bounds_is_a_problem_of_the_file(expression):
    with pytest.raises(InputError, match=r"theirs\.yaml:6:\d+: operations\.save_standard\.success\.condition: "):
        load(condition=f'"{expression}"')


def test_a_chain_of_replacements_does_not_fill_the_memory():
    bomb = "{{ 'aaaaaaaaaa'" + " | replace('a', 'aaaaaaaaaa')" * 9 + " | length }}"
    bounded = f"import resource; resource.setrlimit(resource.RLIMIT_AS, ({1 << 30}, {1 << 30}))\n"
    code = bounded + (
        "from targets.templates import TemplateError, compile_template\n"
        f"try: print(compile_template({bomb!r}).value({{}}))\n"
        "except TemplateError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert (done.stdout, done.stderr) == ("replace would make more than 1,000,000 characters\n", "")


def test_replace_still_replaces():
    assert compile_template("{{ t | replace('-', '_') }}").value({"t": "a-b-c"}) == "a_b_c"
    with pytest.raises(TemplateError, match="replace is for texts"):
        compile_template("{{ t | replace('-', '_') }}").value({"t": ["a"]})


@pytest.mark.parametrize(
    "body",
    [
        '!!python/object/apply:os.system ["touch owned"]',
        "!!python/name:os.system x",
        '!!python/object/new:subprocess.Popen [["touch", "owned"]]',
    ],
)
def test_a_tag_of_yaml_makes_no_object(body, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with contextlib.suppress(InputError):
        assert isinstance(load(body).operations["save_standard"].request.body, list | str)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "template",
    [
        "{{ case.__init__.__globals__ }}",
        "{{ case | attr('__class__') }}",
        "{{ case | map('upper') }}",
        "{{ variables.__class__.__base__.__subclasses__() }}",
        "{{ joiner }}",
        "{{ namespace }}",
        "{{ case | pprint }}",
        "{{ case is mapping }}",
        "{% extends 'theirs.yaml' %}",
        "{% from 'os' import system %}",
        "{% macro m() %}{% endmacro %}",
        "{{ case if case else include('x') }}",
    ],
)
def test_no_template_of_a_mapping_reaches_out(template):
    with pytest.raises(InputError, match=r"theirs\.yaml:5:"):
        load(f'"{template}"')


@pytest.mark.parametrize(
    "template", ["{{ case['__class__'] }}", "{{ (case, case).__class__ }}", "{{ [case].sort }}"]
)
def test_what_is_looked_for_in_an_object_is_not_there(template):
    load(f'"{template}"')
    with pytest.raises(TemplateError, match="is not there"):
        compile_template(template).value({"case": "7"})


def test_a_value_that_looks_like_a_template_is_not_filled_in_again():
    text = compile_template("{{ t }} and {{ t }}").value({"t": "{{ variables.secret }}"})
    assert text == "{{ variables.secret }} and {{ variables.secret }}"
