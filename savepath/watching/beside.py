"""What goes on beside a watch while it watches: its service and its webhook, each on a thread of its own."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from savepath.listening import Address, refuse_unguarded
from savepath.screen import note
from savepath.secret import needed


@dataclass(frozen=True, slots=True)
class Beside:
    """Where to listen and what to tell; the names of the variables that hold the secrets for it."""

    listen: Address | None = None
    token_env: str = ""
    webhook_env: str = ""
    webhook_form: str = "plain"

    @property
    def secrets(self) -> frozenset[str]:
        """The variables with the secrets that are for this process alone."""
        return frozenset({self.token_env, self.webhook_env} - {""})

    def refuse(self) -> None:
        """Raises InputError for what cannot be, before anything is begun."""
        if self.listen:
            refuse_unguarded(self.listen, self.token_env)
        for flag, name in (("--token-env", self.token_env), ("--webhook-env", self.webhook_env)):
            if name:
                needed(flag, name)

    def begin(self, state: Path, stack: ExitStack) -> str:
        """Begin both, until the stack ends; the URL of the status page, empty without one."""
        if self.webhook_env:
            from savepath.watching.webhook import Webhook, telling

            url = needed("--webhook-env", self.webhook_env)
            stack.enter_context(telling(Webhook(state, url, self.webhook_env, note, form=self.webhook_form)))
        if not self.listen:
            return ""
        from savepath.watching.service import serving

        token = needed("--token-env", self.token_env) if self.token_env else ""
        return stack.enter_context(serving(state, self.listen, token))
