"""One arrival from its moment to its row: put into a request, sent, measured, judged, recorded.

What counts as response time: from the scheduled moment to the answer, so waiting for a free place is
in it. A precondition that has to be read first (an ETag) is not: it is sent before the measured
block, and the row's ``scheduled_s`` is shifted by what it took, so that ``sent_s`` and ``done_s``
stay true times that can be found in the target's own logs.
"""

from __future__ import annotations

from collections.abc import Callable

from gevent import GreenletExit

from loadgen.client import Sender
from loadgen.guard import Watch
from loadgen.measured import Measured
from loadgen.recorder import Recorder, Sample
from loadgen.script_watch import ScriptWatch
from loadgen.unanswered import Unanswered
from loadgen.verifier import Verifier
from scenarios.arrivals import Arrival
from scenarios.model import Operation, Scenario
from scenarios.tokens import save_id, traceparent
from targets.binding import Binding
from targets.call import Call
from targets.extraction import Unreadable
from targets.http import Request, Response
from targets.inventory import Inventory

#: Details of our own, beside those of the client and of the mapping: the set stays closed.
PRECONDITION_FAILED = "precondition failed"
NOT_IN_TIME = "script not run in time"
STOPPED = "run stopped"


#: Told of every finished request, for live figures; what it does is not part of the recording.
Listener = Callable[[Sample], None]


class Operations:
    """Performs arrivals on one target and records them."""

    def __init__(
        self,
        scenario: Scenario,
        binding: Binding,
        inventory: Inventory,
        client: Sender,
        recorder: Recorder,
        verifier: Verifier,
        watch: Watch,
        *,
        run_key: str,
        now: Callable[[], float],
        listener: Listener | None = None,
        broken: Callable[[Exception], None],
        worker: int = 0,
        arm: str = "",
    ) -> None:
        self._scenario = scenario
        self._binding = binding
        self._cases = {key: known.cases for key, known in inventory.tenants.items()}
        self._client = client
        self._recorder = recorder
        self._verifier = verifier
        self._watch = watch
        self._run_key = run_key
        self._now = now
        self._listener = listener
        self._broken = broken
        self._worker = worker
        self._arm = arm
        self.requests_peak = 1  # the most requests that one arrival has taken
        self._scripts = ScriptWatch(binding, verifier.poll, now=now)

    def call_of(self, arrival: Arrival) -> Call:
        """The arrival as the mapping wants it."""
        cases = self._cases[arrival.tenant.key]
        return Call(
            seq=arrival.seq,
            token=save_id(self._run_key, arrival.seq),
            tenant=arrival.tenant,
            case=cases[arrival.case % len(cases)],
            traceparent=traceparent(self._run_key, arrival.seq),
            batch_size=self._scenario.batch_size if arrival.operation is Operation.SEND_BATCH else 1,
        )

    def perform(self, arrival: Arrival) -> None:
        """Do what the arrival does. Records exactly one sample, whatever happens."""
        measured = Measured(arrival, self._now())
        call: Call | None = None
        try:
            call = self.call_of(arrival)
            self._measure(call, measured)
        except GreenletExit:
            measured.end(self._now(), "aborted", STOPPED)
        except Exception as error:  # our own mistake or the mapping's, not the target's: the run ends, and says so
            measured.end(self._now(), "aborted", STOPPED)
            self._broken(error)
        row = measured.row(self._worker, self._arm)
        self._recorder.sample(row)
        if row.outcome != "aborted":
            self._watch.note(row.outcome, row.done_s, row.done_s - row.scheduled_s)
            if self._listener is not None:
                self._listener(row)
        if call is not None and measured.reached:
            try:
                self._verifier.answered(
                    arrival.operation, call, measured.save_outcome, measured.answered_s, measured.all_answers
                )
            except Exception as error:
                self._broken(error)

    def _measure(self, call: Call, measured: Measured) -> None:
        operation = measured.arrival.operation
        before: Response | None = None
        try:
            before = self._precondition(operation, call)
        except Unanswered as error:
            measured.end(self._now(), error.outcome, PRECONDITION_FAILED)
            return
        try:
            requests = self._binding.requests(operation, call, before=before)
        except Unreadable:  # what was read before has not what the request needs
            measured.end(self._now(), "invalid", PRECONDITION_FAILED)
            return
        self.requests_peak = max(self.requests_peak, len(requests))
        measured.requests = len(requests)
        bytes_out = sum(len(request.body or b"") for request in requests)
        measured.send(self._now(), bytes_out, shifted=before is not None)
        if operation.saves:
            self._verifier.saving(operation, call, measured.sent_s)
        for request in requests:
            self._send(operation, request, measured)
        measured.save_outcome = measured.outcome
        if operation is Operation.RUN_SCRIPT and measured.save_outcome == "ok":
            self._await_scripts(call, measured)

    def _send(self, operation: Operation, request: Request, measured: Measured) -> None:
        """One request of the arrival, all of which are sent whatever is answered."""
        try:
            response = self._client.send(request)
        except Unanswered as error:
            measured.answer(self._now(), 0, error.outcome, error.detail, 0)
            return
        done_s = self._now()
        self._binding.credentials.answered(request, response)
        judgement = self._binding.judge(operation, response)
        measured.answer(done_s, response.status, judgement.outcome, judgement.detail, len(response.body))

    def _precondition(self, operation: Operation, call: Call) -> Response | None:
        wanted = self._binding.precondition(operation, call)
        if wanted is None:
            return None
        response = self._client.send(wanted)
        self._binding.credentials.answered(wanted, response)
        if not 200 <= response.status < 300:
            raise Unanswered("http_error", PRECONDITION_FAILED)
        return response

    def _await_scripts(self, call: Call, measured: Measured) -> None:
        deadline_s = self._scenario.verification.script_deadline_s
        done_s = self._scripts.wait(call.tenant, call.token, measured.answered_s, deadline_s)
        if done_s is None:
            measured.end(self._now(), "timeout", NOT_IN_TIME)
        else:
            measured.done_s = done_s
