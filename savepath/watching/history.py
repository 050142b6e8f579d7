"""The history of a watch for those who only read it: the gate, the status page, the metrics, the webhook.

It reads the journal on from where it was, beside the watch that writes it, and never writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analysis.findings import Verdict
from analysis.window.spans import moment_of
from reports.watched import Moment, Remark
from savepath.watching.agreed import read_agreed
from savepath.watching.journal import UNREADABLE, Journal, Line
from scenarios.errors import InputError


class History:
    """All that was decided and told so far. Raises InputError for a state folder that cannot be read."""

    def __init__(self, state: Path) -> None:
        self.agreed = read_agreed(state)
        self.moments: list[Moment] = []
        self.remarks: list[Remark] = []
        self.seen: dict[str, float] = {}  # event -> when it was seen first, by somebody or in a block
        self.last: Mapping[str, Any] | None = None  # the last decision, without its block
        self.acknowledged = False  # after the last decision
        self.ended_s: float | None = None  # when it was ended, if nothing was decided after that
        self.requests: dict[str, int] = {}  # by operation
        self.failures: dict[str, int] = {}
        self._journal = Journal(state)
        self._damage = ""
        self.read_on()

    def read_on(self) -> None:
        """Take in what the journal has since the last time. Damage is not forgotten: it raises from then on."""
        if self._damage:
            raise InputError(self._damage)
        for line in self._journal.read_on():
            try:
                self._take(line)
            except UNREADABLE:
                kind = line["kind"]
                self._damage = (
                    f"{self._journal.path}: a line of kind {kind} cannot be read; the journal is damaged"
                )
                raise InputError(self._damage) from None

    def _take(self, line: Line) -> None:
        if line["kind"] == "decision":
            self._decided(line)
        elif line["kind"] == "end":
            self.ended_s = moment_of(line["at_s"])
        else:
            self.remarks.append(Remark(moment_of(line["at_s"]), str(line["kind"]), str(line["text"])))
            self.acknowledged = self.acknowledged or line["kind"] == "ack"
            if line["kind"] == "event":
                self.seen.setdefault(str(line["text"]), moment_of(line["at_s"]))

    def _decided(self, line: Line) -> None:
        sent = failed = 0
        for operation, requests, failures in line["block"]["counts"]:
            self.requests[operation] = self.requests.get(operation, 0) + int(requests)
            self.failures[operation] = self.failures.get(operation, 0) + int(failures)
            sent, failed = sent + int(requests), failed + int(failures)
        for event in line["block"].get("events", ()):
            self.seen.setdefault(str(event), moment_of(line["at_s"]))
        shifts = {str(name): float(shift) for name, shift in line.get("shifts", {}).items()}
        verdict, sentence = Verdict(line["verdict"]), str(line["sentence"])
        self.moments.append(Moment(moment_of(line["at_s"]), verdict, sentence, shifts, sent, failed))
        self.last = {key: value for key, value in line.items() if key not in ("kind", "block")}
        self.acknowledged, self.ended_s = False, None
