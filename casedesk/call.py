"""What a request carries beside a body of a known shape: ids, lists, numbers, versions, tokens, each checked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

import orjson
from starlette.datastructures import Headers, QueryParams

from casedesk.bodies import TOKEN_PATTERN
from casedesk.catalogue import Tenant
from casedesk.desk import Desk
from casedesk.problems import Problem, not_found

_LIST_LIMIT: Final = 200


@dataclass(frozen=True, slots=True)
class Call:
    """A request as the handlers see it; ``deadline`` is on ``time.monotonic``."""

    desk: Desk
    path: dict[str, str]
    query: QueryParams
    headers: Headers
    body: bytes
    deadline: float

    def tenant(self) -> Tenant:
        """The tenant of the path, else 404."""
        return self.desk.catalogue.tenant(self.path["tenant"])

    def number(self, name: str) -> int:
        """A row id of the path; what is not one cannot exist: 404."""
        text = self.path[name]
        if not re.fullmatch(r"[0-9]{1,18}", text):
            raise not_found(f"{name.removesuffix('_id')} {text!r}")
        return int(text)

    def tokens(self, name: str) -> list[str]:
        """A comma list of the query, 1 to 200 tokens, else 400."""
        tokens = [token for token in self.query.get(name, "").split(",") if token]
        if not 1 <= len(tokens) <= _LIST_LIMIT:
            detail = f"query {name}: found {len(tokens)} tokens; expected 1 to {_LIST_LIMIT}, by commas"
            raise Problem(400, "bad_query", detail, field=name)
        return tokens

    def query_number(self, name: str, *, default: int, least: int, most: int) -> int:
        """A number of the query within these bounds, else 400."""
        text = self.query.get(name)
        if text is None:
            return default
        if not re.fullmatch(r"[0-9]{1,19}", text) or not least <= int(text) <= most:
            raise Problem(
                400, "bad_query", f"query {name} is {text!r}; expected a number from {least} to {most}", field=name
            )
        return int(text)

    def prefix(self) -> str:
        """How the tokens begin that are meant, of the query; never all of them by an oversight: else 400."""
        prefix = self.query.get("prefix", "")
        if not re.fullmatch(TOKEN_PATTERN, prefix):
            detail = "query prefix: expected the beginning of a token, 1 to 200 visible ASCII characters"
            raise Problem(400, "bad_query", detail, field="prefix")
        return prefix

    def if_match(self) -> int | None:
        """The version that a save is held to; None where it takes any. 400 for what is no version."""
        text = self.headers.get("if-match")
        if text is None or text.strip() == "*":
            return None
        match = re.fullmatch(r'(?:W/)?"([0-9]{1,18})"', text.strip())
        if match is None:
            raise Problem(400, "bad_header", f'If-Match is {text!r}; expected "<version>"', field="If-Match")
        return int(match.group(1))

    def save_token(self) -> str | None:
        """The token of a save, None where it has none; 400 for what is none."""
        token = self.headers.get("x-save-id")
        if token is not None and not re.fullmatch(TOKEN_PATTERN, token):
            detail = "X-Save-Id: expected 1 to 200 visible ASCII characters without a comma"
            raise Problem(400, "bad_header", detail, field="X-Save-Id")
        return token

    def json(self) -> Any:
        """The body, whatever it holds; 400 for what is no JSON."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise Problem(400, "bad_json", str(error)) from error
