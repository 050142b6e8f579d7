"""The program of one worker: ``python -m loadgen.worker``, started by the process that leads a run, or by hand.

With ``--channel FD`` it is a child of that process, with ``--master HOST:PORT`` it comes from another machine
(``loadgen.visit``). It drives its part of the plan as it is ordered to, appends to shards of its own, and says
once a second where it is. When the leading process is gone it ends in order, and what it recorded stays.
"""

from gevent import monkey

monkey.patch_all()  # before anything else is imported, as Locust does in a run of one process

import argparse  # noqa: E402
import os  # noqa: E402
import signal  # noqa: E402
import socket  # noqa: E402
import sys  # noqa: E402
import traceback  # noqa: E402

from loadgen.messages import Channel, Refused  # noqa: E402
from loadgen.visit import visit_for_ever  # noqa: E402
from loadgen.work import Worker  # noqa: E402
from targets.environment import secret_of  # noqa: E402


def main() -> int:
    """Work until the part is done; from another machine, run after run."""
    parser = argparse.ArgumentParser(prog="python -m loadgen.worker")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--channel", type=int, help="The file descriptor of a socket to the leader")
    where.add_argument("--master", metavar="HOST:PORT", help="Where savepath run --listen waits for workers")
    parser.add_argument("--token-env", default="", help="The variable that holds the token")
    parser.add_argument("--wait", type=float, default=60.0, help="Seconds to wait for a run")
    parser.add_argument("--allow-python", action="store_true", help="Let a mapping run the class that it names")
    words = parser.parse_args()
    if words.master:
        token = secret_of(os.environ, words.token_env) or "" if words.token_env else ""
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # between runs there is nothing to end in order
        return visit_for_ever(words.master, token, words.wait, allow_python=words.allow_python, say=_say)
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


def _say(text: str) -> None:
    sys.stderr.write(f"savepath worker: {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    raise SystemExit(main())
