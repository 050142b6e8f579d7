"""The way out of the mapping: a Python class of one's own for what YAML cannot say.

``python: package.module:Class`` names a subclass of ``Binding`` that overrides what it has to:
``requests`` of the operations, ``judge``, the look-ups and how they are read. It has to be
allowed by whoever runs it (``load_target(..., allow_python=True)``), and be importable: installed, or
on ``PYTHONPATH``.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from scenarios.errors import InputError
from scenarios.model import Scenario
from targets.binding import Binding
from targets.credentials import Credentials
from targets.inventory import Inventory
from targets.model import Target


def bind(
    target: Target,
    scenario: Scenario,
    inventory: Inventory,
    environ: Mapping[str, str],
    *,
    credentials: Credentials | None = None,
) -> Binding:
    """The binding of a target: of the class that its mapping names, if it names one. Raises InputError."""
    kind = Binding if target.python is None else find_class(target.python)
    return kind(target, scenario, inventory, environ, credentials=credentials)


def find_class(name: str) -> type[Binding]:
    """The class of that name. Raises InputError where there is none, or none of this kind."""
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except ImportError as error:
        raise InputError(f"python: {name}: {error}; install the package or put it on PYTHONPATH") from None
    if not isinstance(found, type) or not issubclass(found, Binding):
        raise InputError(f"python: {name} is no subclass of targets.binding.Binding")
    return found
