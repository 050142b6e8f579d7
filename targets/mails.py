"""The mails of an arrival: the token by which each is found again, to whom it goes, and what it says."""

from __future__ import annotations

from typing import Final

from scenarios.fields import standard_values
from scenarios.model import Operation
from targets.call import Call

#: Recipients of the mails: ``user-0@...`` to ``user-999@...``.
RECIPIENTS: Final = 1000


def mail_tokens(operation: Operation, call: Call) -> tuple[str, ...]:
    """The token of each mail that the operation sends: the save id, with a number behind it in a batch."""
    if operation is Operation.SEND_EMAIL:
        return (call.token,)
    if operation is Operation.SEND_BATCH:
        return tuple(f"{call.token}-{number}" for number in range(call.batch_size))
    return ()


def recipient(call: Call, number: int, domain: str) -> str:
    """To whom mail ``number`` of the arrival goes; ``number`` counts from 0."""
    return f"user-{(call.seq + number) % RECIPIENTS}@{domain}"


def describe_mail(call: Call, number: int, token: str, domain: str) -> dict[str, str]:
    """Mail ``number`` of the arrival, as templates see it."""
    values = standard_values(call.seq + number)
    return {
        "to": recipient(call, number, domain),
        "subject": values["title"],
        "body": values["description"],
        "token": token,
    }
