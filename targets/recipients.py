"""Recipients that a mapping writes out itself, in place of `mail.to`: may mail go to their domains?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from scenarios.model import Operation
from scenarios.source import Path, dotted
from targets.model import Target

_ADDRESS: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`|~-]+@([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*)")
_TEMPLATE: Final = re.compile(r"\{\{\s*(?:variables\.([a-z][a-z0-9_]*))?.*?\}\}")
#: Whose mail it is, not to whom it goes.
_SENDER: Final = re.compile(
    r"^(from|sender|reply[-_]?to|return[-_]?path|author|on[-_]behalf[-_]of)", re.IGNORECASE
)


def foreign_recipients(target: Target) -> Iterator[tuple[Path, str]]:
    """Where an address stands that mail must not go to, and what to do about it."""
    for operation in (Operation.SEND_EMAIL, Operation.SEND_BATCH):
        mapping = target.operations.get(operation)
        if mapping is None:
            continue
        request = mapping.request
        parts: dict[Path, Any] = {("request", name): getattr(request, name) for name in _PARTS}
        for path, data in {**parts, ("message",): mapping.message}.items():
            for place, text in _texts(("operations", str(operation), *path), data):
                for domain in _domains(_filled(text, target)):
                    if not target.may_mail(domain):
                        yield (
                            place,
                            f"{dotted(place)}: mail would go to {domain}, where people may read it; write "
                            "{{ mail.to }}, or list the domain under mail_domains if that is meant",
                        )


_PARTS: Final = ("path", "query", "headers", "body", "form")


def _texts(path: Path, data: Any) -> Iterator[tuple[Path, str]]:
    """Every text in there and where it stands, without those of who sends."""
    if isinstance(data, str):
        yield path, data
    elif isinstance(data, dict):
        for key, value in data.items():
            if not _SENDER.match(str(key)):
                yield from _texts((*path, key), value)
    elif isinstance(data, list):
        for number, value in enumerate(data):
            yield from _texts((*path, number), value)


def _filled(text: str, target: Target) -> str:
    """The text with its variables; any other template stands for a part of an address that is not known."""
    return _TEMPLATE.sub(lambda found: str(target.variables.get(found[1] or "", "x")), text)


def _domains(text: str) -> list[str]:
    return [found[1] for found in _ADDRESS.finditer(text)]
