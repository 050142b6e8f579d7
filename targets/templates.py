"""The templates of a mapping: text with ``{{ expressions }}`` that can look values up and nothing else.

They are Jinja expressions in a sandbox that is narrower than Jinja's own. What may stand in one
is an explicit list (``_ALLOWED``): no call, no statement, no arithmetic that could grow without
bound. A dot reaches into mappings only, never to an attribute of a Python object, so neither
classes nor files nor code can be reached. A name that is not there is an error, never empty text.

A template that is exactly one ``{{ expression }}`` keeps the type of its value; any other is text.
Lookups such as ``{{ tenant.key }}``, which is nearly all there is, are compiled to dictionary
accesses and do not pass through Jinja when a request is made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from jinja2 import StrictUndefined, TemplateSyntaxError, UndefinedError, meta, nodes
from jinja2.environment import TemplateExpression
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from scenarios.errors import did_you_mean

#: What a template is filled with: names to plain data.
Context = Mapping[str, Any]
#: The names that a template may use; for a mapping with known keys those keys, else None.
Scope = Mapping[str, frozenset[str] | None]

FILTERS: Final = ("default", "first", "int", "join", "last", "length", "lower", "replace", "round", "upper")
#: A template with expressions is no longer than this, and ``replace`` makes no longer text than that.
LENGTH_MAX: Final = 20_000
REPLACED_MAX: Final = 1_000_000
_TESTS: Final = ("defined", "none", "eq", "ne", "in")

_ALLOWED: Final = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.Const, nodes.Name, nodes.Getattr, nodes.Getitem),
    *(nodes.Filter, nodes.Test, nodes.Keyword, nodes.CondExpr, nodes.Compare, nodes.Operand),
    *(nodes.And, nodes.Or, nodes.Not, nodes.Add, nodes.Sub, nodes.Neg, nodes.Concat),
    *(nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair),
)


class TemplateError(ValueError):
    """A template cannot be understood, or what it asks for is not there."""


class _Environment(ImmutableSandboxedEnvironment):
    """Jinja without attributes: a dot and a subscript look into mappings and lists only."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, Mapping | list | tuple):
            try:
                return obj[argument]
            except (LookupError, TypeError):
                pass
        return self.undefined(f"{argument!r} is not there")


def _replace(text: str, old: str, new: str) -> str:
    """Jinja's filter, which would let a chain of a few words grow to fill the memory, with an end to it."""
    if not (isinstance(text, str) and isinstance(old, str) and isinstance(new, str)):
        raise TypeError("replace is for texts")
    if len(text) + text.count(old) * len(new) > REPLACED_MAX:
        raise ValueError(f"replace would make more than {REPLACED_MAX:,} characters")
    return text.replace(old, new)


def _make_environment() -> _Environment:
    environment = _Environment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)
    environment.globals.clear()
    environment.filters = {name: environment.filters[name] for name in FILTERS} | {"replace": _replace}
    environment.tests = {name: environment.tests[name] for name in _TESTS}
    return environment


_ENVIRONMENT: Final = _make_environment()

_Part = str | Callable[[Context], Any]


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled template: ``names`` are those it needs in its context."""

    names: frozenset[str]
    _parts: tuple[_Part, ...]
    _whole: bool

    def value(self, context: Context) -> Any:
        """What the template says, with the type of its value where it is one expression alone."""
        part = self._parts[0] if self._whole else ""
        return self.text(context) if isinstance(part, str) else part(context)

    def text(self, context: Context, escape: Callable[[str], str] | None = None) -> str:
        """What the template says as text; ``escape`` is applied to each value, not to the text between."""
        done = []
        for part in self._parts:
            if isinstance(part, str):
                done.append(part)
            else:
                found = part(context)
                word = found if type(found) is str else as_text(found)
                done.append(escape(word) if escape else word)
        return "".join(done)

    @property
    def constant(self) -> str | None:
        """The text of a template without expressions, else None."""
        return None if any(callable(part) for part in self._parts) else "".join(cast("tuple[str]", self._parts))


def compile_template(text: str, scope: Scope | None = None) -> Template:
    """Compile a template. Raises TemplateError for what is not allowed, or names that ``scope`` does not have."""
    if len(text) > LENGTH_MAX and "{" in text:
        raise TemplateError(f"the template has {len(text):,} characters; at most {LENGTH_MAX:,} are read")
    try:
        return _compile(text, scope)
    except RecursionError:
        raise TemplateError("the template is nested too deeply") from None


def _compile(text: str, scope: Scope | None) -> Template:
    try:
        tree = _ENVIRONMENT.parse(text)
    except TemplateSyntaxError as error:
        raise TemplateError(f"not a valid template: {error.message}") from None
    except ValueError:  # of thousands of digits, which Python does not take for a number
        raise TemplateError("not a valid template: a number is too long") from None
    _check_nodes(tree)
    try:
        if scope is not None:
            _check_names(tree, scope)
        parts = tuple(_compile_part(node) for output in tree.body for node in cast(nodes.Output, output).nodes)
    except TemplateSyntaxError as error:  # an unknown filter is found only here
        raise TemplateError(_unknown_filter(tree) or f"not a valid template: {error.message}") from None
    whole = len(parts) == 1 and callable(parts[0])
    return Template(frozenset(meta.find_undeclared_variables(tree)), parts, whole)


def as_text(value: object) -> str:
    """A value between text: numbers as digits, true and false as JSON has them."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    what = {type(None): "nothing", list: "a list", tuple: "a list"}.get(type(value), "a mapping")
    raise TemplateError(f"{what} where text is needed" + ("; join it with | join(',')" if "list" in what else ""))


