"""The program of one worker: ``python -m loadgen.worker --channel FD``, started by the process that leads a run.

It drives its part of the plan as it is ordered to, appends to shards of its own, and says once a second where it
is. When the leading process is gone it ends in order, and what it recorded stays.
"""

from gevent import monkey

monkey.patch_all()  # before anything else is imported, as Locust does in a run of one process

import argparse  # noqa: E402
import os  # noqa: E402
import signal  # noqa: E402
import socket  # noqa: E402
import traceback  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from pathlib import Path  # noqa: E402

import gevent  # noqa: E402

from loadgen.arm import Prepared  # noqa: E402
from loadgen.chosen import ChosenTarget, environ_of  # noqa: E402
from loadgen.drive import Drive, Task, ending_of  # noqa: E402
from loadgen.ending import Ending  # noqa: E402
from loadgen.messages import Channel, Done, Leave, Message, Order, Ready, Refused, Second, Start, Stop  # noqa: E402
from loadgen.plan import plan_for  # noqa: E402
from loadgen.run_folder import RunFolder  # noqa: E402
from scenarios.errors import InputError, SavepathError  # noqa: E402
from scenarios.library import load_scenario  # noqa: E402
from targets.extension import bind  # noqa: E402

TELL_EVERY_S = 1.0
LEADER_GONE = "the process that led the run has ended"


class Worker:
    """Does what comes over the channel."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._drive: Drive | None = None
        self._folder = Path()

    def work(self) -> int:
        """From the first order to the end of its part; the exit code of the process."""
        messages = self._channel.messages()
        order = next(messages, None)
        if not isinstance(order, Order):
            return 1
        self._folder = Path(order.folder)
        try:
            self._drive = Drive(task_of(order), on_stop=self._ask_to_stop)
            self._drive.get_ready()
        except SavepathError as error:
            self._channel.send(Refused(exit_code=error.exit_code, message=str(error)))
            return error.exit_code
        for number in (signal.SIGTERM, signal.SIGHUP):
            gevent.signal_handler(number, self._told_to_end, order.worker, number)
        self._channel.send(Ready())
        start = next((one for one in messages if isinstance(one, Start | Stop | Leave)), None)
        if not isinstance(start, Start):
            return 0
        return self._run(self._drive, start, messages)

    def _run(self, drive: Drive, start: Start, messages: Iterator[Message]) -> int:
        helpers = [gevent.spawn(self._listen, drive, messages), gevent.spawn(self._tell, drive)]
        try:
            (part,) = drive.run(start.zero_s)
        except Exception as error:
            self._ask_to_stop(ending_of(error, self._folder))
            return 1
        finally:
            gevent.killall(helpers)
        self._channel.send(Second(progress=drive.progress))
        self._channel.send(Done(part=part))
        return 0

    def _listen(self, drive: Drive, messages: Iterator[Message]) -> None:
        for message in messages:
            if isinstance(message, Stop):
                drive.stop(message.ending)
            elif isinstance(message, Leave):
                drive.save()
                os._exit(1)
        drive.stop(Ending("interrupted", LEADER_GONE))

    def _tell(self, drive: Drive) -> None:
        while True:
            gevent.sleep(TELL_EVERY_S)
            self._channel.send(Second(progress=drive.progress))

    def _ask_to_stop(self, ending: Ending) -> None:
        """The whole run is to end. The answer is a stop for everybody, this worker included."""
        if not self._channel.send(Stop(ending=ending)) and self._drive is not None:
            self._drive.stop(ending)

    def _told_to_end(self, worker: int, number: signal.Signals) -> None:
        reason = f"worker {worker} was told to end ({signal.Signals(number).name})"
        self._ask_to_stop(Ending("interrupted", reason, 128 + number))


def task_of(order: Order) -> Task:
    """What is ordered, read from the files. Raises SavepathError, also where these say something else by now."""
    scenario = load_scenario(order.scenario)
    targets = {
        arm: ChosenTarget(known.mapping, known.variables).load(allow_python=order.allow_python)
        for arm, known in order.targets.items()
    }
    plan = plan_for(scenario, list(targets.values()), client=order.client)
    if plan.digest != order.plan_digest:
        raise InputError(
            f"worker {order.worker} reads another plan ({plan.digest[:12]}) than the run has "
            f"({order.plan_digest[:12]}); the scenario or a mapping was changed while the run began: begin again"
        )
    prepared = {
        arm: Prepared(
            targets[arm],
            known.fingerprint,
            known.inventory,
            bind(targets[arm], plan.scenario, known.inventory, environ_of(arm, os.environ)),
        )
        for arm, known in order.targets.items()
    }
    return Task(
        plan.scenario,
        prepared,
        RunFolder(Path(order.folder)),
        order.run_key,
        order.client,
        order.worker,
        order.workers,
    )


def main() -> int:
    """Work until the part is done."""
    parser = argparse.ArgumentParser(prog="python -m loadgen.worker")
    parser.add_argument("--channel", type=int, required=True, help="The file descriptor of a socket to the leader")
    words = parser.parse_args()
    # Ctrl-C reaches every process of the terminal; what it means is said by the one that leads.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    channel = Channel(socket.socket(fileno=words.channel))
    try:
        return Worker(channel).work()
    except Exception as error:
        traceback.print_exc()
        channel.send(Refused(exit_code=1, message=f"a mistake in savepath: {error!r}"))
        return 1
    finally:
        channel.close()


if __name__ == "__main__":
    raise SystemExit(main())
