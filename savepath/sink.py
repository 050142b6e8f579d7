"""The mail sink beside a run: started where a mapping asks for it, and ended with the run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from urllib.parse import urlsplit

import httpx

from savepath.launch import KILL_AFTER_S, wait
from scenarios.errors import Aborted
from targets.model import Target

#: What ``verify: {mails: sink}`` stands for (targets.lookup_mapping).
SINK_URL = "{{ variables.mail_sink }}"
SINK_START_S = 20.0


@contextmanager
def sink_for(target: Target) -> Iterator[None]:
    """While the block lasts, a mail sink answers where the mapping says ``verify: {mails: sink}``.

    One that answers already is used as it is and goes on, but not that of another run, which will end it.
    Otherwise ``python -m targets.mail_sink`` is started on the port of the variable ``mail_sink`` and, for
    SMTP, on that of ``smtp_port`` (8825), and ended afterwards. Raises Aborted where neither can be.
    """
    lookup = target.verify.mails
    url = str(target.variables.get("mail_sink", ""))
    if lookup is None or lookup.base_url != SINK_URL or _sink_answers(url):
        yield
        return
    parts = urlsplit(url)
    if parts.hostname not in ("127.0.0.1", "localhost"):
        raise Aborted(f"no mail sink answers at {url}; start python -m targets.mail_sink there")
    smtp_port = str(target.variables["smtp_port"])
    words = [
        sys.executable,
        "-m",
        "targets.mail_sink",
        "--smtp-port",
        smtp_port,
        "--http-port",
        str(parts.port or 80),
        "--owner",
        str(os.getpid()),
    ]
    with tempfile.TemporaryFile() as said:
        # A session of its own: Ctrl-C ends the run in order, and its mails are looked up until then.
        child = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said, start_new_session=True
        )

        def leave(number: int, frame: FrameType | None) -> None:
            """End by SIGTERM as ever, at once, but not without ending the sink."""
            _end(child)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)

        before = signal.signal(signal.SIGTERM, leave)
        try:
            deadline = time.monotonic() + SINK_START_S
            while not _sink_answers(url):
                if child.poll() is not None or time.monotonic() > deadline:
                    said.seek(0)
                    last = said.read().decode(errors="replace").strip().rpartition("\n")[2] or "no answer in time"
                    raise Aborted(
                        f"the mail sink cannot be started (SMTP port {smtp_port}, asked at {url}): {last}"
                    )
                wait(child, 0.05)
            yield
        finally:
            signal.signal(signal.SIGTERM, before)
            _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    """End a child, by force if it does not listen; never waits for ever, as a signal handler calls it too."""
    child.terminate()
    wait(child, KILL_AFTER_S)
    if child.poll() is None:
        child.kill()
        wait(child, KILL_AFTER_S)


def _sink_answers(url: str) -> bool:
    """Whether a mail sink is there. Raises Aborted for anything else there, and for the sink of another run."""
    try:
        answer = httpx.get(f"{url}/mails?tokens=", timeout=5, trust_env=False)
        if answer.is_success and isinstance(answer.json()["mails"], list):
            _refuse_if_owned(url, int(answer.json().get("owner", 0)))
            return True
    except httpx.TransportError:
        return False
    except (ValueError, KeyError, TypeError):
        pass
    raise Aborted(f"what answers at {url} is no mail sink; end it, or name another address with --set mail_sink=")


def _refuse_if_owned(url: str, owner: int) -> None:
    """Raises Aborted for the sink of another run that is still going: it would end in the middle of this one."""
    if owner in (0, os.getpid()):
        return
    try:
        os.kill(owner, 0)
    except ProcessLookupError:
        return  # left behind; it goes on
    except PermissionError:
        pass
    raise Aborted(
        f"the mail sink at {url} belongs to another run (process {owner}) and ends with it; wait for that run, "
        "or take ports of your own, and let the target send its mail there: "
        "--set mail_sink=http://127.0.0.1:8726 --set smtp_port=8826"
    )
