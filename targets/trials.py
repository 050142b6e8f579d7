"""The reads of a run, each tried once: do the mapping and the answers fit each other?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from scenarios.model import Operation
from targets.answer import Answer
from targets.binding import Binding
from targets.call import Call
from targets.control import ControlClient
from targets.extraction import Unreadable
from targets.http import Request
from targets.model import Target

#: The keys of ``verify``.
LOOKUPS: Final = ("scripts", "mails", "values", "history", "saves")


@dataclass(frozen=True, slots=True)
class Trials:
    """Tries them with one call, which no run makes. Raises Aborted where they do not fit."""

    target: Target
    binding: Binding
    client: ControlClient
    call: Call

    def read(self) -> Answer:
        """A case is read, and the answer is what the mapping takes for a good one."""
        operation, call = Operation.READ_CASE, self.call
        request = self.binding.request(operation, call)
        response = self.client.send(request)
        judgement = self.binding.judge(operation, response)
        said = f"case {call.case}: {judgement.detail or 'http ' + str(response.status)}"
        if judgement.outcome == "ok":
            return Answer(operation, "ok", said)
        mapping = self.target.operations[operation]
        raise self.client.complaints.unfit(request, response, judgement.detail, mapping, "success")

    def prepare(self, operation: Operation, before: Request) -> Answer:
        """What is read before an operation has all that its request needs."""
        response = self.client.expect(before)
        try:
            self.binding.request(operation, self.call, before=response)
        except Unreadable as error:
            mapping = self.target.operations[operation]
            raise self.client.complaints.unfit(before, response, str(error), mapping, "request") from None
        return Answer(operation, "ok", f"the read before it has what it needs: http {response.status}")

    def look_up(self, lookup: str) -> Answer:
        """A token that no run draws finds nothing, but in an answer that can be read."""
        binding, call = self.binding, self.call
        part = getattr(self.target.verify, lookup)
        if getattr(part, "base_url", None):
            return Answer(f"verify {lookup}", "open", f"not asked: looked up elsewhere, at {part.base_url}")
        match lookup:
            case "scripts":
                request = binding.look_up_scripts(call.tenant, [call.token])
            case "mails":
                request = binding.look_up_mails(call.tenant, [call.token])
            case "history":
                request = binding.look_up_history(call.tenant, [call.case], 100)
            case "saves":
                request = binding.look_up_saves(call.tenant, [call.token])
            case _:
                request = binding.read_back(call.tenant, call.case)
        response = self.client.expect(request)
        with self.client.complaints.reading(request, response, part, "fields" if lookup == "values" else "items"):
            match lookup:
                case "scripts":
                    binding.script_runs(response)
                case "mails":
                    binding.mails_seen(response)
                case "saves":
                    binding.saves_found(response)
                case "history":
                    number = len(binding.changes(call.tenant, [call.case], response))
                    return Answer(f"verify {lookup}", "ok", f"case {call.case} tells {number} changes")
                case _:
                    number = len(binding.values_read(call.tenant, response).values)
                    said = f"case {call.case} has values in {number} of {call.tenant.custom_fields} fields"
                    return Answer(f"verify {lookup}", "ok", said)
        return Answer(f"verify {lookup}", "ok", "the look-up of a token can be read")
