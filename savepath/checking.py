"""The answers of a target to ``plan --check``, told as they come."""

from __future__ import annotations

import os
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable

from scenarios.model import Scenario
from targets.answer import Answer
from targets.model import Target
from targets.readiness import ask

_MARKS = {"ok": "ok", "no": "NO", "open": "--"}
_WIDTH = 80
_INDENT = " " * 21


def check_target(target: Target, scenario: Scenario, show: Callable[[str], None]) -> list[Answer]:
    """Ask the target everything, and show each answer when it is there."""
    show(f"asking {target.name} at {target.base_url} whether {scenario.name} can be run; reads only\n")
    answers = []
    for answer in ask(target, scenario, os.environ):
        answers.append(answer)
        show(tell_answer(answer))
    show("\n" + tell_count(answers))
    return answers


def tell_answer(answer: Answer) -> str:
    """One answer in 80 columns, what to do about it on a line of its own."""
    head = f"{_MARKS[answer.word]}  {answer.question:<16} "
    lines = _folded(answer.said, head)
    if answer.remedy:
        lines += _folded(answer.remedy, f"{_INDENT}-> ", _INDENT + "   ")
    return "\n".join(lines)


def tell_count(answers: Iterable[Answer]) -> str:
    """How many of each there were, and what follows."""
    number = Counter(answer.word for answer in answers)
    verdict = "see to the NOs first" if number["no"] else "nothing stands in the way of a run"
    return f"{number['ok']} ok, {number['no']} NO, {number['open']} not known: {verdict}."


def answers_as_data(answers: Iterable[Answer]) -> list[dict[str, str]]:
    """The same for JSON."""
    return [
        {"question": one.question, "answer": one.word, "said": one.said, "remedy": one.remedy} for one in answers
    ]


def _folded(text: str, first: str, following: str = _INDENT) -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent=first, subsequent_indent=following, break_on_hyphens=False
    ) or [first.rstrip()]
