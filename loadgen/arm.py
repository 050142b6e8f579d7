"""An arm: one target of a run, with all that must be its own, so that no target is held up by another.

A run has one arm, or two that share the schedule (``scenarios.arms``), the clock and the generator's core.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import gevent

from loadgen.chosen import CLIENTS
from loadgen.client import Client, Sender
from loadgen.closed_loop import ClosedLoop
from loadgen.driver import Driver
from loadgen.guard import Watch
from loadgen.health import Health
from loadgen.logins import Logins
from loadgen.operations import Listener, Operations
from loadgen.part import ArmCounts
from loadgen.prepared import Prepared
from loadgen.recorder import Recorder, Sample
from loadgen.run_folder import RunFolder
from loadgen.run_info import Verified
from loadgen.seqs import Seqs
from loadgen.verifier import OPEN_AT_ONCE, Verifier
from scenarios.arrivals import Arrival
from scenarios.model import Operation, Scenario
from scenarios.users import UsersAtWork
from targets.hosts import AllowedHosts


@dataclass(frozen=True, slots=True)
class Shared:
    """What the arms of a run have in common."""

    scenario: Scenario
    folder: RunFolder
    run_key: str
    health: Health
    now: Callable[[], float]
    broken: Callable[[Exception], None]
    listener: Listener | None = None
    client: str = CLIENTS[0]
    worker: int = 0
    workers: int = 1
    on_flush: Callable[[Sequence[Sample]], None] | None = None
    users: UsersAtWork | None = None  # of a closed loop


class Arm:
    """Drives one target with its part of the schedule and looks after what was promised there."""

    def __init__(self, name: str, prepared: Prepared, schedule: Iterable[Arrival], shared: Shared) -> None:
        self.name = name  # "" where it is the only one
        self.target = prepared.target
        scenario, load = shared.scenario, shared.scenario.load
        self._prepared = prepared
        self._scenario = scenario
        self.recorder = Recorder(shared.folder, shared.worker, name, on_flush=shared.on_flush)
        self.watch = Watch(scenario.abort_rules)
        hosts = self.target.allowed_hosts
        self._client = _open_client(
            shared.client, timeout_s=load.timeout_s, connections=load.in_flight_max, hosts=hosts
        )
        # Verification has connections of its own, so that it never takes one from the load.
        self._checking = Client(timeout_s=load.timeout_s, connections=OPEN_AT_ONCE + 8, hosts=hosts)
        self.logins = Logins(prepared.binding.credentials, self._checking.send, shared.broken)
        self.verifier = Verifier(
            scenario,
            prepared.binding,
            self._checking,
            self.recorder,
            run_key=shared.run_key,
            now=shared.now,
            broken=shared.broken,
            own=Seqs() if shared.workers > 1 else None,
        )
        self.operations = Operations(
            scenario,
            prepared.binding,
            prepared.inventory,
            self._client,
            self.recorder,
            self.verifier,
            self.watch,
            run_key=shared.run_key,
            now=shared.now,
            listener=shared.listener,
            broken=shared.broken,
            worker=shared.worker,
            arm=name,
        )
        perform: Callable[[Arrival], None] = self.operations.perform
        self._loop = ClosedLoop(shared.users, scenario.duration_s, shared.now) if shared.users else None
        if self._loop is not None:
            schedule, perform = self._loop, self._loop.answering(perform)
        self.driver = Driver(
            schedule,
            perform,
            now=shared.now,
            in_flight_max=load.in_flight_max,
            health=shared.health,
        )
        self._broken = shared.broken
        self._inherited = 0

    def get_ready(self) -> None:
        """Log in, and make beforehand what a read-back would make first: the values of each size of tenant."""
        self.logins.log_in()
        for tenant in self._scenario.tenants:
            if tenant.custom_fields and self._scenario.mix.get(Operation.SAVE_CUSTOM):
                self._prepared.binding.values_saved(tenant, 0, "")

    @contextmanager
    def looking_after(self) -> Iterator[None]:
        """While the block lasts, effects are looked up and logins renewed."""
        greenlets = [gevent.spawn(self.verifier.run), gevent.spawn(self.logins.run)]
        for greenlet in greenlets:
            greenlet.link_exception(lambda dead: self._broken(dead.exception))
        try:
            yield
        finally:
            gevent.killall(greenlets)

    def take_over(self, schedule: Iterable[Arrival]) -> None:
        """Drive also what a lost worker leaves, from now on; what was due before it may have sent, or nobody."""

        def inherit(arrival: Arrival) -> None:
            self._inherited += 1
            if arrival.operation.saves:
                self.verifier.inherit(arrival.operation, self.operations.call_of(arrival))

        self.driver.walk_from_now(schedule, inherit)

    def stop(self, sweep_s: float) -> None:
        """No new arrivals from now on, and then at most so long for what effects are still looked up."""
        self.driver.stop()
        if self._loop is not None:
            self._loop.stop()
        self.verifier.hasten(sweep_s)

    def close(self) -> None:
        """End the shards and the connections, and let the performers go."""
        self.driver.abandon()
        self.recorder.close()
        self._client.close()
        self._checking.close()

    @property
    def counts(self) -> ArmCounts:
        """What was counted; to be asked when the shards are closed."""
        recorder, verifier, driver = self.recorder, self.verifier, self.driver
        return ArmCounts(
            fired=driver.fired,
            fired_in_window=driver.fired_in_window,
            written=recorder.written,
            aborted=recorder.aborted,
            waited_for_pool=driver.waited_for_pool,
            in_flight_peak=driver.in_flight_peak,
            verification=Verified(
                requests=verifier.requests,
                polls=verifier.polls,
                reads=verifier.reads,
                unverified=recorder.unverified,
            ),
            effects={kind: dict(counts) for kind, counts in recorder.effects.items()},
            logins_failed=self.logins.failed,
            inherited=self._inherited,
        )


def _open_client(kind: str, *, timeout_s: float, connections: int, hosts: AllowedHosts) -> Sender:
    """What sends the load; one of Locust's own only where it is asked for, since it imports Locust."""
    if kind == CLIENTS[0]:
        return Client(timeout_s=timeout_s, connections=connections, hosts=hosts)
    from loadgen.locust_clients import FastClient, RequestsClient

    made = FastClient if kind == "fast" else RequestsClient
    return made(timeout_s=timeout_s, connections=connections, hosts=hosts)
