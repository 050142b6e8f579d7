"""A mapping with a Python class of its own: only where that is allowed, and then instead of the YAML."""

import pytest

from scenarios.errors import InputError
from scenarios.library import parse_scenario
from scenarios.model import Operation
from targets.binding import Binding
from targets.call import Call
from targets.extension import bind
from targets.http import Response
from targets.inventory import Inventory, TenantInventory
from targets.judgement import Judgement
from targets.mapping import parse_target

TEXT = """\
name: t
base_url: http://127.0.0.1:1
python: extension_class:Own
operations: {read_case: {request: "GET /cases/{{ case }}"}}
"""
MODULE = """\
from targets.binding import Binding
from targets.judgement import Judgement

class Own(Binding):
    def judge(self, operation, response):
        return Judgement("invalid", "said no") if b"no" in response.body else super().judge(operation, response)

other = 1
"""
SCENARIO = parse_scenario(
    "name: s\ncohorts: {some: {custom_fields: 0}}\nmix: {read_case: 1}\nload: {rate_per_s: 1}\nduration_s: 1\n",
    "s",
)
(TENANT,) = SCENARIO.tenants
INVENTORY = Inventory(tenants={TENANT.key: TenantInventory(cases=("7",))})


@pytest.fixture(autouse=True)
def module(tmp_path, monkeypatch):
    (tmp_path / "extension_class.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)


def bound(text=TEXT):
    return bind(parse_target(text, "t.yaml", allow_python=True), SCENARIO, INVENTORY, {})


def test_python_in_a_mapping_is_refused_unless_it_is_allowed():
    with pytest.raises(InputError) as caught:
        parse_target(TEXT, "t.yaml")
    assert str(caught.value).startswith("t.yaml:3:9: python: the mapping wants to run extension_class:Own")
    assert "--allow-python" in str(caught.value)


def test_the_class_judges_in_place_of_the_mapping_and_inherits_the_rest():
    binding = bound()
    assert binding.judge(Operation.READ_CASE, Response(200, {}, b"no")) == Judgement("invalid", "said no")
    assert binding.judge(Operation.READ_CASE, Response(200, {}, b"{}")) == Judgement("ok", "")
    request = binding.request(Operation.READ_CASE, Call(1, "sp-1", TENANT, "7", ""))
    assert request.url == "http://127.0.0.1:1/cases/7"


def test_a_mapping_without_python_has_the_plain_binding():
    assert type(bound(TEXT.replace("python: extension_class:Own\n", ""))) is Binding


def test_the_class_is_never_left_out_by_mistake():
    with pytest.raises(ValueError, match=r"make its binding with targets\.extension\.bind"):
        Binding(parse_target(TEXT, "t.yaml", allow_python=True), SCENARIO, INVENTORY, {})


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module:Own", "No module named 'no_such_module'; install the package or put it on PYTHONPATH"),
        ("extension_class:Missing", "is no subclass of targets.binding.Binding"),
        ("extension_class:other", "is no subclass of targets.binding.Binding"),
    ],
)
def test_a_class_that_is_not_there_is_told(name, message):
    with pytest.raises(InputError, match=message):
        bound(TEXT.replace("extension_class:Own", name))
