"""What goes on beside a watch while it watches: its service and its webhook, each on a thread of its own."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from savepath.screen import note
from savepath.watching.listening import Address
from scenarios.errors import InputError
from targets.environment import secret_of


@dataclass(frozen=True, slots=True)
class Beside:
    """Where to listen and what to tell; the names of the variables that hold the secrets for it."""

    listen: Address | None = None
    token_env: str = ""
    webhook_env: str = ""

    def refuse(self) -> None:
        """Raises InputError for what cannot be, before anything is begun."""
        if self.listen and not self.token_env and not self.listen.is_loopback:
            raise InputError(
                f"--listen: {self.listen.host} can be reached from elsewhere; name the variable that holds the "
                "token which askers need with --token-env, or listen on 127.0.0.1"
            )
        for flag, name in (("--token-env", self.token_env), ("--webhook-env", self.webhook_env)):
            if name:
                needed(flag, name)

    def begin(self, state: Path, stack: ExitStack) -> str:
        """Begin both, until the stack ends; the URL of the status page, empty without one."""
        if self.webhook_env:
            from savepath.watching.webhook import Webhook, telling

            url = needed("--webhook-env", self.webhook_env)
            stack.enter_context(telling(Webhook(state, url, self.webhook_env, note)))
        if not self.listen:
            return ""
        from savepath.watching.service import serving

        token = needed("--token-env", self.token_env) if self.token_env else ""
        return stack.enter_context(serving(state, self.listen, token))


def needed(flag: str, name: str) -> str:
    """A secret of the environment, by the name that a flag gave. Raises InputError where there is none."""
    secret = secret_of(os.environ, name)
    if not secret:
        raise InputError(
            f"{flag}: the environment variable {name} is not set; export {name}=... (or {name}_FILE=, a file "
            "that holds it)"
        )
    return secret
