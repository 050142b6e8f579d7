"""Secrets out of the environment: NAME holds one, or NAME_FILE names the file that does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from scenarios.errors import InputError


def secret_of(environ: Mapping[str, str], name: str) -> str:
    """The secret ``name``, empty if there is none. Raises InputError, without repeating what may be one."""
    secret, file = environ.get(name, ""), environ.get(f"{name}_FILE", "")
    if file and not secret:
        try:
            secret = Path(file).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
            raise InputError(f"{name}_FILE names {file}, which cannot be read: {reason}") from None
    if not secret.isprintable():
        raise InputError(f"the secret {name} holds a line break or control character; set it again")
    return secret if secret.strip() else ""
