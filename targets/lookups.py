"""What look-ups tell of the truth behind the answers: script runs, mails, values, changes and saves.

Every reader takes what the mapping says of its look-up and an answer to it, and raises Unreadable for an
answer that does not hold what the mapping promises.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scenarios.fields import Value
from targets.extraction import (
    Unreadable,
    compile_expression,
    find_items,
    find_text,
    moment,
    read_json,
    seconds_between,
)
from targets.http import Response
from targets.lookup_mapping import HistoryLookup, MailsLookup, SavesLookup, ScriptsLookup, ValuesLookup
from targets.saves import EncodedSaves


@dataclass(frozen=True, slots=True)
class ScriptRun:
    """One run of an on-save script, by the target's own clock; None where it does not tell."""

    token: str
    name: str
    delay_s: float | None
    ended_at: float | None = None  # epoch seconds


@dataclass(frozen=True, slots=True)
class MailSeen:
    """A mail that was delivered, ``count`` times. ``delay_s`` is by the target's own clock."""

    token: str
    recipient: str
    count: int
    delay_s: float | None


@dataclass(frozen=True, slots=True)
class ReadBack:
    """A case as it was read: the token in its first custom field, and the values of all that it has, by key."""

    token: str | None
    values: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Change:
    """What a save changed in one field. ``before`` is None where it had no value."""

    token: str
    case: str
    key: str  # of a custom field, else ""
    before: Value | None


@dataclass(frozen=True, slots=True)
class SaveFound:
    """A case that a save has reached."""

    token: str
    case: str


def read_script_runs(lookup: ScriptsLookup, response: Response) -> list[ScriptRun]:
    """Every run in the answer."""
    return [
        ScriptRun(
            find_text(item, lookup.token),
            find_text(item, lookup.name),
            seconds_between(item, lookup.begun, lookup.ended),
            moment(item, lookup.ended),
        )
        for item in find_items(read_json(response), lookup.items)
    ]


def read_mails(lookup: MailsLookup, response: Response) -> list[MailSeen]:
    """Every mail in the answer that was delivered; one that still waits is not listed."""
    seen = []
    for item in find_items(read_json(response), lookup.items):
        count = compile_expression(lookup.count)(item) if lookup.count else 1
        if not isinstance(count, int):
            raise Unreadable(f"{lookup.count}: expected a whole number")
        if count:
            delay_s = seconds_between(item, lookup.begun, lookup.ended)
            token, recipient = find_text(item, lookup.token), find_text(item, lookup.recipient)
            seen.append(MailSeen(token, recipient, count, delay_s))
    return seen


def read_values(lookup: ValuesLookup, response: Response, encoded: EncodedSaves) -> dict[str, Value]:
    """The values of all custom fields in the answer, by key; ``encoded`` knows those of its tenant."""
    return encoded.read(compile_expression(lookup.fields)(read_json(response)), lookup.shape)


def read_changes(
    lookup: HistoryLookup, response: Response, encoded: EncodedSaves, cases: Sequence[str]
) -> list[Change]:
    """The changes in the answer about these cases, oldest first; ``encoded`` knows their tenant's fields."""
    token_of, before = compile_expression(lookup.token), compile_expression(lookup.before)
    found = []
    for item in find_items(read_json(response), lookup.items):
        key = encoded.field(find_text(item, lookup.field)) or ""
        case = find_text(item, lookup.case) if lookup.case else cases[0]
        token = token_of(item)
        token = token if isinstance(token, str) else ""  # somebody else's change
        found.append(Change(token, case, key, encoded.value(key, before(item)) if key else None))
    return found


def read_saves(lookup: SavesLookup, response: Response) -> list[SaveFound]:
    """Every save in the answer."""
    return [
        SaveFound(find_text(item, lookup.token), find_text(item, lookup.case))
        for item in find_items(read_json(response), lookup.items)
    ]
