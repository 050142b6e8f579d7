"""What is wrong with an answer, as an error: the place in the mapping's file, what was asked, what came.

Secrets are masked, whether they stand in the address or the target repeats them in its answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel

from scenarios.errors import Aborted, Unauthorised
from targets.credentials import LOGIN_REFUSED, REFUSED, Credentials, Token
from targets.extraction import Unreadable, read_json
from targets.http import Request, Response
from targets.model import Target
from targets.places import place_of
from targets.request_mapping import RequestMapping
from targets.templates import TemplateError

#: So much of an answer is shown.
_SHOWN: Final = 200


@dataclass(frozen=True, slots=True)
class Complaints:
    """Makes the errors of one target."""

    target: Target
    credentials: Credentials | None = None

    def unexpected(self, request: Request, response: Response) -> Aborted:
        """An answer that is not of the kind that was asked for."""
        what = "not JSON" if 200 <= response.status < 300 else "unexpected"
        kind = Unauthorised if response.status == REFUSED else Aborted
        return kind(self.told(request, response, what))

    def unfit(self, request: Request, response: Response, what: str, part: BaseModel, *keys: str) -> Aborted:
        """A part of the mapping and an answer that do not fit each other."""
        return self._at(f"{what}; {self.told(request, response)}", part, *keys)

    @contextmanager
    def reading(self, request: Request, response: Response, part: BaseModel, *keys: str) -> Iterator[None]:
        """Something is taken out of an answer as a part of the mapping says; what cannot be is told."""
        try:
            yield
        except Unreadable as error:
            raise self.unfit(request, response, str(error), part, *keys) from None

    def given_up(self, request: Request, what: str) -> Aborted:
        """Something that was begun and cannot be finished; ``what`` may be out of an answer."""
        return Aborted(self.masked(f"{request.method} {request.url}: {what}"))

    def unfillable(self, mapping: RequestMapping, error: TemplateError) -> Aborted:
        """A request that needs what is not there."""
        return self._at(f"cannot be filled in: {error}", mapping)

    def no_token(self, token: Token, response: Response, error: Unreadable) -> Aborted:
        """A login without success: of its answer the keys only, for one of the values may be the secret."""
        came = self.masked(f"{token.request.method} {token.request.url.partition('?')[0]}")
        what = f"cannot log in to the target {self.target.name}: {error}"
        if not 200 <= response.status < 300:
            kind = Unauthorised if response.status in LOGIN_REFUSED else Aborted
            return kind(f"{came}: {what}")
        try:
            data = read_json(response)
        except Unreadable:
            return self._at(
                f"{what}; {came}: http {response.status} ({self.masked(_kind(response))})", token.login, "token"
            )
        keys = ", ".join(map(str, data))[:_SHOWN] if isinstance(data, dict) else ""
        return self._at(f"{what}; {came}: http {response.status} with {keys or 'no keys'}", token.login, "token")

    def told(self, request: Request, response: Response, what: str = "") -> str:
        """What was asked and the beginning of what was answered."""
        where = response.headers.get("location")
        leads = f" leads to {self.masked(where)[:_SHOWN]}" if where else ""
        head = f"{request.method} {request.url}: {f'http {response.status} {what}'.rstrip()}"
        return f"{self.masked(head)} ({self.masked(_kind(response))}){leads}: {self.beginning(response)}"

    def beginning(self, response: Response) -> str:
        """The beginning of an answer."""
        said = response.body[: 20 * _SHOWN].decode("utf-8", "replace").strip()
        return repr(self.masked(said)[:_SHOWN])  # masked first: half a secret would not be known as one

    def masked(self, text: str) -> str:
        """The text without the secrets that are known."""
        return self.credentials.masked(text) if self.credentials is not None else text

    def _at(self, said: str, part: BaseModel, *keys: str) -> Aborted:
        place = place_of(self.target, part, *keys)
        return Aborted(self.masked(f"{place}: {said}" if place else said))


def _kind(response: Response) -> str:
    return response.headers.get("content-type", "no content type").split(";")[0]
