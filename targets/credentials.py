"""Secrets: out of environment variables, into headers; never out of files."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from scenarios.errors import InputError
from targets.model import Target


def authorise(target: Target, environ: Mapping[str, str]) -> dict[str, str]:
    """The headers that authorise a request. InputError names the environment variable that is missing."""
    if target.auth.basic:
        basic = target.auth.basic
        password = _secret(target, environ, basic.password_env, "auth.basic.password_env")
        return {"Authorization": "Basic " + base64.b64encode(f"{basic.user}:{password}".encode()).decode("ascii")}
    if target.auth.header:
        key = target.auth.header
        return {key.name: _secret(target, environ, key.value_env, "auth.header.value_env")}
    return {}


def _secret(target: Target, environ: Mapping[str, str], name: str, where: str) -> str:
    secret = environ.get(name, "")
    if not secret:
        raise InputError(
            f"the environment variable {name} is not set; the target {target.name} needs it ({where}); "
            f"export {name}=..."
        )
    if not secret.isprintable():
        raise InputError(f"the environment variable {name} holds a line break or control character; set it again")
    return secret
