"""The webhook of a watch against a receiver that takes, fails, hangs and comes back."""

import json
import threading
from dataclasses import dataclass, field

import pytest
from stub_server import OK, stub_server
from window_examples import say_on, state_folder

from savepath.watching.webhook import WAITING_MOST, Patience, Webhook, telling

SOON = Patience(first_s=0.02, most_s=0.1, timeout_s=1.0, last_s=5.0)
NOW_S = 1_764_000_000.0


@dataclass
class Receiver:
    """Answers as it is told to; keeps the bodies that it took."""

    way: str = "takes"  # takes, fails, hangs
    taken: list[dict] = field(default_factory=list)
    refused: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def __call__(self, request, connection):
        with self.changed:
            way = self.way
            if way == "takes":
                self.taken.append(json.loads(request.partition(b"\r\n\r\n")[2]))
            else:
                self.refused += 1
            self.changed.notify_all()
        if way == "hangs":
            connection.recv(1)  # until the other side gives up
            return None
        return OK if way == "takes" else b"HTTP/1.1 500 no\r\nContent-Length: 0\r\n\r\n"

    def wait(self, whether):
        with self.changed:
            assert self.changed.wait_for(whether, 60)


@pytest.fixture
def receiver():
    return Receiver()


@pytest.fixture
def state(tmp_path):
    """A watch that has only held so far."""
    return state_folder(tmp_path / "state", "HH", last_s=NOW_S)


def test_each_change_is_told_once_and_in_order_and_hold_at_the_beginning_is_no_news(state, receiver):
    with stub_server(receiver) as stub, telling(Webhook(state, stub.url, "HOOK", print), SOON):
        say_on(state, "HCCEEH")
        receiver.wait(lambda: len(receiver.taken) == 3)
    told = receiver.taken
    assert [(one["was"], one["verdict"]) for one in told] == [
        ("HOLD", "CLEAR"), ("CLEAR", "ESCALATE"), ("ESCALATE", "HOLD"),
    ]  # fmt: skip
    assert told[1]["text"].startswith("ESCALATE (was CLEAR): growth of save_custom +62% over the last 25 min — ")
    assert len({one["id"] for one in told}) == 3


def test_a_receiver_that_fails_and_hangs_gets_it_when_it_is_back(state, receiver):
    notes = []
    with stub_server(receiver) as stub, telling(Webhook(state, stub.url, "HOOK", notes.append), SOON):
        receiver.way = "fails"
        say_on(state, "C")
        receiver.wait(lambda: receiver.refused >= 2)
        receiver.way = "hangs"
        receiver.wait(lambda: any("no answer (ReadTimeout)" in note for note in notes))
        say_on(state, "E")
        receiver.way = "takes"
        receiver.wait(lambda: len(receiver.taken) == 2)
    assert [one["verdict"] for one in receiver.taken] == ["CLEAR", "ESCALATE"]
    assert notes[0] == "the webhook of HOOK: answered 500; it is tried again, 1 waiting"
    assert notes[-1] == "the webhook of HOOK answers again"
    assert not any(stub.url in note for note in notes)


def test_what_nobody_took_is_told_after_a_restart_and_what_was_taken_is_not(state, receiver):
    with stub_server(receiver) as stub, telling(Webhook(state, stub.url, "HOOK", print), SOON):
        say_on(state, "C")
        receiver.wait(lambda: len(receiver.taken) == 1)
    gone = Patience(first_s=0.01, timeout_s=0.2, last_s=0.0)
    with telling(Webhook(state, stub.url, "HOOK", print), gone):
        say_on(state, "E")
    with stub_server(receiver) as stub, telling(Webhook(state, stub.url, "HOOK", print), SOON):
        receiver.wait(lambda: len(receiver.taken) == 2)
    assert [one["verdict"] for one in receiver.taken] == ["CLEAR", "ESCALATE"]


def test_of_very_many_changes_only_the_latest_are_told_and_the_rest_is_counted(state, receiver):
    hook = Webhook(state, "http://127.0.0.1:1", "HOOK", print)
    say_on(state, "CH" * 15)
    with stub_server(receiver) as stub:
        again = Webhook(state, stub.url, "HOOK", print)
        assert hook.waiting == again.waiting == 30
        with telling(again, SOON):
            receiver.wait(lambda: len(receiver.taken) == WAITING_MOST)
    assert receiver.taken[0]["text"].endswith("(10 earlier changes were not told)")


def test_a_webhook_that_is_added_to_a_watch_tells_nothing_of_before(state):
    say_on(state, "CHE")
    assert Webhook(state, "http://127.0.0.1:1", "HOOK", print).waiting == 0


def test_a_workflow_of_teams_gets_a_card_in_which_nothing_of_the_target_is_read_as_markup(state, receiver):
    with stub_server(receiver) as stub, telling(Webhook(state, stub.url, "HOOK", print, form="teams"), SOON):
        say_on(state, "E")
        receiver.wait(lambda: len(receiver.taken) == 1)
    (told,) = receiver.taken
    (card,) = told["attachments"]
    title, text = card["content"]["body"]
    assert (told.keys(), told["type"]) == ({"type", "attachments"}, "message")
    assert card["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert (card["content"]["type"], title["text"]) == ("AdaptiveCard", "ESCALATE (was HOLD)")
    assert text["type"] == "RichTextBlock"
    assert text["inlines"][0]["text"].startswith("growth of save_custom +62% over the last 25 min — ")
