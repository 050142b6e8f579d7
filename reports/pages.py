"""How pages are made of templates: escaped by default, nothing undefined, a number on the line of its unit."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

_NUMBER_AND_UNIT: Final = re.compile(r"(?<=\d) (?=(?:%|ms|s|points)(?![\w]))")


def resource(name: str) -> str:
    """A file of ``reports/templates`` as text."""
    return (files("reports") / "templates" / name).read_text(encoding="utf-8")


def style() -> Markup:
    """The one style sheet of all pages."""
    return Markup(resource("report.css"))  # noqa: S704 (our own file)


def environment() -> Environment:
    """An environment for the templates of ``reports/templates``, without filters of its own."""
    return Environment(
        loader=FunctionLoader(resource),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_unbroken,
    )


def _unbroken(value: Any) -> Any:
    return (
        value if isinstance(value, Markup) or not isinstance(value, str) else _NUMBER_AND_UNIT.sub("\xa0", value)
    )
