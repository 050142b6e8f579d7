"""Target files: what they may say, and how mistakes in them are told."""

import jsonschema
import pytest
import yaml

from scenarios.errors import InputError
from scenarios.library import find_text, names
from scenarios.model import Operation
from targets.mapping import load_target, parse_target, target_schema

SMALL = """\
name: small
base_url: http://127.0.0.1:1
variables: {room: 4}
operations:
  read_case:
    request: GET /cases/{{ case }}
  save_custom:
    request:
      method: PUT
      path: /cases/{{ case }}
      headers: {X-Save: "{{ save.id }}"}
      body: {room: "{{ variables.room }}"}
"""


def problems(text):
    with pytest.raises(InputError) as caught:
        parse_target(text, "t.yaml")
    return [(problem.line, problem.column, problem.message) for problem in caught.value.problems]


@pytest.mark.parametrize("name", names("targets"))
def test_every_target_that_comes_with_savepath_loads_and_fits_the_schema(name):
    text, _ = find_text("targets", name)
    jsonschema.validate(yaml.safe_load(text), target_schema())
    assert load_target(name).name == name


def test_casedesk_does_everything():
    casedesk = load_target("casedesk")
    assert [operation for operation in Operation if not casedesk.supports(operation)] == []


def test_settings_replace_the_address_and_keep_the_type_of_a_variable():
    target = parse_target(SMALL, "t.yaml", {"base_url": "http://127.0.0.1:2/", "room": "5"})
    assert (target.base_url, target.variables["room"]) == ("http://127.0.0.1:2", 5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rom": "5"}, "the target small has no setting 'rom' (did you mean room?)"),
        ({"room": "five"}, "--set room: found 'five'; expected a number"),
        ({"room": "2026-13-45"}, "--set room: found '2026-13-45'; expected a number"),
        (
            {"base_url": "127.0.0.1:2"},
            "--set base_url: '127.0.0.1:2' is not a base URL; expected http://host:port or https://host",
        ),
        (
            {"base_url": f"http://{'a' * 64}.test"},
            f"--set base_url: 'http://{'a' * 64}.test' is not a base URL; expected http://host:port or https://host",
        ),
        (
            {"base_url": "http://me:pw@127.0.0.1:2"},
            "--set base_url: a user or password must not stand in the URL; use auth with an environment variable",
        ),
    ],
)
def test_a_wrong_setting_is_told(settings, message):
    with pytest.raises(InputError) as caught:
        parse_target(SMALL, "t.yaml", settings)
    assert str(caught.value) == message


def test_run_script_is_a_standard_save_whose_scripts_can_be_looked_up():
    text = SMALL.replace("save_custom", "save_standard")
    assert not parse_target(text, "t").supports(Operation.RUN_SCRIPT)
    text += "verify: {scripts: {request: 'GET /log?t={{ tokens | first }}'}}\n"
    target = parse_target(text, "t")
    assert target.supports(Operation.RUN_SCRIPT)
    assert target.mapping_of(Operation.RUN_SCRIPT) is target.operations[Operation.SAVE_STANDARD]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("base_url:", "base_ulr:", (2, 1, "base_ulr is not a known key (did you mean base_url?)")),
        ("  read_case:", "  read_cse:", (5, 3, "operations.read_cse is 'read_cse'")),
        (
            "/cases/{{ case }}\n  save",
            "/cases/{{ cas }}\n  save",
            (6, 14, "operations.read_case.request.path: unknown name cas (did you mean case?)"),
        ),
        (
            '"{{ save.id }}"',
            '"{{ save.idd }}"',
            (11, 25, "operations.save_custom.request.headers.X-Save: save has no idd (did you mean id?)"),
        ),
        (
            "{{ variables.room }}",
            "{{ variables.rom }}",
            (12, 20, "operations.save_custom.request.body.room: variables has no rom (did you mean room?)"),
        ),
        (
            "{{ variables.room }}",
            "{{ values.title",
            (12, 20, "operations.save_custom.request.body.room: not a valid"),
        ),
        (
            "{{ variables.room }}",
            "{{ tenant.key() }}",
            (12, 20, "operations.save_custom.request.body.room: a template"),
        ),
        (
            "GET /cases/{{ case }}",
            "GET cases",
            (6, 14, "operations.read_case.request: 'GET cases' is not a request"),
        ),
        ("GET /cases/{{ case }}", "GET /a b", (6, 14, "operations.read_case.request.path: expected no blanks")),
        (
            "GET /cases/{{ case }}",
            "LOOK /cases",
            (6, 14, "operations.read_case.request is 'LOOK'; expected GET, POST"),
        ),
        (
            "variables: {room: 4}",
            "verify: {scripts: {request: GET /x, in_order: true}}",
            (
                3,
                19,
                "verify.scripts: in_order is held against `ended`, the moment at which a script was done; name it",
            ),
        ),
        (
            "variables: {room: 4}",
            "verify: {values: {request: GET /x}, history: {request: GET /x, batch: 2}}",
            (3, 46, "verify.history: a lookup of several cases needs `case`: whose change is it?"),
        ),
        (
            "variables: {room: 4}",
            "verify: {history: {request: GET /x}}",
            (3, 9, "verify: history needs values: what a case holds now is where its history ends"),
        ),
        (
            "variables: {room: 4}",
            "verify: {values: {request: GET /x, fields: 'a[?'}}",
            (3, 44, "verify.values.fields: 'a[?' is not a JMESPath expression"),
        ),
        (
            "variables: {room: 4}",
            "fields: {codecs: {text: yes_no}}",
            (3, 9, "fields: codecs.text: yes_no is for checkbox"),
        ),
        ("variables: {room: 4}", "fields: {shape: map}", (3, 9, "fields: a map stands under a key")),
        (
            "variables: {room: 4}",
            "variables: {room: 4}\nfields: {shape: map, under: room}",
            (13, 13, "custom fields go where the body has no mapping"),
        ),
    ],
)
def test_a_mistake_is_told_with_its_place(old, new, expected):
    assert SMALL.count(old) == 1
    found = problems(SMALL.replace(old, new))
    line, column, message = expected
    assert [(a, b) for a, b, text in found if text.startswith(message)] == [(line, column)], found


@pytest.mark.parametrize(
    ("line", "column", "text"),
    [
        (3, 25, "auth: {basic: {user: u, password: hunter2}}"),
        (3, 26, "auth: {header: {name: K, value: hunter2}}"),
        (3, 11, "headers: {Authorization: Bearer hunter2}"),
        (3, 11, "headers: {x-api-key: hunter2}"),
    ],
)
def test_a_literal_secret_is_refused_with_its_place_and_not_repeated(line, column, text):
    found = problems(SMALL.replace("variables: {room: 4}", text))
    assert [(a, b, "must not stand in a file" in message) for a, b, message in found] == [(line, column, True)]
    assert "hunter2" not in str(found)


def test_a_secret_in_place_of_the_name_of_its_variable_is_not_repeated():
    (found,) = problems(SMALL.replace("variables: {room: 4}", "auth: {basic: {user: u, password_env: hunter2}}"))
    assert found[:2] == (3, 39)
    assert "hunter2" not in found[2]


def test_a_precondition_gives_its_answer_to_the_request_alone():
    with_before = SMALL.replace('"{{ save.id }}"', '"{{ before.headers.etag }}"')
    assert "unknown name before" in problems(with_before)[0][2]
    parse_target(with_before + "    precondition: GET /cases/{{ case }}\n", "t.yaml")
