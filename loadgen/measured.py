"""One arrival while it is under way: when what happened to it, and what came of it."""

from __future__ import annotations

from loadgen.recorder import Sample
from scenarios.arrivals import Arrival


class Measured:
    """The times and the outcome of one arrival while it is under way."""

    __slots__ = (
        "answered_s", "answers", "arrival", "bytes_in", "bytes_out", "detail", "done_s", "outcome", "reached",
        "requests", "save_outcome", "scheduled_s", "sent_s", "status",
    )  # fmt: skip

    def __init__(self, arrival: Arrival, begun_s: float) -> None:
        self.arrival = arrival
        self.scheduled_s = arrival.at_s
        self.sent_s = begun_s
        self.done_s = begun_s
        self.answered_s = begun_s
        self.answers: list[tuple[str, float]] = []  # outcome and time of each request so far
        self.requests = 1
        self.status = 0
        self.outcome = "aborted"
        self.save_outcome = "aborted"
        self.detail = ""
        self.bytes_out = 0
        self.bytes_in = 0
        self.reached = False  # whether the target may have acted on it

    def send(self, now_s: float, bytes_out: int, *, shifted: bool) -> None:
        """The request goes out now; ``shifted``: what came before it was a precondition."""
        if shifted:
            self.scheduled_s += now_s - self.sent_s
        self.sent_s = now_s
        self.bytes_out = bytes_out
        self.reached = True

    def answer(self, now_s: float, status: int, outcome: str, detail: str, bytes_in: int) -> None:
        """An answer is here, or will not come. Of several the first that is not ok says what they are together."""
        self.answers.append((outcome, now_s))
        self.answered_s = self.done_s = now_s
        self.bytes_in += bytes_in
        if self.outcome in ("aborted", "ok"):
            self.status, self.outcome, self.detail = status, outcome, detail

    @property
    def all_answers(self) -> list[tuple[str, float]]:
        """Outcome and time of each request; those that the end of the run cut off are aborted."""
        return self.answers + [("aborted", self.answered_s)] * (self.requests - len(self.answers))

    def end(self, now_s: float, outcome: str, detail: str) -> None:
        """It is over without the answer that was hoped for."""
        self.done_s = now_s
        self.outcome, self.detail = outcome, detail
        if self.save_outcome == "aborted":
            self.answered_s = now_s

    def row(self, worker: int, arm: str) -> Sample:
        """The finished row."""
        arrival = self.arrival
        return Sample(
            arrival.seq,
            worker,
            arm,
            arrival.tenant.key,
            arrival.tenant.custom_fields,
            str(arrival.operation),
            self.scheduled_s,
            self.sent_s,
            self.done_s,
            self.status,
            self.outcome,
            self.detail,
            self.bytes_out,
            self.bytes_in,
        )
