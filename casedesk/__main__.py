"""``python -m casedesk``: start a desk and say on one line where it is."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from casedesk.desk import DeskSettings
from casedesk.mail import SmtpServer
from casedesk.problems import DeskError, StartError
from casedesk.server import serve


def main(arguments: Sequence[str] | None = None, ready: Callable[[str], None] | None = None) -> int:
    """Serve until a signal comes. Returns the exit code: 0 after a signal, 2 if it could not start.

    ``ready`` is told the address once requests are answered; by default it is printed on one line.
    """
    try:
        serve(_settings(_parser().parse_args(arguments)), ready=ready or say_ready)
    except DeskError as error:
        sys.stderr.write(f"casedesk: {error}\n")
        return 2
    return 0


def say_ready(url: str) -> None:
    """The line that whoever started a desk waits for."""
    sys.stdout.write(f"casedesk ready at {url}\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="casedesk", description="A case-management service to load.")
    parser.add_argument("--port", type=int, default=0, help="0 is any free one")
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 is every address; takes --api-key-env")
    parser.add_argument("--disk", default="healthy", help="packaged disk profile, or a YAML file")
    parser.add_argument("--data", type=Path, help="data folder; default: a temporary one, removed at exit")
    parser.add_argument("--seed", type=int, default=1, help="seed of jitter and faults")
    parser.add_argument("--smtp", metavar="HOST:PORT", help="where mails go; default: an internal sink")
    parser.add_argument("--deadline-s", type=float, default=5.0, help="longest a request waits for the writer")
    parser.add_argument("--api-key-env", metavar="NAME", help="environment variable that holds the API key")
    return parser


def _settings(found: argparse.Namespace) -> DeskSettings:
    if not 0 <= found.port <= 65535:
        raise StartError(f"--port is {found.port}; expected 0 to 65535")
    if not 0 < found.deadline_s <= 3600:
        raise StartError(f"--deadline-s is {found.deadline_s}; expected more than 0, at most 3600")
    if found.host != "127.0.0.1" and found.api_key_env is None:
        raise StartError(
            f"--host {found.host} can be reached from elsewhere; name the variable that holds the key which "
            "askers need with --api-key-env, or listen on 127.0.0.1"
        )
    return DeskSettings(
        port=found.port,
        host=found.host,
        disk=found.disk,
        data=found.data,
        seed=found.seed,
        smtp=_smtp(found.smtp),
        deadline_s=found.deadline_s,
        api_key=_api_key(found.api_key_env),
    )


def _smtp(text: str | None) -> SmtpServer | None:
    if text is None:
        return None
    host, colon, port = text.rpartition(":")
    if not (host and colon and port.isdecimal() and 0 < int(port) <= 65535):
        raise StartError(f"--smtp is {text!r}; expected HOST:PORT, for example 127.0.0.1:2525")
    return SmtpServer(host.strip("[]"), int(port))


def _api_key(name: str | None) -> str | None:
    if name is None:
        return None
    key = os.environ.get(name)
    if not key:
        raise StartError(f"--api-key-env: the environment variable {name} is not set or empty; set it to the key")
    return key


if __name__ == "__main__":
    sys.exit(main())
