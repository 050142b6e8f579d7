"""Requests before they are filled in: a mapping's request, compiled once, filled in for each arrival."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

import orjson

from targets.http import Request
from targets.request_mapping import RequestMapping
from targets.templates import Context, Template, Tree, as_text, compile_template, compile_tree

#: Names of cases and tenants come again. A longer text is a list of tokens and does not: 8,192 of them are 20 MB.
COMES_AGAIN: Final = 64
#: Puts custom fields into a rendered body and gives the JSON of it all.
Place = Callable[[Any], bytes]


@dataclass(frozen=True, slots=True)
class Form:
    """A compiled request. ``names`` are those that must be in the context to fill it in."""

    names: frozenset[str]
    _method: str
    _path: Template
    _query: tuple[tuple[str, Tree], ...]
    _headers: tuple[tuple[str, Template], ...]  # those that every request has, and then its own
    _body: Tree | None
    _form: tuple[tuple[str, Template], ...] | None

    def fill(
        self,
        context: Context,
        place: Place | None = None,
        *,
        authorisation: Mapping[str, str] = {},
        traceparent: str | None = None,
    ) -> Request:
        """The request for a context. ``place`` is for a body that carries custom fields.

        Raises TemplateError if the context has not what the mapping asks for.
        """
        url = context["base_url"] + self._path.text(context, _escape)
        if self._query:
            url += _query(self._query, context, "&" if "?" in url else "?")
        headers = dict(authorisation)
        if traceparent is not None:
            headers["traceparent"] = traceparent
        for name, template in self._headers:
            headers[name] = template.text(context)
        body = None
        if self._body is not None or place is not None:
            data = self._body.render(context) if self._body else None
            body = place(data) if place else orjson.dumps(data)
            headers.setdefault("Content-Type", "application/json")
        elif self._form is not None:
            body = urlencode([(name, template.text(context)) for name, template in self._form]).encode("ascii")
            headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
        return Request(self._method, url, headers, body)


def compile_form(mapping: RequestMapping, common: Mapping[str, str] = {}) -> Form:
    """Compile a request with the headers that every request has."""
    path = compile_template(mapping.path)
    query = tuple((name, compile_tree(value)) for name, value in mapping.query.items())
    own = tuple((name, compile_template(text)) for name, text in mapping.headers.items())
    shared = tuple((name, compile_template(text)) for name, text in common.items())
    body = None if mapping.body is None else compile_tree(mapping.body)
    form = None if mapping.form is None else tuple((n, compile_template(t)) for n, t in mapping.form.items())
    named: list[tuple[str, Template | Tree]] = [*query, *own, *shared, *(form or ())]
    names = path.names.union(*(part.names for _, part in named), body.names if body else ())
    return Form(names, mapping.method, path, query, (*shared, *own), body, form)


def _escape(text: str) -> str:
    """Percent-encode a value in a path; slashes stay, so that a value can be a path of its own."""
    return _escape_again(text) if len(text) <= COMES_AGAIN else quote(text, safe="/")


@functools.lru_cache(maxsize=8192)
def _escape_again(text: str) -> str:
    return quote(text, safe="/")


def _query(parts: tuple[tuple[str, Tree], ...], context: Context, lead: str) -> str:
    pairs = []
    for name, tree in parts:
        found = tree.render(context)
        for value in found if isinstance(found, list | tuple) else [found]:
            if value is not None:
                pairs.append(f"{quote(name, safe='@:')}={quote(as_text(value), safe='')}")
    return lead + "&".join(pairs) if pairs else ""
