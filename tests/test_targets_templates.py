"""Templates look values up and can do nothing else."""

import pytest

from targets.templates import TemplateError, compile_template, compile_tree

CONTEXT = {
    "tenant": {"key": "north", "remote": {"id": 7, "items": "of its own"}},
    "tokens": ["a", "b"],
    "save": {"id": "sp-1", "seq": 12},
    "yes": True,
    "nothing": None,
}


def value(text):
    return compile_template(text).value(CONTEXT)


def test_a_template_that_is_one_expression_keeps_the_type_of_its_value():
    assert [
        value(t) for t in ("{{ save.seq }}", "{{ tokens }}", "{{ yes }}", "{{ nothing }}", "{{save.seq + 1}}")
    ] == [
        12,
        ["a", "b"],
        True,
        None,
        13,
    ]


def test_any_other_template_is_text():
    assert value("{{ save.seq }} of {{ tenant.key }}: {{ yes }}") == "12 of north: true"


def test_a_dot_reaches_items_even_where_a_method_has_the_name():
    assert value("{{ tenant.remote.items }} {{ tenant.remote.items | upper }}") == "of its own OF ITS OWN"


def test_filters_join_and_choose():
    assert value("{{ tokens | join(',') }}/{{ tokens | first }}/{{ 'x' if yes else 'y' }}") == "a,b/a/x"


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ tenant.__class__ }}",
        "{{ tenant['__class__'] }}",
        "{{ tenant.key.upper }}",
        "{{ tenant.key.upper() }}",
        "{{ tokens.append(1) }}",
        "{{ tokens | join(attribute='__class__') }}",
        "{{ tokens | attr('append') }}",
        "{{ tokens | map(attribute='__class__') | list }}",
        "{{ '%s' | format(tenant) }}",
        "{{ cycler }}",
        "{{ range(9) }}",
        "{{ self }}",
        "{{ lipsum.__globals__ }}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}",
        "{% set x = 1 %}",
        "{% for t in tokens %}{{ t }}{% endfor %}",
        "{{ 'a' * 999999999 }}",
        "{{ 2 ** 99999999 }}",
        "{{ tenant.key | replace(*tokens) }}",
    ],
)
def test_a_template_reaches_neither_classes_nor_files_nor_code(text):
    with pytest.raises(TemplateError):
        value(text)


@pytest.mark.parametrize(
    "text", ["{{ save.idd }}", "{{ tenants.key }}", "{{ save.id.deeper }}", "x{{ absent | upper }}"]
)
def test_what_is_not_there_is_an_error_and_never_empty_text(text):
    with pytest.raises(TemplateError):
        value(text)


def test_a_list_between_text_is_an_error_that_says_what_to_do():
    with pytest.raises(TemplateError, match=r"a list where text is needed; join it with \| join"):
        value("tokens: {{ tokens }}")


def test_an_unknown_name_is_told_with_the_nearest_one():
    with pytest.raises(TemplateError) as caught:
        compile_template("{{ tenat.key }}", {"tenant": frozenset({"key"}), "case": frozenset()})
    assert str(caught.value) == "unknown name tenat (did you mean tenant?); here are case, tenant"


def test_an_unknown_part_of_a_name_is_told():
    with pytest.raises(TemplateError) as caught:
        compile_template("{{ save.ids }}", {"save": frozenset({"id", "seq"})})
    assert str(caught.value) == "save has no ids (did you mean id?); it has id, seq in it"


def test_an_unknown_filter_is_told():
    with pytest.raises(TemplateError, match=r"unknown filter uper \(did you mean upper\?\)"):
        compile_template("{{ tenant.key | uper }}")


def test_a_tree_fills_every_text_and_leaves_the_rest():
    tree = compile_tree({"a": ["{{ save.seq }}", 1.5, None], "b": {"c": "x {{ tenant.key }}"}, "d": "plain"})
    assert tree.render(CONTEXT) == {"a": [12, 1.5, None], "b": {"c": "x north"}, "d": "plain"}
    assert tree.names == {"save", "tenant"}
