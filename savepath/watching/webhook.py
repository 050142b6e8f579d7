"""The webhook of a watch: each change of the verdict is posted to a URL, until the other side has taken it.

What is still to be told follows from the journal and from one number in ``webhook.json``: how many changes were
taken. So nothing is lost when the watch is killed, and the watch itself never waits: telling has a thread of
its own, which reads the journal as everybody else does. After a kill between an answer and its number a
change is told twice, with the same ``id``.
"""

from __future__ import annotations

import contextlib
import json
import math
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx

from analysis.findings import Verdict
from reports.watched import Moment
from savepath.watching.history import History
from savepath.watching.journal import unwritable
from scenarios.errors import InputError
from targets.lasting import write_whole

NAME: Final = "webhook.json"
SCHEMA: Final = "savepath.watch-event/1"
#: Of more changes than these that nobody took, the earlier ones are counted and not told.
WAITING_MOST: Final = 20
LOOK_S: Final = 1.0
#: What the other side reads: the message itself, or a card.
FORMS: Final = ("plain", "teams")
CARD: Final = "application/vnd.microsoft.card.adaptive"
CARD_SCHEMA: Final = "http://adaptivecards.io/schemas/adaptive-card.json"
COLOURS: Final = {"CLEAR": "Good", "HOLD": "Warning", "ESCALATE": "Attention"}


@dataclass(frozen=True, slots=True)
class Patience:
    """How long is waited: twice as long after each attempt, a quarter more or less."""

    first_s: float = 1.0
    most_s: float = 300.0
    timeout_s: float = 10.0
    last_s: float = 15.0  # at the end of a watch, for what still waits; the rest is told when it is started again


@dataclass(frozen=True, slots=True)
class Change:
    """The verdict before, and the block after which it was another one."""

    was: Verdict
    now: Moment


def changes_of(history: History) -> list[Change]:
    """Every change so far. A watch begins with HOLD, so that this alone is no news."""
    was, found = Verdict.HOLD, []
    for moment in history.moments:
        if moment.verdict is not was:
            found.append(Change(was, moment))
        was = moment.verdict
    return found


def message(change: Change, number: int, history: History, *, left_out: int = 0) -> dict[str, Any]:
    """The body: ``text`` for people, as Slack and Mattermost read it, the rest for programs."""
    source, at_s = history.agreed.source, change.now.at_s
    at = datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M UTC")
    text = f"{change.now.verdict} (was {change.was}): {change.now.sentence} — {source}, {at}"
    if left_out:
        text += f" ({left_out} earlier changes were not told)"
    return {
        "text": text,
        "schema": SCHEMA,
        "id": f"{history.agreed.begun_s:.0f}-{number}",
        "verdict": change.now.verdict.value,
        "was": change.was.value,
        "sentence": change.now.sentence,
        "source": source,
        "at_s": at_s,
    }


def as_card(body: Mapping[str, Any]) -> dict[str, Any]:
    """The same as a workflow of Teams wants it: an Adaptive Card, and nothing beside it.

    The text is a run and no text block, in which Markdown would be read out of names and errors of the target.
    """
    head, _, rest = body["text"].partition(": ")
    title = {"type": "TextBlock", "text": head, "weight": "Bolder", "color": COLOURS[body["verdict"]]}
    text = {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": rest}]}
    card = {"type": "AdaptiveCard", "$schema": CARD_SCHEMA, "version": "1.4", "body": [title, text]}
    return {"type": "message", "attachments": [{"contentType": CARD, "contentUrl": None, "content": card}]}


class Webhook:
    """What was told and what is still to be told. ``name`` is that of the variable which holds the URL."""

    def __init__(
        self, state: Path, url: str, name: str, say: Callable[[str], None], *, form: str = FORMS[0]
    ) -> None:
        self._form = as_card if form == "teams" else dict
        self._history = History(state)
        self._path, self._url, self._name, self._say = state / NAME, url, name, say
        self._told = self._read_told()
        self._failed = ""

    @property
    def waiting(self) -> int:
        """How many changes nobody has taken yet."""
        self._history.read_on()
        return max(len(changes_of(self._history)) - self._told, 0)

    def tell_next(self, client: httpx.Client) -> bool:
        """Tell the earliest change that waits; whether it was taken. Call while ``waiting``."""
        changes = changes_of(self._history)
        number = max(self._told, len(changes) - WAITING_MOST)
        body = message(changes[number], number + 1, self._history, left_out=number - self._told)
        said = self._post(client, body)
        if said:
            if said != self._failed:
                self._say(f"the webhook of {self._name}: {said}; it is tried again, {self.waiting} waiting")
        else:
            if self._failed:
                self._say(f"the webhook of {self._name} answers again")
            self._told = number + 1
            self._keep()
        self._failed = said
        return not said

    def _post(self, client: httpx.Client, body: dict[str, Any]) -> str:
        """What went wrong, empty if it was taken. The URL is a secret, and httpx repeats it in some errors."""
        try:
            with client.stream("POST", self._url, json=self._form(body)) as answer:
                return "" if answer.is_success else f"answered {answer.status_code}"
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return f"no answer ({type(error).__name__})"

    def _keep(self) -> None:
        try:
            write_whole(self._path, json.dumps({"told": self._told}).encode(), lasting=True)
        except OSError as error:
            self._say(f"{self._path} cannot be written ({error.strerror}); after a restart changes are told again")

    def _read_told(self) -> int:
        """The number kept, or all changes of a watch that had no webhook until now."""
        try:
            found = json.loads(self._path.read_bytes())["told"]
        except FileNotFoundError:
            return self._begin()
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            found = None
        if not isinstance(found, int) or found < 0:
            raise InputError(f"{self._path} cannot be read; it is damaged, remove it to go on from here")
        return found

    def _begin(self) -> int:
        so_far = len(changes_of(self._history))
        try:
            write_whole(self._path, json.dumps({"told": so_far}).encode(), lasting=True)
        except OSError as error:
            raise unwritable(self._path, error) from None
        return so_far


@contextlib.contextmanager
def telling(webhook: Webhook, patience: Patience = Patience()) -> Iterator[None]:
    """Tell changes beside the block, on a thread of its own."""
    stop = threading.Event()
    thread = threading.Thread(target=_tell_all, args=(webhook, stop, patience), name="webhook", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(patience.last_s + 2 * patience.timeout_s)


def _tell_all(webhook: Webhook, stop: threading.Event, patience: Patience) -> None:
    wait_s, ends_s = patience.first_s, math.inf
    with httpx.Client(timeout=patience.timeout_s, headers={"User-Agent": "savepath"}) as client:
        while True:
            try:
                waiting = webhook.waiting
                taken = bool(waiting) and webhook.tell_next(client)
            except InputError:  # a damaged journal: the watch itself says so
                return
            if stop.is_set() and ends_s == math.inf:
                ends_s = time.monotonic() + patience.last_s
            if stop.is_set() and (not waiting or time.monotonic() >= ends_s):
                return
            if taken:
                wait_s = patience.first_s
                continue
            if not waiting:
                stop.wait(min(LOOK_S, patience.first_s))
                continue
            pause_s = min(wait_s, patience.most_s) * random.uniform(0.75, 1.25)
            wait_s = min(2 * wait_s, patience.most_s)
            if stop.is_set():
                time.sleep(max(min(pause_s, ends_s - time.monotonic()), 0.0))
            else:
                stop.wait(pause_s)
