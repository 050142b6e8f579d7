"""A secret that a flag names: the flag gives the variable, the environment or a file gives the secret."""

from __future__ import annotations

import os

from scenarios.errors import InputError
from targets.environment import secret_of


def needed(flag: str, name: str) -> str:
    """The secret of the variable ``name`` that ``flag`` gave. Raises InputError where there is none."""
    secret = secret_of(os.environ, name)
    if not secret:
        raise InputError(
            f"{flag}: the environment variable {name} is not set; export {name}=... (or {name}_FILE=, a file "
            "that holds it)"
        )
    return secret