def _check_nodes(tree: nodes.Template) -> None:
    for node in tree.find_all(nodes.Node):
        if isinstance(node, nodes.Filter) and (node.dyn_args or node.dyn_kwargs):
            raise TemplateError("a filter takes plain arguments only")
        if not isinstance(node, _ALLOWED):
            name = type(node).__name__
            what = {"Call": "a call", "Mul": "multiplication", "Pow": "a power"}.get(name, f"{name.lower()!r}")
            raise TemplateError(f"a template can only look values up: {what} is not allowed in it")


def _check_names(tree: nodes.Template, scope: Scope) -> None:
    for name in sorted(meta.find_undeclared_variables(tree)):
        if name not in scope:
            raise TemplateError(f"unknown name {name}{did_you_mean(name, scope)}; here are {_listed(scope)}")
    for node in tree.find_all(nodes.Getattr):
        known = scope.get(node.node.name) if isinstance(node.node, nodes.Name) else None
        if known is not None and node.attr not in known:
            name = cast(nodes.Name, node.node).name
            inside = _listed(known) if known else "nothing"
            raise TemplateError(
                f"{name} has no {node.attr}{did_you_mean(node.attr, known)}; it has {inside} in it"
            )


def _listed(names: Any) -> str:
    return ", ".join(sorted(names)) or "no names"


def _unknown_filter(tree: nodes.Template) -> str | None:
    for kind, known in ((nodes.Filter, FILTERS), (nodes.Test, _TESTS)):
        for node in tree.find_all(kind):
            if node.name not in known:
                what = kind.__name__.lower()
                return f"unknown {what} {node.name}{did_you_mean(node.name, known)}; there are {', '.join(known)}"
    return None


def _compile_part(node: nodes.Expr) -> _Part:
    if isinstance(node, nodes.TemplateData):
        return node.data
    path = _path(node)
    return _compile_lookup(path) if path else _compile_expression(node)


def _path(node: nodes.Node) -> tuple[str, ...]:
    """``("tenant", "key")`` of ``tenant.key``; empty for anything that is not a plain lookup."""
    if isinstance(node, nodes.Name):
        return (node.name,)
    if isinstance(node, nodes.Getattr):
        above = _path(node.node)
        return (*above, node.attr) if above else ()
    return ()


def _compile_lookup(path: tuple[str, ...]) -> Callable[[Context], Any]:
    def look_up(context: Context) -> Any:
        found: Any = context
        try:
            for name in path:
                found = found[name]
        except (KeyError, TypeError, IndexError):
            raise TemplateError(f"{'.'.join(path)} is not there") from None
        return found

    return look_up


def _compile_expression(node: nodes.Expr) -> Callable[[Context], Any]:
    """As ``Environment.compile_expression`` does it, from a tree that is parsed already."""
    assign = nodes.Assign(nodes.Name("result", "store", lineno=1), node, lineno=1)
    template = _ENVIRONMENT.from_string(nodes.Template([assign], lineno=1))
    expression = TemplateExpression(template, undefined_to_none=False)

    def evaluate(context: Context) -> Any:
        try:
            found = expression(context)
        except (UndefinedError, SecurityError, TypeError, ValueError, IndexError) as error:
            raise TemplateError(str(error)) from None
        if isinstance(found, StrictUndefined):
            raise TemplateError(str(found._undefined_message))
        return found

    return evaluate


Render = Callable[[Context], Any]


@dataclass(frozen=True, slots=True)
class Tree:
    """A structure of templates (a JSON body): ``names`` are those that all of them need."""

    names: frozenset[str]
    render: Render


def compile_tree(data: Any, scope: Scope | None = None) -> Tree:
    """Compile every text inside a structure of mappings and lists; keys and other values stand as they are."""
    if isinstance(data, str):
        template = compile_template(data, scope)
        text = template.constant
        return Tree(template.names, template.value if text is None else lambda _: text)
    if isinstance(data, Mapping):
        inner = {key: compile_tree(value, scope) for key, value in data.items()}
        renders = [(key, tree.render) for key, tree in inner.items()]
        names = frozenset[str]().union(*(tree.names for tree in inner.values()))
        return Tree(names, lambda context: {key: render(context) for key, render in renders})
    if isinstance(data, list | tuple):
        trees = [compile_tree(value, scope) for value in data]
        names = frozenset[str]().union(*(tree.names for tree in trees))
        return Tree(names, lambda context: [tree.render(context) for tree in trees])
    return Tree(frozenset(), lambda _: data)
