"""What can go wrong, as types: the tree of casedesk's errors.

DeskError
+-- ProfileError      a disk profile that cannot be used (file, key, found, expected)
+-- Problem           a request that cannot be served: HTTP status and JSON body
|   +-- DeadlinePassed    503, the request's deadline passed; nothing was committed
+-- StartError        the service cannot start (address in use, data folder not writable)
"""

from __future__ import annotations

from typing import Any


class DeskError(Exception):
    """Any error that casedesk raises on purpose."""


class ProfileError(DeskError):
    """A disk profile that cannot be used; the message names file, key, found and expected."""


class StartError(DeskError):
    """The service cannot start; the message says why and what to do."""


class Problem(DeskError):
    """A request that cannot be served: its status, a closed error word and a sentence.

    ``extra`` joins the JSON body, for example the ``field`` that has the wrong type.
    """

    def __init__(self, status: int, error: str, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.error = error
        self.detail = detail
        self.extra = extra

    def body(self) -> dict[str, Any]:
        """The JSON body: RFC 9457 members beside the word that clients branch on."""
        return {"error": self.error, "status": self.status, "detail": self.detail, **self.extra}


class DeadlinePassed(Problem):
    """The writer did not come free, or the work did not end, before the request's deadline."""

    def __init__(self, detail: str) -> None:
        super().__init__(503, "deadline", detail)


def not_found(what: str) -> Problem:
    """404 for a thing that does not exist, or not in this tenant (the two are not told apart)."""
    return Problem(404, "not_found", f"{what} does not exist here")
