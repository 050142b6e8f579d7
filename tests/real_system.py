"""What the tests of real systems share: a prepared system as a child process, and a scenario driven on it."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from loadgen.chosen import ChosenTarget
from scenarios.library import load_scenario
from scenarios.model import Operation
from scenarios.tokens import new_run_key, save_id, traceparent
from targets.binding import Binding
from targets.call import Call
from targets.control import ControlClient
from targets.footprint import Footprint, Tokens, read_footprint
from targets.mapping import load_target
from targets.model import Target
from targets.provisioning import provision
from targets.removal import Fate, remove

START_S = 60
#: Before Python 3.11.8, ast.literal_eval in several threads can fail (CPython gh-106905); Roundup calls it
#: for each request before anything is saved, and answers 500 then: seen in 2 of some 7,700 saves.
_KNOWN_ERRORS = {"roundup": {"http 500"} if sys.version_info < (3, 11, 8) else set()}


@contextmanager
def running_module(module: str, words: Sequence[str], ready: str, environ: Mapping[str, str]) -> Iterator[str]:
    """Run ``python -m module words`` until the block ends; yields what it prints after ``ready``."""
    with tempfile.TemporaryFile("w+") as complaints:
        child = subprocess.Popen(
            [sys.executable, "-m", module, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            env={**os.environ, **environ},
            start_new_session=True,  # so that a child of the child goes down with it
        )
        killer = threading.Timer(START_S, os.killpg, (child.pid, signal.SIGKILL))
        killer.start()
        try:
            line = child.stdout.readline()
            killer.cancel()
            if not line.startswith(ready):
                complaints.seek(0)
                raise RuntimeError(f"{module} did not start: {line}{complaints.read()}")
            yield line.removeprefix(ready).strip()
        finally:
            killer.cancel()
            child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(15)
            # What is left of the session, children of a child that was killed too.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            child.stdout.close()


def kill(child: subprocess.Popen[bytes]) -> None:
    """Kill a process and its children at once, as a machine does that runs out of memory."""
    listed = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
    for pid in (child.pid, *map(int, listed)):
        os.kill(pid, signal.SIGKILL)
    child.wait()


def acceptable_details(target: Target) -> set[str]:
    """What may be answered to a save beside others: only a target with a precondition has conflicts."""
    conflicts = {"version conflict"} if target.operations[Operation.SAVE_CUSTOM].precondition else set()
    return {"", *conflicts, *_KNOWN_ERRORS.get(target.name, set())}


class Driven:
    """A served system with a scenario provisioned on it, and arrivals at its cases."""

    def __init__(
        self, name: str, settings: Mapping[str, str], scenario_file: Path, environ: Mapping[str, str]
    ) -> None:
        self.scenario = load_scenario(str(scenario_file))
        self.target = load_target(name, settings)
        self.environ = environ
        self.chosen = ChosenTarget(name, settings)
        self.folder = scenario_file.parent
        self.footprints: list[Path] = []
        self.inventory = self.provision()
        self.binding = Binding(self.target, self.scenario, self.inventory, environ)
        self.client = ControlClient(self.target, self.binding.credentials)
        self.client.log_in()
        self.run_key = new_run_key()
        self.seq = 0

    def provision(self, scenario=None):
        wanted = scenario or self.scenario
        with self.footprint() as footprint:
            return provision(self.target, wanted, self.environ, lambda *words: None, footprint)

    @contextmanager
    def footprint(self) -> Iterator[Footprint]:
        """A new one, kept for ``clean``."""
        made = self.chosen.footprint(self.folder, "made", self.target, self.scenario, "")
        try:
            yield made
        finally:
            made.close()
            self.footprints += [made.path] if made.path else []

    def clean(self) -> list[Fate]:
        """Remove what was made, and what saves and mails left; what became of it."""
        tenants = {key: dict(known.remote) for key, known in self.inventory.tenants.items()}
        with self.footprint() as footprint:
            footprint.announce(Tokens(run_key=self.run_key, tenants=tenants))
        fates: list[Fate] = []
        for path in self.footprints:
            remove(self.target, read_footprint(path), self.environ, fates.append)
        return fates

    def call(self, cohort: str, case: int = 0, batch_size: int = 3) -> Call:
        """A new arrival at a case of the cohort's tenant."""
        self.seq += 1
        (tenant,) = (tenant for tenant in self.scenario.tenants if tenant.cohort == cohort)
        remote = self.inventory.tenants[tenant.key].cases[case]
        token = save_id(self.run_key, self.seq)
        return Call(self.seq, token, tenant, remote, traceparent(self.run_key, self.seq), batch_size)

    def do(self, operation, call, before=None):
        """What became of one operation; ``before`` stands for the answer to the read before it."""
        read = self.binding.precondition(operation, call)
        before = before or (self.client.send(read) if read else None)
        requests = self.binding.requests(operation, call, before=before)
        judged = [self.binding.judge(operation, self.client.send(request)) for request in requests]
        return next((one for one in judged if one.outcome != "ok"), judged[0])

    def do_at_once(self, operation: Operation, calls: Sequence[Call], clients: int):
        """What became of each of many operations by so many clients at once, in the order of the calls."""
        with ThreadPoolExecutor(clients) as pool:
            return list(pool.map(lambda call: self.do(operation, call), calls))

    def scripts(self, *calls: Call) -> list[tuple[str, str]]:
        """Token and name of every script run of some calls of one tenant, sorted."""
        tokens, runs = [call.token for call in calls], []
        for start in range(0, len(tokens), self.binding.script_batch):
            some = tokens[start : start + self.binding.script_batch]
            lookup = self.binding.look_up_scripts(calls[0].tenant, some)
            runs += self.binding.script_runs(self.client.send(lookup))
        return sorted((run.token, run.name) for run in runs)

    def scripts_due(self, *calls: Call) -> list[tuple[str, str]]:
        """What ``scripts`` tells if each script of each of these saves ran exactly once."""
        return sorted((call.token, name) for call in calls for name in self.binding.expected_scripts(call.tenant))

    def mails(self, operation: Operation, call: Call) -> list[tuple[str, str, int]]:
        """Token, recipient and count of every mail of an operation that was delivered, sorted."""
        lookup = self.binding.look_up_mails(call.tenant, self.binding.mail_tokens(operation, call))
        seen = self.binding.mails_seen(self.client.send(lookup))
        return sorted((mail.token, mail.recipient, mail.count) for mail in seen)

    def read_back(self, call: Call):
        read = self.binding.read_back(call.tenant, call.case)
        return self.binding.values_read(call.tenant, self.client.send(read))
